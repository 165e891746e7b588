"""Sentences that several commands say of a layout and its step."""

from __future__ import annotations

from zenplan import units
from zenplan.domain.answer.estimate import Estimate
from zenplan.domain.answer.fit import FITS_UP_TO, HIGHER, Fit
from zenplan.domain.training.layout import Layout


def tight(estimate: Estimate) -> str:
    """A warning where the peak may be more than the device has; else empty."""
    if estimate.fit is not Fit.TIGHT:
        return ""
    has = estimate.cluster.accelerator.capacity_bytes
    return (
        f"Memory is tight, and it may run out: {units.size(estimate.memory.total_bytes)} of {units.size(has)} a device. "
        f"Nothing surely fits; of published peaks {units.percent(HIGHER)} lie over "
        f"{units.percent(1.0 / FITS_UP_TO - 1.0)} above the predicted."
    )


def spread(estimate: Estimate) -> str:
    """How far a step may be from what is said, and how that is known; one sentence for every command."""
    step_s = estimate.step_s
    low, high = step_s.low / step_s.mid, step_s.high / step_s.mid
    return f"A step may take ×{low:.2f} to ×{high:.2f} of the time shown; {estimate.evidence}."


def padded(layout: Layout, batch: int) -> str:
    """What of a step is no progress: places for samples that the batch does not fill; empty where it fills all."""
    if layout.global_batch <= batch:
        return ""
    return f"fills {batch:,} of its {layout.global_batch:,} places for samples in a step"
