"""A path at which a folder is to be made."""

from __future__ import annotations

from pathlib import Path

from zenplan.errors import UsageError


def check_folder(path: Path, hint: str) -> None:
    """Raise UsageError where a file is at that path, or above it: the system's own word would not say which."""
    for each in (path, *path.parents):
        if each.exists():
            if not each.is_dir():
                raise UsageError(f"{each} is a file, and no folder can be made there", hint)
            return
