"""Low, middle and high of one figure."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Low, middle and high of one figure."""

    low: float
    mid: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.mid <= self.high:
            raise DataError(f"range {self.low} ≤ {self.mid} ≤ {self.high} does not hold")

    def __mul__(self, factor: float) -> Range:
        return Range(low=self.low * factor, mid=self.mid * factor, high=self.high * factor)

    def __add__(self, other: float) -> Range:
        return Range(low=self.low + other, mid=self.mid + other, high=self.high + other)
