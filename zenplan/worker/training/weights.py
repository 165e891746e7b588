"""Initial weights that are the same on every engine: drawn in NumPy, from a seed and shapes alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from zenplan.errors import InputFileError
from zenplan.worker.training.checkpoints import replacing
from zenplan.worker.training.prepared import Array

_EMBEDDING_DEVIATION = 0.02
_HINT = "they must be of the same model"


def drawn(seed: int, shapes: Sequence[tuple[str, tuple[int, ...]]]) -> list[Array]:
    """A float32 array for each shape.

    Of tables normal ones with a deviation of 0.02 (GPT-2); orthogonal ones of recurrences (Saxe et al. 2013,
    https://arxiv.org/abs/1312.6120); He's uniform ones of convolutions (2015, https://arxiv.org/abs/1502.01852);
    of all others Glorot's uniform ones (2010, https://proceedings.mlr.press/v9/glorot10a.html).

    Args:
        shapes: of two axes or more: others begin with plain numbers, which the framework knows. With the path of each
            variable, as Keras names it, the end of which says what it is.
    """
    found = []
    for number, (path, shape) in enumerate(shapes):
        # Each has a stream of its own: one that is left out does not shift those after it.
        random = np.random.Generator(np.random.Philox(key=(seed, number)))
        found.append(_one(random, path, shape).astype(np.float32))
    return found


def write_weights(path: Path, arrays: Sequence[Array]) -> None:
    """A file that ``Train.weights`` may name, whole or not at all.

    Args:
        arrays: of the model's trained variables, in their order: what is drawn, and what begins with plain numbers.
    """
    with replacing(path) as aside:
        save_file({_name(i): np.asarray(array, order="C") for i, array in enumerate(arrays)}, aside)


def read_weights(path: str, shapes: Sequence[tuple[str, tuple[int, ...]]]) -> list[Array]:
    """The arrays of a file of weights, one for each of these variables.

    Args:
        shapes: of the model's trained variables, in their order, each with its path.

    Raises:
        InputFileError: it cannot be read, or is of another model.
    """
    what, found = f"initial weights {path}", []
    try:
        with safe_open(path, "np") as file:
            names = [_name(i) for i in range(len(shapes))]
            if set(file.keys()) != set(names):
                raise InputFileError(f"{what} hold {len(list(file.keys()))} arrays, the model has {len(shapes)}", _HINT)
            for name, (variable, shape) in zip(names, shapes, strict=True):
                there = tuple(file.get_slice(name).get_shape())
                if there != shape:
                    raise InputFileError(f"{what}: {variable} is of shape {shape}, not {there}", _HINT)
                found.append(file.get_tensor(name))
    except (OSError, SafetensorError) as error:
        raise InputFileError(f"{what} cannot be read: {error}", _HINT) from error
    return found


def _name(number: int) -> str:
    return f"{number:05d}"


def _one(random: np.random.Generator, path: str, shape: tuple[int, ...]) -> Array:
    parts = path.split("/")
    if parts[-1] == "embeddings":
        return random.normal(0.0, _EMBEDDING_DEVIATION, shape)
    if parts[-1] == "recurrent_kernel":
        rows, columns = shape
        flat, signs = np.linalg.qr(random.normal(size=(max(shape), min(shape))))
        flat = flat * np.sign(np.diag(signs))
        return flat.T if rows < columns else flat
    before, after = _fans(parts[-2] if len(parts) > 1 else "", shape)
    # Of variance 2 / before, and 2 / (before + after); a uniform one has a third of its limit's square.
    limit = math.sqrt(6 / before if len(shape) == 4 else 6 / (before + after))
    return random.uniform(-limit, limit, shape)


def _fans(layer: str, shape: tuple[int, ...]) -> tuple[int, int]:
    """Numbers that one output is made of, and outputs that one number goes to."""
    if len(shape) == 3 and layer in ("query", "key", "value"):
        return shape[0], shape[1] * shape[2]
    if len(shape) == 3 and layer == "attention_output":
        return shape[0] * shape[1], shape[2]
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]
