"""Files of calibrations, as teams share them: what ``import`` reads, and how ``export`` puts a file down.

A calibration is its noun, as JSON, with its state and origin (the document is ``commands/calibrations/document.py``). A
file is written whole or not at all, and read as what nobody vouches for; nothing in it is run.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from zenplan import documents, units
from zenplan.adapters.files.regular_file import decoded, read_text
from zenplan.adapters.files.whole_file import write_whole
from zenplan.adapters.store.store import ID
from zenplan.domain import checks
from zenplan.domain.measured.calibration import CPU, OPERATOR, Calibration, Measured, Point, Stored
from zenplan.errors import DataError, InputFileError, ZenplanError
from zenplan.units import DAY_S

SCHEMA: Final = "zenplan.calibrations/1"
MOST_BYTES: Final = int(64 * units.MB)
_HINT: Final = "give a file that 'zenplan calibrations export' wrote"
_FAILED: Final = "failed"

# What no calibration can be: faster than any device, more than anyone measures.
# Launching one kernel takes some 1e-6 s; nobody times one step for longer than a week.
_LEAST_STEP_S: Final = 1e-6
_MOST_STEP_S: Final = 7 * DAY_S
# Threads of the largest hosts, with room.
_MOST_THREADS: Final = 10_000
# Of FLOP, bytes or elements, in a second: a thousand times what one device does in the densest format.
_MOST_PER_S: Final = 1e19
_MOST_WORK: Final = _MOST_PER_S * _MOST_STEP_S
# More memory than any device has, and more than any program moves in a step.
_MOST_BYTES: Final = 1e18
_MOST_HZ: Final = 1e11
_MOST_PARAMETERS: Final = 1e15


# --- what is written


def shared(stored: Stored) -> Stored:
    """The calibration without what is nobody else's: texts of failures, and the folders of a model's file."""
    c = stored.calibration
    measured = tuple(replace(m, failure=_shared_failure(m)) for m in c.measured)
    return replace(stored, calibration=replace(c, subject=_file_name(c.subject), measured=measured))


def _shared_failure(m: Measured) -> str:
    if not m.failed:
        return ""
    # What was stored before failures had kinds has only words for it.
    kind = str(m.failure_kind or _FAILED)
    return f"{kind}: {m.failure_type}" if m.failure_type else kind


def _file_name(subject: str) -> str:
    is_file = subject.endswith((".keras", ".h5"))
    return re.split(r"[/\\]", subject)[-1] if is_file else subject


def write_calibrations(path: Path, content: str) -> None:
    """The content in that file: all of it, or the file as it was.

    Raises:
        InputFileError: no file can be written there.
    """
    try:
        write_whole(path, content)
    except ZenplanError as error:
        raise InputFileError(error.message, error.hint) from error


# --- what is read


def read_calibration_file(path: Path, now: datetime) -> tuple[Stored, ...]:
    """The calibrations in that file, as they were exported.

    Args:
        path: of a regular file of at most 64 MB.
        now: none was taken after it, give or take a day.

    Raises:
        InputFileError: it is no such file, or any of its values is impossible; the message says which.
    """
    what = f"the file of calibrations {os.fspath(path)!r}"
    text = read_text(path, what, MOST_BYTES, _HINT)
    try:
        found = _read(decoded(text, _JSON.decode, what, "JSON", _HINT))
        _check([stored.calibration for stored in found], now)
    except DataError as error:
        raise InputFileError(f"{what}: {error.message}", _HINT) from error
    return found


def _read(document: Any) -> tuple[Stored, ...]:
    schema = document.get("schema") if isinstance(document, dict) else None
    name, _, version = SCHEMA.partition("/")
    if isinstance(schema, str) and schema.startswith(f"{name}/") and schema != SCHEMA:
        raise DataError(f"it is of version {schema.partition('/')[2][:20]}, and this zenplan reads {version}")
    if schema != SCHEMA:
        raise DataError(f"it has no schema {SCHEMA}")
    _no_others("it", document, {"schema": "", "calibrations": [], "left_out": []})
    if not isinstance(document.get("calibrations"), list):
        raise DataError("calibrations must be a list")
    return tuple(_stored(each) for each in document["calibrations"])


def _stored(document: Any) -> Stored:
    """The calibration that a document holds. Raises DataError: it is no such thing."""
    if not isinstance(document, dict):
        raise DataError("a calibration must be an object")
    id = document.get("id")
    if not isinstance(id, str) or not ID.fullmatch(id):
        raise DataError("a calibration: id must be 8 letters a to z or digits 2 to 7")
    what = f"calibration {id}"
    rest = {name: value for name, value in document.items() if name not in ("state", "origin")}
    calibration = documents.convert(rest, Calibration, what)
    whole = {"calibration": calibration, "state": document.get("state"), "origin": document.get("origin", "")}
    stored = documents.convert(whole, Stored, what)
    checks.lines(what, origin=stored.origin)
    _no_others(what, document, {**documents.plain(calibration), "state": "", "origin": ""})
    return stored


def _no_others(what: str, given: Any, known: Any) -> None:
    """Raise DataError if the decoded JSON has a field that what was read of it, as JSON again, has not."""
    if isinstance(given, dict) and isinstance(known, dict):
        for name, value in given.items():
            if name not in known:
                raise DataError(f"{what}: {name[:40]} is no field of it")
            _no_others(what, value, known[name])
    elif isinstance(given, list) and isinstance(known, list | tuple):
        for value, its in zip(given, known, strict=False):
            _no_others(what, value, its)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{twice[:40]} is there twice in one object")
    return found


def _not_finite(name: str) -> float:
    raise DataError(f"{name} is no number")


_JSON: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_not_finite)


# --- what cannot be


def _check(calibrations: Sequence[Calibration], now: datetime) -> None:
    """Raise DataError if any of them is impossible, or two have one id."""
    ids: set[str] = set()
    for c in calibrations:
        if c.id in ids:
            raise DataError(f"calibration {c.id} is there twice")
        ids.add(c.id)
        _check_one(c, now)


def _check_one(c: Calibration, now: datetime) -> None:
    what = f"calibration {c.id}"
    if c.taken_at > now + timedelta(days=1):
        raise DataError(f"{what} was taken at {c.taken_at.isoformat()}, which is yet to come")
    _within(what, "threads", c.fingerprint.threads, 1, _MOST_THREADS)
    _within(what, "parameters", c.parameters, 0, _MOST_PARAMETERS)
    _within(what, "flop_per_sample", c.flop_per_sample, 0, _MOST_WORK)
    if c.target is not None:
        _check_point(c.target, f"{what}, target")
        _within(f"{what}, target", "FLOP", (c.flop_per_sample or 0.0) * c.target.batch, 0, _MOST_WORK)
    for m in c.measured:
        _check_measured(c, m, f"{what}, point {m.point.key}")


def _check_point(point: Point, what: str) -> None:
    _within(what, "predicted_bytes", point.predicted_bytes, 0, _MOST_BYTES)
    for kind, amount in point.features.items():
        _within(what, kind, amount, 0, _MOST_WORK)


def _check_measured(c: Calibration, m: Measured, what: str) -> None:
    _check_point(m.point, what)
    _within(what, "setup_s", m.setup_s, 0, _MOST_STEP_S)
    _within(what, "peak_bytes", m.peak_bytes, 0, _MOST_BYTES)
    _within(what, "program_bytes", m.program_bytes, 0, _MOST_BYTES)
    least_cpu_s = _LEAST_STEP_S if c.fingerprint.clock == CPU else 0
    for s in m.samples:
        _within(what, "wall_s", s.wall_s, _LEAST_STEP_S, _MOST_STEP_S)
        _within(what, "cpu_s", s.cpu_s, least_cpu_s, _MOST_STEP_S * _MOST_THREADS)
        _within(what, "clock_hz", s.clock_hz, 0, _MOST_HZ)
    if m.samples:
        _check_rates(c, m, what)


def _check_rates(c: Calibration, m: Measured, what: str) -> None:
    shortest_s = min(m.seconds(c.fingerprint.clock))
    work = dict(m.point.features)
    if m.point.depth is None and m.point.role != OPERATOR and c.target is not None:
        work["FLOP"] = (c.flop_per_sample or 0.0) * m.point.batch
    for kind, amount in work.items():
        if amount / shortest_s > _MOST_PER_S:
            raise DataError(f"{what}: {amount / shortest_s:.2g} {kind} a second is more than any device does")


def _within(what: str, name: str, value: float | None, least: float, most: float) -> None:
    if value is not None and not least <= value <= most:
        raise DataError(f"{what}: {name} is {value:g}, and may be {least:g} to {most:g}")
