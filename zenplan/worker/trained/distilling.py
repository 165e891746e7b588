"""A smaller model learns from the answers of a trained one, and from the data (Hinton et al. 2015,
https://arxiv.org/abs/1503.02531), by ``keras.distillation``."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import keras
import msgspec
from keras.distillation import Distiller, FeatureDistillation, LogitsDistillation

from zenplan.errors import UsageError
from zenplan.worker.measuring.ready import is_softmax
from zenplan.worker.protocol import Events, Kind, Optimizer, Piece, Target, Train
from zenplan.worker.trained.finetuning import Tuned, optimizer_of, ordered
from zenplan.worker.trained.opened import Opened
from zenplan.worker.training.keras_trainee import is_compiled
from zenplan.worker.training.kinds.smaller import smaller
from zenplan.worker.training.loss_names import NUMBERS
from zenplan.worker.training.losses import Loss, loss_of
from zenplan.worker.training.models import begun
from zenplan.worker.training.optimizer import made

# Assumed: half of what is learned is from the data, and a temperature in the middle of what Keras calls usual, 3 to 5.
_FROM_DATA, _TEMPERATURE = 0.5, 4.0


def student_of(job: Train, piece: Piece) -> Target | Kind:
    """What is distilled into.

    Raises:
        UsageError: the run's model is of no kind that is made smaller.
    """
    if piece.student is not None:
        return piece.student
    if not isinstance(job.model, Kind):
        raise UsageError(
            "the model of the run is of no built-in kind, of which there is a smaller one",
            "name a student: --student package.module:function",
        )
    return Kind(name=job.model.name, options=smaller(job.model.name, job.model.options, piece.width))


def distilled(
    teacher: Opened, job: Train, piece: Piece, student: Target | Kind, events: Events
) -> tuple[keras.Model, Tuned]:
    """The student, trained; and what that took.

    Args:
        teacher: the model of the run.
        job: that trained it.
        piece: says how long.
        student: builder of the student.
        events: the way to the parent.

    Raises:
        UsageError: it does not go with the model or the data, or its loss is no number.
    """
    samples, order = ordered(teacher, job)
    model = begun(msgspec.structs.replace(job, model=student, weights="", precision="fp32"), teacher.data, events)
    loss = loss_of(job.loss, teacher.data.card, model)
    distiller = _distiller(teacher, model, loss)
    wanted = optimizer_of(job, 1.0, piece.steps)
    optimizer = made(wanted, model, scaled=False)
    optimizer.learning_rate = _rate(wanted, piece.steps)
    if wanted.clip_norm:
        optimizer.global_clipnorm = wanted.clip_norm
    distiller.compile(optimizer=optimizer, loss=loss.mean, jit_compile=is_compiled(job, model))
    clock = _Clock(piece.seconds)

    def batches() -> Iterator[Any]:
        for step in range(piece.steps):
            yield samples.batch(order.numbers(step))

    events.begin("distill")
    distiller.fit(batches(), steps_per_epoch=piece.steps, epochs=1, verbose=0, callbacks=[clock])
    if not math.isfinite(clock.loss):
        raise UsageError("the loss of the student is no number", "fewer --steps, or another --student")
    return model, Tuned(clock.steps, clock.wall_s)


def _distiller(teacher: Opened, student: keras.Model, of_data: Loss) -> Distiller:
    """Answers of both must be of one kind: logits, shares, or numbers."""
    shares = [bool(each.outputs) and is_softmax(each.outputs[0]) for each in (teacher.model, student)]
    if shares[0] != shares[1]:
        raise UsageError(
            "the model returns logits and the student shares, or the other way round", "end both with softmax, or none"
        )
    loss: Any = LogitsDistillation(temperature=_TEMPERATURE, loss=keras.losses.KLDivergence())
    if teacher.loss.name == NUMBERS:
        loss = FeatureDistillation(loss=of_data.mean)
    elif shares[0]:
        loss = FeatureDistillation(loss="kl_divergence")
    try:
        return Distiller(teacher.model, student, loss, student_loss_weight=_FROM_DATA)
    except ValueError as error:
        raise UsageError(f"the student does not go with the model: {error}", "it takes and returns the same") from error


def _rate(wanted: Optimizer, steps: int) -> Any:
    if not wanted.warmup_steps:
        return keras.optimizers.schedules.CosineDecay(wanted.learning_rate, steps, alpha=wanted.final_share)
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, steps - wanted.warmup_steps),
        alpha=wanted.final_share,
        warmup_target=wanted.learning_rate,
        warmup_steps=wanted.warmup_steps,
    )


class _Clock(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Ends the training when its time is over.

    Attributes:
        steps: that were done; wall_s: since the end of the first, which compiles; loss: the mean over all.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.steps, self.wall_s, self.loss = seconds, 0, 0.0, 0.0
        self._start = 0.0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """A step is done."""
        self.steps += 1
        if self.steps == 1:
            self._start = time.perf_counter()
        self.wall_s = time.perf_counter() - self._start
        if self.seconds and self.wall_s >= self.seconds:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """All are."""
        self.loss = float((logs or {}).get("loss", 0.0))
