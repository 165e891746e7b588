"""How far what a served model is given, and what it answers, has moved from its training data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# By custom under 0.1 nothing has moved, and over 0.2 or 0.25 much has: Siddiqi, Credit Risk Scorecards (2006).
USUAL_THRESHOLD: Final = 0.2
# A share of 0 has no logarithm: one that was not seen counts as so many observations.
_LEAST: Final = 0.5
# Of the normal distribution, 99.9 %.
_RARE: Final = 3.0902


def population_stability_index(reference: Sequence[float], seen: Sequence[float]) -> float:
    """The sum over bins of ``(a - e) ln(a / e)``, e the reference's share of a bin and a that of what was seen.

    It is the symmetric divergence of Jeffreys (1946) between two histograms; in this use and under this name it is of
    credit scoring: Siddiqi, Credit Risk Scorecards (2006); Yurdakul and Naranjo, Statistical properties of the
    population stability index, Journal of Risk Model Validation 14(4) (2020).

    Args:
        reference, seen: counts by bin, of the same bins.

    Returns:
        0 where the two are alike; 0 too where one of them is empty.
    """
    totals = sum(reference), sum(seen)
    if not all(totals):
        return 0.0
    expected = [max(count, _LEAST) / totals[0] for count in reference]
    actual = [max(count, _LEAST) / totals[1] for count in seen]
    return sum((a - e) * math.log(a / e) for a, e in zip(actual, expected, strict=True))


def chance_index(bins: int, reference: float, seen: float) -> float:
    """The index that samples of one distribution stay under in 999 of 1000 cases.

    The index over ``1/n + 1/m``, of n and m observations, is distributed as chi-square with one degree of freedom less
    than there are bins (Yurdakul and Naranjo 2020); its quantile is that of Wilson and Hilferty (1931).
    """
    degrees = max(1, bins - 1)
    spread = 2 / (9 * degrees)
    return float(degrees * (1 - spread + _RARE * math.sqrt(spread)) ** 3 * (1 / reference + 1 / seen))


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureDrift:
    """Of one feature.

    Attributes:
        name: of a column, or of what is told of a text or an image.
        index: population stability index of the last requests against the training data.
        seen: observations of the last requests: a count.
        drifted: whether it is over the threshold, and over what chance makes of so few.
    """

    name: str
    index: float
    seen: int
    drifted: bool
