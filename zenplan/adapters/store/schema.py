"""The tables of the store of calibrations, and the steps from each version of them to the next.

A new store takes the same steps as an old one. Each step is one transaction together with the version that it ends
in, so a store is always of one version: a process that is killed in a step has not begun it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

# In the header of the file (PRAGMA application_id): whose it is. The letters ZPLN.
APPLICATION_ID: Final = 0x5A504C4E

_FIRST: Final = """
CREATE TABLE calibrations (
    id TEXT PRIMARY KEY,
    taken_at TEXT NOT NULL,     -- ISO 8601, UTC
    finished INTEGER NOT NULL,  -- 0 or 1
    writer TEXT NOT NULL,       -- machine:process that measures it, or measured it last
    written_at REAL NOT NULL,   -- seconds since 1970, of its last change
    origin TEXT NOT NULL,       -- empty: measured by whom the store belongs to
    subject TEXT NOT NULL,      -- JSON: what was calibrated
    fingerprint TEXT NOT NULL   -- JSON: on what
) WITHOUT ROWID;
CREATE TABLE points (
    number INTEGER PRIMARY KEY, -- in the order they were added
    calibration TEXT NOT NULL REFERENCES calibrations (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    point TEXT NOT NULL,        -- JSON
    setup_s REAL, peak_bytes REAL, program_bytes REAL,
    failure TEXT NOT NULL,
    UNIQUE (calibration, key)
);
CREATE TABLE samples (
    number INTEGER PRIMARY KEY,
    point INTEGER NOT NULL REFERENCES points (number) ON DELETE CASCADE,
    round INTEGER NOT NULL,
    wall_s REAL NOT NULL, cpu_s REAL NOT NULL, clock_hz REAL
);
CREATE INDEX samples_of_point ON samples (point);
CREATE TABLE notes (
    number INTEGER PRIMARY KEY,
    calibration TEXT NOT NULL REFERENCES calibrations (id) ON DELETE CASCADE,
    text TEXT NOT NULL
);
CREATE INDEX notes_of_calibration ON notes (calibration);
"""

_FAILURE_KIND: Final = """
ALTER TABLE points ADD COLUMN failure_kind TEXT NOT NULL DEFAULT '';
ALTER TABLE points ADD COLUMN failure_type TEXT NOT NULL DEFAULT '';
"""

# The first makes version 1 out of an empty file. A step that was released is never changed: another one is added.
STEPS: Final = (_FIRST, _FAILURE_KIND)


class Unusable(Exception):
    """The file cannot be used as a store.

    Attributes:
        reason: ends a sentence that begins with the file's name.
        foreign: it is another program's database, which is not to be touched.
    """

    def __init__(self, reason: str, foreign: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.foreign = reason, foreign


def prepare(db: sqlite3.Connection, steps: Sequence[str] = STEPS) -> None:
    """Bring an open database, which is empty or a store, to the newest version.

    Args:
        db: in autocommit mode; two processes may be here at once.
        steps: SQL from each version to the next, from version 0.

    Raises:
        Unusable: it is another program's, of a newer version, or damaged.
        sqlite3.Error: the system does not let us.
    """
    if _version(db, len(steps)) == len(steps):
        return
    # Readers and one writer at a time go on beside each other; it stays in the file's header.
    db.execute("PRAGMA journal_mode = WAL")
    # A step may have to make a table anew under another one's references.
    db.execute("PRAGMA foreign_keys = OFF")
    for number in range(len(steps)):
        db.execute("BEGIN IMMEDIATE")
        try:
            # Only now is nobody else at it.
            if _version(db, len(steps)) == number:
                for statement in _statements(steps[number]):
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {number + 1}")
            db.execute("COMMIT")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")


def _version(db: sqlite3.Connection, newest: int) -> int:
    """Of the store; 0 of an empty file."""
    with _told_damage():
        application, version, tables = (
            db.execute(asked).fetchone()[0]
            for asked in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
        )
    if application == 0 and version == 0 and tables == 0:
        return 0
    if application != APPLICATION_ID:
        raise Unusable("is another program's database", foreign=True)
    if version > newest:
        raise Unusable(f"is of a newer zenplan (version {version}; this one knows {newest})")
    if version < 1:
        raise Unusable("is damaged")
    return int(version)


def check(db: sqlite3.Connection) -> None:
    """Read all of the file. Raises Unusable: it is damaged."""
    with _told_damage():
        found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise Unusable("is damaged")


@contextmanager
def _told_damage() -> Iterator[None]:
    """What SQLite calls damage is raised as Unusable."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise Unusable("is damaged") from error
        raise


def primary_code(error: sqlite3.Error) -> int:
    """Of SQLite's result codes, the one that the error is a kind of (https://www.sqlite.org/rescode.html)."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def _statements(script: str) -> list[str]:
    """One by one: ``executescript`` would end the transaction first."""
    found, statement = [], ""
    for line in script.strip().splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            found.append(statement)
            statement = ""
    return found
