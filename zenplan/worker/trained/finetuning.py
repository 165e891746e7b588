"""A few steps more for the model of a finished run, on the data that it was trained on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import keras
import msgspec

from zenplan.errors import UsageError
from zenplan.worker.protocol import Optimizer, Piece, Train
from zenplan.worker.trained.opened import Opened
from zenplan.worker.training.keras_trainee import is_compiled, stepper_of
from zenplan.worker.training.optimizer import made, rate_variable
from zenplan.worker.training.order import Order
from zenplan.worker.training.parts import Parts
from zenplan.worker.training.prepared import TRAIN, Samples
from zenplan.worker.training.rate import rate_at
from zenplan.worker.training.stepper import Stepper, halves

# Losses are asked for, and the clock is looked at, after so many steps.
_LOOK = 8


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was done: steps, and the seconds that they took, without the first, which compiles."""

    steps: int
    wall_s: float


def optimizer_of(job: Train, share: float, steps: int) -> Optimizer:
    """That of a run, at a share of its highest learning rate, which falls along half a cosine."""
    return msgspec.structs.replace(
        job.optimizer,
        learning_rate=job.optimizer.learning_rate * share,
        schedule="cosine",
        warmup_steps=steps // 20,
        final_share=0.05,
    )


def parts_of(model: keras.Model, opened: Opened, job: Train, optimizer: Optimizer) -> Parts:
    """What a step over the model is made of, with the loss of the run.

    Args:
        model: that is trained.
        opened: the model of the run, whose loss it has.
        job: of the run.
        optimizer: that weights are changed by.
    """
    own = made(optimizer, model, scaled=False)
    return Parts(
        model=model,
        optimizer=own,
        rate=rate_variable(own),
        loss=opened.loss,
        clip_norm=optimizer.clip_norm,
        scaled=False,
        compiled=is_compiled(job, model),
    )


def ordered(opened: Opened, job: Train) -> tuple[Samples, Order]:
    """The training data, and an order of its own in which batches of the run's size are made of them.

    Raises:
        UsageError: there are none.
    """
    samples = opened.samples(TRAIN)
    if samples is None:
        raise UsageError("the training data have no sample", "were they prepared anew?")
    return samples, Order(samples=samples.count, batch=min(job.batch, samples.count), seed=job.seed + 1)


def finetuned(
    parts: Parts,
    opened: Opened,
    job: Train,
    piece: Piece,
    optimizer: Optimizer,
    before: Callable[[Stepper, float], None],
) -> Tuned:
    """Train on batches of the run's size, in an order of its own.

    Args:
        parts, opened, optimizer: of what is trained, and how.
        job: of the run.
        piece: says how long.
        before: called before each step, with the share of the training that is done.

    Raises:
        UsageError: the loss is no number any more.
    """
    samples, order = ordered(opened, job)
    micro = job.micro_batch if order.batch == job.batch else order.batch
    stepper, start, step, loss = stepper_of(parts), math.nan, 0, 0.0
    while step < piece.steps:
        by_time = 0.0 if math.isnan(start) or not piece.seconds else (time.perf_counter() - start) / piece.seconds
        if by_time >= 1.0:
            break
        before(stepper, max(by_time, step / piece.steps))
        batch = halves(*samples.batch(order.numbers(step)), micro)
        done = stepper.step(batch, rate_at(optimizer, step + 1, piece.steps))
        step += 1
        if step % _LOOK == 1 or step == piece.steps:
            stepper.wait(done)
            loss = float(stepper.numbers([done.loss])[0])
            if not math.isfinite(loss):
                raise UsageError(f"the loss is no number at step {step}", "fewer --steps, or another --method")
            start = time.perf_counter() if step == 1 else start
    wall_s = 0.0 if math.isnan(start) else time.perf_counter() - start
    before(stepper, 1.0)
    stepper.settle()
    return Tuned(step, wall_s)
