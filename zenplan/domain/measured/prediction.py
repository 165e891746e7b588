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


@dataclass(frozen=True, slots=True, kw_only=True)
class DataParallelStep:
    """A step of several workers that was not measured, and what it is made of.

    Attributes:
        workers: processes of one machine, each with a copy of the model.
        batch: samples of one worker in a step.
        step: predicted; the same for all workers, which wait for each other.
        compute: of a worker while the others compute too.
        alone: of a worker while the others wait: what it would be if nothing were shared and nothing travelled.
        gradient_bytes: that are summed over the workers in a step.
        latency_s, s_per_byte: of an all-reduce among them; in the second is their number.
        reduce_s: all-reduce of the gradients by itself.
        exposed: seconds of step for a second of all-reduce.
    """

    workers: int
    batch: int
    step: StepPrediction
    compute: StepPrediction
    alone: StepPrediction
    gradient_bytes: float
    latency_s: float
    s_per_byte: float
    reduce_s: float
    exposed: float

    def __post_init__(self) -> None:
        checks.positive("step of several workers", workers=self.workers, batch=self.batch)

    @property
    def speed_up(self) -> float:
        """Samples a second over those of one worker alone, at the most the number of workers."""
        return self.workers * self.alone.step_s.mid / self.step.step_s.mid

    @property
    def samples_per_s(self) -> Range:
        """Of all workers; the longest step is the lowest speed."""
        step, samples = self.step.step_s, self.workers * self.batch
        return Range(low=samples / step.high, mid=samples / step.mid, high=samples / step.low)
