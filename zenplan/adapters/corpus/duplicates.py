"""Duplicates among all samples: those that are the same, and texts that are nearly.

Hashes are looked at in lots that fit in memory, each a range of their values: sorted, what is alike lies side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np

from zenplan.adapters.corpus.clusters import join, root, roots
from zenplan.adapters.corpus.minhash import BANDS, HASHES, alike
from zenplan.adapters.corpus.shards import Shards
from zenplan.adapters.corpus.splitting import TEST, TRAIN, VALIDATION

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

# The state of a sample: kept, or dropped from train for being the same or nearly the same as another one, of train or of
# what a given split holds out.
KEPT, SAME, NEAR, SAME_HELD, NEAR_HELD = range(5)
# Hashes that are sorted at a time: with their places and the order some 100 MB.
_LOT: Final = 4_000_000
# Signatures that are compared at a time.
_SIGNED: Final = 100_000
# In one band, how often what is not like the first of its bucket is compared with the next of those left.
_ROUNDS: Final = 8


def same(shards: Shards, given: Array | None) -> tuple[Array, int]:
    """For each sample whether one before it is the same: uint8, ``SAME``, ``SAME_HELD`` or ``KEPT``.

    Args:
        shards: of a given split those of test are first, those of train last.
        given: the part of each sample; None without a given split. Of one, those that are held out stay as they are.

    Returns:
        That, and how many of validation are the same as one of test.
    """
    found, both = np.full(shards.samples, KEPT, np.uint8), 0
    for places, hashes in _lots(shards, lambda number: shards.array(number, "hash")):
        ordered, again = _again(places, hashes)
        if given is None or not len(ordered):
            found[ordered[1:][again]] = SAME
            continue
        # Of each run of the same ones the first.
        starts = np.concatenate(([0], np.where(again, 0, np.arange(1, len(ordered)))))
        leads = ordered[np.maximum.accumulate(starts)][1:][again]
        states, number = held(given, ordered[1:][again], leads, (SAME, SAME_HELD))
        found[ordered[1:][again]] = states
        both += number
    return found, both


def held(given: Array, places: Array, leads: Array, states: tuple[int, int]) -> tuple[Array, int]:
    """The states of samples that are like an earlier one, in a given split; and how many of validation are like one of
    test.

    Args:
        given: the part of each sample.
        places: of these; ``leads`` are those that they are like.
        states: of one of train that is like another of train, and like one that is held out.
    """
    own, other = given[places], given[leads]
    found = np.where(other == TRAIN, states[0], states[1]).astype(np.uint8)
    return np.where(own == TRAIN, found, KEPT), int(((own == VALIDATION) & (other == TEST)).sum())


def near(shards: Shards, state: Array, similarity: float, tell: Callable[[float], None]) -> Array:
    """For each sample the first of those that it is nearly the same as, over any number of steps; itself without any.

    Args:
        shards: with signatures and bands.
        state: of each sample; those that are not ``KEPT`` are passed over.
        similarity: from which on two are alike.
        tell: called with the share that is done.
    """
    first = np.arange(shards.samples, dtype=np.int32 if shards.samples < 2**31 else np.int64)
    signatures = _Signatures(shards)
    for band in range(BANDS):
        tell(band / BANDS)
        for places, hashes in _lots(shards, partial(_band, shards, band)):
            kept = state[places] == KEPT
            for bucket in _buckets(places[kept], hashes[kept]):
                for one, others in _pairs(bucket, signatures, similarity):
                    for other in others[first[others] != root(first, one)]:
                        join(first, one, int(other))
    return roots(first)


def contradicting(shards: Shards, labels: Array) -> int:
    """How many samples are the same as another one, with another label."""
    found = 0
    for places, hashes in _lots(shards, lambda number: shards.array(number, "hash")):
        ordered, again = _again(places, hashes)
        found += int((again & (labels[ordered][1:] != labels[ordered][:-1])).sum())
    return found


def _again(places: Array, hashes: Array) -> tuple[Array, Array]:
    """The places by their hashes, and of each but the first whether it has the hash of the one before it."""
    order = np.lexsort((places, hashes[:, 1], hashes[:, 0]))
    again: Array = (hashes[order][1:] == hashes[order][:-1]).all(axis=1)
    return places[order], again


def _band(shards: Shards, band: int, number: int) -> Array:
    found: Array = shards.array(number, "bands", mapped=True)[band]
    return found


def _lots(shards: Shards, hashes: Callable[[int], Array]) -> Iterator[tuple[Array, Array]]:
    """The places and hashes of samples, in lots by the value of the hash; the first column of several decides."""
    lots = max(1, -(-shards.samples // _LOT))
    for lot in range(lots):
        places, found = [], []
        for number in range(len(shards)):
            own = hashes(number)
            leading = own if own.ndim == 1 else own[:, 0]
            within = np.flatnonzero(leading % np.uint64(lots) == lot) if lots > 1 else np.arange(len(own))
            places.append(within + shards.starts[number])
            found.append(np.asarray(own[within]))
        yield np.concatenate(places), np.concatenate(found)


def _buckets(places: Array, hashes: Array) -> Iterator[Array]:
    """Places with the same hash, where there are several, in order."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    edges = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1], [True])))
    for start, end in pairwise(edges):
        if end - start > 1:
            yield places[order[start:end]]


def _pairs(bucket: Array, signatures: _Signatures, similarity: float) -> Iterator[tuple[int, Array]]:
    """Samples of a bucket with those that are like them."""
    for _ in range(_ROUNDS):
        if len(bucket) < 2:
            return
        one, others = signatures.of(bucket[:1])[0], bucket[1:]
        shares = [alike(one, signatures.of(others[n : n + _SIGNED])) for n in range(0, len(others), _SIGNED)]
        close = np.concatenate(shares) >= similarity
        yield int(bucket[0]), others[close]
        bucket = others[~close]


class _Signatures:
    """The signatures of samples, from the shards that they are in."""

    def __init__(self, shards: Shards) -> None:
        self._starts = np.array(shards.starts)
        self._signed = [shards.array(number, "signed", mapped=True) for number in range(len(shards))]

    def of(self, places: Array) -> Array:
        """Of samples by their number."""
        numbers = np.searchsorted(self._starts, places, side="right") - 1
        found = np.empty((len(places), HASHES), np.uint32)
        for number in set(numbers.tolist()):
            within = numbers == number
            found[within] = self._signed[number][places[within] - self._starts[number]]
        return found
