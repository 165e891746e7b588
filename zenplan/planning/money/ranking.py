"""Ranking: which plan is recommended, which is the cheapest and the fastest, and the frontier that they are on.

What was asked comes first. A plan that takes longer than the horizon is no candidate; where all do, those about as
fast as the fastest are. Of the candidates, those count whose middles keep the deadline and the budget; of these, the
recommended is one whose high end keeps the budget, where any does, and the deadline, where that costs no more than half
as much again. Among what is left it is the knee of dollars against days: the plan of the least

    dollars · (days + 1/3) ** (1/3)

Half the time may cost a quarter more (2 ** (1/3) = 1.26), and twice the dollars must buy an eighth of the time. The
third of a day is a working day of eight hours: of runs that end within one, it matters little which ends first.
So $1.58 for 20 minutes stays before $45 for 19; $146 for one day is taken before $125 for 13 days, and before $352
for 1.7 hours. Both figures are assumed: they were chosen by what they pick for forty varied requests, of $0.01 to $7M.

Why a product, and no rate of so many dollars a day: beside a run of $2 a rate of $100 is everything, beside one of $2M
nothing, and it is another in another currency. The product picks the same when all prices are multiplied. Its price is
that it does not know what people cost: for a run of a few dollars it may wait a day that a salary would not. Who knows
what a day is worth says so (``Wish.day_usd``); then it is the plan of the least dollars + rate · days.

Dollars of an old price, or one without a date, may be others today: such a plan counts ``OLD_WITHIN`` times its figure,
so that it is recommended only where no fresh one is within twice of it.

Either figure is of one plan, so that no plan which is added, left out or allowed changes which of two others is better:
the pick stays when a plan comes in that another beats, or one beyond the horizon, and when a budget grows that its high
end kept already. Either rises with dollars and with days, so the pick is on the frontier, and nothing dearer is picked
for next to no time. When prices move by 2 %, it changes only to a plan whose figure was within those per cents of its
own; where two that differ in dollars and days are as good as that, it may be either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt

from zenplan import units
from zenplan.domain.answer.answer import Label
from zenplan.domain.market.offer import OLD_WITHIN, Billing
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.training.request import HORIZON_S, Request
from zenplan.planning.money.candidates import Mask, candidates
from zenplan.planning.money.quotes import Market
from zenplan.planning.physics.columns import Array

Index = npt.NDArray[np.intp]
NOTICED_S = 8 * units.HOUR_S
POWER = 1.0 / 3.0
# What is no slower than this is about as fast.
ABOUT = 1.02
# So many times the cost is the most for a plan whose high end keeps the deadline too; assumed.
SAFETY = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a plan has to keep, and how its dollars and days are weighed.

    Attributes:
        horizon_s: nobody waits longer.
        deadline_s, budget_usd: None without.
        day_usd: what a day is worth, in dollars; None for the knee.
    """

    horizon_s: float
    deadline_s: float | None = None
    budget_usd: float | None = None
    day_usd: float | None = None

    @classmethod
    def of(cls, request: Request) -> Wish:
        """Of a request, with its defaults."""
        return cls(
            horizon_s=request.longest_s,
            deadline_s=request.deadline_s,
            budget_usd=request.budget_usd,
            day_usd=request.day_usd,
        )

    @property
    def limits(self) -> tuple[float, float | None]:
        """The longest time that keeps horizon and deadline, and the budget."""
        return min(self.horizon_s, self.deadline_s or self.horizon_s), self.budget_usd

    def cost(self, usd: Array, time_s: Array) -> Array:
        """What the recommended has the least of: comparable among plans of one request, otherwise of no meaning."""
        if self.day_usd is None:
            knee: Array = usd * ((time_s + NOTICED_S) / units.DAY_S) ** POWER
            return knee
        return usd + self.day_usd * (time_s / units.DAY_S)

    @property
    def rule(self) -> str:
        """Which plan is recommended, in one line."""
        if self.day_usd is not None:
            return f"Recommended is the least of dollars and days, a day being worth {units.usd(self.day_usd)}."
        return (
            f"Recommended is the knee of dollars against days: half the time may cost {units.percent(2**POWER - 1)} "
            "more, hours within one working day count little, and an old price counts twice; --day-is-worth USD sets a "
            "rate instead."
        )

    def facts(self, request: Request) -> tuple[Fact, ...]:
        """What was assumed of the wish, for people."""
        horizon = Fact(
            name="horizon",
            value=units.duration(self.horizon_s),
            origin=Origin.GIVEN,
            why="" if request.horizon_s else "as late as the deadline",
        )
        if request.horizon_s is None and self.horizon_s == HORIZON_S:
            horizon = replace(horizon, origin=Origin.ASSUMED, why="few wait longer; --horizon TIME shows slower plans")
        worth = Fact(
            name="value of time",
            value=f"half the time may cost {units.percent(2**POWER - 1)} more",
            origin=Origin.ASSUMED,
            why="a share of the bill, whatever its size; --day-is-worth USD sets a rate",
        )
        if self.day_usd is not None:
            worth = Fact(name="value of time", value=f"{units.usd(self.day_usd)} a day", origin=Origin.GIVEN)
        return horizon, worth


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Options in the order they are to be shown.

    Attributes:
        order: option indices: the recommended (or the nearest) first, then the frontier from cheap to fast.
        labels: of the options that have any, by their index.
        met: whether the first meets the deadline and the budget.
        in_time: whether anything is within the horizon.
        frontier: of the candidates, those that no other beats in both time and dollars, from cheap to fast; with
            the recommended, where what beats it does not keep a limit at its high end.
    """

    order: tuple[int, ...]
    labels: Mapping[int, tuple[Label, ...]]
    met: bool
    in_time: bool
    frontier: tuple[int, ...]


def figure(wish: Wish, usd: float, time_s: float, old: bool) -> float:
    """What a plan is weighed by, where the least is recommended.

    Args:
        wish: what was asked, which says how dollars and days are weighed.
        usd: its middle dollars.
        time_s: its middle wall-clock time.
        old: whether its price is old, or has no date; it counts as in ``rank``.
    """
    return float(wish.cost(np.array(usd), np.array(time_s))) * (OLD_WITHIN if old else 1.0)


def pareto(usd: Array, time_s: Array) -> Index:
    """Entries that no other beats in both, from cheap to fast. Of equals, the first."""
    order = np.lexsort((time_s, usd))
    ordered = time_s[order]
    fastest = np.minimum.accumulate(ordered)
    front: Index = order[np.append(True, ordered[1:] < fastest[:-1])]
    return front


def rank(
    usd: Array, time_s: Array, top: int, wish: Wish, gpu_h: Array | None = None, aged: Mask | None = None
) -> Ranking:
    """Rank options by dollars and wall-clock time; no array is empty.

    Labels are of the options within the horizon (or about as fast as the fastest, where none is) that keep the
    deadline and the budget by their middles, or of all of them where none does. Then the first is the one that
    overruns them by the smallest factor, of two limits their product. Options of unknown dollars are left out; where
    all are, GPU-hours stand for dollars, nothing is the cheapest, and a budget is not looked at.

    Args:
        usd: low, middle and high dollars of each option, nan where not known; shape (3, n).
        time_s: its wall-clock time; shape (3, n).
        top: how many to name at most.
        wish: what they have to keep.
        gpu_h: middle GPU-hours of each option, shape (n,); None where dollars are known of any.
        aged: whether its price is old, shape (n,); None where none is.
    """
    pool: Index = np.flatnonzero(np.isfinite(usd[1]))
    priced = bool(len(pool))
    if not priced:
        usd = np.broadcast_to(np.ones_like(time_s[1]) if gpu_h is None else gpu_h, time_s.shape)
        pool = np.arange(usd.shape[1])
    budget_usd = wish.budget_usd if priced else None
    soonest_s = float(time_s[1, pool].min())
    in_time = soonest_s <= wish.horizon_s
    pool = pool[time_s[1, pool] <= (wish.horizon_s if in_time else ABOUT * soonest_s)]
    over = _over(usd[1, pool], budget_usd) * _over(time_s[1, pool], wish.deadline_s)
    met = bool(over.min() <= 1.0)
    nearest: Index = pool[over <= over.min()]
    if met:
        pool = nearest
        nearest = _safe(pool, usd, time_s, budget_usd, wish)
    counts = np.ones_like(time_s[1]) if aged is None else np.where(aged, OLD_WITHIN, 1.0)
    best = _least(nearest, wish.cost(usd[1], time_s[1]) * counts, time_s[1])
    front = pool[pareto(usd[1, pool], time_s[1, pool])]
    named = {Label.RECOMMENDED if in_time and met else Label.NEAREST: best}
    named |= {Label.CHEAPEST: int(front[0])} if priced else {}
    named |= {Label.FASTEST: int(front[-1])}
    if best not in front:
        front = np.insert(front, int((usd[1, front] <= usd[1, best]).sum()), best)
    shown = _spread(front, list(named.values()), top, usd[1], time_s[1])
    labels = {index: tuple(n for n, i in named.items() if i == index) for index in named.values()}
    return Ranking(order=tuple(shown), labels=labels, met=met, in_time=in_time, frontier=tuple(front.tolist()))


def ranking_of(found: Market, billing: Billing, top: int, wish: Wish, today: date) -> Ranking | None:
    """The options of a market in order; None where none can be run.

    Args:
        found: every option with its bills.
        billing: the kind of bill that they are ranked by.
        top: how many to name at most.
        wish: what they have to keep.
        today: the day on which prices are old: those stand behind fresh ones (``candidates``).
    """
    chosen = candidates(found, billing, today, *wish.limits, wish.cost)
    usable = chosen.leading
    if not len(usable):
        return None
    bills = found.bills(billing)
    time_s = bills.wall_clock_s[:, usable]
    gpu_h = time_s[1] * found.options.devices[usable] / units.HOUR_S
    ranking = rank(bills.total_usd[:, usable], time_s, top, wish, gpu_h, chosen.aged)
    return replace(
        ranking,
        order=tuple(int(usable[i]) for i in ranking.order),
        labels={int(usable[i]): labels for i, labels in ranking.labels.items()},
        frontier=tuple(int(usable[i]) for i in ranking.frontier),
    )


def cheapest(found: Market, billing: Billing, longest_s: float) -> int | None:
    """The option of the least middle dollars that takes no longer; of equals the fastest."""
    usd, time_s = found.bills(billing).total_usd[1], found.bills(billing).wall_clock_s[1]
    return _first(found.usable(billing) & (time_s <= longest_s), usd, time_s)


def fastest(found: Market, billing: Billing, most_usd: float) -> int | None:
    """The option of the least middle time that costs no more; of equals the cheapest."""
    usd, time_s = found.bills(billing).total_usd[1], found.bills(billing).wall_clock_s[1]
    return _first(found.usable(billing) & (usd <= most_usd), time_s, usd)


def _first(allowed: npt.NDArray[np.bool_], by: Array, then: Array) -> int | None:
    options = np.flatnonzero(allowed)
    return int(options[np.lexsort((then[options], by[options]))[0]]) if len(options) else None


def _over(value: Array, limit: float | None) -> Array:
    """By what factor each is beyond the limit; 1 where it keeps it, or there is none."""
    return np.ones_like(value) if limit is None else np.maximum(value / limit, 1.0)


def _safe(options: Index, usd: Array, time_s: Array, budget_usd: float | None, wish: Wish) -> Index:
    """Options whose high ends keep the budget, and of these the deadline; all of them where none do.

    A deadline that is kept at its high end too may cost so much more, and no more.
    """
    kept = options if budget_usd is None else options[usd[2, options] <= budget_usd]
    options = kept if len(kept) else options
    if wish.deadline_s is None:
        return options
    kept = options[time_s[2, options] <= wish.deadline_s]
    cost = wish.cost(usd[1], time_s[1])
    return kept if len(kept) and cost[kept].min() <= SAFETY * cost[options].min() else options


def _least(options: Index, cost: Array, time_s: Array) -> int:
    """The option of the least cost; of equals, the faster, then the first."""
    return int(options[np.lexsort((time_s[options], cost[options]))[0]])


def _spread(front: Index, marked: list[int], top: int, usd: Array, time_s: Array) -> list[int]:
    """At most ``top`` of the frontier, from cheap to fast behind the first that is marked: the marked ones, then each
    time the one that is farthest in time, as a ratio, from all that are shown."""
    keep = list(dict.fromkeys(marked))[: max(top, 1)]
    while len(keep) < min(top, len(front)):
        away = np.abs(np.log(time_s[front])[:, None] - np.log(time_s[keep])[None, :]).min(axis=1)
        farthest = int(front[np.argmax(away)])
        if farthest in keep:
            break
        keep.append(farthest)
    first, others = keep[0], sorted(keep[1:], key=lambda i: (float(usd[i]), i))
    return [first, *others]
