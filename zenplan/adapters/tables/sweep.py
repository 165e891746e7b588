"""Candidates of a sweep: ``data/sweep.json``, written by ``benchmarks/sweep_points.py``.

Their features do not depend on the device, so they were counted once.
"""

from __future__ import annotations

import json
from functools import cache

from zenplan.adapters.files.data import data_text
from zenplan.domain.measured.calibration import SweepPoint
from zenplan.errors import DataError

SCHEMA = "zenplan/sweep/1"


@cache
def read_sweep() -> tuple[SweepPoint, ...]:
    """Every candidate, from the smallest to the largest.

    Raises:
        DataError: the file is not what it should be.
    """
    document = json.loads(data_text("sweep.json"))
    try:
        if document["schema"] != SCHEMA:
            raise DataError(f"sweep: schema '{document['schema']}' is not '{SCHEMA}'")
        points = [SweepPoint(**each) for each in document["points"]]
    except (KeyError, TypeError) as error:
        raise DataError(f"sweep: {error}") from error
    return tuple(sorted(points, key=lambda p: p.flop))
