"""What is reached without a model, by the frequencies of the training data alone: one that is no better learned nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from zenplan.errors import InputFileError

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
_TRAIN: Final = "train"
# Numbers that are looked at at most: frequencies of so many are those of all.
_MOST: Final = 50_000_000
_BLOCK: Final = 1_000_000


def baselines(
    folder: Path, files: Mapping[str, str], vocabulary: int | None, classes: int | None
) -> dict[str, dict[str, float]]:
    """Figures by part, of the same names as an evaluation's: loss in nats and accuracy, or squared error.

    Tokens are guessed by how often each stands in the training data (one is added to each count), classes likewise, and
    numbers by their mean.

    Args:
        folder: of prepared data.
        files: of tokens, or of targets, by part.
        vocabulary: of tokens; None for other data.
        classes: a count; None where targets are numbers.

    Raises:
        InputFileError: a file is no array of numbers.
    """
    if _TRAIN not in files:
        return {}
    train = _read(folder / files[_TRAIN])
    others = {part: _read(folder / file) for part, file in files.items() if part != _TRAIN}
    kinds = vocabulary or classes
    if kinds is None:
        return {part: _of_numbers(train, target) for part, target in others.items() if target.size}
    counts = _counts(train, kinds) + 1.0
    surprise = -np.log(counts / counts.sum())
    likeliest = int(np.argmax(counts))
    found = {}
    for part, target in others.items():
        own = _counts(target, kinds)
        if target.size and len(own) <= len(counts):
            loss = float((own * surprise[: len(own)]).sum() / target.size)
            found[part] = {"loss": loss, "accuracy": float(own[likeliest] / target.size)}
    return found


def _counts(numbers: Array, kinds: int) -> Array:
    """How often each number is there, a block at a time: NumPy makes eight bytes of each."""
    found = np.zeros(max(kinds, int(numbers.max()) + 1 if numbers.size else 0))
    for block in _blocks(numbers):
        found += np.bincount(block, minlength=len(found))
    return found


def _of_numbers(train: Array, target: Array) -> dict[str, float]:
    mean = float(train.mean())
    error = sum(float(np.square(block.astype(np.float64) - mean).sum()) for block in _blocks(target)) / target.size
    return {"loss": error, "rmse": math.sqrt(error)}


def _blocks(array: Array) -> Iterator[Array]:
    for start in range(0, len(array), _BLOCK):
        yield array[start : start + _BLOCK]


def _read(path: Path) -> Array:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputFileError(f"{path} is no NumPy array: {error}", "prepare the data anew") from error
    return np.asarray(found[:_MOST])
