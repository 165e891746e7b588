"""What draws say of the whole: totals and their ranges.

A lot of data is divided into parts, of which some are drawn, each with a chance in proportion to its measure, one
from every stretch of equal measure. A total is the measure of the lot times the mean over draws of what a unit of
measure has (Hansen and Hurwitz 1943); where what is asked for goes with the size of the records themselves, times the
ratio of both, which varies less (Cochran, Sampling Techniques, 1977, chapter 6). The variance is that of draws from
anywhere, which is not less than that of one from every stretch.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from zenplan.domain.range import Range

# Half-width of an 80 % interval in standard errors: of a normal distribution, and more with few draws (Student's t).
_NORMAL: Final = 1.2816
# Records have long tails: of few draws the variance is more often too small than too large.
_TAIL: Final = 1.3


@dataclass(slots=True, kw_only=True)
class Draw:
    """What one part of a lot holds.

    Attributes:
        measure: of the part.
        records: that start in it; ``raw`` is their size in the same unit, ``text_bytes`` that of their text.
        sampled_bytes: of that text, what was looked at for its kind and tokens; ``tokens`` of it, None if not counted.
        kinds: bytes of that sample by kind of text.
        lengths: bytes of text of each record.
    """

    measure: float
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
        measure: of all of it; ``measure_error`` is its standard error, as a share.
        draws: all parts where ``whole``.
        records: in it, where that is known.
        unseen: how far the part that could not be drawn from may differ, as a share of the whole; assumed.
        read: share of it that was drawn.
        read_bytes: bytes of the files that were read for it.
    """

    measure: float
    draws: list[Draw]
    whole: bool
    measure_error: float = 0.0
    records: int | None = None
    unseen: float = 0.0
    read: float = 0.0
    read_bytes: float = 0.0

    def weight(self, draw: Draw) -> float:
        """How many parts like this one the draw stands for."""
        return 1.0 if self.whole else self.measure / (len(self.draws) * draw.measure)


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
    pairs = [
        (lot.weight(d) * above(d), lot.weight(d) * below(d), math.sqrt(1.0 - lot.read))
        for lot in lots
        for d in lot.draws
    ]
    total = sum(y for _, y, _ in pairs)
    ratio = sum(x for x, _, _ in pairs) / total if total else 0.0
    residuals = [(x - ratio * y) * finite for x, y, finite in pairs]
    unseen = max((lot.unseen for lot in lots), default=0.0)
    return Total(ratio, math.hypot(_half_width(residuals, ratio * total), unseen))


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
    rates = [d.records / d.measure for d in lot.draws]
    mean = sum(rates) / len(rates)
    residuals = [(rate - mean) * math.sqrt(1.0 - lot.read) for rate in rates]
    error = math.hypot(_half_width(residuals, sum(rates)), _NORMAL * lot.measure_error, lot.unseen)
    return Total(mean * lot.measure, error)


def _text(lot: Lot) -> Total:
    if lot.whole:
        return Total(sum(d.text_bytes for d in lot.draws), 0.0)
    found = ratio_of([lot], lambda d: d.text_bytes, lambda d: d.raw)
    return Total(found.mid * lot.measure, math.hypot(found.error, _NORMAL * lot.measure_error))


def _half_width(residuals: Sequence[float], total: float) -> float:
    """Of the 80 % interval of a sum of draws, as a share of it, from what each differs by."""
    number = len(residuals)
    if number < 2 or total <= 0:
        return 1.0 if any(residuals) else 0.0
    error = math.sqrt(number / (number - 1.0) * sum(r * r for r in residuals))
    student = _NORMAL + (_NORMAL**3 + _NORMAL) / (4.0 * (number - 1.0))
    return _TAIL * student * error / total


def _sum(totals: Iterable[Total]) -> Total:
    every = list(totals)
    mid = sum(t.mid for t in every)
    return Total(mid, math.sqrt(sum((t.error * t.mid) ** 2 for t in every)) / mid if mid else 0.0)
