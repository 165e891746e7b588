"""Initial weights of Keras models: drawn, or of a file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras

from zenplan.worker.training.weights import drawn, read_weights, write_weights


def begin(model: keras.Model, seed: int, only: Iterable[Any] | None = None) -> None:
    """Give the model drawn weights, but for what Keras begins with numbers that are not random.

    Args:
        only: variables that are drawn; None for all that are trained.
    """
    chosen = {id(v) for v in (model.trainable_variables if only is None else only)}
    variables = [v for v in model.trainable_variables if id(v) in chosen and len(v.shape) > 1]
    arrays = drawn(seed, [(v.path, tuple(v.shape)) for v in variables])
    for variable, array in zip(variables, arrays, strict=True):
        usual = keras.ops.convert_to_numpy(variable)
        if usual.min() != usual.max():
            variable.assign(array)


def begin_with(model: keras.Model, path: str) -> None:
    """Give the model the weights of a file, in the order of its trainable variables. Raises as ``read_weights``."""
    variables = list(model.trainable_variables)
    for variable, array in zip(
        variables, read_weights(path, [(v.path, tuple(v.shape)) for v in variables]), strict=True
    ):
        variable.assign(array)


def keep_beginning(model: keras.Model, path: Path) -> None:
    """A file of the weights that the model has, as ``begin_with`` reads it."""
    write_weights(path, [keras.ops.convert_to_numpy(v) for v in model.trainable_variables])
