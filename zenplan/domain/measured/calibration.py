"""Calibration: what was measured on one device, through one framework, in one precision; samples as they came.

Nothing here is fitted: ``planning`` makes predictions of it, so that a better fit needs no new measurement.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from zenplan.domain import checks
from zenplan.domain.mapping import read_only
from zenplan.errors import DataError, FailureKind

# What a calibration is of: one model, or the device in general.
MODEL, SWEEP = "model", "sweep"
KINDS: Final = (MODEL, SWEEP)
# What a point runs: training steps of a model, or of one operator; or it is compiled and never run.
STEP, OPERATOR, PROGRAM = "step", "operator", "program"
ROLES: Final = (STEP, OPERATOR, PROGRAM)
# A step is timed by the processor's clock where one thread computes: other programs do not disturb it.
WALL, CPU = "wall", "cpu"
# How a note begins that says that other programs were busy.
BUSY: Final = "busy:"
# Above it a step waited for something else than itself.
HELD_UP = 1.15


def told(note: str, before: Collection[str]) -> bool:
    """Whether it was said before, with other figures, too: that the machine is busy is one thing to say."""
    return note in before or (note.startswith(BUSY) and any(each.startswith(BUSY) for each in before))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """On what a calibration holds.

    Attributes:
        device: what the driver, or the system, calls it: ``NVIDIA H100 80GB HBM3``, or the processor's model.
        kind: ``gpu`` or ``cpu``.
        driver: of a GPU; empty for a processor.
        threads: of the host that compute.
        backend: of Keras.
        versions: of ``keras``, the backend, ``python``.
        precision: as in ``domain.precision.PRECISIONS``.
        compiled: whether a compiler saw the whole step (XLA, torch.compile).
    """

    device: str
    kind: str
    driver: str = ""
    threads: int
    backend: str
    versions: Mapping[str, str]
    precision: str
    compiled: bool

    def __post_init__(self) -> None:
        checks.named("fingerprint", device=self.device, backend=self.backend, precision=self.precision)
        checks.one_of("fingerprint", "kind", self.kind, ("gpu", "cpu"))
        checks.lines(
            "fingerprint",
            device=self.device,
            driver=self.driver,
            backend=self.backend,
            precision=self.precision,
            **{f"version of {name}": version for name, version in self.versions.items()},
        )
        checks.few("fingerprint", versions=self.versions)
        checks.positive("fingerprint", threads=self.threads)
        checks.counts("fingerprint", threads=self.threads)
        object.__setattr__(self, "versions", read_only(self.versions))

    @property
    def clock(self) -> str:
        """The clock that steps are timed by: the processor's where it is one thread that computes."""
        return CPU if self.kind == "cpu" and self.threads == 1 else WALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One measured step, both clocks read at its ends, the device waited for.

    Attributes:
        round: of the measurement; all points take their turn in each.
        cpu_s: of the whole process, all threads.
        clock_hz: of the GPU while it ran; None where it was not read.
    """

    round: int
    wall_s: float
    cpu_s: float
    clock_hz: float | None = None

    def __post_init__(self) -> None:
        checks.counts("sample", round=self.round)
        checks.positive("sample", wall_s=self.wall_s, clock_hz=self.clock_hz)
        checks.not_negative("sample", cpu_s=self.cpu_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What is run: one model at one depth and batch.

    Attributes:
        key: its name, unique in the calibration: ``depth=2 batch=8``.
        role: one of ``ROLES``.
        depth: repetitions of the block that repeats; None where the model is taken as it is.
        batch: samples of a step.
        features: what a step has of each kind of work, see ``planning.calibration.features``; empty where nobody counted.
        predicted_bytes: of the device's memory, at the peak; None where nobody predicted it.
    """

    key: str
    role: str = STEP
    depth: int | None = None
    batch: int
    features: Mapping[str, float] = field(default_factory=dict)
    predicted_bytes: float | None = None

    def __post_init__(self) -> None:
        checks.named("point", key=self.key)
        checks.lines("point", key=self.key)
        what = f"point {self.key}"
        checks.one_of(what, "role", self.role, ROLES)
        checks.positive(what, batch=self.batch, depth=self.depth)
        checks.counts(what, batch=self.batch, depth=self.depth)
        checks.not_negative(what, **{**self.features, "predicted_bytes": self.predicted_bytes})
        checks.few(what, features=self.features)
        object.__setattr__(self, "features", read_only(self.features))

    @property
    def variant(self) -> str:
        """The key without the batch: what is run, at whatever batch."""
        return self.key.removesuffix(f" batch={self.batch}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What became of a point.

    Attributes:
        samples: after the warm-up, in order.
        setup_s: building, compiling and the first steps.
        peak_bytes: of memory; None where the backend does not tell.
        program_bytes: that the compiled program reads and writes, by its compiler's own count; None without one.
        failure: why there are no samples (``out of memory``, ``killed by SIGSEGV``); empty where there are. It may quote
            the user's own code: what is shared has its kind and type alone.
        failure_kind: the same for programs; what is done next goes by this.
        failure_type: the name of the exception's class; empty where none was raised.
    """

    point: Point
    samples: tuple[Sample, ...] = ()
    setup_s: float | None = None
    peak_bytes: float | None = None
    program_bytes: float | None = None
    failure: str = ""
    failure_kind: FailureKind = FailureKind.NONE
    failure_type: str = ""

    def __post_init__(self) -> None:
        what = f"point {self.point.key}"
        checks.not_negative(what, setup_s=self.setup_s, peak_bytes=self.peak_bytes, program_bytes=self.program_bytes)
        checks.lines(what, failure=self.failure, failure_type=self.failure_type)
        object.__setattr__(self, "failure_kind", FailureKind(self.failure_kind))

    @property
    def failed(self) -> bool:
        """Whether it has no samples or no more; what was stored before kinds were has only words for it."""
        return bool(self.failure_kind or self.failure)

    def seconds(self, clock: str) -> tuple[float, ...]:
        """Of its steps, by that clock, in order."""
        return tuple(s.cpu_s if clock == CPU else s.wall_s for s in self.samples)

    def step_s(self, clock: str) -> float:
        """The median step. Raises DataError: it has no samples."""
        if not self.samples:
            raise DataError(f"point {self.point.key} has no samples: {self.failure or 'not measured yet'}")
        from statistics import median  # it costs a start milliseconds, and only fits need it

        return median(self.seconds(clock))

    def spread(self, clock: str) -> float:
        """How far apart its steps are: half of the range of the middle half, in ln; 0 where too few tell."""
        return self.known_spread(clock) or 0.0

    def known_spread(self, clock: str) -> float | None:
        """The same; None with fewer than three steps."""
        found = sorted(map(math.log, self.seconds(clock)))
        if len(found) < 3:
            return None
        return (found[(3 * len(found)) // 4] - found[len(found) // 4]) / 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Measurements of one model, or of a sweep, on one device in one go.

    Attributes:
        id: in the store; short letters and digits.
        kind: ``MODEL`` or ``SWEEP``.
        subject: the model's name, as it was asked for; of a sweep, the family or ``all``.
        stand_in: how what ran differs from the model: empty where it is the user's own.
        target: the whole model at the wanted batch, never measured here; None for a sweep.
        parameters, flop_per_sample: of the whole model; FLOP of training.
        taken_at: when it began.
        notes: what was seen on the machine (``busy: ...``), one line each.
    """

    id: str
    kind: str
    subject: str
    family: str
    stand_in: str = ""
    fingerprint: Fingerprint
    target: Point | None = None
    parameters: float | None = None
    flop_per_sample: float | None = None
    measured: tuple[Measured, ...] = ()
    taken_at: datetime
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checks.named("calibration", id=self.id, subject=self.subject, family=self.family)
        checks.lines("calibration", id=self.id, subject=self.subject, family=self.family, stand_in=self.stand_in)
        what = f"calibration {self.id}"
        checks.one_of(what, "kind", self.kind, KINDS)
        checks.not_negative(what, parameters=self.parameters, flop_per_sample=self.flop_per_sample)
        for note in self.notes:
            checks.lines(what, note=note)
        if self.taken_at.tzinfo is None:
            raise DataError(f"{what}: taken_at must have its time zone")
        # At the edges of the calendar the same moment in another zone is no date any more.
        if not 1 < self.taken_at.year < 9999:
            raise DataError(f"{what}: taken_at must be from year 2 to 9998, not {self.taken_at.year}")
        if (self.target is None) != (self.kind == SWEEP):
            raise DataError(f"{what}: one of a model has a target, a sweep has none")
        keys = [m.point.key for m in self.measured]
        if len(set(keys)) != len(keys):
            raise DataError(f"{what}: two points have one key")

    @property
    def steps(self) -> tuple[Measured, ...]:
        """Points that ran."""
        return tuple(m for m in self.measured if m.samples)

    @property
    def waited(self) -> float:
        """How much longer steps took than their threads computed, in the median; 1 where they waited for nothing.

        Of a GPU, whose work the processor waits for, it says nothing: 1.
        """
        if self.fingerprint.kind == "gpu":
            return 1.0
        shares = [s.wall_s / s.cpu_s for m in self.steps for s in m.samples if s.cpu_s > 0]
        from statistics import median

        return max(1.0, median(shares)) if shares else 1.0

    @property
    def was_busy(self) -> bool:
        """Whether something else ran on the processors while it was taken."""
        return self.waited > HELD_UP

    @property
    def disturbed(self) -> bool:
        """Whether other programs were seen at work, and its steps were timed by a clock that they hold up."""
        return self.fingerprint.clock == WALL and (self.was_busy or any(note.startswith(BUSY) for note in self.notes))


# --- candidates of a sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPoint:
    """A candidate of a sweep.

    Attributes:
        builder: a function of ``zenplan.worker.proxies.samples``.
        arguments: of the builder.
        family: ``transformer``, ``convnet``, ``recurrent``; ``operator`` for a single one.
        flop: of a training step of ``batch`` samples.
        features: of that step, as in ``planning.calibration.features``.
    """

    builder: str
    arguments: Mapping[str, Any]
    family: str
    batch: int
    flop: float
    features: Mapping[str, float]

    @property
    def key(self) -> str:
        """Its name: ``transformer depth=2 width=256 batch=8``."""
        text = " ".join(f"{name}={value}" for name, value in self.arguments.items())
        return f"{self.builder} {text} batch={self.batch}"


# --- in the store

# Running: a process is at it. Unfinished: it ended before its time, and a second run goes on with it.
RUNNING, UNFINISHED, DONE = "running", "unfinished", "done"
STATES: Final = (RUNNING, UNFINISHED, DONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A calibration in the store.

    Attributes:
        state: one of ``STATES``.
        origin: ``imported from team.json on 2026-12-01``; empty where it was measured by whom the store belongs to.
    """

    calibration: Calibration
    state: str
    origin: str = ""

    def __post_init__(self) -> None:
        checks.one_of(f"calibration {self.calibration.id}", "state", self.state, STATES)
