"""A search over settings of a run: which trials there are, which of them money allows, and which are given up early."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Final, TypeAlias

import numpy as np

from zenplan.errors import DataError

Value: TypeAlias = str | bool | int | float
# Trials with a loss at a step before another is given up there (assumed; the median of fewer says little).
LEAST_OTHERS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """Numbers that are drawn from.

    Attributes:
        low, high: the ends, both of them may come.
        log: whether their logarithm is drawn evenly, and not they.
        whole: whether they are whole numbers.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        if not -math.inf < self.low < self.high < math.inf:
            raise DataError(f"a search from {self.low:g} to {self.high:g} has nothing in between")
        if self.log and self.low <= 0.0:
            raise DataError(f"a search from {self.low:g} on cannot be by logarithms")

    def at(self, share: float) -> float:
        """The number at a share of the way from one end to the other."""
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole and not self.log else (self.low, self.high)
        found = math.exp(math.log(low) + share * math.log(high / low)) if self.log else low + share * (high - low)
        found = min(self.high, max(self.low, found))
        return round(found) if self.whole else found


Field: TypeAlias = Sequence[Value] | Between


def grid(fields: Mapping[str, Sequence[Value]]) -> list[dict[str, Value]]:
    """Every combination of the values, the last field changing fastest."""
    return [dict(zip(fields, values, strict=True)) for values in itertools.product(*fields.values())]


def drawn(fields: Mapping[str, Field], count: int, seed: int) -> list[dict[str, Value]]:
    """Combinations at random (Bergstra and Bengio 2012, https://jmlr.org/papers/v13/bergstra12a.html), none of them twice.

    More trials begin with those of fewer. There may be fewer than asked for, where there are no more.
    """
    chance = np.random.Generator(np.random.Philox(key=seed))
    most = math.prod(math.inf if isinstance(field, Between) else len(field) for field in fields.values())
    found: list[dict[str, Value]] = []
    tries = 0
    while len(found) < min(count, most) and tries < 100 * count:
        tries += 1
        each = {
            name: field.at(float(chance.random()))
            if isinstance(field, Between)
            else field[int(chance.integers(len(field)))]
            for name, field in fields.items()
        }
        if each not in found:
            found.append(each)
    return found


def affordable(costs_usd: Sequence[float], most_usd: float) -> int:
    """How many of the trials, from the first on, cost no more than that together."""
    together = itertools.accumulate(costs_usd)
    return sum(1 for _ in itertools.takewhile(lambda usd: usd <= most_usd, together))


def is_behind(step: int, best: float, others: Sequence[Sequence[tuple[int, float]]]) -> bool:
    """Whether a trial is given up: the median stopping rule.

    Golovin et al. 2017, doi:10.1145/3097983.3098043, section 3.2.2. Its best loss so far is worse than
    the median, over the other trials, of their mean loss up to that step.

    Args:
        step: that it has come to; best: its lowest loss so far.
        others: step and loss of the evaluations of each other trial.
    """
    means = [fmean(losses) for each in others if (losses := _up_to(step, each))]
    return len(means) >= LEAST_OTHERS and best > median(means)


def _up_to(step: int, curve: Sequence[tuple[int, float]]) -> list[float]:
    """Losses until that step; none of a trial that has not come so far."""
    return [loss for at, loss in curve if at <= step] if curve and curve[-1][0] >= step else []
