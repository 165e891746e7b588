"""A calibration as JSON types and back: what the store keeps, and what a file of calibrations holds.

What it writes it can read: the same calibration comes out. The schema is ``data/schemas/calibrations-1.json``.
"""

from __future__ import annotations

import re
from datetime import UTC
from typing import Any, Final

from zenplan.adapters.files.document_fields import (
    Reader,
    by_name,
    flag,
    listed,
    maybe,
    moment,
    number,
    read_fields,
    text,
    whole,
)
from zenplan.domain.measured.calibration import Calibration, Fingerprint, Measured, Point, Sample
from zenplan.domain.measured.stored import STATES, Stored
from zenplan.errors import DataError

SCHEMA: Final = "zenplan.calibrations/1"
_ID = re.compile(r"[a-z2-7]{8}")

_SAMPLE: Final[dict[str, Reader]] = {"round": whole, "wall_s": number, "cpu_s": number, "clock_hz": maybe(number)}
_POINT: Final[dict[str, Reader]] = {
    "key": text,
    "role": text,
    "depth": maybe(whole),
    "batch": whole,
    "features": by_name(number),
    "predicted_bytes": maybe(number),
}
_FINGERPRINT: Final[dict[str, Reader]] = {
    "device": text,
    "kind": text,
    "driver": text,
    "threads": whole,
    "backend": text,
    "versions": by_name(text),
    "precision": text,
    "compiled": flag,
}


def calibration_document(stored: Stored) -> dict[str, Any]:
    """The calibration with its state and origin, of JSON types only; times are in UTC."""
    c = stored.calibration
    return {
        "id": c.id,
        "state": stored.state,
        "origin": stored.origin,
        "taken_at": c.taken_at.astimezone(UTC).isoformat(),
        **subject_document(c),
        "fingerprint": fingerprint_document(c.fingerprint),
        "measured": [measured_document(m) for m in c.measured],
        "notes": list(c.notes),
    }


def subject_document(c: Calibration) -> dict[str, Any]:
    """What was calibrated: the fields that say neither where nor with what result."""
    return {
        "kind": c.kind,
        "subject": c.subject,
        "family": c.family,
        "stand_in": c.stand_in,
        "target": None if c.target is None else point_document(c.target),
        "parameters": c.parameters,
        "flop_per_sample": c.flop_per_sample,
    }


def fingerprint_document(f: Fingerprint) -> dict[str, Any]:
    """The fingerprint as an object."""
    return {
        "device": f.device,
        "kind": f.kind,
        "driver": f.driver,
        "threads": f.threads,
        "backend": f.backend,
        "versions": dict(f.versions),
        "precision": f.precision,
        "compiled": f.compiled,
    }


def point_document(p: Point) -> dict[str, Any]:
    """The point as an object."""
    return {
        "key": p.key,
        "role": p.role,
        "depth": p.depth,
        "batch": p.batch,
        "features": dict(p.features),
        "predicted_bytes": p.predicted_bytes,
    }


def measured_document(m: Measured) -> dict[str, Any]:
    """The point, its samples and what else was measured of it."""
    samples = [{"round": s.round, "wall_s": s.wall_s, "cpu_s": s.cpu_s, "clock_hz": s.clock_hz} for s in m.samples]
    return {
        "point": point_document(m.point),
        "samples": samples,
        "setup_s": m.setup_s,
        "peak_bytes": m.peak_bytes,
        "program_bytes": m.program_bytes,
        "failure": m.failure,
    }


def read_stored(document: Any) -> Stored:
    """The calibration that ``calibration_document`` wrote. Raises DataError, as all of these do: it is no such thing."""
    shown = document.get("id") if isinstance(document, dict) else None
    what = f"calibration {shown}" if isinstance(shown, str) and _ID.fullmatch(shown) else "a calibration"
    found = read_fields(document, what, _CALIBRATION)
    state, origin = found.pop("state"), found.pop("origin")
    return Stored(calibration=Calibration(**found), state=state, origin=origin)


def read_fingerprint(document: Any) -> Fingerprint:
    """What ``fingerprint_document`` wrote."""
    return Fingerprint(**read_fields(document, "fingerprint", _FINGERPRINT))


def read_point(document: Any) -> Point:
    """What ``point_document`` wrote."""
    return Point(**read_fields(document, "point", _POINT))


def _measured(document: Any) -> Measured:
    return Measured(**read_fields(document, "measured", _MEASURED))


def _sample(document: Any) -> Sample:
    return Sample(**read_fields(document, "sample", _SAMPLE))


def _id(value: Any) -> str:
    if not _ID.fullmatch(text(value)):
        raise DataError("must be 8 letters a to z or digits 2 to 7")
    return str(value)


def _state(value: Any) -> str:
    if text(value) not in STATES:
        raise DataError(f"must be one of {', '.join(STATES)}")
    return str(value)


_MEASURED: Final[dict[str, Reader]] = {
    "point": read_point,
    "samples": listed(_sample),
    "setup_s": maybe(number),
    "peak_bytes": maybe(number),
    "program_bytes": maybe(number),
    "failure": text,
}
SUBJECT: Final[dict[str, Reader]] = {
    "kind": text,
    "subject": text,
    "family": text,
    "stand_in": text,
    "target": maybe(read_point),
    "parameters": maybe(number),
    "flop_per_sample": maybe(number),
}
_CALIBRATION: Final[dict[str, Reader]] = {
    "id": _id,
    "state": _state,
    "origin": text,
    "taken_at": moment,
    **SUBJECT,
    "fingerprint": read_fingerprint,
    "measured": listed(_measured),
    "notes": listed(text),
}
