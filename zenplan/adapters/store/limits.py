"""What no calibration can be: more than anyone measures, faster than any device, from the future."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from zenplan.domain.measured.calibration import CPU, OPERATOR, Calibration, Measured
from zenplan.errors import DataError
from zenplan.units import DAY_S

MOST_POINTS, MOST_SAMPLES = 10_000, 1_000_000
# Launching one kernel takes some 1e-6 s; nobody times one step for longer than a week.
_LEAST_STEP_S: Final = 1e-6
_MOST_STEP_S: Final = 7 * DAY_S
# Threads of the largest hosts, with room.
_MOST_THREADS: Final = 10_000
# Of FLOP, bytes or elements, in a second: a thousand times what one device does in the densest format.
_MOST_PER_S: Final = 1e19
# More memory than any device has, and more than any program moves in a step.
_MOST_BYTES: Final = 1e18
_MOST_HZ: Final = 1e11
_MOST_PARAMETERS: Final = 1e15


def check_calibrations(calibrations: Sequence[Calibration], now: datetime) -> None:
    """Raise DataError if any of them is impossible, or they are too many, or two have one id."""
    ids = [c.id for c in calibrations]
    if len(set(ids)) != len(ids):
        raise DataError(f"calibration {next(id for id in ids if ids.count(id) > 1)} is there twice")
    points = [m for c in calibrations for m in c.measured]
    samples = sum(len(m.samples) for m in points)
    for noun, count, most in (("points", len(points), MOST_POINTS), ("samples", samples, MOST_SAMPLES)):
        if count > most:
            raise DataError(f"it has {count:,} {noun}, and may have no more than {most:,}")
    for calibration in calibrations:
        _check(calibration, now)


def _check(c: Calibration, now: datetime) -> None:
    what = f"calibration {c.id}"
    if c.taken_at > now + timedelta(days=1):
        raise DataError(f"{what} was taken at {c.taken_at.isoformat()}, which is yet to come")
    _within(what, "threads", c.fingerprint.threads, 1, _MOST_THREADS)
    _within(what, "parameters", c.parameters, 0, _MOST_PARAMETERS)
    _within(what, "flop_per_sample", c.flop_per_sample, 0, _MOST_PER_S * _MOST_STEP_S)
    for m in c.measured:
        _check_point(c, m, f"{what}, point {m.point.key}")


def _check_point(c: Calibration, m: Measured, what: str) -> None:
    _within(what, "setup_s", m.setup_s, 0, _MOST_STEP_S)
    for name, found in (
        ("peak_bytes", m.peak_bytes),
        ("program_bytes", m.program_bytes),
        ("predicted_bytes", m.point.predicted_bytes),
    ):
        _within(what, name, found, 0, _MOST_BYTES)
    for s in m.samples:
        _within(what, "wall_s", s.wall_s, _LEAST_STEP_S, _MOST_STEP_S)
        _within(
            what, "cpu_s", s.cpu_s, _LEAST_STEP_S if c.fingerprint.clock == CPU else 0, _MOST_STEP_S * _MOST_THREADS
        )
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
