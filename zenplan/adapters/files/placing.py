"""What is written beside its place, a file or a folder, and takes it once it is whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from zenplan.adapters.files.whole_file import sync

_PIECE: Final = 1 << 22


def take_place(draft: Path, target: Path) -> None:
    """Let a draft be what it was made for. It is on the disk then; what was there before is gone, or, after an error, is
    there still.

    Args:
        draft: a file or a folder, in a folder of its own on the same file system.

    Raises:
        OSError: it cannot be.
    """
    for file in (*files_of(draft), *(each for each in (draft, *draft.rglob("*")) if each.is_dir())):
        sync(file)
    if target.is_dir() or (target.exists() and draft.is_dir()):
        # A folder does not take the place of another in one step.
        before = draft.with_name(f"{draft.name}.before")
        target.rename(before)
        try:
            draft.rename(target)
        except OSError:
            before.rename(target)
            raise
    else:
        draft.replace(target)
    sync(target.parent)


def files_of(path: Path) -> list[Path]:
    """The file, or those of the folder and all below it, in order."""
    return [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())


def bytes_of(path: Path) -> int:
    """Of the file, or of all those of the folder."""
    return sum(each.stat().st_size for each in files_of(path))


def digest_of(path: Path) -> str:
    """A SHA-256 of the file; of a folder, of the digests and names of its files.

    Raises:
        OSError: it cannot be read.
    """
    if path.is_file():
        return _digest(path)
    whole = hashlib.sha256()
    for file in files_of(path):
        whole.update(f"{_digest(file)}  {file.relative_to(path).as_posix()}\n".encode())
    return whole.hexdigest()


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        for piece in _pieces(file.fileno()):
            found.update(piece)
    return found.hexdigest()


def _pieces(descriptor: int) -> Iterator[bytes]:
    while piece := os.read(descriptor, _PIECE):
        yield piece
