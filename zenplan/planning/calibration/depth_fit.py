"""From steps that were measured to the step of the whole model, by depth and by batch.

The block that repeats is timed at the model's own width, a few times deep: each more of it costs the same, so the slope
times the depth is the whole (Qi et al. 2017 sum layers likewise; here the layers are never taken out of the model).
Where the wanted batch was not run, the same holds for fractions of it:

    t(d, b) = fixed + batch · b + depth · d + both · d·b,   depth and both not negative.

XLA makes programs whose cost for each layer grows with their depth, since it computes sums of residuals again wherever
they are needed. The compiler's own count of bytes shows that without running anything: what a program moves beyond the
line through the two shallowest is a term of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from zenplan.domain.measured.calibration import MODEL, PROGRAM, STEP, Calibration, Measured, Point
from zenplan.domain.measured.prediction import StepPrediction
from zenplan.domain.range import EIGHTY, Range
from zenplan.errors import DataError
from zenplan.planning.calibration.counted_fit import can_count, counted_step, kind_of, other, surprise, surprises
from zenplan.planning.calibration.nnls import nonnegative
from zenplan.planning.physics.columns import Array

# A program that moves so much more than the line through the shallowest is not linear in its depth.
SUPERLINEAR: Final = 0.05
# Beyond what rounds and depths tell: two runs of one program differ by so much (ln, one standard deviation), and each
# doubling of the largest step that was measured adds so much.
_ALIKE: Final = 0.015
_EACH_DOUBLING: Final = 0.008
# Time is only roughly in proportion to bytes that a compiler counts: of what they make of a step, so much is doubtful.
_OF_EXCESS: Final = 0.15
# Where every point is needed, none can be left out to see how far the answer moves. Four in five of those of
# benchmarks/calibration.py, where one could be, moved less than that.
_NONE_TO_SPARE: Final = 0.03
# One model in two processes, minutes apart: their programs and places in memory differ.
_TWO_PROCESSES: Final = 0.025
# A step that was timed once or twice may be one that was disturbed.
_FEW: Final = 0.03
_ENOUGH: Final = 3
# A point that lies further from what was predicted of it is told.
_SURPRISE: Final = 1.5
# What the ends of a model cost beside its blocks. The first block may be cheaper than those after it (a recurrent layer
# of few features, the last of which returns no sequence), so that they may come out negative.
_ENDS: Final = ("fixed", "batch")
_TERMS: Final = ("fixed", "batch", "depth", "both", "excess")


def predicted(calibration: Calibration) -> StepPrediction:
    """The step of the calibration's target.

    Raises:
        DataError: it is a sweep, or too little of it was measured: fewer points than terms, or none that tell them apart.
    """
    target = calibration.target
    if target is None:
        raise DataError(f"calibration {calibration.id} is a sweep: it has no model to predict")
    clock = calibration.fingerprint.clock
    steps = [m for m in calibration.steps if m.point.role == STEP]
    whole = next((m for m in steps if _is_whole(m.point, target)), None)
    stepping_s = sum(s.wall_s for m in steps for s in m.samples)
    if whole is not None:
        spread = math.hypot(_TWO_PROCESSES, whole.spread(clock), _FEW if len(whole.samples) < _ENOUGH else 0.0)
        return StepPrediction(
            step_s=_range(whole.step_s(clock), spread), method="a step of the whole model", stepping_s=stepping_s
        )
    if can_count(steps, target):
        return _counted(calibration, steps, target, stepping_s)
    used = _used(steps, target)
    excess = _excess(calibration.measured, target)
    fit = _Fit(used, target, excess, clock)
    mid = fit.target_s(fit.medians)
    parts = {
        "rounds": fit.by_round(),
        "depths": fit.left_out(),
        "reach": _reach(fit, mid),
        "programs": _OF_EXCESS * fit.excess_share(),
    }
    doubts = (*_said(used, fit, excess), *_missing(calibration.measured))
    return StepPrediction(
        step_s=_range(mid, math.hypot(_ALIKE, *parts.values())),
        method=_method(used, fit),
        doubts=doubts,
        stepping_s=stepping_s,
    )


def _counted(calibration: Calibration, steps: Sequence[Measured], target: Point, stepping_s: float) -> StepPrediction:
    """From all steps, by what was counted of them; each but the smallest two was predicted by those before it."""
    clock, kind = calibration.fingerprint.clock, kind_of(calibration.fingerprint)
    size = next(
        (m.program_bytes for m in calibration.measured if m.point.role == PROGRAM and _is_whole(m.point, target)), None
    )
    found, wider = counted_step(steps, target, clock, kind, size), surprise(steps, clock, kind)
    return StepPrediction(
        step_s=_range(found.mid_s, wider * math.hypot(other(kind), found.spread)),
        method=_told(steps, target, size),
        doubts=(*_surprised(steps, clock, kind), *_missing(calibration.measured)),
        stepping_s=stepping_s,
    )


def _told(steps: Sequence[Measured], target: Point, size: float | None) -> str:
    """``depths 1, 2, 4 at batch 2, 8, by their counted work``."""
    depths = sorted({m.point.depth for m in steps if m.point.depth is not None})
    batches = ", ".join(map(str, sorted({m.point.batch for m in steps})))
    what = f"depth{'s' if len(depths) > 1 else ''} {', '.join(map(str, depths))}" if depths else "the whole model"
    bytes_ = " and the bytes of compiled programs" if size is not None else ""
    return f"{what} at batch {batches}, by counted work{bytes_}"


def _surprised(steps: Sequence[Measured], clock: str, kind: str) -> list[str]:
    """What the largest step was, where it was not as the smaller ones had it."""
    said = []
    for measured, found in surprises(steps, clock, kind)[-1:]:
        off = math.log(measured.step_s(clock) / found.mid_s)
        if abs(off) > _SURPRISE * math.hypot(found.spread, other(kind)):
            times = math.exp(off)
            said.append(
                f"{measured.point.key} took {times:.2f} times what smaller ones foretold: the range is wider for it"
            )
    return said


def prediction_of(calibration: Calibration) -> tuple[StepPrediction | None, str]:
    """The step of the calibration's model; or None, and why there is none. A sweep has neither."""
    if calibration.kind != MODEL:
        return None, ""
    try:
        return predicted(calibration), ""
    except DataError as error:
        return None, error.message


