"""The store of calibrations: SQLite in the user's data folder, each sample committed as it is measured."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from zenplan.adapters.store.migrations import CALIBRATION, NOTE, POINT, SAMPLE, STATE
from zenplan.adapters.store.records import Records, Row, State, this_process
from zenplan.domain.checks import one_line
from zenplan.domain.measured.calibration import DONE, RUNNING, UNFINISHED, Calibration, Measured, Point, Sample, Stored
from zenplan.errors import DataError

ID: Final = re.compile(r"[a-z2-7]{8}")


class CalibrationStore(Records):
    """An open store, and the calibrations in it."""

    # --- what is measured

    def begin(self, calibration: Calibration) -> None:
        """Add a calibration that this process is going to measure, with the points and notes it may have already."""
        self.insert([Stored(calibration=calibration, state=RUNNING)])

    def insert(self, calibrations: Iterable[Stored]) -> None:
        """Add calibrations as they are, all or none. Raises DataError: one cannot be written so that it can be read."""
        with self._writing():
            known = set(self._ids())
            for stored in calibrations:
                if stored.calibration.id in known:
                    raise DataError(f"there is a calibration {stored.calibration.id} already")
                known.add(stored.calibration.id)
                self._insert(stored)

    def _insert(self, stored: Stored) -> None:
        c = stored.calibration
        if not ID.fullmatch(c.id):
            raise DataError("an id must be 8 letters a to z or digits 2 to 7")
        writer = this_process() if stored.state == RUNNING else ""
        state = State(finished=stored.state == DONE, writer=writer, written_at=time.time(), origin=stored.origin)
        self._add(c.id, CALIBRATION, replace(c, measured=(), notes=()))
        self._add(c.id, STATE, state)
        for measured in c.measured:
            self._add(c.id, POINT, replace(measured, samples=()), measured.point.key)
            for sample in measured.samples:
                self._add(c.id, SAMPLE, sample, measured.point.key)
        for note in c.notes:
            self._add(c.id, NOTE, note)

    def add_point(self, id: str, point: Point) -> None:
        """Add a point that nothing was measured of yet. Raises DataError: there is one with its key."""
        with self._changing(id):
            if self._row(id, POINT, point.key):
                raise DataError(f"calibration {id} has a point {point.key} already")
            self._add(id, POINT, Measured(point=point), point.key)

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
        from zenplan import documents

        given: dict[str, Any] = {
            "setup_s": setup_s,
            "peak_bytes": peak_bytes,
            "program_bytes": program_bytes,
            "failure": None if failure is None else one_line(failure),
            "failure_kind": "" if failure == "" and failure_kind is None else failure_kind,
            "failure_type": "" if failure == "" and failure_type is None else failure_type,
        }
        with self._changing(id):
            row = self._point(id, key)
            found = documents.decode(row.body, Measured, f"point {key} of calibration {id}")
            if features is not None:
                found = replace(found, point=replace(found.point, features=features))
            self._change(id, row, replace(found, **{name: v for name, v in given.items() if v is not None}))

    def add_sample(self, id: str, key: str, sample: Sample) -> None:
        """Add a step to a point. It is on the disk when this returns."""
        with self._changing(id):
            self._point(id, key)
            self._add(id, SAMPLE, sample, key)

    def add_note(self, id: str, text: str) -> None:
        """Add a line about the machine; one that is there already is not added again."""
        note = one_line(text)
        with self._changing(id):
            if note not in _notes(self._rows(id)[id]):
                self._add(id, NOTE, note)

    def unfinished(self, like: Calibration, within: timedelta) -> Calibration | None:
        """The newest calibration of the same target on the same, measured here, that no other process is at.

        From now on this process is the one that is at it: two that ask at once do not get the same.

        Args:
            like: one that would be begun now.
            within: that time of it; what is older is left as it is.
        """
        with self._writing():
            for stored in self.entries():
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

    def _point(self, id: str, key: str) -> Row:
        row = self._row(id, POINT, key)
        if row is None:
            raise DataError(f"calibration {id} has no point {key}")
        return row

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

    def _entries(self, one: str | None = None) -> list[Stored]:
        """All, or one, the newest first. What cannot be read goes to ``left_out``."""
        found, wrong = [], []
        for id, rows in self._rows(one).items():
            try:
                state = self._state(rows)
                found.append(Stored(calibration=_calibration(rows), state=state.word, origin=state.origin))
            except (DataError, ValueError) as error:
                wrong.append(f"calibration {id} cannot be read: {error}")
        self.left_out = (*wrong, *self.left_out)
        return sorted(found, key=lambda stored: stored.calibration.taken_at, reverse=True)


def _calibration(rows: Sequence[Row]) -> Calibration:
    """Of one record. Samples of a point that is not there are left out with it. Raises DataError."""
    from zenplan import documents

    head = [row for row in rows if row.kind == CALIBRATION]
    if not head:
        raise DataError("its first row is damaged")
    calibration = documents.decode(head[0].body, Calibration, "its first row")
    bodies: dict[str, list[bytes]] = {row.key: [] for row in rows if row.kind == POINT}
    for row in rows:
        if row.kind == SAMPLE and row.key in bodies:
            bodies[row.key].append(row.body)
    measured = []
    for row in rows:
        if row.kind == POINT:
            point = documents.decode(row.body, Measured, f"point {row.key}")
            # All of a point at once: a decoder is called for each of a thousand points, not of ten thousand steps.
            steps = b"[" + b",".join(bodies[row.key]) + b"]"
            samples = documents.decode(steps, tuple[Sample, ...], f"the samples of {row.key}")
            measured.append(replace(point, samples=samples))
    return replace(calibration, measured=tuple(measured), notes=_notes(rows))


def _notes(rows: Sequence[Row]) -> tuple[str, ...]:
    from zenplan import documents

    return tuple(documents.decode(row.body, str, "a note") for row in rows if row.kind == NOTE)


def _what(c: Calibration) -> tuple[object, ...]:
    return (c.kind, c.subject, c.target, c.fingerprint)
