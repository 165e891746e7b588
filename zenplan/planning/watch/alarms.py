"""Alarms: what somebody who is not looking wants to be told of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from zenplan import units
from zenplan.domain.range import Range

DRIFT, LATE, DEAR, NO_NUMBER, SILENT = "drift", "late", "dear", "loss", "silent"
# A run writes how it stands every five seconds: six times in a row it has not.
SILENT_S: Final = 30.0


def alarms_of(
    *,
    elapsed_s: float,
    left_s: Range | None,
    predicted_s: Range | None,
    usd: float | None,
    usd_end: Range | None,
    predicted_usd: Range | None,
    loss: float | None,
    drift: str,
    silent_s: float,
) -> Mapping[str, str]:
    """Those that hold now, by kind, a line each.

    A run is late, or dear, once it is past the upper end of what was predicted, or will be even where what is left comes
    out at its lower end.

    Args:
        elapsed_s, usd: so far.
        left_s: until the end.
        usd_end: at the end.
        predicted_s, predicted_usd: of all of it.
        loss: of the last step; None before the first.
        drift: a line, where steps are not as predicted.
        silent_s: since the last sign of life.
    """
    found = {}
    if drift:
        found[DRIFT] = drift
    if predicted_s is not None:
        past = elapsed_s > predicted_s.high
        end_s = elapsed_s if past or left_s is None else elapsed_s + left_s.low
        if end_s > predicted_s.high:
            took, most = units.duration(end_s), units.duration(predicted_s.high)
            found[LATE] = f"behind schedule: {_so(past, 'taken', 'take')} {took}, and {most} at most was predicted"
    if predicted_usd is not None and usd is not None:
        past = usd > predicted_usd.high
        end_usd = usd if past or usd_end is None else max(usd, usd_end.low)
        if end_usd > predicted_usd.high:
            cost, most = units.usd_apart(end_usd, predicted_usd.high)
            found[DEAR] = f"dearer than predicted: {_so(past, 'cost', 'cost')} {cost}, and {most} at most was predicted"
    if loss is not None and not math.isfinite(loss):
        found[NO_NUMBER] = "the loss is no number any more"
    if silent_s >= SILENT_S:
        found[SILENT] = f"no sign of life for {units.duration(silent_s, 2)}"
    return found


def _so(past: bool, done: str, do: str) -> str:
    return f"it has {done}" if past else f"it will {do} at least"
