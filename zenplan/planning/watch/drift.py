"""Drift: a run whose steps are not within the interval that was predicted of them, and the likely reason, by what was
measured of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, median
from typing import Final

from zenplan import units
from zenplan.domain import checks
from zenplan.domain.range import Range

# Steps that are looked at together, and the least of them that say something.
WINDOW: Final = 50
LEAST: Final = 10
# A share of the step that is spent on waiting for its batch, and the part of a slow-down that it explains.
_INPUT_SHARE: Final = 0.1
# Of the processor time that steps had before, what is missing now where others have taken it.
_CONTENDED: Final = 0.9


class Cause(StrEnum):
    """Why steps take longer than predicted, as far as it was measured."""

    INPUT = "input-bound"
    THROTTLED = "throttled"
    CONTENDED = "contended"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """One step of a run.

    Attributes:
        wall_s: from its beginning to that of the next.
        wait_s: of it, spent on waiting for the batch.
        cpu_s: of all threads; None where nobody tells.
    """

    wall_s: float
    wait_s: float = 0.0
    cpu_s: float | None = None

    def __post_init__(self) -> None:
        checks.not_negative("step", wall_s=self.wall_s, wait_s=self.wait_s, cpu_s=self.cpu_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Steps outside of the interval.

    Attributes:
        step_s: median of the window; predicted: the interval that it is not in.
        cause: the likely one; why: what was measured of it, for people.
    """

    step_s: float
    predicted: Range
    cause: Cause
    why: str

    @property
    def ratio(self) -> float:
        """Measured over predicted."""
        return self.step_s / self.predicted.mid

    @property
    def text(self) -> str:
        """In a line."""
        span = units.span(units.duration(self.predicted.low), units.duration(self.predicted.high))
        than = "slower" if self.ratio > 1.0 else "faster"
        return (
            f"steps take {units.duration(self.step_s)}, {than} than the predicted {span}"
            f"{f': {self.cause}, {self.why}' if self.cause is not Cause.UNKNOWN else ''}"
        )


def drift_of(
    window: Sequence[StepTime],
    predicted: Range | None,
    cores_then: float | None = None,
    held_down: str = "",
    on_cpu: bool = True,
) -> Drift | None:
    """The drift of the last steps; None where they are within the interval, or too few.

    A single step outside of it is nothing: it is the median of the window that is compared.

    Args:
        window: the last steps, at most ``WINDOW`` of which are looked at.
        predicted: interval of a step, 80 %; None where there is none, and so no drift.
        cores_then: processor seconds a second of wall time when the prediction was measured; None where it was not.
        held_down: why the GPU's clock is held down, as its driver says; empty where it is not.
        on_cpu: whether the processor computes, so that its clock tells whether others took it away.
    """
    last = window[-WINDOW:]
    if predicted is None or len(last) < LEAST:
        return None
    step_s = median(s.wall_s for s in last)
    if predicted.low <= step_s <= predicted.high:
        return None
    if step_s < predicted.low:
        return Drift(step_s=step_s, predicted=predicted, cause=Cause.UNKNOWN, why="")
    cause, why = _cause(last, predicted, cores_then if on_cpu else None, held_down)
    return Drift(step_s=step_s, predicted=predicted, cause=cause, why=why)


def _cause(last: Sequence[StepTime], predicted: Range, cores_then: float | None, held_down: str) -> tuple[Cause, str]:
    """The first that the measurements show: waiting is seen directly, a clock is told by the driver, others by what they
    left us of the processor."""
    wall_s = fmean(s.wall_s for s in last)
    share = fmean(s.wait_s for s in last) / wall_s if wall_s > 0.0 else 0.0
    if share >= _INPUT_SHARE and wall_s * (1.0 - share) <= predicted.high:
        return Cause.INPUT, f"{units.percent(share)} of the time is spent on waiting for batches"
    if held_down:
        return Cause.THROTTLED, f"the GPU's clock is held down by {held_down}"
    cores = cores_of(last)
    if cores is not None and cores_then and cores < _CONTENDED * cores_then:
        had, have = units.significant(cores_then, 2), units.significant(cores, 2)
        return Cause.CONTENDED, f"steps have {have} of a core's time where they had {had}: other programs have the rest"
    if share >= _INPUT_SHARE:
        return (
            Cause.INPUT,
            f"{units.percent(share)} of the time is spent on waiting for batches, which is not all of it",
        )
    return Cause.UNKNOWN, ""


def cores_of(steps: Sequence[StepTime]) -> float | None:
    """Processor seconds a second of steps, the waiting left out; None where nobody tells."""
    known = [(s.cpu_s, s.wall_s - s.wait_s) for s in steps if s.cpu_s is not None and s.wall_s > s.wait_s]
    seconds = sum(wall_s for _, wall_s in known)
    return sum(cpu_s for cpu_s, _ in known) / seconds if seconds > 0.0 else None
