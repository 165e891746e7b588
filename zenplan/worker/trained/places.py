"""Places of an input: columns of a row, tokens of a text, squares of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zenplan.domain.measured.explanation import LEAST_RANKED
from zenplan.worker.training.prepared import Array

# An image has so many squares a side.
_SQUARES = 8
# Of arrays of two axes each number is a place, up to so many; then each row is.
_MOST_NUMBERS = 256


@dataclass(frozen=True, slots=True)
class Places:
    """What of an input is looked at together.

    Attributes:
        number: the place of each number of a sample, from 0.
        shape: of the places.
    """

    number: Array
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return int(np.prod(self.shape))

    def at(self, place: int) -> Array:
        """Which numbers of a sample are of that place."""
        found: Array = self.number == place
        return found


def places_of(shape: Sequence[int], image: bool) -> Places:
    """The places of an input.

    Args:
        shape: of one sample. image: whether it is one of height, width and channels.
    """
    shape = tuple(shape)
    if image:
        height, width = shape[:2]
        side = max(1, -(-max(height, width) // _SQUARES))
        down, across = -(-height // side), -(-width // side)
        squares = (np.arange(height) // side)[:, None] * across + (np.arange(width) // side)[None]
        return Places(np.broadcast_to(squares[..., None], (height, width, *shape[2:])), (down, across))
    if len(shape) >= 2 and np.prod(shape) > _MOST_NUMBERS:
        rows = np.arange(shape[0]).reshape(-1, *(1,) * (len(shape) - 1))
        return Places(np.broadcast_to(rows, shape), shape[:1])
    return Places(np.arange(int(np.prod(shape))).reshape(shape), shape or (1,))


def rank_correlation(a: Array, b: Array) -> float | None:
    """Spearman's, of two arrays of one shape, without what is 0 in both, such as padding.

    None of few numbers, where chance has its way, and where one of the arrays is all the same.
    """
    any_of = (np.ravel(a) != 0) | (np.ravel(b) != 0)
    if any_of.sum() < LEAST_RANKED:
        return None
    first, second = (_ranks(np.asarray(each, np.float64).ravel()[any_of]) for each in (a, b))
    if first.std() == 0.0 or second.std() == 0.0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: Array) -> Array:
    """Of each value, those that are the same sharing the mean of theirs."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means: Array = ends - (counts - 1) / 2
    return means[where]
