"""What draws say of the whole: totals and their ranges.

A lot of data is divided into parts, of which some are drawn, each with a chance in proportion to its measure, one
from every stretch of equal measure. A total is the measure of the lot times the mean over draws of what a unit of
measure has (Hansen and Hurwitz 1943); where what is asked for goes with the size of the records themselves, the size
of all records times the ratio of both, which varies less (Cochran, Sampling Techniques, 1977, chapter 6). The variance
is that of successive differences between draws (Wolter, Introduction to Variance Estimation, 2007, section 8.2): it
does not count what differs between one end of sorted data and the other. Where files are drawn first, each is one draw.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from zenplan.domain.range import EIGHTY, Range

# Records have long tails: of few draws the variance is more often too small than too large.
_TAIL: Final = 1.5
# Where more than that is text, what is not is estimated.
_MOSTLY: Final = 0.8
# Half of the range of a sampled total at least: of the few longest records a sample knows nothing. Assumed.
_LEAST: Final = 0.01


@dataclass(slots=True, kw_only=True)
class Draw:
    """What one part of a lot holds.

    Attributes:
        measure: of the part.
        share: of the lot that the draw stands for; None for as much as any other.
        file: where files were drawn first, which; None where parts were.
        records: that start in it; ``raw`` is their size, ``text_bytes`` that of their text.
        sampled_bytes: of that text, what was looked at for its kind and tokens; ``tokens`` of it, None if not counted.
        kinds: bytes of that sample by kind of text.
        lengths: bytes of text of each record.
    """

    measure: float
    share: float | None = None
    file: int | None = None
    records: int = 0
    raw: float = 0.0
    text_bytes: float = 0.0
    sampled_bytes: float = 0.0
    tokens: float | None = None
    kinds: dict[str, float] = field(default_factory=dict)
    lengths: array[float] = field(default_factory=lambda: array("d"))


@dataclass(slots=True, kw_only=True)
class Lot:
    """Data that is read in one way, and the draws from it.

    Attributes:
        measure: of all of it; ``size`` is that of all records, in the unit of ``raw``; ``size_error`` the standard
            error of either, as a share.
        draws: all parts where ``whole``.
        records: in it, where that is known.
        unseen: how far the part that could not be drawn from may differ, as a share of the whole; assumed.
        read_bytes: bytes of the files that were read for it.
    """

    measure: float
    size: float
    size_error: float = 0.0
    draws: list[Draw]
    whole: bool
    records: int | None = None
    unseen: float = 0.0
    read_bytes: float = 0.0

    def weight(self, draw: Draw) -> float:
        """How many parts like this one the draw stands for."""
        if self.whole:
            return 1.0
        share = 1.0 / len(self.draws) if draw.share is None else draw.share
        return self.measure * share / draw.measure


@dataclass(frozen=True, slots=True)
class Total:
    """A figure with its error, as a share of it: ``error`` is the half of an 80 % interval over logarithms."""

    mid: float
    error: float

    @property
    def range(self) -> Range:
        """As a range."""
        return Range(low=self.mid * math.exp(-self.error), mid=self.mid, high=self.mid * math.exp(self.error))


def records_in(lots: Iterable[Lot]) -> Total:
    """Records in all of it."""
    return _sum(_records(lot) for lot in lots)


def text_in(lots: Iterable[Lot]) -> Total:
    """Bytes of text in all of it."""
    return _sum(_text(lot) for lot in lots)


def ratio_of(lots: Sequence[Lot], above: Callable[[Draw], float], below: Callable[[Draw], float]) -> Total:
    """The ratio of two figures over all draws, each standing for as much as it was drawn for."""
    drawn = [(lot.weight(draw), draw) for lot in lots for draw in lot.draws]
    total = sum(weight * below(draw) for weight, draw in drawn)
    ratio = sum(weight * above(draw) for weight, draw in drawn) / total if total else 0.0
    residuals: dict[tuple[bool, int], float] = {}
    for place, (weight, draw) in enumerate(drawn):
        key = (True, draw.file) if draw.file is not None else (False, place)
        residuals[key] = residuals.get(key, 0.0) + weight * (above(draw) - ratio * below(draw))
    unseen = max((lot.unseen for lot in lots), default=0.0)
    return Total(ratio, math.hypot(_half_width(list(residuals.values()), ratio * total), unseen))


def percentile(lots: Sequence[Lot], share: float) -> float | None:
    """The bytes of text of a record that so many are not longer than; None where no record was measured."""
    return weighted_percentile(((d.lengths, lot.weight(d)) for lot in lots for d in lot.draws), share)


def weighted_percentile(weighted: Iterable[tuple[Sequence[float], float]], share: float) -> float | None:
    """The value that so great a share of the values is not above, each counted with its weight."""
    pairs = sorted((length, weight) for lengths, weight in weighted for length in lengths)
    left = share * sum(weight for _, weight in pairs)
    for length, weight in pairs:
        left -= weight
        if left <= 0:
            return length
    return pairs[-1][0] if pairs else None


def _records(lot: Lot) -> Total:
    if lot.records is not None:
        return Total(float(lot.records), 0.0)
    if lot.whole:
        return Total(float(sum(d.records for d in lot.draws)), 0.0)
    found = ratio_of([lot], lambda d: float(d.records), lambda d: d.measure)
    return Total(found.mid * lot.measure, math.hypot(max(found.error, _LEAST), EIGHTY * lot.size_error))


def _text(lot: Lot) -> Total:
    if lot.whole:
        return Total(sum(d.text_bytes for d in lot.draws), 0.0)
    found = ratio_of([lot], lambda d: d.text_bytes, lambda d: d.raw)
    if found.mid > _MOSTLY and lot.size == lot.measure:
        # What is not text goes with the number of records. So the few longest, which no draw met, are counted as text.
        other = ratio_of([lot], lambda d: d.raw - d.text_bytes, lambda d: d.measure)
        found = Total(1.0 - other.mid, math.hypot(other.error * abs(other.mid) / (1.0 - other.mid), lot.unseen))
    return Total(found.mid * lot.size, math.hypot(max(found.error, _LEAST), EIGHTY * lot.size_error))


def _half_width(residuals: Sequence[float], total: float) -> float:
    """Of the 80 % interval of a sum of draws, as a share of it, from what each differs by, in order."""
    number = len(residuals)
    if number < 2 or total <= 0:
        return 1.0 if any(residuals) else 0.0
    differences = sum((b - a) ** 2 for a, b in pairwise(residuals))
    error = math.sqrt(number * differences / (2.0 * (number - 1.0)))
    # As good as two of three draws would be, were their mean known.
    free = max(2.0 * number / 3.0 - 1.0, 1.0)
    # Wider than of a normal distribution, with few draws (Student's t).
    student = EIGHTY + (EIGHTY**3 + EIGHTY) / (4.0 * free)
    return _TAIL * student * error / total


def _sum(totals: Iterable[Total]) -> Total:
    every = list(totals)
    mid = sum(t.mid for t in every)
    return Total(mid, math.sqrt(sum((t.error * t.mid) ** 2 for t in every)) / mid if mid else 0.0)
