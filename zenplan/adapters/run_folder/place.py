"""Where runs are: in the user's data folder, by their ids, or elsewhere with a link there."""

from __future__ import annotations

import base64
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from zenplan.adapters.run_folder.folder import STATUS, is_held
from zenplan.errors import UnknownName, UsageError

ID: Final = re.compile(r"[a-z2-7]{8}")
_LEAST_LETTERS: Final = 4


def runs_folder() -> Path:
    """The folder that all runs are in, or linked from."""
    import platformdirs

    return platformdirs.user_data_path("zenplan", appauthor=False) / "runs"


def new_id() -> str:
    """Eight letters that no other run has."""
    return base64.b32encode(secrets.token_bytes(5)).decode("ascii").lower()


def link(id: str, path: Path) -> None:
    """A run that lies elsewhere is found by its id. Where no link can be made, by its path alone."""
    with suppress(OSError):
        runs_folder().mkdir(parents=True, exist_ok=True)
        (runs_folder() / id).symlink_to(path.absolute())


def known_runs() -> dict[str, Path]:
    """Every run's folder by its id; those whose folder is gone are not among them."""
    with suppress(OSError):
        return {
            each.name: each for each in sorted(runs_folder().iterdir()) if ID.fullmatch(each.name) and each.is_dir()
        }
    return {}


def names_a_run(name: str) -> bool:
    """Whether it is the folder of a run, or can be an id or the first letters of one, and is no file."""
    path = Path(name)
    with suppress(OSError):
        if path.exists():
            return (path / STATUS).exists()
    return re.fullmatch(f"[a-z2-7]{{{_LEAST_LETTERS},8}}", name) is not None


def find_run(name: str) -> Path:
    """The folder of a run by its id, the first letters of it, or its path.

    Raises:
        UnknownName: there is none; UsageError: several begin so.
    """
    runs = known_runs()
    if name in runs:
        return runs[name]
    path = Path(name)
    if path.is_dir() and ((path / STATUS).exists() or is_held(path)):
        return path
    found = [id for id in runs if id.startswith(name)] if len(name) >= _LEAST_LETTERS else []
    if len(found) > 1:
        raise UsageError(f"several runs begin with {name}", f"one of {', '.join(found[:8])}")
    if not found:
        least = f"a run is named by its id, {_LEAST_LETTERS} letters of it at least, or by its folder"
        short = [id for id in runs if name and id.startswith(name)]
        if short:
            raise UsageError(f"'{name}' is too few letters of a run's id", f"{least}: {', '.join(short[:8])}")
        raise UnknownName("run", name, runs, "zenplan runs list", least)
    return runs[found[0]]
