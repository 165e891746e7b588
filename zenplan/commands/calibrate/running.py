"""Running it: workers that are given points, watched, and started again without the point that ended one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import Final

from zenplan.adapters.machine.nvml import read_gpus, watched
from zenplan.adapters.machine.state import crowded, crowded_now, gpu_in_use, on_battery, processor_time
from zenplan.adapters.workers.process import Limits, measuring_environment, run_job
from zenplan.adapters.workers.programs import programs_folder
from zenplan.commands.calibrate.how import How, gpu_of
from zenplan.commands.calibrate.record import Resumed, StoredRecorder
from zenplan.commands.calibrate.subject import Task
from zenplan.domain.hardware.device import Device, Profile, Reading
from zenplan.domain.measured.calibration import PROGRAM, Calibration, told
from zenplan.errors import UsageError, ZenplanError
from zenplan.protocols import Engine
from zenplan.worker.protocol import Measure, Rounds, WantedPoint

# --- the machine's state

_Look = Callable[[], tuple[Reading[float], Reading[str]]]


def before(how: How, profile: Profile) -> tuple[str, ...]:
    """What speaks against measuring now, one line each.

    Raises:
        ZenplanError: there is something, and ``--strict`` was asked for.
    """
    gpu = gpu_of(profile) if how.device == "gpu" else None
    found = (
        crowded_now(profile.host.logical_cores.value or how.threads, how.threads),
        on_battery(),
        gpu_in_use(gpu) if gpu else "",
        _slowed_now(gpu) if gpu else "",
    )
    notes = tuple(note for note in found if note)
    if notes and how.strict:
        raise ZenplanError(f"not measured under --strict: {notes[0]}", "wait until it is over, or leave --strict out")
    return notes


def _slowed_now(gpu: Device) -> str:
    with watched(_whole(gpu)) as look:
        return _slowed(look()[1])


def _whole(gpu: Device) -> int:
    """Index of the GPU whose clock is that of a slice."""
    return gpu.index if gpu.slice_of is None else gpu.slice_of


def _slowed(held: Reading[str]) -> str:
    """Why the GPU is not as fast as it could be; empty where it is, or the driver does not tell."""
    return f"throttled: the GPU's clock was held down by {held.value}" if held.value else ""


@dataclass(slots=True, kw_only=True)
class Watch:
    """What is seen while it is measured.

    Attributes:
        look: reads the GPU's clock and why it is held down; None on a processor.
        seen: notes, each once.
        lost: why the GPU no longer answers; empty where it does, or never did.
    """

    look: _Look | None = None
    seen: list[str] = field(default_factory=list)
    lost: str = ""
    answered: bool = False

    def clock_hz(self) -> float | None:
        """Of the GPU now; None where nobody tells."""
        if self.look is None:
            return None
        clock, held = self.look()
        self.note(_slowed(held))
        self.answered |= clock.value is not None
        if self.answered and clock.value is None:
            self.lost = f"the GPU no longer answers: {clock.reason}"
            self.note(self.lost)
        return clock.value or None

    def note(self, text: str) -> None:
        """Keep it, unless it is empty, or there already. That it is busy is one note, by whichever look found it."""
        if text and not told(text, self.seen):
            self.seen.append(text)


@contextmanager
def watching(how: How, profile: Profile, seen: list[str]) -> Iterator[Watch]:
    """A watch on the machine, which has looked back at all of it when the context ends.

    Args:
        seen: gets the notes.
    """
    gpu = gpu_of(profile) if how.device == "gpu" else None
    cores = profile.host.logical_cores.value or how.threads
    begin = processor_time()
    with ExitStack() as stack:
        watch = Watch(look=stack.enter_context(watched(_whole(gpu))) if gpu else None, seen=seen)
        try:
            yield watch
        finally:
            if gpu is None:
                watch.note(crowded(begin, processor_time(), cores, how.threads))
            else:
                now = next((d for d in read_gpus()[1] if d.index == gpu.index), None)
                watch.note(gpu_in_use(now, just_used=True) if now else "")
            watch.note(on_battery())


# --- workers


# Told now and then: the share that is done, 0 to 1, and what is being done.
Show = Callable[[float, str], None]
LEAST_ROUNDS: Final = 3
MOST_ROUNDS: Final = 7
# Of stepping, after which no further round is begun.
STEPPING_S: Final = 15.0
# A worker that ended in the middle is started again so often.
_RESTARTS: Final = 3
# Beside the minutes that were given, for building and compiling each point.
_SETUP_S: Final = 300.0
_MEMORY_SHARE: Final = 0.8
# To import a framework, build a model and compile it, where the machine does nothing else.
_TO_START_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a worker is asked for next.

    Attributes:
        tasks: points to set up, where they are not held, and to step in turns.
        rounds: of steps of each, beyond the warm-up.
        forget: whether what is held is freed first.
    """

    tasks: tuple[Task, ...]
    rounds: int
    forget: bool = False


