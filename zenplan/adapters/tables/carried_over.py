"""How well a measured step carries: ``data/carried_over.csv``, written by ``benchmarks/carried_over.py``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from zenplan.adapters.files.csv_file import data_rows
from zenplan.domain.fit.correction import CarriedOver

_COLUMNS = ("kind", "power", "down", "up", "pairs", "publishers", "median", "source", "date")


@cache
def read_carried_over() -> Mapping[str, CarriedOver]:
    """Kind of pair to what pairs of published runs say of it. Raises DataError: a figure is impossible."""
    return {
        row.cells["kind"]: CarriedOver(
            kind=row.cells["kind"],
            power=row.number_or_none("power") or 0.0,
            down=row.number("down"),
            up=row.number("up"),
            pairs=row.whole_or_zero("pairs"),
            publishers=row.whole_or_zero("publishers"),
        )
        for row in data_rows("carried_over.csv", _COLUMNS)
    }
