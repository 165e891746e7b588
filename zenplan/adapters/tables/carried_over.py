"""How well a measured step carries: ``data/carried_over.csv``, written by ``benchmarks/carried_over.py``."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from zenplan.domain.fit.correction import CarriedOver

_TABLE = Path(__file__).parents[2] / "data" / "carried_over.csv"


@cache
def read_carried_over() -> Mapping[str, CarriedOver]:
    """Kind of pair to what pairs of published runs say of it. Raises DataError: a figure is impossible."""
    rows = csv.DictReader(_TABLE.read_text(encoding="utf-8").splitlines())
    return {
        row["kind"]: CarriedOver(
            kind=row["kind"],
            power=float(row["power"]),
            down=float(row["down"]),
            up=float(row["up"]),
            pairs=int(row["pairs"]),
            publishers=int(row["publishers"]),
        )
        for row in rows
    }