def is_superlinear(measured: Sequence[Measured], target: Point) -> bool:
    """Whether the target's program, compiled and not run, moves clearly more than the line through the shallowest."""
    beyond = _excess(measured, target)
    if not beyond or target.depth is None:
        return False
    whole = max(m.program_bytes or 0.0 for m in measured if m.point.depth == target.depth)
    return beyond[target.depth] > SUPERLINEAR * (whole - beyond[target.depth])


def _is_whole(point: Point, target: Point) -> bool:
    return point.batch == target.batch and point.depth == target.depth


def _used(steps: Sequence[Measured], target: Point) -> list[Measured]:
    """The steps to fit: those at the wanted batch where they have two depths, else all."""
    if not steps:
        raise DataError("nothing was measured")
    at_batch = [m for m in steps if m.point.batch == target.batch]
    if target.depth is not None and len({m.point.depth for m in at_batch}) > 1:
        return at_batch
    enough = len({m.point.depth for m in steps}) > 1 if target.depth is not None else True
    if not enough or len({m.point.batch for m in steps}) < 2:
        raise DataError(f"one point, {steps[0].point.key}, says nothing of a larger one")
    return list(steps)


def _excess(measured: Sequence[Measured], target: Point) -> dict[int, float]:
    """Depth to the bytes that its program moves beyond the line through the two shallowest; empty if not known."""
    known = {
        m.point.depth: m.program_bytes
        for m in measured
        if m.program_bytes and m.point.batch == target.batch and m.point.role in (STEP, PROGRAM)
    }
    depths = sorted(d for d in known if d is not None)
    if target.depth not in depths or len(depths) < 3:
        return {}
    first, second = depths[:2]
    size = {d: float(known[d] or 0.0) for d in depths}
    slope = (size[second] - size[first]) / (second - first)
    return {d: max(0.0, size[d] - size[first] - slope * (d - first)) for d in depths}


