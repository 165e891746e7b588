"""Measured steps of a plan's model: on one device of an accelerator, or on this very machine."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.measured.calibration import Calibration
from zenplan.domain.measured.prediction import StepPrediction
from zenplan.domain.range import Range


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredStep:
    """A step on one device, from a calibration.

    Attributes:
        calibration: its id.
        sheet: of the device.
        batch: samples of the step.
        own: the calibration is of this very model; else of the device in general, which no batch is closest to.
        step_s: with its 80 % interval; ``predicted_s`` is what is predicted for it without the calibration.
        told: where it was measured, for people: ``here on one NVIDIA H100 80GB HBM3 on 2026-11-20``.
    """

    calibration: str
    sheet: Accelerator
    batch: int
    own: bool
    step_s: Range
    predicted_s: float
    told: str

    def __post_init__(self) -> None:
        checks.named("measured step", calibration=self.calibration, told=self.told)
        what = f"step of {self.calibration}"
        checks.positive(what, batch=self.batch, predicted_s=self.predicted_s, step_s=self.step_s.low)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStep:
    """A step on the processor of this machine, which no data sheet joins to an accelerator.

    Attributes:
        batch: samples of the step; ``samples`` are those of the whole run.
        origin: whose calibration it is; empty for the user's own.
        changed: what is installed in another version now: ``keras 3.15.1, now 3.16.0``.
    """

    calibration: Calibration
    prediction: StepPrediction
    batch: int
    samples: float
    origin: str = ""
    changed: tuple[str, ...] = ()

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
