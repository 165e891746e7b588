"""What is measured of models: their steps, timed in turns, the memory that these take, and the compiled program."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import keras

from zenplan.domain.measured.calibration import PROGRAM
from zenplan.errors import FailureKind
from zenplan.worker.counting.attempt import Attempt
from zenplan.worker.counting.count import count_model
from zenplan.worker.counting.load import drawn_by_numpy, weightless
from zenplan.worker.measuring import machine
from zenplan.worker.measuring.data import made_targets, symbolic_input
from zenplan.worker.measuring.memory import Level, Memory, is_shortage, peak_over
from zenplan.worker.measuring.ready import (
    Ready,
    build_training,
    built_model,
    compile_model,
    outputs_of,
    usual_optimizer,
    with_data,
)
from zenplan.worker.measuring.timing import timed
from zenplan.worker.protocol import Built, Counted, Events, Failed, Measure, Peak, Sampled, WantedPoint

T = TypeVar("T")
# Of a step that is longer one is enough to warm up.
_LONG_S = 1.0


@dataclass(slots=True, kw_only=True)
class Measurement:
    """What one worker measures, in one job or in several.

    Attributes:
        threads: that this process is confined to.
        left_s: of stepping in this job.
        announced: whether the machine was told.
        held: by key, models that are ready.
    """

    job: Measure
    threads: int
    events: Events
    left_s: float = 0.0
    announced: bool = False
    held: dict[str, Ready] = field(default_factory=dict)

    @classmethod
    def of(cls, job: Measure, threads: int, events: Events) -> Measurement:
        """Before the first job: the framework is made ready. Raises UsageError: there is no such device."""
        machine.prepare(job.device, threads, job.precision)
        if job.programs and keras.config.backend() == "jax":
            keep_programs(job.programs)
        return cls(job=job, threads=threads, events=events)

    def points(self, job: Measure) -> None:
        """Measure the points of a job, and send what is found as it is.

        Raises:
            UsageError: a model cannot be trained; the message says why. All else that a model raises comes through, but
                for a lack of memory: that point failed, and the others go on.
        """
        self.job, self.left_s = job, job.rounds.seconds
        if self.held and (job.forget or not job.more):
            self.held.clear()
            self.free()
        turns = [[point] for point in job.points] if job.in_turn else [list(job.points)]
        for number, turn in enumerate(turns):
            ready = {p.key: r for p in turn if (r := self.held.get(p.key) or self.prepared(p)) is not None}
            # The time that is left is shared among those that come.
            self.take_rounds(ready, self.left_s / (len(turns) - number))
            if job.more and not job.in_turn:
                self.held |= ready
                return
            ready.clear()
            self.free()

    def prepared(self, point: WantedPoint) -> Ready | None:
        """The point's model, built, compiled and warm; None where it is not to be stepped."""
        if point.role == PROGRAM:
            self._guarded(point.key, lambda: self._compile(point))
            return None
        return self._guarded(point.key, lambda: self._warm(point))

    def take_rounds(self, ready: dict[str, Ready], seconds: float) -> None:
        """Step the models in turns; those that fail are taken out of ``ready``."""
        rounds = self.job.rounds
        until_s = self.left_s - seconds
        self.events.begin("measure")
        for number in range(rounds.most):
            if number >= rounds.least and self.left_s <= until_s:
                break
            for key in [k for k, each in ready.items() if not self._sampled(each, number)]:
                self.held.pop(key, None)
                del ready[key]

    def free(self) -> None:
        """Forget models that nothing holds any more, and their programs."""
        # What Keras and the compilers keep of every model.
        keras.utils.clear_session(free_memory=False)
        if keras.config.backend() == "jax":
            import jax

            jax.clear_caches()
        self._memory.give_back()

    def _warm(self, point: WantedPoint) -> Ready:
        first = not self.announced
        before = self._level() if first or not self._memory.keeps_what_is_free else None
        start = time.perf_counter()
        with drawn_by_numpy():
            model = built_model(point.model, self.job.precision, self.events)
            symbolic = symbolic_input(model, point.batch, point.model.input_shapes)
            ready = with_data(point.key, model, symbolic, self.job.compiled)
        self._announce(model.jit_compile and not model.run_eagerly)
        self._count(point, model)
        self.events.begin("compile")
        compiling = time.perf_counter()
        stepped = timed(ready.step, ready.model)
        compile_s = time.perf_counter() - compiling
        program = program_bytes(model, ready.x, ready.y) if has_program(model) else None
        forgotten = False
        if before is not None:
            self._memory.give_back()
            forgotten = self._memory.forget_peak()
        # The first step after compiling, and after memory was given back, is slower: by less than a long one takes.
        # Where nothing is compiled, and a step is long, so is the first.
        eager = keras.config.backend() == "torch" and not model.jit_compile
        warm = stepped if eager and before is None and stepped[0] > _LONG_S else self._timed(ready)
        ready.warm = warm if before is None and warm[0] > _LONG_S else None
        setup_s = time.perf_counter() - start
        self.events.send(Built(key=ready.key, setup_s=setup_s, compile_s=compile_s, program_bytes=program))
        peak = peak_over(before, self._level(), forgotten)
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
        setup_s = time.perf_counter() - start
        self.events.send(Built(key=point.key, setup_s=setup_s, program_bytes=found))

    def _sampled(self, ready: Ready, number: int) -> bool:
        """Whether the step was made, and its times sent."""
        times, ready.warm = ready.warm or self._guarded(ready.key, lambda: self._timed(ready)), None
        if times is not None:
            self.events.send(Sampled(key=ready.key, round=number, wall_s=times[0], cpu_s=times[1]))
        return times is not None

    def _timed(self, ready: Ready) -> tuple[float, float]:
        times = timed(ready.step, ready.model)
        self.left_s -= times[0]
        return times

    @property
    def _memory(self) -> Memory:
        return Memory(keras.config.backend(), self.job.device)

    def _level(self) -> Level | None:
        """Of memory now. A processor's is that of the whole process, and tells of a model only while it is alone."""
        if self.job.device == "cpu" and not self.job.in_turn:
            return None
        return self._memory.level()

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
        except self._memory.kinds_of_shortage() as error:
            if not is_shortage(error):
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
        self._memory.give_back()


