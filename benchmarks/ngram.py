"""An interpolated n-gram model with Kneser-Ney's counts: what a language model has to beat on the same tokens.

Kneser and Ney 1995; the interpolated form and one discount for each order are those of Chen and Goodman 1999, section 2.7
(doi:10.1006/csla.1999.0128): D = n1 / (n1 + 2 · n2), where n1 and n2 are how many n-grams were seen once and twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
_BITS = 64


@dataclass(frozen=True, slots=True)
class _Order:
    """Counts of one order.

    Attributes:
        grams, counts: n-grams as numbers, in order, and how often each was seen, or follows on how many others.
        contexts, totals, kinds: what stands before their last token, in order: its counts' sum, and how many tokens follow.
        discount: taken off each count.
    """

    grams: Array
    counts: Array
    contexts: Array
    totals: Array
    kinds: Array
    discount: float

    def share(self, grams: Array, bits: int, below: Array) -> Array:
        """The probability of the last token of each, where ``below`` is that of the order below."""
        seen = _found(self.grams, self.counts, grams)
        contexts = grams >> np.uint64(bits)
        totals, kinds = _found(self.contexts, self.totals, contexts), _found(self.contexts, self.kinds, contexts)
        known = totals > 0
        total = np.where(known, totals, 1.0)
        found = (np.maximum(seen - self.discount, 0.0) + self.discount * kinds * below) / total
        return np.where(known, found, below)


class NGram:
    """The model of a text of tokens.

    Args:
        tokens: one after another.
        vocabulary: how many tokens there may be.
        order: tokens of an n-gram; so many tokens less one are looked back at.
    """

    def __init__(self, tokens: Array, vocabulary: int, order: int = 5) -> None:
        self.vocabulary, self.order = vocabulary, order
        self.bits = max(1, math.ceil(math.log2(vocabulary)))
        if self.bits * order > _BITS:
            raise ValueError(f"{order} tokens of {vocabulary} do not go into {_BITS} bits")
        grams, counts = np.unique(windows(tokens, order, self.bits), return_counts=True)
        found = [self._order(grams, counts)]
        for size in range(order - 1, 0, -1):
            # How many different tokens stand before it: each longer n-gram, once.
            grams, counts = np.unique(grams & _mask(self.bits * size), return_counts=True)
            found.append(self._order(grams, counts))
        self.orders = found[::-1]

    def losses(self, tokens: Array) -> Array:
        """Of each token but the first ``order`` − 1: minus the logarithm of its probability, in nats."""
        grams = windows(tokens, self.order, self.bits)
        found = np.full(len(grams), 1.0 / self.vocabulary)
        for size, order in enumerate(self.orders, start=1):
            found = order.share(grams & _mask(self.bits * size), self.bits, found)
        losses: Array = -np.log(found)
        return losses

    def _order(self, grams: Array, counts: Array) -> _Order:
        once, twice = int((counts == 1).sum()), int((counts == 2).sum())
        discount = once / (once + 2 * twice) if once else 0.0
        contexts, first = np.unique(grams >> np.uint64(self.bits), return_index=True)
        ends = np.append(first, len(grams))
        totals = np.add.reduceat(counts, first)
        return _Order(grams, counts, contexts, totals, np.diff(ends), discount)


def windows(tokens: Array, order: int, bits: int) -> Array:
    """Each run of that many tokens, as a number whose lowest bits are the last of them."""
    found = np.zeros(max(0, len(tokens) - order + 1), np.uint64)
    for place in range(order):
        found = (found << np.uint64(bits)) | tokens[place : len(tokens) - order + 1 + place].astype(np.uint64)
    return found


def _mask(bits: int) -> np.uint64:
    return np.uint64((1 << bits) - 1)


def _found(keys: Array, values: Array, wanted: Array) -> Array:
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found: Array = np.where(keys[at] == wanted, values[at], 0).astype(np.float64)
    return found
