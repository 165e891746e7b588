"""The fitted coefficients of serving: ``data/serving.json``, written by ``benchmarks/serving.py``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from zenplan.adapters.files.data import data_text
from zenplan.domain.fit.coefficients import Coefficient
from zenplan.domain.fit.efficiency import Interval
from zenplan.domain.serving.efficiency import NAMES, ServingFit
from zenplan.errors import DataError

SCHEMA: Final = "zenplan/serving-coefficients/1"
_INTERVALS: Final = ("throughput", "ttft", "tpot")


@cache
def read_serving() -> ServingFit:
    """The serving coefficients that come with zenplan. Raises DataError: the file is not what it should be."""
    return fit_of(json.loads(data_text("serving.json")))


def fit_of(document: Mapping[str, Any]) -> ServingFit:
    """The fit of a document of that schema. Raises DataError: it is not one."""
    try:
        if document["schema"] != SCHEMA:
            raise DataError(f"serving coefficients: schema '{document['schema']}' is not '{SCHEMA}'")
        return ServingFit(
            all={name: Coefficient(name=name, **document["coefficients"][name]) for name in NAMES},
            source=document["source"],
            **{
                name: Interval(new=each["width"], known=each["width"], basis=each["basis"])
                for name, each in document["intervals"].items()
            },
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"serving coefficients: {error}") from error


def document_of(found: ServingFit) -> dict[str, Any]:
    """The document that ``fit_of`` reads back."""
    return {
        "schema": SCHEMA,
        "source": found.source,
        "coefficients": {
            name: {
                "value": float(f"{c.value:.4g}"),
                "unit": c.unit,
                "meaning": c.meaning,
                "least": c.least,
                "most": c.most,
                "factors": {g: float(f"{f:.4g}") for g, f in sorted(c.factors.items())},
            }
            for name, c in found.all.items()
        },
        "intervals": {
            name: {"width": round(getattr(found, name).new, 4), "basis": getattr(found, name).basis}
            for name in _INTERVALS
        },
    }
