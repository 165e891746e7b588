"""How old the price behind a dollar figure is, in the words that stand beside it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from zenplan import units
from zenplan.domain.market.offer import Price
from zenplan.domain.range import Range

NO_PRICE = "no price"
Show = Callable[[float], str]


def age_of(price: Price | None, today: date) -> str:
    """How old a price is, where it is old or has no date; empty for a fresh one."""
    if price is None or not price.is_old(today):
        return ""
    if price.as_of is not None:
        return f"price {(today - price.as_of).days:,} d old"
    return f"table of {price.table_as_of:%Y-%m}" if price.table_as_of else "price has no date"


def days_old(price: Price | None, today: date) -> str:
    """How old a price is where that is too old to count on: ``189 days old``; empty where it is fresh."""
    if price is None or not price.is_old(today):
        return ""
    days = price.age_days(today)
    if days is not None:
        return f"{days} days old"
    return f"of a table of {price.table_as_of:%Y-%m}" if price.table_as_of else "of no date"


def ask_first(guess: bool, age: str) -> str:
    """What is not sure of a machine and of its price, ``days_old``; empty where both are."""
    if not guess:
        return f"Its price is {age}: ask first." if age else ""
    return f"Its machine is a guess{f', its price {age}' if age else ''}: ask first."


def dated(text: str, price: Price | None, today: date) -> str:
    """A figure with its age behind it, as in ``$125 (price 188 d old)``; the figure alone where the price is fresh."""
    age = age_of(price, today)
    return f"{text} ({age})" if age else text


def seen(price: Price, today: date) -> str:
    """When a price was seen, of any age: ``as of 2026-05-24, 189 d old``."""
    if price.as_of is None:
        return age_of(price, today)
    return f"as of {price.as_of}" + (f", {(today - price.as_of).days:,} d old" if price.is_old(today) else "")


def dollars(amount: Range | None, show: Show = units.usd) -> str:
    """The middle of an amount as it is shown, or that nobody has a price."""
    return NO_PRICE if amount is None else show(amount.mid)


def dollar_span(amount: Range | None, show: Show = units.usd) -> str:
    """Its low and its high end; empty where there is none, or nothing between them."""
    return "" if amount is None or amount.low == amount.high else units.span(show(amount.low), show(amount.high))