# --- the compiled program
#
# The compiled program of a training step, by its compiler's own count. Only jax tells it.

# Small ones take a second in all.
_WORTH_KEEPING_S = 0.05
# Of XLA, for code that is made and thrown away.
_NEVER_RUN: dict[str, bool | int] = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def keep_programs(folder: str) -> None:
    """Let jax keep compiled programs there, and take those that are there: a third of the time that compiling takes."""
    import jax

    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _WORTH_KEEPING_S)


def has_program(model: keras.Model) -> bool:
    """Whether its step is one program, of a compiler that tells what it moves."""
    return keras.config.backend() == "jax" and model.jit_compile and not model.run_eagerly


def program_bytes(model: keras.Model, x: Any, y: Any, runs: bool = True) -> float | None:
    """Bytes that one training step reads and writes, as XLA counts them; None where it does not.

    It is compiled on shapes alone: nothing runs, and nothing is allocated. One that has been stepped on arrays of
    these shapes is not compiled again, since jax keeps what it lowered.

    Args:
        model: with its optimizer, loss and metrics built; its variables need no values.
        x, y: arrays or symbolic tensors, as for ``train_on_batch``.
        runs: False where it is never to run. What it moves is decided before code is made of it, so that the code need
            not be good, which takes half of the time.
    """
    import jax

    def shapes(nested: Any) -> Any:
        return keras.tree.map_structure(
            lambda t: jax.ShapeDtypeStruct(tuple(t.shape), keras.backend.standardize_dtype(t.dtype)), nested
        )

    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    # As Keras's own step asks for it: the state, then the data without weights of samples.
    state = tuple(shapes(list(group)) for group in groups)
    data = (shapes(x), None if y is None else shapes(y), None)
    step = jax.jit(model.train_step, donate_argnums=0)
    found = step.lower(state, data).compile(compiler_options=None if runs else _NEVER_RUN).cost_analysis() or {}
    return float(found.get("bytes accessed", 0.0)) or None


def whole_program(
    point: WantedPoint, job: Measure, events: Events, look: Callable[[keras.Model], None]
) -> float | None:
    """``program_bytes`` of a point's model, which is built without values, so that it takes no memory.

    Where a builder does not let itself be called so, as one that makes an optimizer, its weights have values.

    Args:
        look: called with the model once its program is known.
    """
    # Its few numbers have values from the start, which nothing within the scope may have.
    optimizer = usual_optimizer()
    attempt = Attempt()
    try:
        with weightless(True), attempt:
            return _whole(point, job, events, optimizer, look)
    finally:
        # Keras would give these weights their values as soon as another model is built.
        keras.utils.clear_session(free_memory=False)
    return _whole(point, job, events, usual_optimizer(), look)


def _whole(
    point: WantedPoint,
    job: Measure,
    events: Events,
    optimizer: keras.optimizers.Optimizer,
    look: Callable[[keras.Model], None],
) -> float | None:
    import jax

    model = built_model(point.model, job.precision, events)
    x = symbolic_input(model, point.batch, point.model.input_shapes)
    outputs, own = outputs_of(model, x), bool(model.compiled)
    compile_model(model, outputs, job.compiled, optimizer)
    y = jax.eval_shape(lambda: made_targets(model, outputs))
    build_training(model, x, y, own)
    events.begin("compile")
    found = program_bytes(model, x, y, runs=False)
    look(model)
    return found
