"""From the worker's events to the store, each as it comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from zenplan.adapters.store.store import CalibrationStore
from zenplan.commands.calibrate.subject import Task
from zenplan.domain.measured.calibration import PROGRAM, Calibration, Fingerprint, Point, Sample
from zenplan.domain.model.count_document import read_count
from zenplan.errors import DataError
from zenplan.planning.calibration.features import features_of

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


@dataclass(slots=True, kw_only=True)
class Heard:
    """What is known of a point so far."""

    built: bool = False
    samples: int = 0
    first_round: int = 0
    failure: str = ""


@dataclass(slots=True, kw_only=True)
class Record:
    """A calibration in the making.

    Attributes:
        backend, precision: of its fingerprint.
        gpu, driver: as NVML calls them; empty on a processor, and where there is no NVML.
        clock_hz: reads the GPU's clock at each sample.
        id: in the store; empty until the worker has said what it runs on.
        heard: of each point, in the order in which they came.
        last: the key of the last sample.
    """

    store: CalibrationStore
    about: About
    backend: str
    precision: str
    gpu: str = ""
    driver: str = ""
    clock_hz: Callable[[], float | None] = lambda: None
    id: str = ""
    tasks: dict[str, Task] = field(default_factory=dict)
    heard: dict[str, Heard] = field(default_factory=dict)
    last: str = ""

    def expect(self, tasks: Sequence[Task]) -> None:
        """The points that the next worker is asked for."""
        self.tasks = {task.point.key: task for task in tasks}
        for key in self.tasks.keys() & self.heard.keys():
            # Rounds of another worker are other rounds.
            each = self.heard[key]
            each.first_round, each.built = each.samples, False
        self.last = ""

    def done(self, task: Task, least: int) -> bool:
        """Whether nothing more is to be asked for it."""
        found = self.heard.get(task.point.key, Heard())
        enough = found.built if task.point.role == PROGRAM else found.samples >= least
        return bool(found.failure) or enough

    def hear(self, event: Mapping[str, Any]) -> None:
        """One event. Raises Resumed, or DataError where it is none."""
        kind, key = event.get("event"), str(event.get("key", ""))
        try:
            if kind == "machine":
                self._machine(event)
            elif kind == "count":
                operators = [o for layer in read_count(event["count"]).layers for o in layer.operators]
                batch = self._task(key).point.batch
                self._known(key)
                self.store.set_point(self.id, key, features=features_of(operators, batch))
            elif kind == "built":
                self._built(key, event)
            elif kind == "sample":
                self._sample(key, event)
            elif kind == "peak":
                self._known(key)
                self.store.set_point(self.id, key, peak_bytes=_number(event["bytes"]))
            elif kind == "failed":
                self.fail(key, str(event["reason"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"the worker wrote what is no event: {event!r:.80}") from error

    def fail(self, key: str, reason: str) -> None:
        """The point has none or no more samples, for that reason."""
        self._known(key).failure = reason
        self.store.set_point(self.id, key, failure=reason)

    def cut_off(self, reason: str) -> None:
        """What was begun and has no sample will have none."""
        for key in [k for k, h in self.heard.items() if not h.samples and not h.failure and k in self.tasks]:
            self.fail(key, reason)

    def in_work(self, stage: str) -> str:
        """The point that a worker is at, in that stage; empty where it is at none."""
        left = [key for key in self.tasks if not self.heard.get(key, Heard()).failure]
        unbuilt = [key for key in left if not self.heard.get(key, Heard()).built]
        stepped = [key for key in left if key not in unbuilt and self.tasks[key].point.role != PROGRAM]
        if not stepped or (unbuilt and stage != "measure"):
            return next(iter(unbuilt), "")
        if unbuilt:
            # One after another: the last that was built.
            return stepped[-1]
        # All take their turn: the one after the last.
        place = stepped.index(self.last) + 1 if self.last in stepped else 0
        return stepped[place % len(stepped)]

    def _machine(self, event: Mapping[str, Any]) -> None:
        fingerprint = Fingerprint(
            device=self.gpu or str(event["device"]),
            kind=str(event["kind"]),
            driver=self.driver or str(event["driver"]),
            threads=int(event["threads"]),
            backend=self.backend,
            precision=self.precision,
            versions={str(k): str(v) for k, v in event["versions"].items()},
            compiled=bool(event["compiled"]),
        )
        if self.id:
            return
        begun = self.about.begun(self.store.new_id(), fingerprint)
        found = self.store.unfinished(begun, _RESUMED_WITHIN)
        if found is None:
            self.id = begun.id
            self.store.begin(begun)
            return
        self.id = found.id
        for each in found.measured:
            self.heard[each.point.key] = Heard(
                samples=len(each.samples), failure=each.failure, built=each.program_bytes is not None
            )
        if found.measured:
            raise Resumed

    def _task(self, key: str) -> Task:
        return self.tasks[key]

    def _known(self, key: str) -> Heard:
        """What is known of the point, which is in the store from the first word on it."""
        if key not in self.heard:
            self.store.add_point(self.id, self._task(key).point)
            self.heard[key] = Heard()
        return self.heard[key]

    def _built(self, key: str, event: Mapping[str, Any]) -> None:
        found = self._known(key)
        found.built = True
        self.store.set_point(
            self.id, key, setup_s=_number(event["setup_s"]), program_bytes=_number(event.get("program_bytes"))
        )

    def _sample(self, key: str, event: Mapping[str, Any]) -> None:
        found = self._known(key)
        sample = Sample(
            round=found.first_round + int(event["round"]),
            wall_s=float(event["wall_s"]),
            cpu_s=float(event["cpu_s"]),
            clock_hz=self.clock_hz(),
        )
        self.store.add_sample(self.id, key, sample)
        found.samples, self.last = found.samples + 1, key


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
