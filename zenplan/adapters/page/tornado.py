"""Sensitivity: what each input moves, the largest first, as bars to both sides of the plan's own figure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from zenplan.adapters.page import figures
from zenplan.adapters.page.figures import Object
from zenplan.adapters.page.markup import Markup, element
from zenplan.adapters.page.sections import bill_of, section

_MOST: Final = 15
Column = tuple[str, str, Callable[[float], str]]


def sensitivity(document: Object) -> Markup | None:
    """A row for each input: its bars in dollars, where there is a price, and in time; None where nothing was tried."""
    rows: Sequence[Object] = document["sensitivity"][:_MOST]
    bill = bill_of(document, document["quotes"][0])
    if not rows or bill is None:
        return None
    # The names of the columns, the field of a change, and how it is written.
    every: tuple[Column, ...] = (
        ("Cost", "total_usd", figures.money_of(document).text),
        ("Time", "wall_clock_s", figures.short_time),
    )
    middles = {field: figures.middle(bill[field]) for _, field, _ in every}
    base = {field: middle for field, middle in middles.items() if middle is not None}
    columns = [column for column in every if column[1] in base]
    head = element(
        "tr",
        element("th", "Input", scope="col"),
        *(element("th", f"{name}, from {show(base[field])}", scope="col") for name, field, show in columns),
    )
    extent = {field: _extent(rows, field, base[field]) for _, field, _ in columns}
    table = element(
        "table",
        element("caption", f"Sensitivity of {' and '.join(name.lower() for name, *_ in columns)}", class_="unseen"),
        element("thead", head),
        element("tbody", *(_row(row, columns, base, extent) for row in rows)),
        class_="tornado",
    )
    lead = "Each input moved alone, all others as they are. The line in the middle is the recommended plan."
    return section("sensitivity", "What would change the answer", table, lead=lead)


def _values(row: Object, field: str) -> list[tuple[float, str]]:
    """The figures that the changes lead to, with the values that lead there, the smallest first."""
    found = ((figures.middle(change[field]), str(change["value"])) for change in row["changes"])
    return sorted((value, told) for value, told in found if value is not None)


def _extent(rows: Iterable[Object], field: str, base: float) -> tuple[float, float]:
    every = [value for row in rows for value, _ in _values(row, field)]
    return min([base, *every]), max([base, *every])


def _row(
    row: Object, columns: Sequence[Column], base: dict[str, float], extent: dict[str, tuple[float, float]]
) -> Markup:
    cells = (
        element("td", *_cell(row, field, show, base[field], extent[field]), data_name=name)
        for name, field, show in columns
    )
    told = f"{row['value']}, {row['origin']}"
    return element("tr", element("th", row["input"], element("small", told), scope="row"), *cells)


def _cell(row: Object, field: str, show: Any, base: float, extent: tuple[float, float]) -> Iterator[Markup]:
    """The figure of each change at its side of the bar, with the value that makes it."""
    found = _values(row, field)
    if not found:
        yield element("span", figures.NOT_KNOWN)
        return
    less, more = (found[0] if found[0][0] < base else None), (found[-1] if found[-1][0] > base else None)
    yield _end(less, show, "low")
    yield _bar(less[0] if less else base, more[0] if more else base, base, extent)
    yield _end(more, show, "high")


def _end(found: tuple[float, str] | None, show: Any, class_: str) -> Markup:
    if found is None:
        return element("span", "–", class_=class_)
    return element("span", show(found[0]), element("small", found[1]), class_=class_)


def _bar(low: float, high: float, base: float, extent: tuple[float, float]) -> Markup:
    least, most = extent
    stretch = (most - least) or 1.0

    def at(value: float) -> float:
        return 100 * (value - least) / stretch

    middle = at(base)
    return element(
        "svg",
        element("rect", class_="less", x=at(low), y=2.0, width=middle - at(low), height=10.0),
        element("rect", class_="more", x=middle, y=2.0, width=at(high) - middle, height=10.0),
        element("line", class_="base", x1=middle, x2=middle, y1=0.0, y2=14.0),
        class_="bar",
        viewBox="0 0 100 14",
        preserveAspectRatio="none",
        aria_hidden="true",
    )
