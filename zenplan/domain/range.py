"""Low, middle and high of one figure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from zenplan.errors import DataError

# 80 of 100 cases of a normal distribution lie within so many standard deviations.
EIGHTY: Final = 1.2816
_NINETY_FIVE: Final = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Low, middle and high of one figure."""

    low: float
    mid: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.mid <= self.high:
            raise DataError(f"range {self.low} ≤ {self.mid} ≤ {self.high} does not hold")

    @classmethod
    def exactly(cls, value: float) -> Range:
        """Of a figure that is in no doubt."""
        return cls(low=value, mid=value, high=value)

    @classmethod
    def total(cls, ranges: Iterable[Range]) -> Range:
        """End by end, of figures that are low together and high together; 0 of none."""
        each = list(ranges)
        return cls(low=sum(r.low for r in each), mid=sum(r.mid for r in each), high=sum(r.high for r in each))

    @classmethod
    def of_share(cls, share: float, samples: int) -> Range:
        """95 % of a share that was counted in so many samples, 0 to 1: the interval of Wilson (1927).

        It stays within 0 and 1, and is good for few samples and for shares near the ends (Brown, Cai & DasGupta 2001).
        """
        z2 = _NINETY_FIVE**2
        middle, whole = share + z2 / (2.0 * samples), 1.0 + z2 / samples
        half = _NINETY_FIVE * math.sqrt(max(0.0, share * (1.0 - share)) / samples + z2 / (4.0 * samples**2))
        low, high = max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole)
        return cls(low=min(low, share), mid=share, high=max(high, share))

    @property
    def ends(self) -> tuple[float, float, float]:
        """Low, middle and high."""
        return self.low, self.mid, self.high

    @property
    def deviation(self) -> float:
        """In ln, one standard deviation, of a range above 0 that is one of 80 %."""
        return math.log(self.high / self.low) / (2.0 * EIGHTY)

    def with_beside(self, *others: tuple[float, float]) -> Range:
        """With what comes beside it, each a middle and a half width, never below 0.

        They vary on their own: half widths add up as squares.
        """
        mid, doubts = sum((each for each, _ in others), self.mid), [doubt for _, doubt in others]
        down, up = math.hypot(self.mid - self.low, *doubts), math.hypot(self.high - self.mid, *doubts)
        return Range(low=max(0.0, mid - down), mid=mid, high=mid + up)

    def __mul__(self, factor: float) -> Range:
        return Range(low=self.low * factor, mid=self.mid * factor, high=self.high * factor)

    def __add__(self, other: float) -> Range:
        return Range(low=self.low + other, mid=self.mid + other, high=self.high + other)
