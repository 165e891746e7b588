"""The fitted coefficients of the step-time model, by generation of accelerators."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files

from zenplan.domain.accelerator import Accelerator
from zenplan.domain.efficiency import Efficiency, Spread
from zenplan.errors import DataError

# The row of generations that no published run measured.
OTHERS = "*"
_COEFFICIENTS = (
    "matmul", "attention", "memory", "link", "pcie", "network", "operator_s", "link_hop_s", "network_hop_s",
)  # fmt: skip


def read_efficiencies() -> Mapping[str, Efficiency]:
    """Architecture name to its coefficients; ``*`` is for those that no published run measured.

    Raises:
        DataError: a row of the table is not valid.
    """
    text = (files("zenplan") / "data" / "efficiency.csv").read_text(encoding="utf-8")
    rows = {row["architecture"]: _efficiency(row) for row in csv.DictReader(text.splitlines())}
    if OTHERS not in rows:
        raise DataError(f"efficiency.csv: no row '{OTHERS}' for generations that were not measured")
    return rows


def efficiency_of(sheet: Accelerator, table: Mapping[str, Efficiency]) -> Efficiency:
    """The coefficients of an accelerator's generation, or the common ones, which then say so."""
    if sheet.architecture in table:
        return table[sheet.architecture]
    common = table[OTHERS]
    basis = f"no published run of {sheet.architecture}; {common.spread.basis}"
    return replace(common, spread=replace(common.spread, basis=basis))


def _efficiency(row: Mapping[str, str]) -> Efficiency:
    try:
        values = {name: float(row[name]) for name in _COEFFICIENTS}
        spread = Spread(
            low=float(row["spread_low"]), high=float(row["spread_high"]), basis=row["spread_basis"]
        )
    except (KeyError, ValueError) as error:
        raise DataError(f"efficiency.csv, {row.get('architecture', '?')}: {error}") from error
    return Efficiency(
        architecture=row["architecture"], **values, spread=spread, source=f"{row['source']}, {row['date']}"
    )
