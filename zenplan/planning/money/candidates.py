"""Which plans may lead a ranking: old prices stand behind fresh ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from zenplan.domain.market.offer import OLD_WITHIN, Billing
from zenplan.planning.money.quotes import Index, Market
from zenplan.planning.physics.columns import Array

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """Options that are ranked, and how many are not.

    Attributes:
        leading: indices of those that are ranked, in the order of the market's options.
        aged: which of those have an old price, or one without a date.
        old: how many stand behind fresh prices.
        unpriced: indices of those that have no price, where others have one.
    """

    leading: Index
    aged: Mask
    old: int
    unpriced: Index


def candidates(
    found: Market,
    billing: Billing,
    today: date,
    longest_s: float,
    budget_usd: float | None,
    cost: Callable[[Array, Array], Array],
) -> Candidates:
    """Options that are ranked, of those that can be run: without those that stand ``behind`` a fresh price.

    Args:
        found: the options with their bills.
        billing: the kind of price.
        today: the day on which prices are old or fresh.
        longest_s, budget_usd: what was asked; None where nothing was.
        cost: what the recommended has the least of, by dollars and time.
    """
    usable: Index = found.usable(billing).nonzero()[0]
    bills = found.bills(billing)
    usd, time_s = bills.total_usd[1][usable], bills.wall_clock_s[1][usable]
    aged = found.old(billing, today)[usable]
    # A size that was found for a budget keeps it at its high end, and so does an offer that others stand behind. An old
    # price helps where its middle does: that is what the answer is held to.
    most_usd = np.where(aged, usd, bills.total_usd[2][usable])
    meets = (most_usd <= (np.inf if budget_usd is None else budget_usd)) & (time_s <= longest_s)
    # A fresh price that does not do what was asked is no reason to leave out an old one that may.
    old = behind((usd, time_s, cost(usd, time_s)), aged, meets)
    known = np.isfinite(usd)
    unpriced = usable[~known] if known.any() else usable[:0]
    return Candidates(leading=usable[~old], aged=aged[~old], old=int(old.sum()), unpriced=unpriced)


def behind(measures: Sequence[Array], old: Mask, meets: Mask | None = None) -> Mask:
    """Plans with an old price that stand behind fresh ones, shape (n,).

    One does unless, in some measure, no fresh plan is within ``OLD_WITHIN`` times of it. What stands behind is no
    candidate: of the others, labels and frontier hold as they would without it. For an old price that does what was asked
    only fresh ones that do so count: one that is over the budget is no reason to hide an old price that keeps it. An old
    one that is over it too helps nobody, and all fresh ones count. A budget that grows brings fresh plans back, and moves
    no pick that they would not have beaten anyway: an old price counts twice there.

    Args:
        measures: of which a plan should have little: dollars (nan where not known), time, what is recommended by.
        old: whether the price is old or has no date.
        meets: whether a plan does what was asked, its budget also at the high end; None where all do.
    """
    fresh = ~old & np.isfinite(measures[0])
    if meets is None:
        return old & _near(measures, fresh)
    return old & np.where(meets, _near(measures, fresh & meets), _near(measures, fresh))


def _near(measures: Sequence[Array], fresh: Mask) -> Mask:
    """Whether in each measure some fresh plan is within ``OLD_WITHIN`` times of a plan."""
    if not fresh.any():
        return np.zeros_like(fresh)
    near = np.ones_like(fresh)
    for measure in measures:
        near &= measure[fresh].min() <= OLD_WITHIN * measure
    return near
