"""Axes: where a figure lies on one, and which figures are written beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from zenplan import units

# Figures that differ by more are shown on a logarithmic scale: the small ones would lie on the axis.
_LINEAR: Final = 8.0
# What is not above zero has no logarithm.
_LEAST: Final = 1e-9
_TIMES: Final = (
    *(n * 1.0 for n in (1, 2, 5, 10, 20, 30)),
    *(n * units.MINUTE_S for n in (1, 2, 5, 10, 20, 30)),
    *(n * units.HOUR_S for n in (1, 2, 3, 6, 12)),
    *(n * units.DAY_S for n in (1, 2, 5, 10, 20, 50, 100, 200)),
    *(n * units.YEAR_S for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),
)
_SHORT: Final = ((units.YEAR_S, "y"), (units.DAY_S, "d"), (units.HOUR_S, "h"), (units.MINUTE_S, "min"), (1.0, "s"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A stretch of figures on a stretch of pixels; ``end`` may be less than ``start``, as upwards on a screen."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool

    def at(self, value: float) -> float:
        """The pixel of a figure, within the axis."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def scale_of(values: list[float], start: float, end: float) -> Scale:
    """A scale on which all of them lie, with some room at both ends; on a logarithmic one, 0 lies at its low end."""
    above = [value for value in values if value > 0] or [1.0]
    low, high = max(min(above), _LEAST), max(*above, _LEAST * 2)
    if high / low > _LINEAR:
        room = (high / low) ** 0.06
        return Scale(low=low / room, high=high * room, start=start, end=end, logarithmic=True)
    return Scale(low=0.0, high=high * 1.08, start=start, end=end, logarithmic=False)


def money_ticks(scale: Scale, most: int, sign: str = "$", per_usd: float = 1.0) -> list[tuple[float, str]]:
    """Dollars on the axis that are round amounts in a currency, with their texts, no more than ``most``."""
    there = replace(scale, low=scale.low * per_usd, high=scale.high * per_usd)
    exponents = range(math.floor(math.log10(max(there.low, _LEAST))), math.ceil(math.log10(there.high)) + 1)
    every = [[m * 10.0**e for e in exponents for m in each] for each in ((1, 2, 5), (1,))]
    every += [[10.0**e for e in exponents if e % step == 0] for step in (2, 3, 6, 12, 24, 48)]
    return [(value / per_usd, f"{sign}{_amount(value)}") for value in _few(there, every, most)]


def time_ticks(scale: Scale, most: int) -> list[tuple[float, str]]:
    """Round times on the axis with their texts, no more than ``most``."""
    every = [[t for t in _TIMES if _round(t, level)] for level in range(3)]
    every += [list(every[2][::step]) for step in (2, 4, 8)]
    exponents = range(-9, 31)
    beyond = [1000 * units.YEAR_S * 10.0**e for e in exponents if e > 0]
    below = [10.0**e for e in exponents if e < 0]
    return [(value, _short(value)) for value in _few(scale, [[*below, *each, *beyond] for each in every], most)]


def _round(time_s: float, level: int) -> bool:
    """Whether it is written where there is room for few: 1, 10, 100 of a unit at level 2."""
    size = next(size for size, _ in _SHORT if time_s >= size)
    leading = round(time_s / size)
    return level == 0 or leading in ((1, 3, 5, 10, 20, 100, 200) if level == 1 else (1, 10, 100))


def _few(scale: Scale, every: list[list[float]], most: int) -> list[float]:
    """The first of the lists of which no more than that many lie on the axis; on a linear one, even steps."""
    if not scale.logarithmic:
        return list(_steps(scale, every[0], most))
    found = [[value for value in values if scale.low <= value <= scale.high] for values in every]
    return next((values for values in found if len(values) <= most), found[-1][:most])


def _steps(scale: Scale, sizes: list[float], most: int) -> Iterator[float]:
    """Multiples of the smallest round step with which there are no more than that many."""
    step = next((s for s in sorted(sizes) if scale.high / s <= most), scale.high)
    for number in range(1, int(scale.high / step) + 1):
        yield number * step


def _amount(value: float) -> str:
    """A round amount: 50, 1k, 20k, 1M."""
    for size, name in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size * 0.9995:
            return f"{value / size:,.4g}{name}" if value < 1e15 else f"{value:.3g}"
    return f"{value:,.4g}"


def _short(value: float) -> str:
    """A round time: 30 min, 12 h, 5 d."""
    size, name = next((each for each in _SHORT if value >= each[0] * 0.9995), _SHORT[-1])
    number = value / size
    return f"{number:,.4g} {name}" if number < 1e6 else f"{number:.3g} {name}"
