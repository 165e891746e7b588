"""A folder of this process in the temporary directory, gone at its end; and at the next one's start, if it was killed.

Whoever owns a folder holds a lock on it, which the system lets go of however the process ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

# Only such folders have a lock: those of an older zenplan are left alone.
_OURS: Final = "zenplan-scratch-"


@contextmanager
def scratch(within: Path | None = None) -> Iterator[Path]:
    """An empty folder. Those that killed processes of this user left behind are removed first.

    Args:
        within: folder that it is in; None for the temporary directory.

    Raises:
        OSError: nothing can be written there.
    """
    _sweep(within or Path(tempfile.gettempdir()))
    folder, lock = _made(within)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _made(within: Path | None) -> tuple[Path, int]:
    """A new folder and the lock on it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_OURS, dir=within))
        # Another process may have swept it before it was locked.
        lock = _locked(folder)
        if lock is not None and folder.exists():
            return folder, lock
        if lock is not None:
            os.close(lock)


def _sweep(directory: Path) -> None:
    """Remove folders of this user that nobody holds."""
    for folder in directory.glob(f"{_OURS}*"):
        lock = _locked(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """The lock on a folder of this user, no link to one; None where another process has it, or it is none."""
    descriptor = None
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        if os.fstat(descriptor).st_uid == os.getuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
    if descriptor is not None:
        os.close(descriptor)
    return None
