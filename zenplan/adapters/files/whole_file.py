"""A file that is written whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from zenplan.errors import UsageError, ZenplanError

# What a process that was killed while it wrote has left behind, by the start of its name.
DRAFT: Final = ".zenplan-"


def write_whole(path: Path, content: str | bytes, made_from: Path | None = None) -> None:
    """The content in that file: all of it, or the file as it was. One that is there keeps its permissions.

    Raises:
        UsageError: it is the file that the content was made from.
        ZenplanError: no file can be written there.
    """
    try:
        target = path.resolve()
        if made_from is not None and target == made_from.resolve():
            raise UsageError(f"{path} is what it is made from", "name another file")
        _write(path, target, content)
    except (OSError, ValueError, RuntimeError) as error:
        # A null in a name is a ValueError, a circle of links a RuntimeError.
        raise ZenplanError(
            f"{path} cannot be written: {getattr(error, 'strerror', None) or error}",
            "name a file in a folder that you may write, with room on its disk",
        ) from error


def _write(path: Path, target: Path, content: str | bytes) -> None:
    there = target.stat() if target.exists() else None
    if there and not stat.S_ISREG(there.st_mode):
        raise ZenplanError(f"{path} is not a regular file", "name a file, or - for the terminal")
    if there and not os.access(target, os.W_OK):
        raise ZenplanError(f"{path} may only be read", "name another file, or change its permissions")
    with replacing(target) as file:
        if there:
            os.fchmod(file.fileno(), stat.S_IMODE(there.st_mode))
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(target: Path, lasting: bool = True) -> Iterator[IO[bytes]]:
    """A file that at the end takes the place of ``target``, and is on the disk; after an error, that is as it was.

    Args:
        target: its path.
        lasting: whether it is waited for until it is on the disk; else a machine that fails may lose it.

    Raises:
        OSError: it cannot be written.
    """
    # Beside it, so that taking its place is one step.
    draft = target.with_name(f"{DRAFT}{secrets.token_hex(8)}")
    try:
        with draft.open("xb") as file:
            yield file
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    if lasting:
        sync(target.parent)


def sync(path: Path) -> None:
    """What is in the file, or was renamed in the folder, is on the disk; some file systems have no such promise to give."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
