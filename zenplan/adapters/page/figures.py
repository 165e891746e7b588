"""Figures of a published document as the page writes them. What is not known is said so, never 0."""

from __future__ import annotations

import json
from collections.abc import Mapping
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


def _span(value: Any, show: Any) -> str:
    found = range_of(value)
    if found is None or show(found[0]) == show(found[2]):
        return ""
    low, high = show(found[0]), show(found[2])
    if high.startswith("$"):
        return f"{low} – {high}"
    # 20 h to 3 days: each with its own unit.
    number, _, unit = low.rpartition(" ")
    return f"{number} – {high}" if unit == high.rpartition(" ")[2] else f"{_spelled(low)} – {high}"


def _spelled(text: str) -> str:
    number, _, unit = text.rpartition(" ")
    spelled = _SPELLED.get(unit, unit)
    return f"{number} {spelled.removesuffix('s') if number == '1.00' and unit in _SPELLED else spelled}".strip()


def day(text: str | None) -> str:
    """``3 March 2027`` for ``2027-03-03``."""
    if not text:
        return NOT_KNOWN
    found = date.fromisoformat(text)
    return f"{found.day} {found:%B %Y}"


def age_days(as_of: str | None, today: str | None) -> int | None:
    """How many days before today the price was seen; None without a date."""
    if not as_of or not today:
        return None
    return max((date.fromisoformat(today) - date.fromisoformat(as_of)).days, 0)


def age(as_of: str | None, today: str | None) -> str:
    """The same in words."""
    days = age_days(as_of, today)
    if as_of is None:
        return "undated, taken for old"
    if days is None:
        return day(as_of)
    return "today" if days == 0 else f"{days:,} day{'s' * (days != 1)} old"


def is_old(as_of: str | None, today: str | None) -> bool:
    """Whether it is older than 180 days, or has no date."""
    days = age_days(as_of, today)
    return as_of is None or (days is not None and days > OLD_DAYS)


def machines(plan: Object) -> str:
    """``64 × H100-SXM5-80GB``."""
    return f"{plan['devices']:,} × {plan['accelerator']}"


def place(plan: Object) -> str:
    """``8 × aws p5.48xlarge, us-east-1``."""
    region = f", {plan['region']}" if plan["region"] != "any" else ""
    return f"{plan['machines']:,} × {plan['provider']} {plan['instance']}{region}"


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
