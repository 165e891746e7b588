"""The frontier of dollars against time, drawn in SVG: every plan a mark with its range, the named ones with their names.

The picture stands by itself; ``page.js`` adds that a plan is shown where one points at it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from zenplan.adapters.page import figures
from zenplan.adapters.page.figures import Money, Object
from zenplan.adapters.page.markup import Markup, element
from zenplan.adapters.page.scale import Scale, money_ticks, scale_of, time_ticks

# More marks than that are no picture any more.
MOST_POINTS: Final = 200
# With more plans the ranges are drawn of those alone that have a name or are pointed at.
_MOST_RANGES: Final = 24
_LETTER_PX, _BOLD_PX, _LINE_PX, _AIR_PX = 7.0, 8.0, 15.0, 4.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 14.0, 30.0, 46.0


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle that something takes."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """The area that both take."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return across * down if across > 0 and down > 0 else 0.0

    def inside(self, other: Box) -> bool:
        """Whether all of it lies in the other."""
        wide = self.left >= other.left and self.right <= other.right
        return wide and self.top >= other.top and self.bottom <= other.bottom


def drawn(points: Sequence[Object]) -> list[Object]:
    """The plans with a price, from cheap to dear: all of them, or the named ones and evenly many of the others."""
    ordered = sorted(
        (p for p in points if p["total_usd"]), key=lambda p: (p["total_usd"]["mid"], -p["wall_clock_s"]["mid"])
    )
    if len(ordered) <= MOST_POINTS:
        return ordered
    named = [index for index, p in enumerate(ordered) if p["labels"]][:MOST_POINTS]
    room = MOST_POINTS - len(named)
    kept = {*named, *(i * (len(ordered) - 1) // max(room - 1, 1) for i in range(room))}
    return [ordered[index] for index in sorted(kept)]


def chart(
    points: Sequence[Object], width: float, height: float, kind: str, limits: dict[str, Any], money: Money
) -> Markup:
    """The drawing.

    Args:
        points: as ``drawn`` gives them, at least one.
        width: in pixels, as is the height.
        height: of it.
        kind: its class: which screens it is for.
        limits: ``deadline_s`` and ``budget_usd``, None where there is none.
        money: how amounts are shown.
    """
    across = [v for p in points for v in figures.range_of(p["wall_clock_s"]) or ()]
    up = [v for p in points for v in figures.range_of(p["total_usd"]) or ()]
    x = scale_of(across, _LEFT, width - _RIGHT)
    y = scale_of(up, height - _BOTTOM, _TOP)
    middles = [(x.at(p["wall_clock_s"]["mid"]), y.at(p["total_usd"]["mid"])) for p in points]
    lines, taken = _limits(x, y, limits)
    ranges = "few" if len(points) <= _MOST_RANGES else "many"
    order = sorted(range(len(points)), key=lambda i: bool(points[i]["labels"]))
    return element(
        "svg",
        *_axes(x, y, width, height, money),
        *lines,
        element("path", class_="frontier", d=_line(middles), aria_hidden="true"),
        element("g", *(_mark(points[i], i, x, y) for i in order), class_="points"),
        *_labels(points, middles, Box(_LEFT, _TOP - 8, width, height - _BOTTOM), taken, money),
        class_=f"chart {kind} {ranges}",
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=_told(points, money),
    )


def _line(middles: Sequence[tuple[float, float]]) -> Markup:
    """Through the plans that no cheaper one is as fast as."""
    steps: list[str] = []
    fastest = math.inf
    for across, up in middles:
        if across < fastest:
            steps.append(f"{'L' if steps else 'M'}{across:.1f} {up:.1f}")
            fastest = across
    return Markup(" ".join(steps))


def _told(points: Sequence[Object], money: Money) -> str:
    cheap, fast = points[0], min(points, key=lambda p: float(p["wall_clock_s"]["mid"]))
    return (
        f"{money.name} against time of {len(points)} plans, from {money.text(cheap['total_usd'])} in "
        f"{figures.time(cheap['wall_clock_s'])} to {money.text(fast['total_usd'])} in {figures.time(fast['wall_clock_s'])}"
    )


def _axes(x: Scale, y: Scale, width: float, height: float, money: Money) -> Iterator[Markup]:
    foot = height - _BOTTOM
    for value, text in money_ticks(y, 6, money.sign, money.per_usd):
        at = y.at(value)
        yield element("line", class_="grid", x1=_LEFT, x2=width - _RIGHT, y1=at, y2=at)
        yield element("text", text, class_="tick", x=_LEFT - 8, y=at + 4, text_anchor="end")
    for value, text in _apart(x, time_ticks(x, 8)):
        at = x.at(value)
        yield element("line", class_="grid", x1=at, x2=at, y1=_TOP, y2=foot)
        yield element("text", text, class_="tick", x=at, y=foot + 18, text_anchor="middle")
    yield element("text", f"{money.name}{_log(y)}", class_="axis", x=2.0, y=14.0)
    what = f"Time from start to end{_log(x)}"
    yield element("text", what, class_="axis", x=width - _RIGHT, y=height - 6, text_anchor="end")


def _log(scale: Scale) -> str:
    return ", logarithmic" if scale.logarithmic else ""


def _apart(scale: Scale, ticks: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Ticks whose texts do not touch each other."""
    kept: list[tuple[float, str]] = []
    free = -math.inf
    for value, text in ticks:
        half = len(text) * _LETTER_PX / 2
        if scale.at(value) - half >= free and scale.at(value) + half <= scale.end + _RIGHT:
            kept.append((value, text))
            free = scale.at(value) + half + 10
    return kept


def _limits(x: Scale, y: Scale, limits: dict[str, Any]) -> tuple[list[Markup], list[Box]]:
    """Lines at the deadline and the budget, where they lie in the picture, and the room that their names take."""
    deadline, budget = limits.get("deadline_s"), limits.get("budget_usd")
    drawn, taken = [], []
    if deadline and x.low < deadline < x.high:
        at = x.at(deadline)
        drawn.append(element("line", class_="limit", x1=at, x2=at, y1=y.start, y2=y.end))
        drawn.append(element("text", "deadline", class_="axis", x=at - 6, y=y.start - 6, text_anchor="end"))
        taken.append(Box(at - 6 - 8 * _LETTER_PX, y.start - 6 - _LINE_PX, at, y.start))
    if budget and y.low < budget < y.high:
        at = y.at(budget)
        drawn.append(element("line", class_="limit", x1=x.start, x2=x.end, y1=at, y2=at))
        # Above the line at its right end, but below it where it is the deadline's place.
        box = Box(x.end - 6 * _LETTER_PX, at - 5 - _LINE_PX, x.end, at)
        high = any(box.overlap(other) for other in taken)
        drawn.append(element("text", "budget", class_="axis", x=x.end, y=at + (15 if high else -5), text_anchor="end"))
        taken.append(Box(box.left, at, box.right, at + 5 + _LINE_PX) if high else box)
    return drawn, taken


def _mark(point: Object, row: int, x: Scale, y: Scale) -> Markup:
    """A plan: its range in both directions, and a mark whose shape says which it is without colour."""
    time, usd = point["wall_clock_s"], point["total_usd"]
    cx, cy = x.at(time["mid"]), y.at(usd["mid"])
    name = point["labels"][0] if point["labels"] else ""
    return element(
        "g",
        element("line", class_="range", x1=x.at(time["low"]), x2=x.at(time["high"]), y1=cy, y2=cy),
        element("line", class_="range", x1=cx, x2=cx, y1=y.at(usd["low"]), y2=y.at(usd["high"])),
        element("circle", class_="ring", cx=cx, cy=cy, r=11.0),
        _shape(name, cx, cy),
        class_=f"point {'named' if name else 'plain'} {name}".strip(),
        data_row=str(row),
    )


def _shape(name: str, cx: float, cy: float) -> Markup:
    if name == "cheapest":
        return element("rect", class_="mark", x=cx - 5.5, y=cy - 5.5, width=11.0, height=11.0)
    if name == "fastest":
        corners = f"{cx:.1f},{cy - 7.5:.1f} {cx + 7:.1f},{cy + 5.5:.1f} {cx - 7:.1f},{cy + 5.5:.1f}"
        return element("polygon", class_="mark", points=corners)
    return element("circle", class_="mark", cx=cx, cy=cy, r=7.0 if name else 4.0)


def _labels(
    points: Sequence[Object], middles: list[tuple[float, float]], frame: Box, lines: Sequence[Box], money: Money
) -> Iterator[Markup]:
    """The names of the named plans, each where it covers least."""
    marks = [Box(a - 6, b - 6, a + 6, b + 6) for a, b in middles]
    taken = list(lines)
    for point, (a, b) in zip(points, middles, strict=True):
        if not point["labels"]:
            continue
        title = ", ".join(point["labels"]).capitalize()
        under = f"{money.text(point['total_usd'])}, {figures.time(point['wall_clock_s'])}"
        box = _free(a, b, max(len(title) * _BOLD_PX, len(under) * _LETTER_PX), frame, taken, marks)
        if box is None:
            continue
        taken.append(box)
        yield element(
            "text",
            element("tspan", title, class_="name", x=box.left + _AIR_PX, y=box.top + _LINE_PX - 2),
            element("tspan", under, x=box.left + _AIR_PX, y=box.top + 2 * _LINE_PX - 2),
            class_=f"label {point['labels'][0]}",
        )


def _free(a: float, b: float, width: float, frame: Box, taken: Sequence[Box], marks: Sequence[Box]) -> Box | None:
    """Where around a mark two lines of text have most room; None where there is none at all."""
    wide, high = width + 2 * _AIR_PX, 2 * _LINE_PX + _AIR_PX
    best, least = None, math.inf
    for away in (15.0, 26.0, 42.0, 60.0):
        for left, top in (
            (a + away, b - high - away / 4),
            (a + away, b + away / 4),
            (a - away - wide, b - high - away / 4),
            (a - away - wide, b + away / 4),
            (a - wide / 2, b - high - away),
            (a - wide / 2, b + away),
        ):
            left = min(max(left, frame.left), frame.right - wide)
            box = Box(left, top, left + wide, top + high)
            if not box.inside(frame) or any(box.overlap(other) for other in taken):
                continue
            cost = away * 4 + sum(box.overlap(mark) for mark in marks)
            if cost < least:
                best, least = box, cost
    return best


def table(points: Sequence[Object], today: str, money: Money) -> Markup:
    """The same plans as rows; ``page.js`` shows the one of them that is pointed at."""
    head = ("Plan", "Where", "Cost", "Range of the cost", "Time", "Range of the time", "Price seen", "Called")
    rows = (
        (
            figures.machines(p),
            figures.place(p),
            money.text(p["total_usd"]),
            money.span(p["total_usd"]),
            figures.time(p["wall_clock_s"]),
            figures.time_span(p["wall_clock_s"]),
            figures.seen(p["price_as_of"], today),
            ", ".join(p["labels"]),
        )
        for p in points
    )
    numeric = {2, 3, 4, 5}
    return element(
        "table",
        element("thead", element("tr", *(_cell("th", text, i in numeric) for i, text in enumerate(head)))),
        element(
            "tbody",
            *(element("tr", *(_cell("td", text, i in numeric) for i, text in enumerate(row))) for row in rows),
        ),
        class_="plain-table",
        id="frontier-rows",
    )


def _cell(name: str, text: str, numeric: bool) -> Markup:
    return element(name, text, class_="number" if numeric else None, scope="col" if name == "th" else None)
