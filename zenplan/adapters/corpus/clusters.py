"""Clusters: what is alike over any number of steps. Each leads to an earlier one of its own, the first to itself."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

# Places that are looked up at a time.
_LOT: Final = 4_000_000


def join(first: Array, one: int, other: int) -> None:
    """The two are of one cluster, whose first is the earliest."""
    a, b = root(first, one), root(first, other)
    first[max(a, b)] = min(a, b)


def root(first: Array, place: int) -> int:
    """The first of its cluster."""
    while first[place] != place:
        first[place] = first[first[place]]
        place = int(first[place])
    return place


def roots(first: Array) -> Array:
    """Each one's root, in place: each leads to an earlier one, and what is earlier has been led to its root."""
    for start in range(0, len(first), _LOT):
        own = first[start : start + _LOT]
        while ((above := first[own]) != own).any():
            own[:] = above
    return first
