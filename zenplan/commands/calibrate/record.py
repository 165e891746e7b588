"""From the workers' events to measured points: in memory, and of a calibration in the store, each as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from zenplan.adapters.store.store import CalibrationStore
from zenplan.commands.calibrate.subject import Task
from zenplan.domain import checks
from zenplan.domain.measured.calibration import PROGRAM, Calibration, Fingerprint, Measured, Point, Sample
from zenplan.domain.measured.collectives import COLLECTIVES
from zenplan.domain.model.count import ModelCount
from zenplan.errors import DataError, FailureKind
from zenplan.planning.calibration.features import features_of, features_of_blocks
from zenplan.worker.protocol import Built, Communicated, Counted, Event, Failed, Machine, Peak, Sampled

# What is older is begun anew: the machine is no longer what it was.
_RESUMED_WITHIN: Final = timedelta(days=1)


class Resumed(Exception):
    """Some of what the worker was asked for has been measured before: it is to be asked for the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a calibration says of itself before it has begun; as in ``domain.measured.calibration.Calibration``."""

    kind: str
    subject: str
    family: str
    stand_in: str = ""
    target: Point | None = None
    parameters: float | None = None
    flop_per_sample: float | None = None

    def begun(self, id: str, fingerprint: Fingerprint) -> Calibration:
        """The calibration, with nothing measured yet."""
        return Calibration(
            id=id,
            kind=self.kind,
            subject=self.subject,
            family=self.family,
            stand_in=self.stand_in,
            fingerprint=fingerprint,
            target=self.target,
            parameters=self.parameters,
            flop_per_sample=self.flop_per_sample,
            taken_at=datetime.now(UTC),
        )


def fingerprint_of(machine: Machine, **changed: Any) -> Fingerprint:
    """What a worker runs on; ``backend``, ``precision``, and whatever else is known better than by the worker."""
    known = {name: getattr(machine, name) for name in ("device", "kind", "driver", "threads", "versions", "compiled")}
    return Fingerprint(**{**known, **changed})


@dataclass(slots=True, kw_only=True)
class Progress:
    """What is known of a point so far.

    Attributes:
        point: its features come with its count.
        samples: by the way that several workers step (empty of one), and by the round.
        first_round: the next worker's first round is this one.
        gradient_bytes: that several workers reduce in a step.
        compile_s: compiling it and its first step; None where nobody told.
        others: fields of ``Measured`` that are known.
    """

    point: Point
    samples: dict[str, dict[int, Sample]] = field(default_factory=dict)
    first_round: int = 0
    built: bool = False
    gradient_bytes: float | None = None
    compile_s: float | None = None
    others: dict[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Steps of one worker."""
        return len(self.samples.get("", ()))

    @property
    def failed(self) -> bool:
        """Whether it has no samples or no more."""
        return self.measured().failed

    def measured(self, way: str = "") -> Measured:
        """All that was measured of it; of several workers in that way."""
        rounds = self.samples.get(way, {})
        return Measured(point=self.point, samples=tuple(rounds[number] for number in sorted(rounds)), **self.others)


@dataclass(slots=True, kw_only=True)
class Recorder:
    """What workers say, as measured points.

    Attributes:
        points: that workers were asked for, by key.
        machine: as the last worker told it.
        progress: of each point, in the order in which they came.
        communicated: of collectives, group, name and bytes to the seconds of each round, of the rank that took longest.
        last: the key of the last sample.
        clock_hz: reads the GPU's clock at each sample.
    """

    points: dict[str, Point] = field(default_factory=dict)
    machine: Machine | None = None
    progress: dict[str, Progress] = field(default_factory=dict)
    communicated: dict[tuple[int, str, int], dict[int, float]] = field(default_factory=dict)
    last: str = ""
    clock_hz: Callable[[], float | None] = lambda: None

    def expect(self, points: Iterable[Point], held: bool = False) -> None:
        """The points that the next worker is asked for.

        Args:
            held: it is the same worker, which has the models of what it built.
        """
        self.points = {point.key: point for point in points}
        for key in self.points.keys() & self.progress.keys():
            # Rounds of another worker are other rounds.
            each = self.progress[key]
            each.first_round, each.built = each.count, held and each.built
        self.last = ""

    def hear(self, event: Event) -> None:
        """One event. Raises DataError where it says what cannot be."""
        match event:
            case Machine():
                self.machine = event
                self.begin(event)
            case Counted():
                progress = self.known(event.key)
                progress.point = replace(progress.point, features=_features(event.count, progress.point.batch))
                self.keep(progress, features=progress.point.features)
            case Built():
                checks.not_negative(
                    f"point {event.key}", gradient_bytes=event.gradient_bytes, compile_s=event.compile_s
                )
                progress = self.known(event.key)
                progress.built, progress.gradient_bytes = True, event.gradient_bytes
                progress.compile_s = event.compile_s
                self._set(progress, setup_s=event.setup_s, program_bytes=event.program_bytes)
            case Peak():
                self._set(self.known(event.key), peak_bytes=event.bytes)
            case Sampled():
                self._sample(event)
            case Communicated():
                checks.one_of("collective", "name", event.collective, COLLECTIVES)
                checks.positive(event.collective, bytes=event.bytes, wall_s=event.wall_s)
                seconds = self.communicated.setdefault((event.group, event.collective, event.bytes), {})
                seconds[event.round] = max(seconds.get(event.round, 0.0), event.wall_s)
            case Failed():
                self.fail(event.key, event.reason, event.kind, event.type)

    def fail(self, key: str, reason: str, kind: FailureKind, type: str = "") -> None:
        """The point has none or no more samples, for that reason."""
        self._set(self.known(key), failure=reason, failure_kind=kind, failure_type=type)

    def known(self, key: str) -> Progress:
        """What is known of the point. Raises DataError: no worker was asked for it."""
        if key not in self.progress:
            if key not in self.points:
                raise DataError(f"the worker speaks of a point that it was not asked for: '{key:.40}'")
            self.progress[key] = Progress(point=self.points[key])
            self.add(self.points[key])
        return self.progress[key]

    def begin(self, machine: Machine) -> None:
        """A worker has said what it runs on. Here, as below, nothing more is done with it."""

    def add(self, point: Point) -> None:
        """A point was heard of for the first time."""

    def keep(self, progress: Progress, **fields: Any) -> None:
        """These fields of the point, or of what was measured of it, are known now."""

    def keep_sample(self, key: str, sample: Sample) -> None:
        """A step was timed."""

    def _set(self, progress: Progress, **fields: Any) -> None:
        # What a worker says is checked where every noun is.
        Measured(point=progress.point, **{**progress.others, **fields})
        progress.others |= fields
        self.keep(progress, **fields)

    def _sample(self, event: Sampled) -> None:
        progress = self.known(event.key)
        sample = Sample(
            round=progress.first_round + event.round,
            wall_s=event.wall_s,
            cpu_s=event.cpu_s,
            clock_hz=self.clock_hz(),
        )
        rounds = progress.samples.setdefault(event.way, {})
        before = rounds.get(sample.round)
        # A step of several workers ends when the last of them does.
        if before is None or before.wall_s < sample.wall_s:
            self.keep_sample(event.key, sample)
            rounds[sample.round] = sample
        self.last = event.key


