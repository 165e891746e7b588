"""Figures of a published document as the page writes them. What is not known is said so, never 0."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any, Final

from zenplan import units
from zenplan.adapters.files.data import DATA, data_text
from zenplan.adapters.page.markup import clean
from zenplan.domain.market.currency import Currency
from zenplan.domain.market.offer import OLD_DAYS

NOT_KNOWN: Final = "not known"
# Nothing that is planned takes less.
_LEAST_S: Final = 1e-6
# An object of a document in JSON types.
Object = Mapping[str, Any]

_SPELLED: Final = {"d": "days", "h": "hours", "y": "years"}


def range_of(value: Any) -> tuple[float, float, float] | None:
    """Low, middle, high of a range or of a single number; None where it is not known."""
    if isinstance(value, Mapping):
        return float(value["low"]), float(value["mid"]), float(value["high"])
    return None if value is None else (float(value),) * 3


def middle(value: Any) -> float | None:
    """The prediction itself."""
    found = range_of(value)
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Money:
    """How amounts are shown: in dollars, or in the currency that was asked for, at the rate that was given."""

    sign: str = "$"
    per_usd: float = 1.0
    name: str = "Dollars"

    def text(self, usd: Any) -> str:
        """The middle of an amount."""
        found = middle(usd)
        return NOT_KNOWN if found is None else self._show(found)

    def span(self, usd: Any) -> str:
        """From low to high; empty where they are the same."""
        return _joined(*_ends(usd, self._show))

    def _show(self, usd: float) -> str:
        return units.money(usd * self.per_usd, self.sign)


def money_of(document: Object) -> Money:
    """How the amounts of a document are shown."""
    told = document["currency"]
    if told is None:
        return Money()
    currency = Currency(code=clean(told["code"], 12), per_usd=told["per_usd"])
    return Money(sign=currency.sign, per_usd=currency.per_usd, name=currency.code)


def time(value: Any) -> str:
    """The middle as a time, its unit spelled out: ``12.4 days``."""
    found = middle(value)
    return NOT_KNOWN if found is None else _spelled(short_time(found))


def time_span(value: Any) -> str:
    """From low to high; empty where they are the same."""
    return _spelled(short_time_span(value))


def short_time_span(value: Any) -> str:
    """The same with units in one or two letters: ``8.92 – 17.4 d``, ``20.0 h – 3.10 d``."""
    low, high = _ends(value, short_time)
    number, _, unit = low.rpartition(" ")
    return _joined(number if unit == high.rpartition(" ")[2] else low, high)


def _ends(value: Any, show: Callable[[float], str]) -> tuple[str, str]:
    """Low and high as shown; empty where they are the same, or not known."""
    found = range_of(value)
    low, high = (show(found[0]), show(found[2])) if found else ("", "")
    return (low, high) if low != high else ("", "")


def _joined(low: str, high: str) -> str:
    return f"{low} – {high}" if high else ""


def _spelled(text: str) -> str:
    """The text with the units of times in words: ``20.0 hours – 3.10 days``."""
    words = re.sub(r"(?<= )[dhy]\b", lambda unit: _SPELLED[unit[0]], text)
    return re.sub(r"^1\.00 (day|hour|year)s$", r"1.00 \1", words)


def day(text: str) -> str:
    """``3 March 2027`` for ``2027-03-03``."""
    found = date.fromisoformat(text)
    return f"{found.day} {found:%B %Y}"


def short_day(text: str) -> str:
    """``3 Mar 2027``."""
    found = date.fromisoformat(text)
    return f"{found.day} {found:%b %Y}"


def age_days(as_of: str | None, today: str) -> int | None:
    """How many days before today the price was seen; None without a date."""
    if not as_of:
        return None
    return max((date.fromisoformat(today) - date.fromisoformat(as_of)).days, 0)


def seen(as_of: str | None, today: str) -> str:
    """How long ago that was: ``12 days ago``; an old price is called so."""
    days = age_days(as_of, today)
    if days is None:
        return "no date, taken as old"
    told = "today" if days == 0 else f"{days:,} day{'s' * (days != 1)} ago"
    return f"{told}, old" if is_old(as_of, today) else told


def is_old(as_of: str | None, today: str) -> bool:
    """Whether it is older than 180 days, or has no date."""
    days = age_days(as_of, today)
    return days is None or days > OLD_DAYS


def machines(plan: Object) -> str:
    """``64 × H100-SXM5-80GB``."""
    return f"{plan['devices']:,} × {plan['accelerator']}"


def place(plan: Object) -> str:
    """``8 × aws p5.48xlarge, us-east-1``."""
    region = f", {plan['region']}" if plan["region"] != "any" else ""
    return f"{plan['machines']:,} × {plan['provider']} {plan['instance']}{region}"


def short_time(value: float) -> str:
    """A time with its unit in one or two letters, where there is little room."""
    return f"< {units.duration(_LEAST_S)}" if 0 < value < _LEAST_S else units.duration(value)


def parts_of(holder: Object, suffix: str, whole: tuple[str, ...]) -> list[tuple[str, Any]]:
    """The fields of a bill, a step or a memory that are parts of its total, whatever there are."""
    return [(name, value) for name, value in holder.items() if name.endswith(suffix) and name not in whole]


def described(schema: str, kind: str, name: str) -> str:
    """What a part is, for people: as its schema describes it, without the unit."""
    told = _descriptions(schema).get((kind, name))
    if told is None:
        return name.rpartition("_")[0].replace("_", " ").capitalize()
    return told.partition(", in ")[0].partition(";")[0].rstrip(".")


@cache
def _descriptions(schema: str) -> dict[tuple[str, str], str]:
    file = f"schemas/{schema.removeprefix('zenplan.').replace('/', '-')}.json"
    if not (DATA / file).is_file():
        return {}
    return {
        (kind, name): field.get("description", "")
        for kind, told in json.loads(data_text(file))["$defs"].items()
        for name, field in told.get("properties", {}).items()
    }
