"""Tables of the page: rows of texts, with a bar where a part of a whole is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zenplan.adapters.page.markup import Child, Markup, element, joined


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a whole.

    Attributes:
        name: what it is.
        amount: as shown.
        note: under its name, in small letters.
        range: from low to high, as shown; empty where there is none.
        share: of the whole, 0 to 1; None where it is not known.
        counted: in the total.
        free: it is what is left over: its bar is drawn as an outline.
    """

    name: str
    amount: str
    range: str = ""
    note: str = ""
    share: float | None = None
    free: bool = False
    counted: bool = True


def parts_table(what: str, parts: Iterable[Part], total: Part) -> Markup:
    """Parts with their bars and, under them, the whole."""
    rows = (_part_row(part) for part in parts)
    return element(
        "table",
        element("caption", what, class_="unseen"),
        element("thead", _row("th", ("Part", "Amount", "Share")), class_="unseen"),
        element("tbody", *rows),
        element("tfoot", _part_row(total, whole=True)),
        class_="parts",
    )


def _part_row(part: Part, whole: bool = False) -> Markup:
    under = (part.range, "" if part.counted else "not in the total")
    amount = (part.amount, *(element("small", text) for text in under if text))
    share = "" if part.share is None else _percent(part.share)
    bar = None if part.share is None or whole else share_bar(part.share, part.free)
    return element(
        "tr",
        element("th", part.name, element("small", part.note) if part.note else None, scope="row"),
        element("td", *amount, class_="number"),
        element("td", *((bar, element("span", share, class_="share")) if bar else ()), class_="bar-cell"),
    )


def _percent(share: float) -> str:
    """A share in few letters, also of a total that another program wrote wrong."""
    if share < 0.005:
        return "< 1 %"
    return f"{100 * share:.0f} %" if share < 1.005 else "> 100 %"


def share_bar(share: float, free: bool = False) -> Markup:
    """A bar as long as the share, of 0 to 1."""
    return element(
        "svg",
        element("rect", class_="track", x=0.0, y=0.0, width=100.0, height=8.0),
        element("rect", class_="free" if free else "fill", x=0.0, y=0.0, width=100 * min(max(share, 0), 1), height=8.0),
        class_="bar",
        viewBox="0 0 100 8",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def stacked_table(what: str, head: Sequence[str], rows: Iterable[Sequence[Child]], class_: str = "") -> Markup:
    """A table whose cells stand under each other on a narrow screen, each with the name of its column."""
    return element(
        "table",
        element("caption", what, class_="unseen"),
        element("thead", _row("th", head)),
        element("tbody", *(_stacked_row(head, row) for row in rows)),
        class_=f"stacked {class_}".strip(),
    )


def _row(name: str, cells: Sequence[str]) -> Markup:
    return element("tr", *(element(name, cell, scope="col" if name == "th" else None) for cell in cells))


def _stacked_row(head: Sequence[str], row: Sequence[Child]) -> Markup:
    first, *others = row
    cells = (element("td", cell, data_name=name) for name, cell in zip(head[1:], others, strict=True))
    return element("tr", element("th", first, scope="row"), *cells)


def pairs(rows: Iterable[tuple[str, Child]]) -> Markup:
    """Names and values side by side."""
    return element(
        "dl",
        *(element("div", element("dt", name), element("dd", value)) for name, value in rows if value not in (None, "")),
    )


def with_range(amount: str, span: str) -> Markup:
    """A figure with its range in small letters."""
    return joined((amount, element("small", span) if span else None))
