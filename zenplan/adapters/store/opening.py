"""Opening the store's file: what is damaged or newer is kept aside, and its errors become ours.

To write, a damaged store or one of a newer zenplan is renamed, never deleted, and a new one is begun. To read, nothing
is made or renamed: one goes on without calibrations, and is told. Another program's database is never touched.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from zenplan.adapters.store.schema import Unusable, check, prepare, primary_code
from zenplan.errors import UsageError, ZenplanError

# How long to wait for another process that writes, which takes it some milliseconds.
_PATIENCE_S: Final = 30.0
# With less room than that on the disk, any failure to write is the lack of it.
_NO_ROOM_BYTES: Final = 2**16


def open_to_write(path: Path) -> tuple[sqlite3.Connection, str]:
    """The store, made where there is none; and what its user has to be told, on one line.

    Raises:
        UsageError: another program's database lies there.
        ZenplanError: the folder or the file cannot be written.
    """
    with our_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # One at a time: SQLite does not wait for another process that turns the journal on, and of several that find
        # a store damaged only the first may rename it.
        with _alone(path.parent):
            try:
                return _opened(path), ""
            except Unusable as unusable:
                if unusable.foreign:
                    raise UsageError(
                        f"{path} {unusable.reason}, not a store of calibrations",
                        "move it away, or set XDG_DATA_HOME to another folder",
                    ) from unusable
                kept, reason = _kept_aside(path), unusable.reason
            return _opened(path), f"{path.name} {reason}: it is kept as {kept.name}, and a new one is begun"


def open_to_read(path: Path) -> tuple[sqlite3.Connection, str]:
    """The store as it is; an empty one in memory where there is none that can be read, and why not, on one line."""
    told = ""
    try:
        with our_errors(path):
            if path.exists():
                db = _opened(path, only_read=not _is_writable(path))
                db.execute("PRAGMA query_only = ON")
                return db, ""
    except Unusable as unusable:
        told = f"{path} {unusable.reason}: going on without its calibrations"
    except ZenplanError as error:
        told = f"{error.message}: going on without its calibrations"
    empty = _connected(":memory:")
    prepare(empty)
    return empty, told


def _connected(name: str, uri: bool = False) -> sqlite3.Connection:
    # Autocommit: transactions are begun where they are wanted.
    return sqlite3.connect(name, timeout=_PATIENCE_S, isolation_level=None, uri=uri)


def _opened(path: Path, only_read: bool = False) -> sqlite3.Connection:
    if path.is_dir():
        raise _not_writable(path, "it is a folder")
    # Without a journal beside it nobody is writing, and SQLite need not make one to find that out.
    still = "" if Path(f"{path}-wal").exists() else "&immutable=1"
    db = _connected(f"{path.absolute().as_uri()}?mode=ro{still}", uri=True) if only_read else _connected(str(path))
    with ExitStack() as undo:
        undo.callback(db.close)
        prepare(db)
        check(db)
        # Every commit is on the disk before it is said to be done.
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        undo.pop_all()
    return db


def _kept_aside(path: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    names = (path.with_name(f"{path.name}.kept-{stamp}{more}") for more in ("", *(f"-{n}" for n in range(2, 1000))))
    kept = next(name for name in names if not name.exists())
    # The file itself last: until then it is what the next process finds, and keeps aside again.
    for ending in ("-wal", "-shm", ""):
        if (part := Path(f"{path}{ending}")).exists():
            part.rename(f"{kept}{ending}")
    return kept


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While no other process is in here for that folder; one that is killed leaves nothing behind."""
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _not_writable(path: Path, reason: str) -> ZenplanError:
    return ZenplanError(
        f"the store of calibrations {path} cannot be used: {reason}",
        "XDG_DATA_HOME names the folder that its folder is in",
    )


@contextmanager
def our_errors(path: Path) -> Iterator[None]:
    """What SQLite or the system raises in it is raised as a ZenplanError, with what can be done about it."""
    try:
        yield
    except sqlite3.Error as error:
        raise _ours(error, path) from error
    except OSError as error:
        raise _not_writable(path, error.strerror or str(error)) from error


def _ours(error: sqlite3.Error, path: Path) -> ZenplanError:
    code = primary_code(error)
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(path)):
        return ZenplanError(f"the disk is full: {path} cannot grow", "make room; what was stored before is still there")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return ZenplanError(f"{path} is held by another program", "try again when that is done")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return ZenplanError(f"{path} is damaged", "'zenplan calibrate' keeps it aside and begins a new one")
    return _not_writable(path, str(error))


def _is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _NO_ROOM_BYTES
    except OSError:
        return False
