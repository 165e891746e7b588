"""StepPrediction: a step's time from a calibration, with its interval, how it was found, and what speaks against it."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.measured.calibration import Calibration
from zenplan.domain.measured.collectives import ALL_REDUCE, Collective, work
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
class ScaledStep:
    """A step of more or fewer workers.

    Attributes:
        measured: whether collectives and computing were measured among as many; else they are carried over.
        step_s: with its 80 % interval.
        alone_s: of one worker alone, with the same batch.
    """

    workers: int
    measured: bool
    step_s: Range
    alone_s: float

    def __post_init__(self) -> None:
        checks.positive("scaled step", workers=self.workers, step_s=self.step_s.low, alone_s=self.alone_s)

    @property
    def efficiency(self) -> Range:
        """Of a worker, its speed over that of one alone; the longest step is the lowest."""
        step = self.step_s
        return Range(low=self.alone_s / step.high, mid=self.alone_s / step.mid, high=self.alone_s / step.low)


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
        collectives: among the workers, each fitted on its own; an all-reduce is one of them.
        reduce_s: all-reduce of the gradients by itself.
        exposed: seconds of step for a second of all-reduce.
        scaling: steps of the same batch for each of more workers.
        efficient_workers: the most that keep ``efficient`` of the speed of one alone, at the low end, the middle and the
            high end of their efficiency.
    """

    workers: int
    batch: int
    step: StepPrediction
    compute: StepPrediction
    alone: StepPrediction
    gradient_bytes: float
    collectives: tuple[Collective, ...]
    reduce_s: float
    exposed: float
    scaling: tuple[ScaledStep, ...]
    efficient: float
    efficient_workers: Range

    def __post_init__(self) -> None:
        checks.positive("step of several workers", workers=self.workers, batch=self.batch)

    @property
    def latency_s(self) -> float:
        """Of an all-reduce among the workers."""
        return work(ALL_REDUCE, self.workers)[0] * self._all_reduce.latency_s

    @property
    def s_per_byte(self) -> float:
        """Of an all-reduce among the workers, for a byte of a worker's tensor."""
        return work(ALL_REDUCE, self.workers)[1] * self._all_reduce.s_per_byte

    @property
    def _all_reduce(self) -> Collective:
        return next(each for each in self.collectives if each.name == ALL_REDUCE)

    @property
    def speed_up(self) -> float:
        """Samples a second over those of one worker alone, at the most the number of workers."""
        return self.workers * self.alone.step_s.mid / self.step.step_s.mid

    @property
    def samples_per_s(self) -> Range:
        """Of all workers; the longest step is the lowest speed."""
        step, samples = self.step.step_s, self.workers * self.batch
        return Range(low=samples / step.high, mid=samples / step.mid, high=samples / step.low)


# --- steps of a plan


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredStep:
    """A step on one device, from a calibration.

    Attributes:
        calibration: its id.
        sheet: of the device.
        batch: samples of the step.
        own: the calibration is of this very model; else of the device in general, which no batch is closest to.
        step_s: with its 80 % interval; ``predicted_s`` is what is predicted for it without the calibration.
        where: where it was measured, for people: ``here on one NVIDIA H100 80GB HBM3 on 2026-11-20``.
    """

    calibration: str
    sheet: Accelerator
    batch: int
    own: bool
    step_s: Range
    predicted_s: float
    where: str

    def __post_init__(self) -> None:
        checks.named("measured step", calibration=self.calibration, where=self.where)
        what = f"step of {self.calibration}"
        checks.positive(what, batch=self.batch, predicted_s=self.predicted_s, step_s=self.step_s.low)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStep:
    """A step on the processor of this machine, which no data sheet joins to an accelerator.

    Attributes:
        batch: samples of the step; ``samples`` are those of the whole run.
        origin: whose calibration it is; empty for the user's own.
        changed: what is installed in another version now: ``keras 3.15.1, now 3.16.0``.
        disturbed: whether other programs were busy when it was measured.
    """

    calibration: Calibration
    prediction: StepPrediction
    batch: int
    samples: float
    origin: str = ""
    changed: tuple[str, ...] = ()
    disturbed: bool = False

    def __post_init__(self) -> None:
        checks.positive("local step", batch=self.batch, samples=self.samples)

    @property
    def samples_per_s(self) -> Range:
        """The longest step is the lowest speed."""
        step = self.prediction.step_s
        return Range(low=self.batch / step.high, mid=self.batch / step.mid, high=self.batch / step.low)

    @property
    def run_s(self) -> Range:
        """All steps of the whole run, one after another."""
        return self.prediction.step_s * (self.samples / self.batch)
