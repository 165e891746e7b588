"""Opening the store's file: what is damaged or newer is kept aside, and its errors become ours.

To write, a damaged store or one of a newer zenplan is renamed, never deleted, and a new one is begun. To read, nothing
is made or renamed: one goes on without calibrations, and is told. Another program's database is never touched.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from zenplan.adapters.files.scratch import scratch
from zenplan.adapters.store import migrations
from zenplan.errors import UsageError, ZenplanError

# How long to wait for another process that writes, which takes it some milliseconds: at first without a word.
_SILENT_S: Final = 3.0
_PATIENCE_S: Final = 30.0
# With less room than that on the disk, any failure to write is the lack of it.
_NO_ROOM_BYTES: Final = 2**16
# SQLite's result codes (https://www.sqlite.org/rescode.html) for a file that is no sound database, and for statements
# that do not fit its tables; and where it needs to write beside a file, and may not.
_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR}
_UNWRITABLE: Final = {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
}
_BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

T = TypeVar("T")


class Unusable(Exception):
    """The file cannot be used as a store.

    Attributes:
        reason: ends a sentence that begins with the file's name.
        foreign: it is another program's database, which is not to be touched.
    """

    def __init__(self, reason: str, foreign: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.foreign = reason, foreign

    def error(self, path: Path) -> ZenplanError:
        """The same for people."""
        if self.foreign:
            return UsageError(
                f"{path} {self.reason}, not a store of calibrations",
                "move it away, or set XDG_DATA_HOME to another folder",
            )
        return ZenplanError(f"{path} {self.reason}", "'zenplan calibrate' keeps it aside and begins a new one")


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
        with _alone(path):
            try:
                return _opened_to_write(path), ""
            except Unusable as unusable:
                if unusable.foreign:
                    raise unusable.error(path) from unusable
                kept, reason = _kept_aside(path), unusable.reason
            return _opened_to_write(path), f"{path.name} {reason}: it is kept as {kept.name}, and a new one is begun"


def open_to_read(path: Path) -> tuple[sqlite3.Connection, ZenplanError | None]:
    """The store as it is; an empty one in memory where there is none that can be read, and why not."""
    why = None
    try:
        with our_errors(path):
            if path.exists():
                return _opened_to_read(path), None
    except Unusable as unusable:
        why = unusable.error(path)
    except ZenplanError as error:
        why = error
    empty = _connected(":memory:")
    migrations.migrate(empty)
    return empty, why


def _connected(name: str, uri: bool = False) -> sqlite3.Connection:
    # Autocommit: transactions are begun where they are wanted.
    return sqlite3.connect(name, timeout=_SILENT_S, isolation_level=None, uri=uri)


def _opened_to_write(path: Path) -> sqlite3.Connection:
    _check_kind(path)
    db = _connected(str(path))
    with ExitStack() as undo:
        undo.callback(db.close)
        waited(db, path, lambda: _prepare(db, path))
        undo.pop_all()
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    """Make it a sound store of the newest version that can be written. Raises Unusable."""
    with _told_damage():
        _check(db, path)
        # Readers and one writer at a time go on beside each other; it stays in the file's header.
        db.execute("PRAGMA journal_mode = WAL")
        # Every commit is on the disk before it is said to be done.
        db.execute("PRAGMA synchronous = FULL")
        migrations.migrate(db)
        _check_tables(db)
        try:
            db.execute("UPDATE measured SET number = number WHERE FALSE")
        except sqlite3.OperationalError as error:
            # Its header says that only a later SQLite may write it. (The file is not opened to read that there: closing
            # it would let go of SQLite's locks.)
            if _code(error) == sqlite3.SQLITE_READONLY and _is_writable(path):
                raise Unusable("is damaged") from error
            raise


def _opened_to_read(path: Path) -> sqlite3.Connection:
    """By the first way that works: where the disk is full, or may not be written, SQLite must not need to write."""
    _check_kind(path)
    ways: list[Callable[[Path], sqlite3.Connection]] = [_only_the_file, _copied]
    if _is_writable(path):
        ways = [_beside_others, _alone_with_it, *ways]
    for way in ways:
        try:
            return way(path)
        except sqlite3.OperationalError as error:
            failed = error
            if _code(error) not in _UNWRITABLE:
                raise
    raise failed


def _beside_others(path: Path) -> sqlite3.Connection:
    return _readable(_connected(str(path)), path)


def _alone_with_it(path: Path) -> sqlite3.Connection:
    """Its journal is read without the file that several processes would share."""
    return _readable(_connected(str(path)), path, "PRAGMA locking_mode = EXCLUSIVE")


def _only_the_file(path: Path) -> sqlite3.Connection:
    # Without a journal beside it nobody is writing, and SQLite need not make one to find that out.
    still = "" if _has_journal(path) else "&immutable=1"
    return _readable(_connected(f"{path.absolute().as_uri()}?mode=ro{still}", uri=True), path)


def _copied(path: Path) -> sqlite3.Connection:
    """Into memory, by way of a folder with room: to read a journal is to write beside it."""
    with scratch() as folder:
        copy = folder / path.name
        for ending in ("", "-wal"):
            if (part := Path(f"{path}{ending}")).exists():
                shutil.copyfile(part, f"{copy}{ending}")
        with closing(_readable(_connected(str(copy)), path)) as db:
            return _in_memory(db)


def _readable(db: sqlite3.Connection, path: Path, *pragmas: str) -> sqlite3.Connection:
    """The connection, once its store is found sound; one of an older version is brought up to date in memory."""
    with ExitStack() as undo:
        undo.callback(db.close)
        for pragma in pragmas:
            db.execute(pragma)
        with _told_damage():
            waited(db, path, lambda: _check(db, path))
            if migrations.version(db) < len(migrations.STEPS):
                db = _in_memory(db)
            else:
                undo.pop_all()
            _check_tables(db)
        db.execute("PRAGMA query_only = ON")
    return db


def _in_memory(db: sqlite3.Connection) -> sqlite3.Connection:
    copy = _connected(":memory:")
    db.backup(copy)
    migrations.migrate(copy)
    return copy


def _check(db: sqlite3.Connection, path: Path) -> None:
    """Read all of the file. Raises Unusable: it is another program's, of a newer version, or damaged."""
    application, version = (
        db.execute(asked).fetchone()[0] for asked in ("PRAGMA application_id", "PRAGMA user_version")
    )
    names = {table[1] for table in migrations.tables(db)}
    if application == 0 and version == 0 and not names:
        # SQLite takes a file that is shorter than its shortest page for an empty one.
        if path.stat().st_size > 0 and db.execute("PRAGMA page_count").fetchone()[0] == 0:
            raise Unusable("is damaged")
        return
    if application != migrations.APPLICATION_ID and not names & {"measured", "calibrations"}:
        raise Unusable("is another program's database", foreign=True)
    if version > len(migrations.STEPS):
        newest = len(migrations.STEPS)
        raise Unusable(f"is of a newer zenplan (version {version}; this one knows {newest})")
    sound = db.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok"
    if version < 1 or application != migrations.APPLICATION_ID or not sound:
        raise Unusable("is damaged")


