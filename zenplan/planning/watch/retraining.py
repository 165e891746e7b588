"""When to train again: the interval at which runs and what is lost between them cost the least together.

A model that is replaced every T days costs, in the long run and for each day,

    (C + v · ∫₀ᵀ L(t) dt) / T

by the renewal-reward theorem (Tijms 2003, A First Course in Stochastic Models, theorem 2.2.1), with C dollars a run,
v dollars a day for what the metric is worth, and L what it has lost at an age. It is least where

    v · (T · L(T) − ∫₀ᵀ L(t) dt) = C,

whose left side rises with T for every loss that rises. Where L = k·t, T = sqrt(2·C/(k·v)), the form of the economic
order quantity: the day costs as much in runs, C/T, as in what is lost, v·k·T/2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from zenplan.domain.answer.retraining import EXPONENTIAL, LINEAR, Days, Decay
from zenplan.domain.provenance import Origin
from zenplan.domain.range import EIGHTY
from zenplan.errors import DataError

# Nobody plans for longer: what comes later is never.
MOST_DAYS: Final = 100.0 * 365.25
_LEAST_ROWS: Final = 3


def best_interval(decay: Decay, run_usd: float, usd_per_day: float) -> Days:
    """Days between two runs.

    Args:
        decay: of the metric.
        run_usd: what a run costs.
        usd_per_day: what a whole unit of the metric is worth a day.
    """

    def balance(rate: float) -> Callable[[float], float]:
        return lambda days: usd_per_day * (days * decay.lost(days, rate) - decay.lost_until(days, rate)) - run_usd

    return _days(decay, lambda rate: _root(balance(rate)))


def reached(decay: Decay, limit: float) -> Days:
    """Days until the metric is as bad as the limit."""
    room = (limit - decay.start) if decay.rises else (decay.start - limit)
    return _days(decay, lambda rate: 0.0 if room <= 0.0 else _root(lambda days: decay.lost(days, rate) - room))


def _days(decay: Decay, of: Callable[[float], float | None]) -> Days:
    """The faster the decay, the earlier."""
    late, mid, early = (None if rate <= 0.0 else of(rate) for rate in decay.ends)
    return Days(low=early, mid=mid, high=late)


def _root(rising: Callable[[float], float]) -> float | None:
    """Where a function that rises is 0; None where that is later than anybody plans for."""

    def value(days: float) -> float:
        try:
            return rising(days)
        except OverflowError:
            return math.inf

    low, high = 0.0, MOST_DAYS
    if value(high) < 0.0:
        return None
    for _ in range(200):
        middle = (low + high) / 2.0
        low, high = (middle, high) if value(middle) < 0.0 else (low, middle)
    return high


class _Line(NamedTuple):
    """Of a least-squares fit: at age 0, a day, its standard error, and what is left of squares in the metric."""

    start: float
    slope: float
    error: float
    rest: float


def fitted(metric: str, rises: bool, rows: Sequence[tuple[float, float]]) -> Decay:
    """The decay of what was measured: a line, or an exponential where that is closer.

    The range is one of 80 % by the standard error of the slope.

    Args:
        metric: its name.
        rises: whether it is worse the higher it is.
        rows: the age in days, and the metric.

    Raises:
        DataError: they are too few, or the metric does not get worse.
    """
    if len(rows) < _LEAST_ROWS or len({age for age, _ in rows}) < _LEAST_ROWS:
        raise DataError(f"{metric} was measured on fewer than {_LEAST_ROWS} days since the run: no decay can be fitted")
    lines = {LINEAR: _line(rows, lambda x: x, lambda x: x)}
    if all(value > 0.0 for _, value in rows):
        lines[EXPONENTIAL] = _line(rows, math.log, math.exp)
    form, line = min(lines.items(), key=lambda pair: pair[1].rest)
    rate = line.slope if rises else -line.slope
    if rate <= 0.0:
        way = "rise" if rises else "fall"
        raise DataError(f"{metric} does not {way} in what was measured: there is no decay to plan by")
    half = EIGHTY * line.error
    return Decay(
        metric=metric,
        start=line.start,
        rises=rises,
        form=form,
        low=rate - half,
        mid=rate,
        high=rate + half,
        origin=Origin.MEASURED,
        why=f"least squares of {len(rows)} measurements; 80 % by the error of the slope",
    )


def _line(rows: Sequence[tuple[float, float]], to: Callable[[float], float], back: Callable[[float], float]) -> _Line:
    ages, values = [age for age, _ in rows], [to(value) for _, value in rows]
    age, value = sum(ages) / len(ages), sum(values) / len(values)
    spread = sum((x - age) ** 2 for x in ages)
    slope = sum((x - age) * (y - value) for x, y in zip(ages, values, strict=True)) / spread
    start = value - slope * age
    left = sum((y - start - slope * x) ** 2 for x, y in zip(ages, values, strict=True))
    rest = sum((each - back(start + slope * x)) ** 2 for x, each in rows)
    return _Line(back(start), slope, math.sqrt(left / (len(ages) - 2) / spread), rest)
