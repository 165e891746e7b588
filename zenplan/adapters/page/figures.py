"""Figures of a published document as the page writes them. What is not known is said so, never 0."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache
from typing import Any, Final

from zenplan import units
from zenplan.adapters.files.data import DATA, data_text

NOT_KNOWN: Final = "not known"
# A price that was seen earlier is marked.
OLD_DAYS: Final = 180
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


def usd(value: Any) -> str:
    """The middle in dollars."""
    found = middle(value)
    return NOT_KNOWN if found is None else units.usd(found)


def usd_span(value: Any) -> str:
    """From low to high in dollars; empty where they are the same."""
    return _span(value, units.usd)


def time(value: Any) -> str:
    """The middle as a time, its unit spelled out: ``12.4 days``."""
    found = middle(value)
    return NOT_KNOWN if found is None else _spelled(units.duration(found))


def time_span(value: Any) -> str:
    """From low to high; empty where they are the same."""
    return _spelled(_span(value, units.duration))


def short_time_span(value: Any) -> str:
    """The same with units in one or two letters."""
    return _span(value, units.duration, spelled=False)


def _span(value: Any, show: Callable[[float], str], spelled: bool = True) -> str:
    found = range_of(value)
    if found is None or show(found[0]) == show(found[2]):
        return ""
    low, high = show(found[0]), show(found[2])
    if high.startswith("$"):
        return f"{low} – {high}"
    number, _, unit = low.rpartition(" ")
    if unit == high.rpartition(" ")[2]:
        return f"{number} – {high}"
    # 20 hours to 3 days: each with its own unit.
    return f"{_spelled(low) if spelled else low} – {high}"


def _spelled(text: str) -> str:
    number, _, unit = text.rpartition(" ")
    spelled = _SPELLED.get(unit, unit)
    return f"{number} {spelled.removesuffix('s') if number == '1.00' and unit in _SPELLED else spelled}".strip()


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
    return units.duration(value)


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
