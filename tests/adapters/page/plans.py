"""Published plans of every kind that the page has to bear: made of one that is real."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

Document = dict[str, Any]

HOSTILE = (
    "</script><script>window.taken = 1</script>",
    '"><img src=x onerror="window.taken = 1">',
    "<!-- ' & \u2028 \u202e \x00 ]]> {{style}} {{plan}}",
    "x" * 3000,
    "javascript:window.taken=1",
)
# Texts that are no names of anything: fields with fixed values are left as they are.
_FREE = (
    "change",
    "text",
    "rule",
    "name",
    "value",
    "why",
    "provider",
    "instance",
    "region",
    "accelerator",
    "source",
    "evidence",
    "input",
    "unit",
)


def effects(document: Document) -> list[Document]:
    """Effects of five inputs, in both directions or in one, on dollars and time or on one of them."""
    bill = document["quotes"][0]["bills"][0]
    usd, time = bill["total_usd"]["mid"], bill["wall_clock_s"]["mid"]
    tried = (
        ("tokens", (("half", 0.5, 0.5), ("twice", 2.0, 2.0))),
        ("MFU", (("30 %", 1.3, 1.3), ("45 %", 0.8, 0.8))),
        ("price", (("-20 %", 0.8, 1.0), ("+20 %", 1.2, 1.0))),
        ("failures", (("none", 1.0, 0.97),)),
        ("power", (("less", None, 1.0), ("more", None, 1.0))),
    )
    return [
        {
            "input": name,
            "value": "as it is",
            "origin": "assumed",
            "changes": [
                {"value": told, "total_usd": None if u is None else usd * u, "wall_clock_s": time * t}
                for told, u, t in changes
            ],
        }
        for name, changes in tried
    ]


def ordinary(document: Document) -> Document:
    """As zenplan gives it, with effects."""
    return document | {"sensitivity": document["sensitivity"] or effects(document)}


def limited(document: Document) -> Document:
    """A deadline and a budget in the middle of the picture, that nothing meets."""
    usd = [p["total_usd"]["mid"] for p in document["frontier"]]
    time = [p["wall_clock_s"]["mid"] for p in document["frontier"]]
    told: Document = {
        "met": False,
        "verdict": "nothing meets that; the nearest misses the deadline of 1.00 h by 12 min",
    }
    told["would_help"] = [
        {"change": "--billing spot", "text": "spot would: $4,400", "total_usd": 4400.0, "wall_clock_s": 1e5},
        {"change": "--deadline 5d", "text": "by then for as much", "total_usd": None, "wall_clock_s": 1e5},
    ]
    limits = {"deadline_s": (min(time) * max(time)) ** 0.5, "budget_usd": (min(usd) * max(usd)) ** 0.5}
    return ordinary(document) | told | limits


def spread(document: Document) -> Document:
    """A project of many costs over many months, in another currency, with judgements."""
    costs = [
        {"name": name, "usd": usd, "counted": counted, "origin": origin, "why": "for a reason"}
        for name, usd, counted, origin in (
            ("runs", {"low": 4e5, "mid": 5e5, "high": 9e5}, True, "derived"),
            ("data", {"low": 5e3, "mid": 5e3, "high": 5e3}, True, "given"),
            ("experiments", {"low": 1e5, "mid": 2e5, "high": 3e5}, False, "assumed"),
            ("labels", None, False, "assumed"),
        )
    ]
    total, wall = {"low": 4.05e5, "mid": 5.05e5, "high": 9.05e5}, {"low": 1e7, "mid": 2e7, "high": 3e7}
    months = [{"month": f"2026-{number:02d}", "usd": 5e5 / 12} for number in range(1, 13)]
    around = {"costs": costs, "total_usd": total, "wall_clock_s": wall, "months": months}
    currency = {"code": "JPY", "per_usd": 151.3, "as_of": "2026-11-20"}
    judged = {"judgement": ["that is 8 % of what is usual for its size", "four passes are nearly as good as new"]}
    return ordinary(document) | judged | {"project": around, "currency": currency}


def alone(document: Document) -> Document:
    """One quote, one point, ranges of no width, nothing else known."""
    quote = copy.deepcopy(document["quotes"][0])
    quote["labels"] = ["recommended", "cheapest", "fastest"]
    (bill, *_) = quote["bills"]
    for value in bill.values():
        if isinstance(value, dict):
            value["low"] = value["high"] = value["mid"]
    quote |= {"bills": [bill], "energy": None, "input": None, "prices": {"on-demand": None, "spot": None}}
    bill |= {"storage_usd": None, "egress_usd": None}
    point = document["frontier"][0] | {n: bill[n] for n in ("total_usd", "wall_clock_s")}
    point |= {n: quote[n] for n in ("labels", "provider", "instance", "region", "machines", "devices")}
    empty = {"sensitivity": [], "left_out": [], "here": [], "inputs": document["inputs"][:1], "finish": None}
    return document | empty | {"quotes": [quote], "frontier": [point | {"price_as_of": None}]}


def many(document: Document) -> Document:
    """450 points on the frontier, with texts of the usual length."""
    first, points = document["frontier"][0], []
    for number in range(450):
        usd, time = 100 * 1.02**number, 1e7 / 1.018**number
        ranges = {
            name: {"low": mid * 0.8, "mid": mid, "high": mid * 1.4}
            for name, mid in (("total_usd", usd), ("wall_clock_s", time))
        }
        points.append(first | ranges | {"labels": [], "instance": f"machine-{number}"})
    points[0]["labels"], points[-1]["labels"], points[200]["labels"] = ["cheapest"], ["fastest"], ["recommended"]
    return ordinary(document) | {"frontier": points}


def sized(factor: float) -> Callable[[Document], Document]:
    """The plan with all dollars, times and bytes multiplied."""

    def grown(value: Any, name: str = "", of_size: bool = False) -> Any:
        of_size = of_size or f"_{name}".endswith(("_usd", "_s", "_bytes"))
        if isinstance(value, dict):
            return {n: grown(v, n, of_size) for n, v in value.items()}
        if isinstance(value, list):
            return [grown(each) for each in value]
        return value * factor if of_size and isinstance(value, float) else value

    return lambda document: dict(grown(ordinary(document)))


def free(document: Document) -> Document:
    """Machines of one's own: they cost nothing."""

    def spent(value: Any, name: str = "") -> Any:
        if name.endswith("_usd") and value is not None:
            return {"low": 0.0, "mid": 0.0, "high": 0.0} if isinstance(value, dict) else 0.0
        if isinstance(value, dict):
            return {n: spent(v, n) for n, v in value.items()}
        return [spent(each) for each in value] if isinstance(value, list) else value

    return dict(spent(ordinary(document)))


def hostile(document: Document) -> Document:
    """Every free text is one that would do harm in a page."""
    count = iter(range(10**6))

    def spoiled(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {n: spoiled(v, n) for n, v in value.items()}
        if isinstance(value, list):
            return [spoiled(each, name) for each in value]
        if isinstance(value, str) and name in _FREE:
            return f"{value} {HOSTILE[next(count) % len(HOSTILE)]}"
        return value

    return dict(spoiled(many(spread(document))))


KINDS: dict[str, Callable[[Document], Document]] = {
    "ordinary": ordinary,
    "limited": limited,
    "spread": spread,
    "alone": alone,
    "many": many,
    "huge": sized(1e12),
    "tiny": sized(1e-12),
    "free": free,
    "hostile": hostile,
}
