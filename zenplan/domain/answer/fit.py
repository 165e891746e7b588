"""Fit: whether a step is found to fit a device's memory, as surely as published peaks let us say so."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Fit(StrEnum):
    """What the memory model finds."""

    YES = "fits"
    TIGHT = "tight"
    NO = "does not fit"


# Of a device's memory: up to the first a predicted peak fits, beyond the second it does not. Of published peaks, each
# publisher weighing the same, a share of HIGHER lie so far above the predicted ones that one at the first limit would
# not have fitted, and LOWER so far below that one at the second limit would have (benchmarks/memory.py).
FITS_UP_TO: Final = 0.88
TIGHT_UP_TO: Final = 1.15
HIGHER, LOWER = 0.30, 0.05


def fit_of(share: float) -> Fit:
    """By the predicted peak as a share of the device's memory."""
    if share <= FITS_UP_TO:
        return Fit.YES
    return Fit.TIGHT if share <= TIGHT_UP_TO else Fit.NO
