"""Calibrated: a calibration beside what it predicts, and several of them beside each other."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.domain.measured.calibration import Calibration
from zenplan.domain.measured.prediction import DataParallelStep, StepPrediction
from zenplan.domain.range import Range
from zenplan.units import HOUR_S


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeRun:
    """What the steps are for.

    Attributes:
        samples: seen in the whole run, repetitions counted; None where nobody said.
        usd_per_h: of the device; None where it is not known.
        price: where that is from.
    """

    samples: float | None = None
    usd_per_h: float | None = None
    price: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSpeed:
    """How fast a device trains a model that is widely known, by a calibration of the device in general.

    Attributes:
        batch: samples of a step.
        unit: what ``a_second`` counts: samples, images, tokens.
        a_second: with its 80 % interval; None where the calibration does not tell, and ``reason`` says why.
    """

    model: str
    batch: int
    unit: str
    a_second: Range | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        checks.named("known model", model=self.model, unit=self.unit)
        checks.positive("known model", batch=self.batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """A calibration, and the step of its target.

    Attributes:
        prediction: None of a sweep, or where too little was measured; ``reason`` says which.
        together: the same step of several workers; None where nobody asked.
        unit, tokens_per_sample: what samples are counted in.
        speeds: of known models, by a sweep; empty of a model.
        facts: what was chosen and by whom (``batch 8: no --batch was given``), one line each.
    """

    calibration: Calibration
    prediction: StepPrediction | None
    reason: str = ""
    together: DataParallelStep | None = None
    unit: str = "samples"
    tokens_per_sample: int = 1
    run: WholeRun = WholeRun()
    speeds: tuple[KnownSpeed, ...] = ()
    facts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The backend, and whether a compiler saw the whole step."""
        mark = self.calibration.fingerprint
        return f"{mark.backend}, {'compiled' if mark.compiled else 'eager'}"

    @property
    def samples_per_s(self) -> Range | None:
        """Of the target."""
        target = self.calibration.target
        if self.prediction is None or target is None:
            return None
        step = self.prediction.step_s
        return Range(low=target.batch / step.high, mid=target.batch / step.mid, high=target.batch / step.low)

    @property
    def flop_per_s(self) -> float | None:
        """Reached by the target, in FLOP of training; what is computed again is not counted."""
        rate, flop = self.samples_per_s, self.calibration.flop_per_sample
        return None if rate is None or flop is None else rate.mid * flop

    @property
    def run_s(self) -> Range | None:
        """All steps of the whole run, one after another."""
        rate, samples = self.samples_per_s, self.run.samples
        if rate is None or samples is None:
            return None
        return Range(low=samples / rate.high, mid=samples / rate.mid, high=samples / rate.low)

    @property
    def run_usd(self) -> Range | None:
        """Of the device, for that time."""
        seconds, price = self.run_s, self.run.usd_per_h
        return None if seconds is None or price is None else seconds * (price / HOUR_S)

    @property
    def setup_s(self) -> float | None:
        """Building, compiling and the first steps of the point that took longest; None where none ran."""
        ran = [m for m in self.calibration.steps if m.setup_s is not None]
        return max((m.setup_s for m in ran if m.setup_s is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCalibration:
    """A calibration that came to nothing.

    Attributes:
        name: as of ``Calibrated``.
    """

    name: str
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrations:
    """What ``zenplan calibrate`` did.

    Attributes:
        taken: in the order in which they were asked for.
        failed: those that came to nothing.
        compared: whether they are of one model, and are to be compared.
    """

    taken: tuple[Calibrated, ...]
    failed: tuple[FailedCalibration, ...] = ()
    compared: bool = False

    @property
    def fastest(self) -> tuple[Calibrated, ...]:
        """Those with a prediction, the shortest step first."""
        known = [(c.prediction.step_s.mid, c) for c in self.taken if c.prediction is not None]
        return tuple(c for _, c in sorted(known, key=lambda each: each[0]))
