"""The fitted coefficients of the step-time model: ``data/coefficients.json``, written by ``benchmarks/fit.py``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, get_type_hints

from zenplan.adapters.files.csv_file import data_rows
from zenplan.adapters.files.data import data_text
from zenplan.domain.fit.coefficients import OTHERS, Coefficient, Coefficients
from zenplan.domain.fit.efficiency import CarriedOver, Efficiency, Interval
from zenplan.errors import DataError

SCHEMA = "zenplan/coefficients/2"
NAMES = {name for name, kind in get_type_hints(Efficiency).items() if kind is float} - {"wide_matmul"} | OTHERS.keys()


@cache
def read_coefficients() -> Coefficients:
    """The coefficients that come with zenplan.

    Raises:
        DataError: the file is not what it should be.
    """
    return coefficients_of(json.loads(data_text("coefficients.json")))


def coefficients_of(document: Mapping[str, Any]) -> Coefficients:
    """The coefficients of a document of that schema."""
    try:
        if document["schema"] != SCHEMA:
            raise DataError(f"coefficients: schema '{document['schema']}' is not '{SCHEMA}'")
        fitted = document["fitted"]
        if missing := NAMES - set(document["coefficients"]):
            raise DataError(f"coefficients: no {sorted(missing)[0]}")
        return Coefficients(
            all={name: Coefficient(name=name, **each) for name, each in document["coefficients"].items()},
            interval=_interval_of(document["interval"]),
            other_interval=_interval_of(document["other_interval"]),
            source=f"{fitted['by']} on {fitted['on']}, {fitted['date']}",
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"coefficients: {error}") from error


def document_of(coefficients: Coefficients, fitted: Mapping[str, Any]) -> dict[str, Any]:
    """The document that ``coefficients_of`` reads back; ``fitted`` is the provenance."""
    return {
        "schema": SCHEMA,
        "fitted": dict(fitted),
        "coefficients": {
            name: {
                "value": float(f"{c.value:.4g}"),
                "unit": c.unit,
                "meaning": c.meaning,
                "least": c.least,
                "most": c.most,
                "factors": {g: float(f"{f:.4g}") for g, f in sorted(c.factors.items())},
            }
            for name, c in coefficients.all.items()
        },
        "interval": _interval(coefficients.interval),
        "other_interval": _interval(coefficients.other_interval),
    }


def _interval_of(document: Mapping[str, Any]) -> Interval:
    return Interval(**{**document, "seen": frozenset(document["seen"])})


def _interval(i: Interval) -> dict[str, Any]:
    return {
        "new": round(i.new, 4),
        "known": round(i.known, 4),
        "basis": i.basis,
        "devices": i.devices,
        "seen": sorted(i.seen),
        "factors": {name: round(f, 3) for name, f in sorted(i.factors.items())},
    }


# --- what carries over

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
