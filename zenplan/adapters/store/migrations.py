"""The table of the store, and the steps from each version of it to the next.

All that is measured here is rows of one kind. A record (a calibration, and what comes next) is one row of its own and
one for each part of it, as it comes; ``records.py`` reads and writes them. A new store takes the same steps as an old
one. Each step is one transaction together with the version that it ends in: a process that is killed in a step has not
begun it.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from typing import Any, Final

# In the header of the file (PRAGMA application_id): whose it is. The letters ZPLN.
APPLICATION_ID: Final = 0x5A504C4E
# Rows with which each record begins, in this order, and those of a calibration.
CALIBRATION, STATE, POINT, SAMPLE, NOTE = "calibration", "state", "point", "sample", "note"

# From each version to the next.
Step = Callable[[sqlite3.Connection], None]

_MEASURED: Final = """
CREATE TABLE measured (
    record TEXT NOT NULL,      -- id of what was measured: a calibration
    number INTEGER NOT NULL,   -- of the row in its record: 0, 1, 2, ... as they came
    kind TEXT NOT NULL,        -- calibration, then state; point, sample, note
    key TEXT NOT NULL,         -- of the point; empty where it has none
    body TEXT NOT NULL,        -- JSON, as documents.py writes the noun
    checksum INTEGER NOT NULL, -- CRC-32 of all the others
    PRIMARY KEY (record, number)
) WITHOUT ROWID
"""
# Version 1: a table for each noun, none with a checksum.
_FIRST: Final = """
CREATE TABLE calibrations (
    id TEXT PRIMARY KEY, taken_at TEXT NOT NULL, finished INTEGER NOT NULL, writer TEXT NOT NULL,
    written_at REAL NOT NULL, origin TEXT NOT NULL, subject TEXT NOT NULL, fingerprint TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE points (
    number INTEGER PRIMARY KEY, calibration TEXT NOT NULL REFERENCES calibrations (id) ON DELETE CASCADE,
    key TEXT NOT NULL, point TEXT NOT NULL, setup_s REAL, peak_bytes REAL, program_bytes REAL, failure TEXT NOT NULL,
    UNIQUE (calibration, key)
);
CREATE TABLE samples (
    number INTEGER PRIMARY KEY, point INTEGER NOT NULL REFERENCES points (number) ON DELETE CASCADE,
    round INTEGER NOT NULL, wall_s REAL NOT NULL, cpu_s REAL NOT NULL, clock_hz REAL
);
CREATE TABLE notes (
    number INTEGER PRIMARY KEY, calibration TEXT NOT NULL REFERENCES calibrations (id) ON DELETE CASCADE,
    text TEXT NOT NULL
);
"""


def checksum(record: bytes, number: int, kind: bytes, key: bytes, body: bytes) -> int:
    """Of a row of ``measured``."""
    return zlib.crc32(b"\0".join((record, str(number).encode(), kind, key, body)))


def add_row(db: sqlite3.Connection, record: str, number: int, kind: str, key: str, body: str) -> None:
    """Insert a row of ``measured``."""
    sum = checksum(record.encode(), number, kind.encode(), key.encode(), body.encode())
    db.execute("INSERT INTO measured VALUES (?, ?, ?, ?, ?, ?)", (record, number, kind, key, body, sum))


def _first(db: sqlite3.Connection) -> None:
    for statement in _FIRST.split(";\n"):
        db.execute(statement)


def _one_table(db: sqlite3.Connection) -> None:
    """From a table for each noun to one of rows. What could not be read before is named by whoever reads it now."""
    db.text_factory = bytes
    try:
        heads = db.execute("SELECT * FROM calibrations ORDER BY id").fetchall()
        points = _by_first(
            db, "SELECT calibration, number, key, point, setup_s, peak_bytes, program_bytes, failure FROM points"
        )
        samples = _by_first(db, "SELECT point, number, round, wall_s, cpu_s, clock_hz FROM samples")
        notes = _by_first(db, "SELECT calibration, number, text FROM notes")
    finally:
        db.text_factory = str
    for table in ("notes", "samples", "points", "calibrations"):
        db.execute(f"DROP TABLE {table}")
    db.execute(_MEASURED)
    for id, *head in heads:
        rows = [(CALIBRATION, b"", _json(_head, id, *head)), (STATE, b"", _json(_state, *head))]
        for number, key, *point in points[id]:
            rows.append((POINT, key, _json(_point, *point)))
            rows += [(SAMPLE, key, _json(_sample, *sample)) for _, *sample in samples[number]]
        rows += [(NOTE, b"", _json(bytes.decode, note)) for _, note in notes[id]]
        for index, (kind, key, body) in enumerate(rows):
            add_row(db, shown(id), index, kind, shown(key), body)


def _by_first(db: sqlite3.Connection, query: str) -> defaultdict[Any, list[tuple[Any, ...]]]:
    """The rows by their first column, which is left out, in the order of their numbers."""
    found: defaultdict[Any, list[tuple[Any, ...]]] = defaultdict(list)
    for first, *rest in db.execute(f"{query} ORDER BY number"):
        found[first].append(tuple(rest))
    return found


def _head(id: bytes, taken_at: bytes, *rest: Any) -> dict[str, Any]:
    subject, fingerprint = (json.loads(text) for text in rest[-2:])
    return {"id": id.decode(), **subject, "fingerprint": fingerprint, "taken_at": taken_at.decode()}


def _state(
    _taken_at: bytes, finished: int, writer: bytes, written_at: float, origin: bytes, *_: bytes
) -> dict[str, Any]:
    return {
        "finished": bool(finished),
        "writer": writer.decode(),
        "written_at": written_at,
        "origin": origin.decode(),
    }


def _point(point: bytes, setup_s: Any, peak_bytes: Any, program_bytes: Any, failure: bytes) -> dict[str, Any]:
    return {
        "point": json.loads(point),
        "setup_s": setup_s,
        "peak_bytes": peak_bytes,
        "program_bytes": program_bytes,
        "failure": failure.decode(),
    }


def _sample(round: Any, wall_s: Any, cpu_s: Any, clock_hz: Any) -> dict[str, Any]:
    return {"round": round, "wall_s": wall_s, "cpu_s": cpu_s, "clock_hz": clock_hz}


def _json(body: Callable[..., Any], *columns: Any) -> str:
    try:
        return json.dumps(body(*columns), ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, AttributeError):
        return json.dumps("what cannot be read of a store of version 1")


def shown(value: Any) -> str:
    """A column as a text, whatever lies in it."""
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


# The first makes version 1 out of an empty file. A step that was released is never changed: another one is added.
STEPS: Final[tuple[Step, ...]] = (_first, _one_table)


def migrate(db: sqlite3.Connection, steps: Sequence[Step] = STEPS) -> None:
    """Bring an open database, which is empty or a store, to the newest version.

    Args:
        db: in autocommit mode; two processes may be here at once.
        steps: from each version to the next, from version 0.
    """
    for number, step in enumerate(steps):
        if version(db) > number:
            continue
        db.execute("BEGIN IMMEDIATE")
        try:
            # Only now is nobody else at it.
            if version(db) == number:
                step(db)
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {number + 1}")
            db.execute("COMMIT")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")


def version(db: sqlite3.Connection) -> int:
    """Of the store; 0 of an empty file."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def tables(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """What the file says of its tables."""
    return db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name").fetchall()


@cache
def newest_tables() -> list[tuple[Any, ...]]:
    """What a sound store of the newest version says of them."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    with closing(db):
        migrate(db)
        return tables(db)
