"""Steps of several models, timed in turns: what the job ``Measure`` does."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import keras

from zenplan.domain.measured.calibration import PROGRAM
from zenplan.errors import FailureKind
from zenplan.worker.counting.count import count_model
from zenplan.worker.measuring import machine, memory
from zenplan.worker.measuring.data import symbolic_input
from zenplan.worker.measuring.program import has_program, program_bytes, whole_program
from zenplan.worker.measuring.ready import Ready, built_model, with_data
from zenplan.worker.measuring.timing import timed
from zenplan.worker.protocol import Built, Counted, Events, Failed, Measure, Peak, Sampled, WantedPoint

T = TypeVar("T")


def measure_points(job: Measure, threads: int, events: Events) -> None:
    """Measure the points of a job, and send what is found as it is.

    Args:
        threads: that this process is confined to.

    Raises:
        UsageError: a model cannot be trained; the message says why. All else that a model raises comes through, but
            for a lack of memory: that point failed, and the others go on.
    """
    machine.prepare(job.device, threads, job.precision)
    measurement = _Measurement(job=job, threads=threads, events=events, left_s=job.rounds.seconds)
    points = job.points
    turns = [[point] for point in points] if job.in_turn else [points]
    for number, turn in enumerate(turns):
        held = [ready for point in turn if (ready := measurement.prepared(point)) is not None]
        # The time that is left is shared among those that come.
        measurement.take_rounds(held, measurement.left_s / (len(turns) - number))
        del held
        measurement.free()


@dataclass(slots=True, kw_only=True)
class _Measurement:
    """One job, while it is done.

    Attributes:
        left_s: of stepping.
        announced: whether the machine was told.
    """

    job: Measure
    threads: int
    events: Events
    left_s: float
    announced: bool = False

    def prepared(self, point: WantedPoint) -> Ready | None:
        """The point's model, built, compiled and warm; None where it is not to be stepped."""
        if point.role == PROGRAM:
            self._guarded(point.key, lambda: self._compile(point))
            return None
        return self._guarded(point.key, lambda: self._warm(point))

    def take_rounds(self, held: list[Ready], seconds: float) -> None:
        """Step the models in turns; those that fail are taken out of ``held``."""
        rounds = self.job.rounds
        until_s = self.left_s - seconds
        self.events.begin("measure")
        for number in range(rounds.most):
            if number >= rounds.least and self.left_s <= until_s:
                break
            held[:] = [each for each in held if self._sampled(each, number)]

    def free(self) -> None:
        """Forget models that nothing holds any more, and their programs."""
        # What Keras and the compilers keep of every model.
        keras.utils.clear_session(free_memory=False)
        if keras.config.backend() == "jax":
            import jax

            jax.clear_caches()
        memory.give_back(self.job.device)

    def _warm(self, point: WantedPoint) -> Ready:
        first = not self.announced
        before = self._level() if first or not memory.keeps_what_is_free(self.job.device) else None
        start = time.perf_counter()
        model = built_model(point.model, self.job.precision, self.events)
        symbolic = symbolic_input(model, point.batch, point.model.input_shapes)
        ready = with_data(point.key, model, symbolic, self.job.compiled)
        self._announce(model.jit_compile and not model.run_eagerly)
        self._count(point, model)
        self.events.begin("compile")
        ready.step()
        program = program_bytes(model, ready.x, ready.y) if has_program(model) else None
        memory.give_back(self.job.device)
        forgotten = memory.forget_peak(self.job.device)
        self._timed(ready)
        self.events.send(Built(key=ready.key, setup_s=time.perf_counter() - start, program_bytes=program))
        peak = memory.peak_over(before, self._level(), forgotten)
        self.events.send(Peak(key=ready.key, bytes=peak, how=before.how if before and peak else ""))
        return ready

    def _compile(self, point: WantedPoint) -> None:
        """A point that is compiled and never run."""
        if keras.config.backend() != "jax" or self.job.compiled is False:
            self._fail(point.key, "only jax tells what a compiled program moves", FailureKind.UNSUPPORTED)
            return
        start = time.perf_counter()
        found = whole_program(point, self.job, self.events, lambda model: self._count(point, model))
        self._announce(True)
        self.events.send(Built(key=point.key, setup_s=time.perf_counter() - start, program_bytes=found))

    def _sampled(self, ready: Ready, number: int) -> bool:
        """Whether the step was made, and its times sent."""
        times = self._guarded(ready.key, lambda: self._timed(ready))
        if times is not None:
            self.events.send(Sampled(key=ready.key, round=number, wall_s=times[0], cpu_s=times[1]))
        return times is not None

    def _timed(self, ready: Ready) -> tuple[float, float]:
        times = timed(ready.step, ready.model)
        self.left_s -= times[0]
        return times

    def _level(self) -> memory.Level | None:
        """Of memory now. A processor's is that of the whole process, and tells of a model only while it is alone."""
        if self.job.device == "cpu" and not self.job.in_turn:
            return None
        return memory.level(self.job.device)

    def _count(self, point: WantedPoint, model: keras.Model) -> None:
        if self.job.count:
            self.events.begin("count")
            counted = count_model(model, point.batch, point.model.input_shapes)
            self.events.send(Counted(key=point.key, count=counted))

    def _announce(self, compiled: bool) -> None:
        """Tell the machine, once, before all else."""
        if not self.announced:
            self.events.send(machine.described(self.job.device, self.threads, compiled))
        self.announced = True

    def _guarded(self, key: str, work: Callable[[], T]) -> T | None:
        """What the work returns; None where memory was not enough for it, which is told."""
        try:
            return work()
        except memory.kinds_of_shortage() as error:
            if not memory.is_shortage(error):
                raise
            name = type(error).__name__
        # Out of the handler nothing refers to what the work had made.
        self._fail(key, "out of memory", FailureKind.OUT_OF_MEMORY, name)
        return None

    def _fail(self, key: str, reason: str, kind: FailureKind, type: str = "") -> None:
        asked = self.job.compiled
        # The model that would tell what Keras chooses did not come to be: as for one without layers.
        self._announce(bool(keras.Sequential().jit_compile) if asked is None else asked)
        self.events.send(Failed(key=key, reason=reason, kind=kind, type=type))
        memory.give_back(self.job.device)
