"""Folders that this machine alone has, or may have: what lies there is not what nodes read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from zenplan.commands.launch.asked import Asked
from zenplan.commands.launch.trained import Trained, whole_path

_TEMPORARY: Final = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - they are looked at
# The flag that says where else it is; of others the request file does.
_ELSEWHERE: Final = {"--data": "--data says where it is there", "the run": "--run-folder", "the files": "--out"}


def unseen(asked: Asked, trained: Trained, run: str, folder: Path) -> Iterator[str]:
    """A line for each of what nodes read or write that lies in such a folder.

    Args:
        asked: what was asked for.
        trained: what is trained.
        run: the folder of the run.
        folder: of the files that are written.
    """
    found = [(flag, trained.there(path, asked.shared or "")) for flag, path in trained.paths()]
    found += [("--data", trained.data_there)] if trained.data_there else []
    if not asked.shared:
        # A system that mounts a folder carries the files there itself.
        found += [("the run", run), ("the files", str(whole_path(folder)))]
    for what, path in found:
        if path.startswith("/") and (where := _own(Path(path))):
            how = _ELSEWHERE.get(what, f"{trained.path.name} names another")
            yield f"{what}: {path} is in {where}; it has to be in a folder that all nodes see: {how}"


def _own(path: Path) -> str:
    """Whose the folder is, in words; empty where nothing says that it is of this machine alone."""
    import platformdirs

    temporary = {
        *map(Path, _TEMPORARY),
        whole_path(Path(tempfile.gettempdir())),
        Path(os.path.realpath(tempfile.gettempdir())),
    }
    if any(path.is_relative_to(each) for each in temporary):
        return "a temporary folder, which each machine has of its own"
    kinds = (("cache", platformdirs.user_cache_path()), ("folder of programs' data", platformdirs.user_data_path()))
    for kind, root in kinds:
        if path.is_relative_to(root):
            return f"your {kind} on this machine, which nodes see only where they share {root}"
    return ""
