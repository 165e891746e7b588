"""Splitting into train, validation and test, by a hash of what may not be parted and the seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from zenplan.adapters.corpus.clusters import join, roots
from zenplan.adapters.corpus.minhash import mixed
from zenplan.domain.training.data_card import PARTS
from zenplan.errors import DataError

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

DROPPED: Final = 0
# In the array of parts: 1 for train, and so on.
TRAIN, VALIDATION, TEST = (PARTS.index(name) + 1 for name in PARTS)
# With more groups than this none of them weighs, and hashes alone part them as well.
MANY: Final = 2_000_000
# By how much more than its share a part may get, where groups are large.
_OVER: Final = 1.25


def joined(groups: Array, first: Array) -> Array:
    """Groups, with one number for those that have near duplicates of each other.

    Args:
        groups: of each sample.
        first: of each sample, the first that it is nearly the same as.
    """
    apart = np.flatnonzero((first != np.arange(len(first))) & (groups != groups[first]))
    if not len(apart):
        return groups
    # Of those that are joined alone: all groups may be many more.
    known = np.unique(np.concatenate((groups[apart], groups[first[apart]])))
    leads = np.arange(len(known))
    for a, b in zip(*(np.searchsorted(known, groups[each]).tolist() for each in (apart, first[apart])), strict=True):
        join(leads, a, b)
    at = np.minimum(np.searchsorted(known, groups), len(known) - 1)
    return np.where(known[at] == groups, known[roots(leads)][at], groups)


def alone(groups: Array, kept: Array, shares: Sequence[float], seed: int) -> Array:
    """The part of each sample by its group's hash alone, as of ``parts`` where there are many."""
    scaled = _ordered(groups, seed).astype(np.float64) / 2.0**64
    found = np.where(kept, np.uint8(TRAIN), np.uint8(DROPPED))
    found[kept & (scaled < shares[0])] = VALIDATION
    found[kept & (scaled >= shares[0]) & (scaled < sum(shares))] = TEST
    return found


def _ordered(groups: Array, seed: int) -> Array:
    return mixed(groups ^ mixed(np.array([seed + 1], np.uint64)))


def parts(
    groups: Array, sizes: Array, kept: Array, shares: Sequence[float], seed: int, hint: str = "give more data"
) -> Array:
    """The part of each sample: uint8, 0 for those that are dropped.

    Args:
        groups: of each sample; a group goes into one part whole.
        sizes: of each, in bytes or samples, of which parts get their shares.
        kept: whether it is.
        shares: of validation and of test.
        seed: another one gives other parts.
        hint: what to do where there are not enough.

    Raises:
        DataError: there are not enough groups for the parts.
    """
    wanted = sum(share > 0 for share in shares)
    order = _ordered(groups, seed)
    found = np.where(kept, np.uint8(TRAIN), np.uint8(DROPPED))
    if not wanted:
        return found
    keys, inverse = np.unique(order[kept], return_inverse=True)
    if len(keys) < wanted + 1:
        what = "is one record or group" if len(keys) == 1 else f"are {len(keys)} records or groups"
        raise DataError(
            f"there {what} left, too few to set some aside for validation and test",
            hint,
        )
    found[kept] = _of_groups(np.bincount(inverse, sizes[kept].astype(np.float64)), shares)[inverse]
    return found


def _of_groups(weights: Array, shares: Sequence[float]) -> Array:
    """The part of each group: in their order they go to validation and then test, while there is room for them."""
    total, found = float(weights.sum()), np.full(len(weights), TRAIN, np.uint8)
    wanted = [(part, share) for part, share in zip((VALIDATION, TEST), shares, strict=True) if share > 0.0]
    free = len(weights)
    for later, (part, share) in zip(range(len(wanted) - 1, -1, -1), wanted, strict=True):
        room, has = share * total, 0.0
        for group, weight in enumerate(weights.tolist()):
            # One is left for train, and one for each part behind.
            if has >= room or free <= 1 + later:
                break
            if found[group] == TRAIN and has + weight <= _OVER * room:
                found[group], has, free = part, has + weight, free - 1
        if not has:
            # None is small enough: the smallest.
            left = np.flatnonzero(found == TRAIN)
            found[left[np.argmin(weights[left])]] = part
            free -= 1
    return found