class _TimeUp(Exception):
    """The minutes are over."""


class _End(Enum):
    """What became of a worker: it did all that it was asked for, or had to be asked for the rest of what is there."""

    DONE = auto()
    TIME_UP = auto()
    RESUMED = auto()
    CRASHED = auto()


@dataclass(slots=True, kw_only=True)
class Session:
    """Measuring on one engine.

    Attributes:
        show: told how far it is.
        notes: of the machine, from before.
        begin, end: of the share of all work that the next run is.
        spent_s: by workers so far.
        stage: that the worker is in.
        stepping_s: after which no further round is begun.
        began_s: of the monotonic clock; the minutes are counted from there.
        so_far: what is predicted from what was measured, for who waits.
    """

    engine: Engine
    how: How
    profile: Profile
    record: StoredRecorder
    show: Show
    notes: tuple[str, ...] = ()
    begin: float = 0.0
    end: float = 1.0
    spent_s: float = 0.0
    stage: str = ""
    stepping_s: float = STEPPING_S
    began_s: float = field(default_factory=time.monotonic)
    so_far: str = ""
    _last_s: float = 0.0

    def calibration(self) -> Calibration:
        """As it is in the store now."""
        return self.record.store.get(self.record.id)

    def run(
        self,
        tasks: Sequence[Task],
        *,
        in_turn: bool,
        until_s: float | None = None,
        answered: Callable[[], bool] = lambda: True,
    ) -> None:
        """Measure the points, those left out that are measured already.

        A worker that crashes, hangs or is killed costs the point that it was at, and is started again without it.

        Args:
            in_turn: each point is set up, stepped and freed before the next; else all are held and take turns.
            until_s: seconds of all workers after which no more is measured; None to measure all.
            answered: whether there is an answer; without one it goes on, at most as long again.

        Raises:
            UsageError: the model, or the engine, is not one.
            ZenplanError: no worker began at all.
        """
        crashes = 0
        while left := [task for task in tasks if not self.record.done(task, LEAST_ROUNDS)]:
            end = self._ended(partial(self._worker, left, in_turn, until_s, answered=answered))
            if end in (_End.DONE, _End.TIME_UP):
                return
            crashes += end is _End.CRASHED
            if crashes > _RESTARTS:
                rest = sum(not self.record.done(task, LEAST_ROUNDS) for task in tasks)
                self._keep([f"given up after {crashes} workers ended in the middle: {rest} points are left"])
                return

    @property
    def left_s(self) -> float:
        """Of the minutes, by the clock on the wall."""
        return 60.0 * self.how.minutes - (time.monotonic() - self.began_s)

    def follow(self, choose: Callable[[], Work | None], answered: Callable[[], bool]) -> None:
        """Do what is chosen, one after another, in one worker where it lives; until nothing is, or the time is over.

        A worker that ends in the middle costs the point that it was at.

        Args:
            choose: the next, by what was measured so far; None ends it.
            answered: whether there is an answer; without one it goes on, at most as long again, or the seconds that a
                framework takes to start.

        Raises:
            UsageError: the model, or the engine, is not one. ZenplanError: no worker began at all.
        """
        crashes = 0
        while crashes <= _RESTARTS and (work := choose()) is not None:
            in_turn = self.how.device == "gpu"
            end = self._ended(partial(self._worker, work.tasks, in_turn, None, work, choose, answered))
            if end is _End.TIME_UP:
                return
            crashes += end is _End.CRASHED
        if crashes > _RESTARTS:
            self._keep([f"given up after {crashes} workers ended in the middle"])

    def _ended(self, work: Callable[[], None]) -> _End:
        """What became of a worker; the point that it ended in the middle of has failed.

        Raises:
            UsageError: the model, or the engine, is not one. ZenplanError: no worker began at all.
        """
        try:
            work()
        except _TimeUp:
            if not self.record.id:
                raise ZenplanError(
                    f"{self.engine.name} had not started when the time was over", "give it a minute: --minutes 1"
                ) from None
            self.record.cut_off("the time was over")
            return _End.TIME_UP
        except Resumed:
            return _End.RESUMED
        except UsageError:
            raise
        except ZenplanError as error:
            key = self.record.in_work(self.stage)
            if not self.record.id or not key:
                raise
            self.record.fail(key, error.message, error.kind, error.type)
            return _End.CRASHED
        return _End.DONE

    def _worker(
        self,
        tasks: Sequence[Task],
        in_turn: bool,
        until_s: float | None,
        work: Work | None = None,
        choose: Callable[[], Work | None] = lambda: None,
        answered: Callable[[], bool] = lambda: True,
    ) -> None:
        self.record.expect(task.point for task in tasks)
        self._last_s, self.stage = 0.0, "start"
        time_s = 3.0 * 60.0 * self.how.minutes + _SETUP_S * len(tasks)
        usable = self.profile.host.usable_memory_bytes
        limits = Limits(time_s=time_s, memory_bytes=_MEMORY_SHARE * usable if usable else None)
        seen = list(self.notes)
        try:
            with watching(self.how, self.profile, seen) as watch:
                self.record.clock_hz = watch.clock_hz
                run_job(
                    self._job(tasks, in_turn, work),
                    self.engine.name,
                    limits,
                    self._tell(tasks, until_s, watch, answered) if work is None else self._tell_work(watch, answered),
                    hear=self.record.hear,
                    command=self.engine.worker(),
                    environment=measuring_environment(self.how.device, self.how.threads, os.environ),
                    more=lambda: self._following(choose()),
                )
        finally:
            self.spent_s += self._last_s
            self._keep(seen)

    def _keep(self, notes: Sequence[str]) -> None:
        if not notes or not self.record.id:
            return
        # A measurement that goes on has those of the time before.
        there = [*self.calibration().notes]
        for note in notes:
            if not told(note, there):
                self.record.store.add_note(self.record.id, note)
                there.append(note)

    def _following(self, work: Work | None) -> Measure | None:
        """The same worker's next job."""
        if work is None:
            return None
        self.record.expect((task.point for task in work.tasks), held=not work.forget)
        return self._job(work.tasks, self.how.device == "gpu", work)

    def _tell_work(self, watch: Watch, answered: Callable[[], bool]) -> Callable[[str, float], None]:
        def tell(stage: str, seconds: float) -> None:
            self._last_s, self.stage = seconds, stage
            if watch.lost:
                raise ZenplanError(watch.lost)
            key = self.record.in_work(stage)
            all_s = 60.0 * self.how.minutes
            share = 1.0 - self.left_s / all_s
            self.show(min(1.0, share), f"{self.engine.name}: {self.so_far or f'{stage} {key}'}")
            if self.left_s < 0.0 and (answered() or -self.left_s > max(all_s, _TO_START_S)):
                raise _TimeUp

        return tell

    def _job(self, tasks: Sequence[Task], in_turn: bool, work: Work | None = None) -> Measure:
        points = [WantedPoint(key=t.point.key, role=t.point.role, batch=t.point.batch, model=t.model) for t in tasks]
        return Measure(
            what=self.record.about.subject,
            precision=self.how.precision,
            compiled=self.how.compiled,
            threads=self.how.threads,
            device=self.how.device,
            points=tuple(points),
            rounds=Rounds(least=LEAST_ROUNDS, most=MOST_ROUNDS, seconds=self.stepping_s)
            if work is None
            else Rounds(least=work.rounds, most=work.rounds, seconds=self.stepping_s),
            in_turn=in_turn,
            count=any(t.point.role != PROGRAM and not t.point.features for t in tasks),
            more=work is not None,
            forget=work is not None and work.forget,
            programs=str(programs_folder()),
        )

    def _tell(
        self, tasks: Sequence[Task], until_s: float | None, watch: Watch, answered: Callable[[], bool]
    ) -> Callable[[str, float], None]:
        steps = {t.point.key: 1 if t.point.role == PROGRAM else 1 + MOST_ROUNDS for t in tasks}

        def tell(stage: str, seconds: float) -> None:
            self._last_s = seconds
            if watch.lost:
                raise ZenplanError(watch.lost)
            found = self.record.progress
            known = {key: found[key] for key in steps if key in found}
            did = sum(steps[k] if h.failed else h.built + min(h.count, MOST_ROUNDS) for k, h in known.items())
            share = did / sum(steps.values())
            if until_s is not None:
                share = max(share, min(1.0, (self.spent_s + seconds) / until_s))
            self.stage, key = stage, self.record.in_work(stage)
            self.show(self.begin + (self.end - self.begin) * share, f"{self.engine.name}: {stage} {key}")
            over_s = 0.0 if until_s is None else self.spent_s + seconds - until_s
            if over_s > 0.0 and (answered() or over_s > (until_s or 0.0)):
                raise _TimeUp

        return tell
