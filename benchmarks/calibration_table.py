"""The tables of ``calibration.py``: each target, and the medians by family."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from calibration_targets import ASKED

from zenplan.domain.measured.calibration import Calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One target: what was measured, and what each method says of it; seconds of a step.

    Attributes:
        times_flop: FLOP of the target's step over those of the largest that was calibrated with.
        fractions_s, fractions_times_flop: the same from a half and a quarter of the batch alone.
    """

    family: str
    name: str
    truth_s: float
    low_s: float
    mid_s: float
    high_s: float
    method: str
    stepping_s: float
    times_flop: float
    fractions_s: float
    fractions_times_flop: float
    constant_mfu_s: float
    sweep_s: float | None = None

    @property
    def inside(self) -> bool:
        """Whether the 80 % interval has it."""
        return self.low_s <= self.truth_s <= self.high_s


def off(predicted_s: float, truth_s: float) -> str:
    """The error of a prediction, in percent."""
    return f"{100 * (predicted_s / truth_s - 1):+.1f}"


def report(backend: str, outcomes: Sequence[Outcome], sweep: Calibration | None) -> str:
    """Each target, and the medians by family."""
    lines = [f"{backend}: error of a step in percent; 80 % interval; FLOP over the largest step calibrated", ""]
    lines += [
        "| target | measured | calibrated | interval | × FLOP | stepping | parts | × FLOP | constant MFU | sweep |",
        "|---|---:|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for o in outcomes:
        width = 100 * math.log(o.high_s / o.mid_s)
        lines.append(
            f"| {o.name} | {1e3 * o.truth_s:.0f} ms | {off(o.mid_s, o.truth_s)} | "
            f"±{width:.0f} {'in' if o.inside else 'out'} | {o.times_flop:.1f} | {o.stepping_s:.1f} s | "
            f"{off(o.fractions_s, o.truth_s)} | {o.fractions_times_flop:.1f} | "
            f"{off(o.constant_mfu_s, o.truth_s)} | {'none' if o.sweep_s is None else off(o.sweep_s, o.truth_s)} |"
        )
    return "\n".join([*lines, "", *summary(backend, outcomes), "", *_of_sweep(sweep)])


def summary(backend: str, outcomes: Sequence[Outcome]) -> list[str]:
    """Median and worst by family, for each method."""
    lines = [
        "| family | targets | calibrated | asked | by parts of the batch | constant MFU | sweep | in interval |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for family in dict.fromkeys(o.family for o in outcomes):
        some = [o for o in outcomes if o.family == family]
        asked = " / ".join(map(str, ASKED[backend][family]))
        mid, parts, mfu, sweep = (_median_worst(some, f"{n}_s") for n in ("mid", "fractions", "constant_mfu", "sweep"))
        lines.append(
            f"| {family} | {len(some)} | {mid} | ≤ {asked} | {parts} | {mfu} | {sweep} | "
            f"{sum(o.inside for o in some)} of {len(some)} |"
        )
    return lines


def _median_worst(outcomes: Sequence[Outcome], name: str) -> str:
    errors = [abs(getattr(o, name) / o.truth_s - 1) for o in outcomes if getattr(o, name) is not None]
    return f"{100 * median(errors):.1f} / {100 * max(errors):.1f}" if errors else "none"


def _of_sweep(sweep: Calibration | None) -> list[str]:
    if sweep is None:
        return []
    steps = sweep.steps
    setup = sum(m.setup_s or 0.0 for m in steps)
    stepping = sum(s.wall_s for m in steps for s in m.samples)
    return [f"The sweep: {len(steps)} points, {setup:.0f} s to build and compile, {stepping:.0f} s of steps."]
