"""Calibrations as rows of the store's tables, and back."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from zenplan.adapters.files.document_fields import one_line, read_fields
from zenplan.adapters.store.document import (
    SUBJECT,
    calibration_document,
    fingerprint_document,
    point_document,
    read_fingerprint,
    read_point,
    read_stored,
    subject_document,
)
from zenplan.adapters.store.writer import this_process
from zenplan.domain.measured.calibration import Calibration, Measured, Sample
from zenplan.domain.measured.stored import DONE, RUNNING, Stored
from zenplan.errors import DataError

_OF: Final = {
    "calibrations": "SELECT id, taken_at, subject, fingerprint FROM calibrations WHERE id = coalesce(?, id)",
    "points": "SELECT calibration, number, point, setup_s, peak_bytes, program_bytes, failure, failure_kind, "
    "failure_type FROM points "
    "WHERE calibration = coalesce(?, calibration) ORDER BY number",
    "samples": "SELECT point, round, wall_s, cpu_s, clock_hz FROM samples WHERE point IN "
    "(SELECT number FROM points WHERE calibration = coalesce(?, calibration)) ORDER BY number",
    "notes": "SELECT calibration, text FROM notes WHERE calibration = coalesce(?, calibration) ORDER BY number",
}


def read_calibrations(db: sqlite3.Connection, one: str | None = None) -> dict[str, Calibration | DataError]:
    """Every calibration, or one, by its id; in place of one that cannot be read, what is wrong with it.

    The caller holds a transaction, so that all tables are of one moment.
    """
    rows = {name: db.execute(asked, (one,)).fetchall() for name, asked in _OF.items()}
    points, samples, notes = _grouped(rows["points"]), _grouped(rows["samples"]), _grouped(rows["notes"])
    found: dict[str, Calibration | DataError] = {}
    for row in rows["calibrations"]:
        try:
            found[row[0]] = _calibration(row, points[row[0]], samples, notes[row[0]])
        except (DataError, ValueError, TypeError) as error:
            found[row[0]] = DataError(f"calibration {row[0]} cannot be read: {error}")
    return found


def _grouped(rows: Iterable[tuple[Any, ...]]) -> defaultdict[Any, list[tuple[Any, ...]]]:
    """By their first column, which is left out."""
    groups: defaultdict[Any, list[tuple[Any, ...]]] = defaultdict(list)
    for first, *rest in rows:
        groups[first].append(tuple(rest))
    return groups


def _calibration(
    row: tuple[Any, ...],
    points: Iterable[tuple[Any, ...]],
    samples: defaultdict[Any, list[tuple[Any, ...]]],
    notes: Iterable[tuple[str]],
) -> Calibration:
    id, taken_at, subject, fingerprint = row
    measured = tuple(
        Measured(
            point=read_point(json.loads(point)),
            setup_s=setup_s,
            peak_bytes=peak_bytes,
            program_bytes=program_bytes,
            failure=failure,
            failure_kind=failure_kind,
            failure_type=failure_type,
            samples=tuple(Sample(round=r, wall_s=w, cpu_s=c, clock_hz=h) for r, w, c, h in samples[number]),
        )
        for number, point, setup_s, peak_bytes, program_bytes, failure, failure_kind, failure_type in points
    )
    return Calibration(
        id=id,
        **read_fields(json.loads(subject), "subject", SUBJECT),
        taken_at=datetime.fromisoformat(taken_at),
        fingerprint=read_fingerprint(json.loads(fingerprint)),
        measured=measured,
        notes=tuple(n for (n,) in notes),
    )


def insert_calibration(db: sqlite3.Connection, stored: Stored) -> None:
    """Add all of a calibration. Raises DataError: what is written could not be read."""
    # Whatever is in the store can be exported and imported elsewhere.
    read_stored(json.loads(as_json(calibration_document(stored))))
    c = stored.calibration
    writer = this_process() if stored.state == RUNNING else ""
    db.execute(
        "INSERT INTO calibrations (id, taken_at, finished, writer, written_at, origin, subject, fingerprint) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            c.id,
            c.taken_at.astimezone(UTC).isoformat(),
            stored.state == DONE,
            writer,
            time.time(),
            stored.origin,
            as_json(subject_document(c)),
            as_json(fingerprint_document(c.fingerprint)),
        ),
    )
    for measured in c.measured:
        insert_point(db, c.id, measured)
    db.executemany("INSERT INTO notes (calibration, text) VALUES (?, ?)", [(c.id, note) for note in c.notes])


def insert_point(db: sqlite3.Connection, id: str, m: Measured) -> None:
    """Add a point and its samples. Raises DataError: there is one with its key, or it could not be read."""
    point = as_json(point_document(m.point))
    read_point(json.loads(point))
    if db.execute("SELECT 1 FROM points WHERE calibration = ? AND key = ?", (id, m.point.key)).fetchone():
        raise DataError(f"calibration {id} has a point {m.point.key} already")
    number = db.execute(
        "INSERT INTO points (calibration, key, point, setup_s, peak_bytes, program_bytes, failure, "
        "failure_kind, failure_type) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            id,
            m.point.key,
            point,
            m.setup_s,
            m.peak_bytes,
            m.program_bytes,
            one_line(m.failure),
            m.failure_kind,
            m.failure_type,
        ),
    ).lastrowid
    for sample in m.samples:
        insert_sample(db, number, sample)


def insert_sample(db: sqlite3.Connection, point: int | None, s: Sample) -> None:
    """Add a sample to the point with that number."""
    db.execute(
        "INSERT INTO samples (point, round, wall_s, cpu_s, clock_hz) VALUES (?, ?, ?, ?, ?)",
        (point, s.round, s.wall_s, s.cpu_s, s.clock_hz),
    )


def as_json(document: Any) -> str:
    """As the tables keep it."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False)
