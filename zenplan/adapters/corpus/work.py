"""Work: the folder in which data are prepared, beside the one they will be in; what is finished in it stays finished.

A file is there whole or not at all, and a preparation that was interrupted goes on behind the last of them. One process
has the folder at a time, by a lock that the system lets go of however that process ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from zenplan import documents
from zenplan.adapters.corpus.prepared import is_prepared, read_data
from zenplan.adapters.files.whole_file import DRAFT, replacing, sync
from zenplan.errors import UsageError, ZenplanError

_KEY: Final = "job"
_BEGUN, _FINISHED = "job.json", "finished.json"


class Work:
    """A folder of finished files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"

    def path(self, name: str) -> Path:
        """Of a file in it."""
        return self.folder / name

    def has(self, name: str) -> bool:
        """Whether that file is finished."""
        return self.path(name).exists()

    def write(self, name: str, put: Callable[[IO[bytes]], object]) -> None:
        """A file by that name, of what ``put`` writes."""
        with replacing(self.path(name)) as file:
            put(file)

    def write_json(self, name: str, value: Any) -> None:
        """The same of JSON."""
        text = documents.encode(value)
        self.write(name, lambda file: file.write(text.encode("utf-8")))

    def read_json(self, name: str) -> Any:
        """What ``write_json`` wrote."""
        return documents.decode(self.path(name).read_bytes(), dict[str, Any], f"'{self.path(name)}'")


@contextmanager
def working(out: Path, key: str, overwrite: bool) -> Iterator[Work]:
    """The work folder of ``out``, which nobody else has: as it was left, where that was for the same key.

    Raises:
        UsageError: ``out`` is there already, or another preparation was begun.
        ZenplanError: another process prepares it, or it cannot be written.
    """
    with disk(out):
        _check_free(out, overwrite)
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = _folder(out)
        folder.mkdir(exist_ok=True)
        lock = _locked(folder, out)
        try:
            work = Work(folder)
            _begin(work, key, overwrite, out)
            yield work
        finally:
            os.close(lock)


def finished(out: Path, key: str) -> bool:
    """Whether a process for the same key was ended when ``out`` was there, and all that was left was to remove its work
    folder. That is done now.
    """
    work = Work(_folder(out))
    if not (work.has(_FINISHED) and is_prepared(out)):
        return False
    with disk(out):
        lock = _locked(work.folder, out)
        try:
            left = work.read_json(_FINISHED)
            if left.get("fingerprint") != read_data(out)["fingerprint"]:
                return False
            _remove(work)
        finally:
            os.close(lock)
    return bool(left.get(_KEY) == key)


def publish(work: Work, out: Path, key: str, fingerprint: str) -> None:
    """What was prepared takes its place, in one step; the work folder goes."""
    work.write_json(_FINISHED, {_KEY: key, "fingerprint": fingerprint})
    for file in sorted(work.out.iterdir()):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
    sync(work.out)
    if out.exists() and any(out.iterdir()):
        old = work.path("old")
        out.rename(old)
    work.out.rename(out)
    sync(out.parent)
    _remove(work)


def _folder(out: Path) -> Path:
    return out.parent / f".{out.name}.preparing"


def _remove(work: Work) -> None:
    """The work folder goes, and at last what says that it may."""
    _empty(work.folder, _FINISHED)
    shutil.rmtree(work.folder)


def _empty(folder: Path, but: str = "") -> None:
    for each in folder.iterdir():
        if each.name == but:
            continue
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()


@contextmanager
def disk(out: Path) -> Iterator[None]:
    """An error of the disk is one of zenplan's, which says that nothing is lost."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "the disk is full" if full else f"{error.strerror or error}"
        where = f": {error.filename}" if error.filename and not full else ""
        raise ZenplanError(
            f"'{out}' cannot be prepared: {what}{where}",
            f"what is finished is kept: {'make room' if full else 'put that right'}, and the same command goes on from it",
        ) from error


def _check_free(out: Path, overwrite: bool) -> None:
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise UsageError(f"'{out}' is a file", "--out names a folder that is not there yet")
    if is_prepared(out):
        if not overwrite:
            raise UsageError(
                f"'{out}' holds prepared data already", "--overwrite replaces them, or name another folder"
            )
    elif any(out.iterdir()):
        raise UsageError(f"'{out}' holds something else", "--out names a folder that is not there yet")


class BeingPrepared(ZenplanError):
    """Another process prepares the same data at this moment."""


def _locked(folder: Path, out: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had it may have finished just now, and taken it away.
        taken = not folder.exists() or folder.stat().st_ino != os.fstat(descriptor).st_ino
    except BlockingIOError:
        taken = True
    if taken:
        os.close(descriptor)
        raise BeingPrepared(f"another process prepares '{out}'", "wait for it, or name another folder")
    return descriptor


def _begin(work: Work, key: str, overwrite: bool, out: Path) -> None:
    """The folder as it was left, without what was not finished; empty, where it was of something else."""
    before = None
    if work.has(_BEGUN):
        before = work.read_json(_BEGUN).get(_KEY)
    if before is not None and before != key:
        if not overwrite:
            raise UsageError(
                f"a preparation of '{out}' was begun with other data, settings or versions, and is not finished",
                f"--overwrite begins anew; it lies in '{work.folder}'",
            )
        before = None
    if before is None:
        _empty(work.folder)
        work.write_json(_BEGUN, {_KEY: key})
    for draft in work.folder.glob(f"{DRAFT}*"):
        draft.unlink()
    with suppress(FileNotFoundError):
        shutil.rmtree(work.out)
    work.out.mkdir()
