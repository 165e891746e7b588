"""What was wished for: whether it is met, and, where nothing meets it, which change of the request would."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date

from zenplan import units
from zenplan.adapters.clock import of_day_s
from zenplan.commands.shared.ages import days_old
from zenplan.domain.answer.answer import Label, WouldHelp, day_of_end
from zenplan.domain.answer.estimate import Bill
from zenplan.domain.market.offer import Billing
from zenplan.domain.range import Range
from zenplan.domain.training.request import Request
from zenplan.planning.money.quotes import Market
from zenplan.planning.money.ranking import Ranking, Wish, cheapest, fastest, ranking_of

# Digits of what a flag is given: rounded up, so that it is enough.
_DIGITS = 3


def verdict(request: Request, found: Market, bill: Bill, ranking: Ranking, today: date) -> str:
    """Whether the first quote meets the deadline and the budget, in one line; and where none of a fresh price does, that.

    Where nothing is within the horizon, that; empty where neither is to be said.
    """
    parts = []
    if not ranking.in_time and request.deadline_s is None:
        first = ranking.order[0]
        parts.append(
            f"nothing finishes within {units.duration(request.longest_s)}; the nearest takes "
            f"{units.duration(bill.wall_clock_s.mid)} on {_where(found, first)}"
        )
    # What was asked is of the whole project: its runs, and what is paid beside them.
    runs, beside = request.project.runs, request.beside_usd
    kept = [
        _kept(limit * runs + more, value and value * runs + more, what, show)
        for limit, value, more, show, what in (
            (request.deadline_s, bill.wall_clock_s, 0.0, units.duration, "deadline"),
            (request.budget_usd, bill.total_usd, beside, units.usd, "budget"),
        )
        if limit is not None
    ]
    if kept:
        parts.append(
            ("it " if parts else "recommended: " if ranking.met else "nothing meets that; the nearest ")
            + "; ".join(kept)
            + ("; no plan of a fresh price does" if ranking.met and _by_old_prices(request, found, today) else "")
        )
    return "; ".join(parts)


def _by_old_prices(request: Request, found: Market, today: date) -> bool:
    """Whether no price that is fresh keeps what was asked, by the middles."""
    bills, (longest_s, budget_usd) = found.bills(request.billing), Wish.of(request).limits
    usd, time_s = bills.total_usd[1], bills.wall_clock_s[1]
    fresh = found.usable(request.billing) & ~found.old(request.billing, today) & (time_s <= longest_s)
    return not (fresh & (usd <= (math.inf if budget_usd is None else budget_usd))).any()


def _kept(limit: float, value: Range | None, what: str, show: Callable[[float], str]) -> str:
    if value is None:
        return f"may miss the {what} of {show(limit)}: no price is known"
    if value.mid > limit:
        return f"misses the {what} of {show(limit)} by {show(value.mid - limit)}"
    end = f"({show(value.high)})"
    return f"meets the {what} of {show(limit)}, {'but not' if value.high > limit else 'even'} at its high end {end}"


def would_help(request: Request, found: Market, ranking: Ranking, today: date) -> tuple[WouldHelp, ...]:
    """What would meet the wish, of what the market has anyway; nothing where it is met.

    The other kind of billing, the smallest budget that is enough in that time, the earliest day at that budget; where
    one of them alone is not enough, what the nearest plan takes.
    """
    if ranking.met and ranking.in_time:
        return ()
    wish = Wish.of(request)
    ways = [
        _other_billing(request, found, wish, today),
        *_larger_budget(request, found, wish, today),
        _later(request, found, ranking, today),
    ]
    if not any(ways):
        ways.append(_change(request, found, request.billing, ranking.order[0], today))
    return tuple(way for way in ways if way)


def told(found: Market, billing: Billing, index: int, today: date) -> str:
    """One option in a line: its dollars and its time under one kind of billing, what it is, and the age of an old price."""
    bills = found.bills(billing)
    usd, time_s = float(bills.total_usd[1, index]), float(bills.wall_clock_s[1, index])
    money = "at a price that is not known" if math.isnan(usd) else units.usd(usd)
    price = found.options[index].offer.price(billing)
    aged = f", price {age}" if (age := days_old(price, today)) else ""
    return f"{money} in {units.duration(time_s)}, on {_where(found, index)}{aged}"


def cheaper_by_old(request: Request, found: Market, ranking: Ranking, today: date) -> str:
    """What costs less than the cheapest of fresh prices, by a price that is old, in a line; empty where nothing does, or no
    budget was given: old prices stand behind fresh ones."""
    wish, usd = Wish.of(request), found.bills(request.billing).total_usd[1]
    named = next((index for index, labels in ranking.labels.items() if Label.CHEAPEST in labels), None)
    index = cheapest(found, request.billing, wish.limits[0])
    if wish.budget_usd is None or named is None or index is None or not usd[index] < usd[named]:
        return ""
    old, price = found.old(request.billing, today), found.options[index].offer.price(request.billing)
    if not old[index] or old[named]:
        return ""
    return f"{units.usd(float(usd[index]))} on {_where(found, index)}, price {days_old(price, today)}"


def _other_billing(request: Request, found: Market, wish: Wish, today: date) -> WouldHelp | None:
    other = request.billing.other
    ranking = ranking_of(found, other, 1, wish, today)
    if ranking is None or not (ranking.met and ranking.in_time):
        return None
    index = ranking.order[0]
    return _way(found, other, index, f"--billing {other}", f"{other} would: {told(found, other, index, today)}")


def _larger_budget(request: Request, found: Market, wish: Wish, today: date) -> list[WouldHelp | None]:
    """The smallest budget that is enough in time; under the other kind of billing too, where that is smaller."""
    if wish.budget_usd is None:
        return []
    latest_s = wish.limits[0]
    ways: list[WouldHelp | None] = []
    least_usd = math.inf
    for billing in (request.billing, request.billing.other):
        index = cheapest(found, billing, latest_s)
        usd = math.inf if index is None else float(found.bills(billing).total_usd[1, index])
        if index is not None and wish.budget_usd < usd < least_usd:
            least_usd = usd
            ways.append(_change(request, found, billing, index, today, late=False))
    return ways


def _later(request: Request, found: Market, ranking: Ranking, today: date) -> WouldHelp | None:
    """The earliest day at that budget: as far as the user said to wait; who said nothing may wait longer."""
    longest_s = request.horizon_s if request.horizon_s and request.deadline_s else math.inf
    index: int | None = ranking.order[0]
    if request.budget_usd is not None:
        index = fastest(found, request.billing, request.budget_usd)
    if index is None or found.bills(request.billing).wall_clock_s[1, index] > longest_s:
        return None
    return _change(request, found, request.billing, index, today)


def _change(
    request: Request, found: Market, billing: Billing, index: int, today: date, late: bool = True
) -> WouldHelp | None:
    """The limits that an option misses, changed so that it keeps them; None where it misses none.

    Unless it may be ``late`` the time is kept.
    """
    bills = found.bills(billing)
    usd, time_s = float(bills.total_usd[1, index]), float(bills.wall_clock_s[1, index])
    flags, parts = [], []
    late = late and time_s > (request.deadline_s or request.longest_s)
    dear = request.budget_usd is not None and usd > request.budget_usd
    if billing is not request.billing:
        flags.append(f"--billing {billing}")
    if dear:
        # The budget is the project's.
        enough, high = (
            amount * request.project.runs + request.beside_usd for amount in (usd, float(bills.total_usd[2, index]))
        )
        enough = _up(enough)
        under = f" under {billing}" if billing is not request.billing else ""
        what = "a budget of" if late else f"the smallest budget that is enough{under} is"
        flags.append(f"--budget {enough:.12g}")
        parts.append(f"{what} {units.usd(enough)} ({units.usd(high)} at its high end)")
    if late:
        whole_s = time_s * (request.project.runs if request.deadline_s else 1.0)
        what = "until" if dear else f"the soonest{' at that budget' if request.budget_usd is not None else ''} is"
        flags.append(f"--{'deadline' if request.deadline_s else 'horizon'} {_time_flag(whole_s)}")
        # A deadline is kept by a day that is whole; a horizon is no day.
        parts.append(f"{what} {_day(today, whole_s)}")
    if not parts:
        return None
    return _way(found, billing, index, " ".join(flags), f"{', '.join(parts)}: {told(found, billing, index, today)}")


def _way(found: Market, billing: Billing, index: int, change: str, text: str) -> WouldHelp:
    bills = found.bills(billing)
    usd = float(bills.total_usd[1, index])
    return WouldHelp(
        change=change,
        text=text,
        usd=None if math.isnan(usd) else usd,
        wall_clock_s=float(bills.wall_clock_s[1, index]),
    )


def _where(found: Market, index: int) -> str:
    option = found.options[index]
    instance = option.offer.instance
    return f"{option.nodes * instance.devices:,} × {instance.accelerator} of {instance.provider}"


def _day(today: date, time_s: float) -> str:
    day = day_of_end(today, time_s, of_day_s())
    return f"{day.day} {day:%B %Y}" if day else f"in {units.duration(time_s)}"


def _time_flag(time_s: float) -> str:
    unit, name = next(
        ((size, name) for size, name in ((units.DAY_S, "d"), (units.HOUR_S, "h")) if time_s >= 2 * size),
        (units.MINUTE_S, "min"),
    )
    return f"{_up(time_s / unit):.12g}{name}"


def _up(value: float) -> float:
    """The next number of a few digits that is not less."""
    digits = _DIGITS - 1 - math.floor(math.log10(value))
    return round(math.ceil(value * 10.0**digits) / 10.0**digits, max(digits, 0))
