"""A training step, whatever framework makes it: what the loop asks of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from zenplan.worker.training.prepared import Array


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
        """Of a micro-batch, on the device: the weighted sum of the samples' losses and of each other figure, then that of
        the weights.

        Args:
            weights: 1 of a sample that counts, 0 of one that fills the micro-batch up.
        """

    def read(self) -> Iterator[tuple[str, Array]]:
        """All state, array by array, by the names of ``Trainee.variables``; that of random generators is ``random/...``."""

    def write(self, arrays: Mapping[str, Array]) -> None:
        """Put back what ``read`` gave."""

    def settle(self) -> None:
        """Put the state into the model's own variables, from which it is saved."""


class SharedStepper(Stepper, Protocol):
    """A way to train a model of which there are several replicas."""

    def copies(self) -> Iterator[tuple[str, Sequence[Array]]]:
        """Arrays of the state that are to be the same on several devices of this worker, by path, each's."""

    def own(self) -> Sequence[str]:
        """Paths of what each replica has been found to keep for itself, such as means of its part of a batch: ``read`` gives
        the mean of all."""


def halves(x: Any, y: Array, micro_batch: int) -> list[tuple[Any, Array]]:
    """A batch as its micro-batches."""
    if len(y) == micro_batch:
        return [(x, y)]
    starts = range(0, len(y), micro_batch)
    return [(_part(x, i, micro_batch), y[i : i + micro_batch]) for i in starts]


def _part(x: Any, first: int, count: int) -> Any:
    """Of an array, or of several by name."""
    if isinstance(x, Mapping):
        return {name: array[first : first + count] for name, array in x.items()}
    return x[first : first + count]


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
