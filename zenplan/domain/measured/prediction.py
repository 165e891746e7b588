"""StepPrediction: a step's time from a calibration, with its interval, how it was found, and what speaks against it."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.domain.range import Range


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPrediction:
    """A step that was not measured.

    Attributes:
        step_s: low, middle and high of the 80 % interval.
        method: how it was found, for people: ``depths 1, 2, 4 at batch 8``.
        doubts: what widened the interval, one line each.
        stepping_s: what the calibration spent on timed steps, the warm-up not among them.
    """

    step_s: Range
    method: str
    doubts: tuple[str, ...] = ()
    stepping_s: float = 0.0

    def __post_init__(self) -> None:
        checks.named("prediction", method=self.method)
