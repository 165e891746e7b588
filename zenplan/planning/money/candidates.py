"""Which plans may lead a ranking: old prices stand behind fresh ones."""

from __future__ import annotations

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
        old: how many stand behind fresh prices.
        unpriced: indices of those that have no price, where others have one.
    """

    leading: Index
    old: int
    unpriced: Index


def candidates(found: Market, billing: Billing, today: date, longest_s: float, budget_usd: float | None) -> Candidates:
    """Options that are ranked, of those that can be run: without those that stand ``behind`` a fresh price.

    Args:
        found: the options with their bills.
        billing: the kind of price.
        today: the day on which prices are old or fresh.
        longest_s, budget_usd: what was asked; None where nothing was.
    """
    usable: Index = found.usable(billing).nonzero()[0]
    bills = found.bills(billing)
    usd, time_s = bills.total_usd[1][usable], bills.runs.wall_clock_s[1][usable]
    meets = (usd <= (np.inf if budget_usd is None else budget_usd)) & (time_s <= longest_s)
    old = behind(usd, time_s, found.old(billing, today)[usable], meets)
    known = np.isfinite(usd)
    unpriced = usable[~known] if known.any() else usable[:0]
    return Candidates(leading=usable[~old], old=int(old.sum()), unpriced=unpriced)


def behind(usd: Array, time_s: Array, old: Mask, meets: Mask) -> Mask:
    """Plans with an old price that stand behind one with a fresh price, shape (n,).

    That one takes at most ``OLD_WITHIN`` times its dollars and its time, and meets what was asked where it does. They
    are no candidates: of the others, labels and frontier hold as they would without them.

    Args:
        usd: middle dollars; nan, an unknown price, stands neither behind nor before another.
        time_s: middle wall-clock time.
        old: whether the price is old or has no date.
        meets: whether the plan meets what was asked.
    """
    fresh = ~old & np.isfinite(usd)
    found = old & _within(usd, time_s, fresh & meets)
    found |= old & ~meets & _within(usd, time_s, fresh)
    return found


def _within(usd: Array, time_s: Array, fresh: Mask) -> Mask:
    """Whether any of the fresh plans is within ``OLD_WITHIN`` times of each plan, in dollars and in time."""
    order = np.argsort(time_s[fresh], kind="stable")
    times, least = time_s[fresh][order], np.minimum.accumulate(usd[fresh][order])
    if not len(times):
        return np.zeros(len(usd), dtype=np.bool_)
    places = np.searchsorted(times, OLD_WITHIN * time_s, side="right")
    near: Mask = (places > 0) & (least[np.maximum(places - 1, 0)] <= OLD_WITHIN * usd)
    return near