@dataclass(slots=True, kw_only=True)
class StoredRecorder(Recorder):
    """A calibration in the making: each event of the worker goes to the store at once.

    Attributes:
        backend, precision: of its fingerprint.
        gpu, driver: as NVML calls them; empty on a processor, and where there is no NVML.
        id: in the store; empty until the worker has said what it runs on.
    """

    store: CalibrationStore
    about: About
    backend: str
    precision: str
    gpu: str = ""
    driver: str = ""
    id: str = ""

    def done(self, task: Task, least: int) -> bool:
        """Whether nothing more is to be asked for it."""
        found = self.progress.get(task.point.key)
        if found is None:
            return False
        return found.failed or (found.built if task.point.role == PROGRAM else found.count >= least)

    def cut_off(self, reason: str) -> None:
        """What was begun and has no sample will have none: the time is over."""
        for key in [k for k, h in self.progress.items() if not h.count and not h.failed and k in self.points]:
            self.fail(key, reason, FailureKind.TIMED_OUT)

    def in_work(self, stage: str) -> str:
        """The point that a worker is at, in that stage; empty where it is at none."""
        failed = {key for key, each in self.progress.items() if each.failed}
        built = {key for key, each in self.progress.items() if each.built}
        left = [key for key in self.points if key not in failed]
        unbuilt = [key for key in left if key not in built]
        stepped = [key for key in left if key in built and self.points[key].role != PROGRAM]
        if not stepped or (unbuilt and stage != "measure"):
            return next(iter(unbuilt), "")
        if unbuilt:
            # One after another: the last that was built.
            return stepped[-1]
        # All take their turn: the one after the last.
        index = stepped.index(self.last) + 1 if self.last in stepped else 0
        return stepped[index % len(stepped)]

    def begin(self, machine: Machine) -> None:
        """Begin it in the store, or go on with one that was left unfinished. Raises Resumed."""
        better = {name: value for name, value in (("device", self.gpu), ("driver", self.driver)) if value}
        fingerprint = fingerprint_of(machine, backend=self.backend, precision=self.precision, **better)
        if self.id:
            return
        begun = self.about.begun(self.store.new_id(), fingerprint)
        found = self.store.unfinished(begun, _RESUMED_WITHIN)
        if found is None:
            self.id = begun.id
            self.store.begin(begun)
            return
        self.id = found.id
        self.progress = {each.point.key: _before(each) for each in found.measured}
        if found.measured:
            raise Resumed

    def add(self, point: Point) -> None:
        """The point is in the store from the first word on it."""
        self.store.add_point(self.id, point)

    def keep(self, progress: Progress, **fields: Any) -> None:
        """To the store."""
        self.store.set_point(self.id, progress.point.key, **fields)

    def keep_sample(self, key: str, sample: Sample) -> None:
        """To the store."""
        self.store.add_sample(self.id, key, sample)


def _features(count: ModelCount, batch: int) -> dict[str, float]:
    """Of a step, as of the whole model: the weights that no operator has are in it."""
    try:
        return features_of_blocks(count.workload().blocks, batch)
    except DataError:
        return features_of((), batch)


def _before(found: Measured) -> Progress:
    """What an earlier run has measured of a point."""
    return Progress(
        point=found.point,
        samples={"": dict(enumerate(found.samples))},
        built=found.program_bytes is not None,
        others={
            "setup_s": found.setup_s,
            "program_bytes": found.program_bytes,
            "failure": found.failure,
            "failure_kind": found.failure_kind,
            "failure_type": found.failure_type,
        },
    )
