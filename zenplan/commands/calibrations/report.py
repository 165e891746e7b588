"""``zenplan calibrations``: those in the store, and one with its points and the step predicted of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from zenplan import units
from zenplan.domain.measured.calibration import (
    CPU,
    OPERATOR,
    PROGRAM,
    SWEEP,
    UNFINISHED,
    Calibration,
    Fingerprint,
    Measured,
    Stored,
)
from zenplan.domain.measured.prediction import StepPrediction
from zenplan.domain.report import Column, Report, Table

_LIST = (
    Column(name="id"),
    Column(name="when"),
    Column(name="device"),
    Column(name="software"),
    Column(name="subject"),
    Column(name="state"),
)
_POINTS = (
    Column(name="point"),
    Column(name="step", numeric=True),
    Column(name="spread", numeric=True),
    Column(name="steps", numeric=True),
    Column(name="setup", numeric=True),
    Column(name="peak\nmemory", numeric=True),
    Column(name="predicted\nmemory", numeric=True),
)
_ROLES = {OPERATOR: " (operator)", PROGRAM: " (compiled only)"}


def calibrations_report(entries: Sequence[Stored], left_out: Sequence[str]) -> Report:
    """A row for each calibration. The document is what ``export`` writes, with every sample.

    Args:
        entries: the newest first.
        left_out: what could not be read, a line each.
    """
    notes = tuple(f"left out: {line}" for line in left_out)
    if any(s.state == UNFINISHED and not s.origin for s in entries):
        notes += ("unfinished: the same 'zenplan calibrate' again, within a day, goes on with it",)
    if not entries:
        notes += ("no calibrations: 'zenplan calibrate' takes one",)
    table = Table(columns=_LIST, rows=tuple(map(_list_row, entries)))
    return Report(
        make_document=lambda: _documents(entries, left_out),
        make_records=lambda: map(_list_record, entries),
        tables=(table,) if entries else (),
        notes=notes,
    )


def _documents(entries: Sequence[Stored], left_out: Sequence[str]) -> Any:
    from zenplan.commands.calibrations.document import calibrations_document

    return calibrations_document(entries, left_out)


def _list_row(stored: Stored) -> tuple[str, ...]:
    c, f = stored.calibration, stored.calibration.fingerprint
    of = sum(m.point.role != PROGRAM for m in c.measured)
    points = f"{len(c.steps)} of {of} points" if len(c.steps) < of else f"{of} point{'' if of == 1 else 's'}"
    notes = [f"{len(c.notes)} note{'s' if len(c.notes) > 1 else ''}"] if c.notes else []
    state = ", ".join([stored.state, *(["imported"] if stored.origin else []), points, *notes])
    when = c.taken_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
    return (c.id, when, f.device, f"{_software(f)}, {f.precision}", _subject(c), state)


def _software(f: Fingerprint) -> str:
    return f"{f.backend} {'compiled' if f.compiled else 'eager'}"


def _subject(c: Calibration) -> str:
    return f"{c.subject} (sweep)" if c.kind == SWEEP else c.subject


def _list_record(stored: Stored) -> dict[str, Any]:
    c, f = stored.calibration, stored.calibration.fingerprint
    return {
        "id": c.id,
        "taken_at": c.taken_at.astimezone(UTC).isoformat(),
        "device": f.device,
        "backend": f.backend,
        "compiled": f.compiled,
        "precision": f.precision,
        "threads": f.threads,
        "kind": c.kind,
        "subject": c.subject,
        "family": c.family,
        "points": len(c.measured),
        "points_that_ran": len(c.steps),
        "samples": sum(len(m.samples) for m in c.measured),
        "state": stored.state,
        "origin": stored.origin,
        "notes": len(c.notes),
    }


def calibration_report(stored: Stored, prediction: StepPrediction | None, why_none: str) -> Report:
    """One calibration: on what, its points, what failed, and the prediction.

    Args:
        stored: the calibration.
        prediction: of its model's step; None of a sweep, or where too little was measured.
        why_none: what was too little; empty of a sweep.
    """
    c = stored.calibration
    failed = [(m.point.key, m.failure) for m in c.measured if m.failure]
    tables = (
        _facts(stored),
        *((_points(c),) if c.measured else ()),
        *((Table(columns=(Column(name="point"), Column(name="why it failed")), rows=tuple(failed)),) if failed else ()),
        *((_predicted(prediction),) if prediction else ()),
    )
    missing = (f"no prediction: {why_none}",) if why_none else ()
    notes = (*missing, *(prediction.doubts if prediction else ()), *c.notes)
    return Report(
        make_document=lambda: _document(stored, prediction, why_none),
        make_records=lambda: (_point_record(c, m) for m in c.measured),
        tables=tables,
        notes=notes,
    )


def _facts(stored: Stored) -> Table:
    c, f = stored.calibration, stored.calibration.fingerprint
    kind = f"{f.kind}, {f.threads} thread{'s' if f.threads > 1 else ''} of the host"
    rows = [
        ("subject", _subject(c)),
        ("family", c.family),
        ("what ran", "" if c.kind == SWEEP else c.stand_in or "the model itself"),
        ("device", f"{f.device} ({kind})"),
        ("driver", f.driver),
        ("software", ", ".join([_software(f), *(f"{name} {v}" for name, v in f.versions.items())])),
        ("precision", f.precision),
        ("taken", f"{c.taken_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC, {stored.origin or 'here'}"),
        ("state", stored.state),
        ("parameters", "" if c.parameters is None else units.count(c.parameters)),
        ("training, a sample", "" if c.flop_per_sample is None else units.flop(c.flop_per_sample)),
    ]
    columns = (Column(name="what"), Column(name="value"))
    return Table(title=f"calibration {c.id}", columns=columns, rows=tuple(row for row in rows if row[1]))


def _points(c: Calibration) -> Table:
    clock = c.fingerprint.clock
    by = "the processor's clock, which does not count waiting" if clock == CPU else "the clock on the wall"
    return Table(
        columns=_POINTS,
        rows=tuple(_point_row(m, clock) for m in c.measured),
        caption=f"step: the median, by {by}; spread: half of the range of the middle half; "
        "peak memory: as the backend tells it",
    )


def _point_row(m: Measured, clock: str) -> tuple[str, ...]:
    p = m.point
    return (
        f"{p.key}{_ROLES.get(p.role, '')}",
        units.duration(m.step_s(clock)) if m.samples else "–",
        "–" if (spread := m.known_spread(clock)) is None else units.percent(spread),
        str(len(m.samples)),
        "–" if m.setup_s is None else units.duration(m.setup_s),
        _peak(m),
        "–" if p.predicted_bytes is None else units.size(p.predicted_bytes),
    )


def _peak(m: Measured) -> str:
    if m.peak_bytes is None:
        return "not measured" if m.samples else "–"
    return units.size(m.peak_bytes)


def _predicted(p: StepPrediction) -> Table:
    low, mid, high = (units.duration(s) for s in (p.step_s.low, p.step_s.mid, p.step_s.high))
    return Table(
        title="predicted of it",
        columns=(Column(name="a step of the whole model"), Column(name="80 % interval"), Column(name="how")),
        rows=((mid, units.span(low, high), p.method),),
        caption=f"{units.duration(p.stepping_s)} of stepping were measured for it",
    )


def _document(stored: Stored, prediction: StepPrediction | None, why_none: str) -> Any:
    from zenplan.commands.calibrations.document import calibration_document

    return calibration_document(stored, prediction, why_none)


def _point_record(c: Calibration, m: Measured) -> dict[str, Any]:
    clock, p = c.fingerprint.clock, m.point
    return {
        "point": p.key,
        "role": p.role,
        "depth": p.depth,
        "batch": p.batch,
        "step_s": m.step_s(clock) if m.samples else None,
        "spread": m.known_spread(clock),
        "clock": clock,
        "samples": len(m.samples),
        "setup_s": m.setup_s,
        "peak_bytes": m.peak_bytes,
        "predicted_bytes": p.predicted_bytes,
        "program_bytes": m.program_bytes,
        "failure": m.failure,
    }
