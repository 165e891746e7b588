"""The store of calibrations: SQLite in the user's data folder, each sample committed as it is measured.

Several processes may write at once. Whatever was committed is still there after any of them was killed.
"""

from __future__ import annotations

import base64
import json
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Self

from zenplan.adapters.files.document_fields import one_line
from zenplan.adapters.store.document import point_document, read_point
from zenplan.adapters.store.opening import open_to_read, open_to_write, our_errors
from zenplan.adapters.store.rows import as_json, insert_calibration, insert_point, insert_sample, read_calibrations
from zenplan.adapters.store.writer import state_of, this_process
from zenplan.domain.measured.calibration import Calibration, Measured, Point, Sample
from zenplan.domain.measured.stored import RUNNING, UNFINISHED, Stored
from zenplan.errors import DataError, UnknownName, UsageError

_NAME: Final = "calibrations.sqlite"
# Letters of an id that are enough, where no other begins with them.
_LEAST_LETTERS: Final = 4


class CalibrationStore:
    """An open store.

    Attributes:
        told: what happened when it was opened, on one line for the user; empty where nothing did.
        left_out: what ``all`` and ``entries`` could not read, and why; a line each.
    """

    def __init__(self, path: Path, db: sqlite3.Connection, told: str) -> None:
        self.path, self._db, self.told = path, db, told
        self.left_out: tuple[str, ...] = ()

    @classmethod
    def open(cls, path: Path | None = None, *, only_read: bool = False) -> Self:
        """The store at that path, or in the user's data folder.

        Args:
            path: of the file.
            only_read: nothing is made or renamed. Without a store there are no calibrations; with one that cannot be
                used neither, and ``told`` says why.

        Raises:
            ZenplanError: not ``only_read``, and it cannot be written.
        """
        path = path or store_path()
        return cls(path, *(open_to_read(path) if only_read else open_to_write(path)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; what was added is there already."""
        self._db.close()

    # --- what is measured

    def new_id(self) -> str:
        """Eight letters and digits that no calibration here has: 40 random bits, in base 32."""
        while True:
            id = base64.b32encode(secrets.token_bytes(5)).decode().lower()
            if not self._asked("SELECT 1 FROM calibrations WHERE id = ?", id):
                return id

    def begin(self, calibration: Calibration) -> None:
        """Add a calibration that this process is going to measure, with the points and notes it may have already."""
        self.insert([Stored(calibration=calibration, state=RUNNING)])

    def insert(self, calibrations: Iterable[Stored]) -> None:
        """Add calibrations as they are, all or none. Raises DataError: one cannot be written so that it can be read."""
        with self._writing():
            for stored in calibrations:
                if self._asked("SELECT 1 FROM calibrations WHERE id = ?", stored.calibration.id):
                    raise DataError(f"there is a calibration {stored.calibration.id} already")
                insert_calibration(self._db, stored)

    def add_point(self, id: str, point: Point) -> None:
        """Add a point that nothing was measured of yet. Raises DataError: there is one with its key."""
        with self._changing(id):
            insert_point(self._db, id, Measured(point=point))

    def set_point(
        self,
        id: str,
        key: str,
        *,
        setup_s: float | None = None,
        peak_bytes: float | None = None,
        program_bytes: float | None = None,
        failure: str | None = None,
        failure_kind: str | None = None,
        failure_type: str | None = None,
        features: Mapping[str, float] | None = None,
    ) -> None:
        """Set what became of a point; what is None stays as it is. An empty ``failure`` takes an earlier one away."""
        with self._changing(id):
            number, point = self._point(id, key)
            if features is not None:
                point = point_document(replace(read_point(point), features=features))
            self._db.execute(
                "UPDATE points SET setup_s = coalesce(?, setup_s), peak_bytes = coalesce(?, peak_bytes), "
                "program_bytes = coalesce(?, program_bytes), failure = coalesce(?, failure), "
                "failure_kind = coalesce(?, failure_kind), failure_type = coalesce(?, failure_type), point = ? "
                "WHERE number = ?",
                (
                    setup_s,
                    peak_bytes,
                    program_bytes,
                    None if failure is None else one_line(failure),
                    failure_kind,
                    failure_type,
                    as_json(point),
                    number,
                ),
            )

    def add_sample(self, id: str, key: str, sample: Sample) -> None:
        """Add a step to a point. It is on the disk when this returns."""
        with self._changing(id):
            insert_sample(self._db, self._point(id, key)[0], sample)

    def add_note(self, id: str, text: str) -> None:
        """Add a line about the machine; one that is there already is not added again."""
        with self._changing(id):
            note = one_line(text)
            if not self._asked("SELECT 1 FROM notes WHERE calibration = ? AND text = ?", id, note):
                self._db.execute("INSERT INTO notes (calibration, text) VALUES (?, ?)", (id, note))

    def finish(self, id: str) -> None:
        """Say that all of it was measured."""
        with self._changing(id):
            self._db.execute("UPDATE calibrations SET finished = 1 WHERE id = ?", (id,))

    def remove(self, id: str) -> None:
        """Take a calibration out, with all that was measured. Raises UnknownName."""
        with self._changing(id):
            self._db.execute("DELETE FROM calibrations WHERE id = ?", (id,))

    def unfinished(self, like: Calibration, within: timedelta) -> Calibration | None:
        """The newest calibration of the same target on the same, measured here, that no other process is at.

        From now on this process is the one that is at it: two that ask at once do not get the same.

        Args:
            like: one that would be begun now.
            within: that time of it; what is older is left as it is.
        """
        with self._writing():
            for stored in self._entries():
                c = stored.calibration
                if (
                    stored.state == UNFINISHED
                    and not stored.origin
                    and like.taken_at - c.taken_at <= within
                    and _what(c) == _what(like)
                ):
                    self._touch(c.id)
                    return c
        return None

    # --- what is there

    def get(self, id: str) -> Calibration:
        """One calibration. Raises UnknownName: it is not there; DataError: it cannot be read."""
        return self.entry(id).calibration

    def entry(self, id: str) -> Stored:
        """The same with its state and origin."""
        found = self._entries(id)
        if not found:
            raise DataError(self.left_out[0]) if self.left_out else self._unknown(id)
        return found[0]

    def all(self) -> tuple[Calibration, ...]:
        """Every calibration that can be read, the newest first; ``left_out`` names the others."""
        return tuple(stored.calibration for stored in self.entries())

    def entries(self) -> tuple[Stored, ...]:
        """The same with their states and origins."""
        return tuple(self._entries())

    def state(self, id: str) -> str:
        """One of ``domain.measured.stored.STATES``. Raises UnknownName."""
        rows = self._asked("SELECT finished, writer, written_at FROM calibrations WHERE id = ?", id)
        if not rows:
            raise self._unknown(id)
        return state_of(*rows[0])

    def find(self, given: str) -> str:
        """The id that is meant: written out, or as its first letters, four at least.

        Raises:
            UnknownName: none begins with them.
            UsageError: several do.
        """
        ids = self._ids()
        found = [id for id in ids if id.startswith(given)] if len(given) >= _LEAST_LETTERS else []
        if len(found) > 1 and given not in found:
            raise UsageError(f"'{given}' begins {len(found)} calibrations", f"write more of it: {', '.join(found[:4])}")
        if not found:
            raise self._unknown(given)
        return given if given in found else found[0]

    def _ids(self) -> list[str]:
        return [id for (id,) in self._asked("SELECT id FROM calibrations ORDER BY id")]

    def _unknown(self, id: str) -> UnknownName:
        return UnknownName("calibration", id, self._ids(), "zenplan calibrations list")

    # --- underneath

    def _entries(self, one: str | None = None) -> list[Stored]:
        """All, or one, the newest first. What cannot be read goes to ``left_out``."""
        with self._one_moment():
            states = {
                id: (state_of(*rest), origin)
                for id, origin, *rest in self._db.execute(
                    "SELECT id, origin, finished, writer, written_at FROM calibrations"
                )
            }
            read = read_calibrations(self._db, one)
        self.left_out = tuple(found.message for found in read.values() if isinstance(found, DataError))
        found = [
            Stored(calibration=c, state=states[id][0], origin=states[id][1])
            for id, c in read.items()
            if isinstance(c, Calibration)
        ]
        return sorted(found, key=lambda stored: stored.calibration.taken_at, reverse=True)

    def _asked(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with our_errors(self.path):
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _one_moment(self) -> Iterator[None]:
        """What is read in it is of one moment; it may be in a transaction already."""
        with our_errors(self.path):
            self._db.execute("SAVEPOINT moment")
            try:
                yield
            finally:
                self._db.execute("RELEASE moment")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction; nothing of it is there if anything is raised in it."""
        with our_errors(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                # SQLite has rolled back itself after some errors.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    @contextmanager
    def _changing(self, id: str) -> Iterator[None]:
        """The same for a change of one calibration, which this process is at from now on. Raises UnknownName."""
        with self._writing():
            self._touch(id)
            yield

    def _touch(self, id: str) -> None:
        changed = self._db.execute(
            "UPDATE calibrations SET writer = ?, written_at = ? WHERE id = ?", (this_process(), time.time(), id)
        )
        if not changed.rowcount:
            raise self._unknown(id)

    def _point(self, id: str, key: str) -> tuple[int, Any]:
        rows = self._asked("SELECT number, point FROM points WHERE calibration = ? AND key = ?", id, key)
        if not rows:
            raise DataError(f"calibration {id} has no point {key}")
        return rows[0][0], json.loads(rows[0][1])


def _what(c: Calibration) -> tuple[object, ...]:
    return (c.kind, c.subject, c.target, c.fingerprint)


def store_path() -> Path:
    """Where the user's store is."""
    import platformdirs

    return platformdirs.user_data_path("zenplan", appauthor=False) / _NAME