class _Fit:
    """Terms of the points and of the target, solved as often as there are ways to look at the samples."""

    def __init__(self, used: Sequence[Measured], target: Point, excess: dict[int, float], clock: str) -> None:
        self.used, self.clock = list(used), clock
        self.medians = np.array([m.step_s(clock) for m in used])
        depths, batches = {m.point.depth for m in used}, {m.point.batch for m in used}
        names = ["fixed"]
        names += ["batch"] * (len(batches) > 1) + ["depth"] * (len(depths) > 1)
        names += ["both"] * (len(batches) > 1 and len(depths) > 1)
        self.superlinear = len(depths) > 2 and any(excess.get(d or 1, 0.0) > 0.0 for d in depths)
        names += ["excess"] * self.superlinear
        self.names = names
        self.terms = np.array([self._row(m.point, target, excess) for m in used])
        if np.linalg.matrix_rank(self.terms / self.terms.max(axis=0)) < len(names):
            raise DataError(f"{len(used)} points do not tell what depth and batch each cost")
        self.target = self._row(target, target, excess)
        self.largest_s = float(self.medians.max())

    def _row(self, point: Point, target: Point, excess: dict[int, float]) -> list[float]:
        depth, share = float(point.depth or 1), point.batch / target.batch
        values = (1.0, share, depth, depth * share, excess.get(point.depth or 1, 0.0) * share)
        return [v for name, v in zip(_TERMS, values, strict=True) if name in self.names]

    def target_s(self, seconds: Array, rows: Sequence[int] | None = None) -> float:
        """The target's step, from these seconds of the points, or of those ``rows`` of them."""
        return float(np.dot(self.target, self._solved(seconds, rows)))

    def excess_share(self) -> float:
        """What the bytes beyond the line make of the target's step."""
        parts = np.multiply(self.target, self._solved(self.medians))
        return float(parts[-1] / parts.sum()) if self.superlinear else 0.0

    def _solved(self, seconds: Array, rows: Sequence[int] | None = None) -> Array:
        chosen = list(range(len(seconds))) if rows is None else list(rows)
        terms, ends = self.terms[chosen], [index for index, name in enumerate(self.names) if name in _ENDS]
        # A term of either sign is the difference of two that are not negative.
        found = nonnegative(np.hstack([terms, -terms[:, ends]]), seconds[chosen], seconds[chosen] ** -0.5)
        found[ends] -= found[len(self.names) :]
        return found[: len(self.names)]

    def by_round(self) -> float:
        """The standard error of the target in ln, from one answer for each round."""
        rounds = sorted(set.intersection(*({s.round for s in m.samples} for m in self.used)))
        if len(rounds) < 3:
            return 0.0
        each = [np.array([_at(m, r, self.clock) for m in self.used]) for r in rounds]
        answers = np.log([max(self.target_s(seconds), self.largest_s / 2) for seconds in each])
        # The median of rounds is used: its error is 1.25 times that of a mean.
        return float(1.25 * answers.std(ddof=1) / math.sqrt(len(rounds)))

    def left_out(self) -> float:
        """How far the answer moves when a point is left out, in ln: the root mean square over points."""
        count, needed = len(self.used), len(self.names)
        if count <= needed:
            return _NONE_TO_SPARE
        mid = self.target_s(self.medians)
        moved = [
            math.log(max(self.target_s(self.medians, [r for r in range(count) if r != out]), mid / 10) / mid)
            for out in range(count)
        ]
        return float(np.sqrt(np.mean(np.square(moved))))


def _at(measured: Measured, number: int, clock: str) -> float:
    index = next(i for i, s in enumerate(measured.samples) if s.round == number)
    return measured.seconds(clock)[index]


def _reach(fit: _Fit, mid: float) -> float:
    """What going beyond the largest measured step adds."""
    return _EACH_DOUBLING * max(0.0, math.log2(mid / fit.largest_s))


def _range(mid: float, spread: float) -> Range:
    width = math.exp(EIGHTY * spread)
    return Range(low=mid / width, mid=mid, high=mid * width)


def _method(used: Sequence[Measured], fit: _Fit) -> str:
    depths = sorted({m.point.depth for m in used if m.point.depth is not None})
    batches = sorted({m.point.batch for m in used})
    text = f"depths {', '.join(map(str, depths))}" if len(depths) > 1 else "the whole model"
    text += f" at batch {', '.join(map(str, batches))}"
    return text + (", and the bytes of compiled programs" if fit.superlinear else "")


def _said(used: Sequence[Measured], fit: _Fit, excess: dict[int, float]) -> list[str]:
    doubts = []
    if fit.superlinear:
        doubts.append("the cost of a layer grows with the depth of the compiled program")
    elif max(excess.values(), default=0.0) > 0 and len({m.point.depth for m in used}) < 3:
        doubts.append("the compiled program grows faster than its depth, and too few depths were run")
    return doubts


def _missing(measured: Sequence[Measured]) -> list[str]:
    return [f"not measured: {m.point.key} ({m.failure})" for m in measured if m.failed and m.point.role == STEP]
