"""A training step of zenplan's own over a Keras model and a Keras optimizer: what it is on any backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

from zenplan.worker.training.losses import Loss
from zenplan.worker.training.prepared import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a step is made of.

    Attributes:
        optimizer: built.
        rate: its variable of the learning rate.
        clip_norm: of the gradient over all parameters; 0 for none.
        scaled: whether the optimizer scales the loss, for fp16.
        compiled: by XLA or torch.compile.
    """

    model: keras.Model
    optimizer: Any
    rate: Any
    loss: Loss
    clip_norm: float
    scaled: bool
    compiled: bool

    def call(self, x: Any, training: bool) -> Any:
        """What the model returns. A model of the user's may not ask whether it is trained."""
        return self.model(x, **self.mode(training))

    def mode(self, training: bool) -> dict[str, bool]:
        """Arguments that tell the model so."""
        return {"training": training} if self.model._call_has_training_arg else {}

    @property
    def variables(self) -> dict[str, Any]:
        """All state of the model and its optimizer by name: seed generators and the moments of Adam are in it."""
        found = {f"model/{i:05d}": v for i, v in enumerate(self.model.variables)}
        return found | {f"optimizer/{i:05d}": v for i, v in enumerate(self.optimizer.variables)}


@dataclass(slots=True)
class Done:
    """A step that the device has been given.

    Attributes:
        loss, norm: on the device; the mean loss of the batch, and the norm of its gradient, None where it is not taken.
        mark: what can be waited for, where the backend has such a thing.
    """

    loss: Any
    norm: Any
    mark: Any = None


class Stepper(Protocol):
    """A backend's way to train a model."""

    ahead: bool

    def step(self, micro_batches: Sequence[tuple[Any, Any]], rate: float) -> Done:
        """Train on one batch, given as its micro-batches, whose gradients are averaged. It may return before it is done."""

    def waiting(self, done: Done) -> bool:
        """Whether the device is still at it."""

    def wait(self, done: Done) -> None:
        """Return when the device has done it."""

    def numbers(self, values: Sequence[Any]) -> list[Any]:
        """Values on the host: each a number, or an array."""

    def evaluate(self, x: Any, y: Array, weights: Array) -> Any:
        """``Loss.sums`` of a micro-batch, on the device."""

    def read(self) -> Iterator[tuple[str, Array]]:
        """All state, array by array, by the names of ``Parts.variables``, and that of random generators."""

    def write(self, arrays: Mapping[str, Array]) -> None:
        """Put back what ``read`` gave."""

    def settle(self) -> None:
        """Put the state into the model's own variables, from which it is saved."""


def halves(x: Any, y: Array, micro_batch: int) -> list[tuple[Any, Array]]:
    """A batch as its micro-batches."""
    if len(y) == micro_batch:
        return [(x, y)]
    starts = range(0, len(y), micro_batch)
    return [
        (keras.tree.map_structure(lambda a, i=i: a[i : i + micro_batch], x), y[i : i + micro_batch]) for i in starts
    ]


def plain(array: Array) -> Array:
    """An array of a kind that every reader knows: numbers of bfloat16 and smaller floats as whole numbers of that size."""
    if array.dtype.kind in "iufb":
        return array
    return array.view(np.dtype(f"u{array.dtype.itemsize}"))


def restored(array: Array, kind: Any) -> Array:
    """The array of ``plain`` as numbers of that kind again. Of another backend, whole numbers may be wider."""
    kind = np.dtype(kind)
    if array.dtype == kind:
        return array
    return array.astype(kind) if kind.kind in "iufb" else array.view(kind)


def clipped(parts: Parts, gradients: list[Any], global_norm: Callable[[list[Any]], Any], scale: Any) -> tuple[Any, Any]:
    """Gradients whose norm over all parameters is at most ``clip_norm``, and the norm that it was; None where none is set.

    Args:
        scale: that the loss was multiplied by, in fp16; 1 else.
    """
    if not parts.clip_norm:
        return gradients, None
    norm = global_norm(gradients) / scale
    factor = keras.ops.minimum(1.0, parts.clip_norm / norm)
    return [gradient * keras.ops.cast(factor, gradient.dtype) for gradient in gradients], norm
