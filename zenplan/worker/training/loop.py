"""The loop of a training run: steps, evaluations, checkpoints, and the reasons to end.

A step is given to the device before the one before it is done, where the backend lets itself be driven so; losses stay
there and are asked for some at a time.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from zenplan.worker.protocol import Checkpointed, Event, Metric, Steps, Train
from zenplan.worker.training.agreed import AgreedWishes
from zenplan.worker.training.checkpoints import Checkpoints, State
from zenplan.worker.training.evaluation import evaluated
from zenplan.worker.training.group import Group
from zenplan.worker.training.order import Order
from zenplan.worker.training.prepared import TEST, VALIDATION, Array, Samples
from zenplan.worker.training.rate import rate_at
from zenplan.worker.training.stepper import Done, Stepper, halves
from zenplan.worker.training.trainee import Trainee
from zenplan.worker.training.wishes import Wishes

# Between two events of steps.
_EVENT_S = 0.2
# Events that are kept with a checkpoint: of that many seconds before it, and no more than so many.
_KEPT_S, _MOST_KEPT = 10.0, 200
FINISHED, UNTIL_LOSS, PATIENCE = "finished", "until_loss", "patience"


class Diverged(Exception):
    """The loss, or a weight, is no number any more."""

    def __init__(self, step: int) -> None:
        super().__init__(f"no number at step {step}")
        self.step = step


@dataclass(slots=True)
class _Window:
    """Steps that are done and not told yet."""

    done: list[Done] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)
    wait_s: list[float] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Loop:
    """A run that goes on.

    Attributes:
        group: of the workers that train it together.
        say: tells the parent.
        state: of the run, as of its last checkpoint, but for what evaluations have changed since.
        micro_batch: samples that go through the model at once.
        saved: step of the newest checkpoint.
        step: steps that the device has been given.
    """

    job: Train
    trainee: Trainee
    order: Order
    samples: dict[str, Samples]
    group: Group
    checkpoints: Checkpoints
    wishes: Wishes | AgreedWishes
    say: Callable[[Event], None]
    state: State
    micro_batch: int
    saved: int = -1
    step: int = 0
    _flying: deque[tuple[Done, float]] = field(default_factory=deque)
    _told: deque[tuple[float, Steps | Metric]] = field(default_factory=lambda: deque(maxlen=_MOST_KEPT))
    _window: _Window = field(default_factory=_Window)
    _batch: Any = None
    _mark: float = 0.0
    _cpu: float = 0.0
    _sent: float = 0.0
    _quiet: bool = False

    @property
    def stepper(self) -> Stepper:
        """The trainee's."""
        return self.trainee.stepper

    def load(self, step: int) -> list[tuple[Any, Array]]:
        """This worker's micro-batches of a step; the first step is 0."""
        share = self.group.share
        x, y = self.samples["train"].batch(share.part(self.order.numbers(step)))
        return halves(x, y, self.micro_batch * share.at_once)

    def go(self) -> str:
        """Go on to the end, and say why it ended; every checkpoint that is due is written, the last one too.

        Raises:
            Diverged: the loss is no number.
        """
        reason = self.train()
        if reason in (FINISHED, UNTIL_LOSS, PATIENCE):
            self._last_evaluations()
        if self.saved != self.step:
            self.save()
        return reason

    def train(self) -> str:
        """Make steps, with what is due between them, until there is a reason to end, and say it."""
        self._flying.clear()
        self._window, self._batch = _Window(), None
        self._begin_clock()
        reason = self._due()
        while not reason:
            self._advance()
            reason = self._due()
        self._drain()
        return reason

    def save(self) -> Checkpointed:
        """Write a checkpoint of now, and tell it; what was told."""
        start = time.perf_counter()
        told = tuple(event for at, event in self._told if start - at < _KEPT_S)
        self.state = msgspec.structs.replace(self.state, step=self.step, micro_batch=self.micro_batch, told=told)
        if self.group.rank:
            # What is divided is put together by all of them, and written by rank 0.
            for _ in self._finite():
                pass
            path, size = None, 0
        else:
            path, size = self.checkpoints.write(self.state, self._finite())
        if self.group.size > 1:
            self.group.gathered("")
        if path is None:
            path = self.checkpoints.take(self.state)
        self.saved = self.step
        written = Checkpointed(step=self.step, path=str(path), bytes=size, wall_s=time.perf_counter() - start)
        self.say(written)
        return written

    def _tell_and_keep(self, event: Steps | Metric) -> None:
        self._told.append((time.perf_counter(), event))
        self.say(event)

    def evaluation(self, part: str) -> dict[str, float] | None:
        """The figures of a part of the data; None where the run is to end before."""
        # As the job has them: the same samples where a micro-batch had to be made smaller.
        samples, most = self.samples[part], self.job.evaluate_batches * self.job.micro_batch * self.job.replicas
        look, share = self.wishes.look, self.group.share
        return evaluated(self.stepper, self.trainee.figures, samples, self.micro_batch, most, look, share)

    # --- what is due between two steps

    def _due(self) -> str:
        """Do what is due after the steps that were done; the reason to end, if there is one by now."""
        reason = self.wishes.look()
        every = self.job.checkpoint_every if self.wishes.every is None else self.wishes.every
        evaluate = self._evaluation_due()
        save = bool(every) and self.step > 0 and self.step % every == 0 and self.saved != self.step
        ends = self.step >= self.job.steps
        if not (evaluate or save or ends or reason):
            return self._enough()
        self._drain()
        if evaluate and not reason:
            self._evaluate()
        reason = reason or self.wishes.look() or self._enough()
        if save and not reason:
            self.save()
        self._begin_clock()
        return reason or (FINISHED if ends else "")

    def _evaluation_due(self) -> bool:
        every = self.job.evaluate_every if self.wishes.evaluate_every is None else self.wishes.evaluate_every
        due = bool(every) and self.step > 0 and self.step % every == 0
        return due and VALIDATION in self.samples and self.state.evaluated != self.step

    def _enough(self) -> str:
        best, state = self.state.best, self.state
        if self.job.until_loss is not None and best is not None and best <= self.job.until_loss:
            return UNTIL_LOSS
        return PATIENCE if self.job.patience and state.stale >= self.job.patience else ""

    def _evaluate(self) -> None:
        values = self._told_evaluation(VALIDATION)
        if values is None:
            # The run is to end; when it goes on, this evaluation comes first.
            return
        best = self.state.best
        better = best is None or values["loss"] < best
        self.state = msgspec.structs.replace(
            self.state,
            best=values["loss"] if better else best,
            stale=0 if better else self.state.stale + 1,
            evaluated=self.step,
        )

    def _last_evaluations(self) -> None:
        if VALIDATION in self.samples and self.state.evaluated != self.step:
            self._evaluate()
        if TEST in self.samples:
            self._told_evaluation(TEST)

    def _told_evaluation(self, part: str) -> dict[str, float] | None:
        """As of ``evaluation``, and told. Raises Diverged: the loss is no number."""
        start = time.perf_counter()
        values = self.evaluation(part)
        if values is None:
            return None
        if not math.isfinite(values["loss"]):
            raise Diverged(self.step)
        values = {name: value for name, value in values.items() if math.isfinite(value)}
        self._tell_and_keep(Metric(step=self.step, part=part, values=values, wall_s=time.perf_counter() - start))
        return values

    def _finite(self) -> Iterator[tuple[str, Array]]:
        """The state, array by array. Raises Diverged where a weight is no number: such a one is not to be kept."""
        trained = self.trainee.trained
        for name, array in self.stepper.read():
            weight = name in trained and array.dtype.kind == "f"
            if weight and not np.isfinite(np.sum(array, dtype=np.float64 if array.size < 100_000 else array.dtype)):
                raise Diverged(self.step)
            yield name, array

    # --- steps

    def _begin_clock(self) -> None:
        self._mark, self._cpu = time.perf_counter(), time.process_time()
        self._sent = self._mark

    def _advance(self) -> None:
        """Give the device a step, and load the batch of the one after it."""
        loaded = 0.0
        self.group.pace.begin()
        if self._batch is None:
            start = time.perf_counter()
            self._batch = self.load(self.step)
            loaded = time.perf_counter() - start
        done = self.stepper.step(self._batch, rate_at(self.job.optimizer, self.step + 1, self.job.steps))
        self.step += 1
        self._batch = None
        if self.step < self.job.steps:
            start = time.perf_counter()
            self._batch = self.load(self.step)
            # What is loaded while the device works costs nothing.
            hidden = self.stepper.ahead and self.stepper.waiting(done)
            loaded += 0.0 if hidden else time.perf_counter() - start
        self._flying.append((done, loaded))
        while len(self._flying) > (1 if self.stepper.ahead else 0):
            self._land()
        if not self._quiet and self._to_send():
            self._send()

    def _to_send(self) -> bool:
        """Several workers look at their losses after the same steps: what they find ends the run in all of them."""
        if isinstance(self.wishes, AgreedWishes):
            return self.wishes.fresh
        return self._mark - self._sent > _EVENT_S

    def rehearse(self, enough: Callable[[int], bool]) -> tuple[list[float], list[float]]:
        """Steps as the run has them, one after another, until there are enough, none of them told: wall and processor
        seconds of each. What they change is the caller's to take back."""
        self._flying.clear()
        self._window, self._batch, self._quiet = _Window(), None, True
        self._begin_clock()
        try:
            while not enough(len(self._window.wall_s) + len(self._flying)):
                self._advance()
            while self._flying:
                self._land()
        finally:
            self._quiet = False
        walls, cpu = self._window.wall_s, time.process_time() - self._cpu
        self._window, self._batch = _Window(), None
        return walls, [cpu * wall / sum(walls) for wall in walls]

    def _land(self) -> None:
        done, loaded = self._flying.popleft()
        self.stepper.wait(done)
        now = time.perf_counter()
        window = self._window
        window.done.append(done)
        window.wall_s.append(now - self._mark)
        window.wait_s.append(min(loaded, now - self._mark))
        self._mark = now

    def _drain(self) -> None:
        """Wait for all steps, and tell them."""
        while self._flying:
            self._land()
        self._send()

    def _send(self) -> None:
        window, self._window = self._window, _Window()
        if not window.done:
            return
        losses = [float(each) for each in self.stepper.numbers([each.loss for each in window.done])]
        last = self.step - len(self._flying)
        first = last - len(losses) + 1
        count = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), len(losses))
        cpu = time.process_time()
        norm = window.done[-1].norm
        found = float(self.stepper.numbers([norm])[0]) if norm is not None and count == len(losses) else None
        if count:
            steps = Steps(
                first=first,
                losses=tuple(losses[:count]),
                wall_s=tuple(window.wall_s[:count]),
                wait_s=tuple(window.wait_s[:count]),
                cpu_s=cpu - self._cpu,
                gradient_norm=found if found is not None and math.isfinite(found) else None,
                learning_rate=rate_at(self.job.optimizer, last, self.job.steps),
            )
            self._tell_and_keep(steps)
        self._cpu, self._sent = cpu, time.perf_counter()
        if count < len(losses):
            raise Diverged(first + count)
