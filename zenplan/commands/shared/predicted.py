"""A table of what is predicted, a row a figure: its middle, and its range of 80 % beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zenplan import units
from zenplan.domain.range import Range
from zenplan.domain.report import Column, Table


def predicted_table(rows: Sequence[tuple[str, str, str]]) -> Table:
    """The table. Each row has what it is of, the middle, and the range, or whatever else is to be said there."""
    columns = (Column(name=""), Column(name="predicted", numeric=True), Column(name="80 % range", numeric=True))
    return Table(columns=columns, rows=tuple(rows))


def middle_and_range(found: Range, show: Callable[[float], str]) -> tuple[str, str]:
    """The last two cells of a row; the range is empty where the figure is exact."""
    return show(found.mid), units.span(show(found.low), show(found.high)) if found.low < found.high else ""


def small_usd(usd: float) -> str:
    """Dollars of which the cents may be cut: $0.0184, $2.99."""
    return f"${units.significant(usd)}" if 0 < usd < 1.0 else units.usd(usd)