def _check_tables(db: sqlite3.Connection) -> None:
    if migrations.version(db) and migrations.tables(db) != migrations.newest_tables():
        raise Unusable("is damaged")


@contextmanager
def _told_damage() -> Iterator[None]:
    """What SQLite calls damage is raised as Unusable."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if _code(error) in _DAMAGED:
            raise Unusable("is damaged") from error
        raise
    except UnicodeDecodeError as error:
        # What SQLite quotes of the file in an error is no text.
        raise Unusable("is damaged") from error


def _code(error: sqlite3.Error) -> int:
    """Of SQLite's result codes, the one that the error is a kind of."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def _has_journal(path: Path) -> bool:
    journal = Path(f"{path}-wal")
    return journal.exists() and journal.stat().st_size > 0


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
def _alone(path: Path) -> Iterator[None]:
    """While no other process is in here for that folder; one that is killed leaves nothing behind."""
    import fcntl

    descriptor = os.open(path.parent, os.O_RDONLY)
    begin, said = time.monotonic(), False
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as held:
                if time.monotonic() > begin + _PATIENCE_S:
                    raise _held(path) from held
            if not said and time.monotonic() > begin + _SILENT_S:
                said = _say_waiting(path)
            time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


def waited(db: sqlite3.Connection, path: Path, work: Callable[[], T]) -> T:
    """What the work gives; where another process holds the store, it is waited for, and that is said on stderr."""
    try:
        return work()
    except sqlite3.OperationalError as error:
        if _code(error) not in _BUSY:
            raise
    _say_waiting(path)
    db.execute(f"PRAGMA busy_timeout = {1000 * (_PATIENCE_S - _SILENT_S):.0f}")
    try:
        return work()
    finally:
        db.execute(f"PRAGMA busy_timeout = {1000 * _SILENT_S:.0f}")


def _say_waiting(path: Path) -> bool:
    if sys.stderr is not None:
        sys.stderr.write(f"waiting for {path}, which another process holds; {_PATIENCE_S:.0f} s at most\n")
        sys.stderr.flush()
    return True


def _held(path: Path) -> ZenplanError:
    return ZenplanError(f"{path} is held by another program", "try again when that is done")


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _check_kind(path: Path) -> None:
    """Raises ZenplanError: it is a folder, or a pipe, of which nothing would ever come."""
    if path.is_dir():
        raise _not_usable(path, "it is a folder")
    if path.is_fifo():
        raise _not_usable(path, "it is a pipe")


def _not_usable(path: Path, reason: str) -> ZenplanError:
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
    except UnicodeDecodeError as error:
        raise Unusable("is damaged").error(path) from error
    except OSError as error:
        raise _not_usable(path, error.strerror or str(error)) from error


def _ours(error: sqlite3.Error, path: Path) -> ZenplanError:
    code = _code(error)
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(path)):
        return ZenplanError(f"the disk is full: {path} cannot grow", "make room; what was stored before is still there")
    if code in _BUSY:
        return _held(path)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Unusable("is damaged").error(path)
    return _not_usable(path, str(error))


def _is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _NO_ROOM_BYTES
    except OSError:
        return False
