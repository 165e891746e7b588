"""Fit: whether a step is found to fit a device's memory, as surely as published peaks let us say so."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Fit(StrEnum):
    """What the memory model finds."""

    YES = "fits"
    TIGHT = "tight"
    NO = "does not fit"


# Of a device's memory: up to the first a predicted peak fits, beyond the second it does not.
#
# The first is 1/1.17: within that factor, up and down, lie 80 % of the published peaks of a publisher that it was not
# chosen on, as the mean over publishers. The second is further off than that factor: at it no more than 3 % of the
# published runs, all of which were made, are called impossible. ``benchmarks/memory.py`` prints both.
FITS_UP_TO: Final = 0.85
TIGHT_UP_TO: Final = 1.20
# And a plan of which more is predicted than the device has is none that can be recommended, though it may go.
PLANNED_UP_TO: Final = 1.0
# Of published peaks, each publisher weighing the same, so large a share lies so far above the predicted ones that one at
# the first limit would not have fitted, and so far below that one at the second limit would have.
HIGHER, LOWER = 0.18, 0.04


def fit_of(share: float) -> Fit:
    """By the predicted peak as a share of the device's memory."""
    if share <= FITS_UP_TO:
        return Fit.YES
    return Fit.TIGHT if share <= TIGHT_UP_TO else Fit.NO
