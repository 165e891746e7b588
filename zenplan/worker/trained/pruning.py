"""Weights of small magnitude are made zero, little by little, while the others are trained on.

The share of zeros rises along a cube (Zhu and Gupta 2017, https://arxiv.org/abs/1710.01878), over all matrices together.
Zeros make a file smaller that is compressed; a processor multiplies with them as with any number.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from zenplan.worker.protocol import Piece, Train
from zenplan.worker.trained.finetuning import Tuned, finetuned, optimizer_of, parts_of
from zenplan.worker.trained.opened import Opened
from zenplan.worker.training.prepared import Array
from zenplan.worker.training.stepper import Stepper

# Of the training, after which no more weights are taken, and how often some are until then.
_LAST, _TIMES = 0.6, 12
# Of the learning rate that the run had at its highest.
_RATE = 0.3


class Masked(keras.Model):  # type: ignore[misc]  # Keras has no types
    """A model of which each matrix is multiplied by a mask of zeros and ones: what is masked is zero in each step, and is
    not trained."""

    def __init__(self, inner: keras.Model) -> None:
        super().__init__(name=f"{inner.name}_masked")
        self.inner = inner
        self.masks = [
            self.add_weight(shape=v.shape, initializer="ones", trainable=False, name=f"mask{number}")
            if len(v.shape) > 1
            else None
            for number, v in enumerate(inner.trainable_variables)
        ]
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        """What the model returns with masked weights."""
        inner = self.inner
        weights = [
            v.value if mask is None else v.value * mask.value
            for v, mask in zip(inner.trainable_variables, self.masks, strict=True)
        ]
        others = list(inner.non_trainable_variables)
        mode = {"training": training} if inner._call_has_training_arg else {}
        returned, after = inner.stateless_call(weights, [v.value for v in others], x, **mode)
        if training:
            for variable, value in zip(others, after, strict=True):
                variable.assign(value)
        return returned


def pruned(model: Opened, job: Train, piece: Piece) -> Tuned:
    """Prune the model itself, and train what is left of it."""
    masked = Masked(model.model)
    optimizer = optimizer_of(job, _RATE, piece.steps)
    parts = parts_of(masked, model, job, optimizer)
    names = {id(v): name for name, v in parts.variables.items()}
    pairs = [
        (names[id(v)], names[id(mask)])
        for v, mask in zip(model.model.trainable_variables, masked.masks, strict=True)
        if mask is not None
    ]
    taken = -1

    def before(stepper: Stepper, done: float) -> None:
        nonlocal taken
        number = min(_TIMES, int(done / _LAST * _TIMES))
        if number > taken:
            taken = number
            arrays = dict(stepper.read())
            mask(arrays, pairs, piece.sparsity * (1.0 - (1.0 - number / _TIMES) ** 3))
            stepper.write(arrays)

    tuned = finetuned(parts, model, job, piece, optimizer, before)
    for variable, mask_of in zip(model.model.trainable_variables, masked.masks, strict=True):
        if mask_of is not None:
            variable.assign(variable.value * mask_of.value)
    return tuned


def mask(arrays: dict[str, Array], pairs: list[tuple[str, str]], share: float) -> None:
    """Set masks so that at least this share of all weights is zero: those of the smallest magnitude.

    Args:
        arrays: of weights and masks, by name.
        pairs: names of a matrix and of its mask.
        share: 0 to below 1.
    """
    sizes = {name: np.abs(arrays[name] * arrays[own]) for name, own in pairs}
    flat = np.concatenate([each.ravel() for each in sizes.values()])
    wanted = int(share * flat.size)
    if not wanted:
        return
    threshold = np.partition(flat, wanted - 1)[wanted - 1]
    for name, own in pairs:
        arrays[own] = (sizes[name] > threshold).astype(arrays[own].dtype)


def zeros_of(model: keras.Model) -> float:
    """The share of the weights of matrices that is zero."""
    arrays = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables if len(v.shape) > 1]
    size = sum(each.size for each in arrays)
    return sum(int(np.count_nonzero(each == 0)) for each in arrays) / size if size else 0.0
