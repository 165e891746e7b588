"""From a calendar to dollars: rounding, whole machines, storage of checkpoints, egress of the result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zenplan.domain.answer.estimate import Bill, Energy
from zenplan.domain.market.offer import Billing, Terms
from zenplan.domain.range import Range
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.money.run import Runs
from zenplan.planning.physics.columns import Array
from zenplan.units import HOUR_S

# Where a provider's rounding is not known, the coarsest in use: the bill will not be higher than said.
COARSEST_S = HOUR_S
_J_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Bills:
    """``domain.answer.estimate.Bill`` in columns; low, middle and high as rows of shape (3, n). Unknown is nan."""

    billing: Billing
    runs: Runs
    billed_s: Array
    compute_usd: Array
    storage_usd: Array
    egress_usd: Array

    @property
    def total_usd(self) -> Array:
        """All parts that are known, shape (3, n)."""
        total: Array = self.compute_usd + np.nan_to_num(self.storage_usd) + np.nan_to_num(self.egress_usd)
        return total

    def at(self, index: int) -> Bill:
        """One entry as a noun."""
        low, mid, high = (float(x) for x in self.compute_usd[:, index])
        storage, egress = float(self.storage_usd[index]), float(self.egress_usd[index])
        return Bill(
            billing=self.billing,
            run=self.runs.at(index),
            billed_h=float(self.billed_s[1, index]) / HOUR_S,
            compute_usd=Range(low=low, mid=mid, high=high),
            storage_usd=None if math.isnan(storage) else storage,
            egress_usd=None if math.isnan(egress) else egress,
        )


def bills(
    plan: TrainingPlan,
    operations: Operations,
    runs: Runs,
    billing: Billing,
    usd_per_h: Array,
    nodes: Array,
    terms: Sequence[Terms | None],
) -> Bills:
    """What runs cost.

    Args:
        plan: what is trained; its weights are what is carried away in the end.
        operations: how many checkpoints are kept.
        runs: their time on the calendar, and the bytes of a checkpoint; n of them.
        billing: the kind of price.
        usd_per_h: for one whole machine, shape (n,); nan where the price is not known.
        nodes: machines, shape (n,); all of their devices are paid for, idle ones too.
        terms: each provider's, None where nothing is known of them.
    """
    granularity = np.array([(t.granularity_s if t else None) or COARSEST_S for t in terms])
    minimum = np.array([t.minimum_s if t else 0.0 for t in terms])
    storage = np.array([_known(t.storage_usd_per_byte_s if t else None) for t in terms])
    egress = np.array([_known(t.egress_usd_per_byte if t else None) for t in terms])
    billed = np.ceil(np.maximum(runs.calendar_s, minimum) / granularity) * granularity
    # For how long a run without an end is stored is not known; free storage times infinity is not a number.
    kept_s = np.where(np.isfinite(runs.calendar_s[1]), runs.calendar_s[1], np.nan)
    stored = runs.checkpoint_bytes * operations.kept_checkpoints * kept_s
    result = plan.workload.trainable_parameters * plan.precision.compute_bytes
    return Bills(
        billing=billing,
        runs=runs,
        billed_s=billed,
        compute_usd=billed / HOUR_S * usd_per_h * nodes,
        storage_usd=storage * stored,
        egress_usd=egress * result,
    )


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def energy(
    operations: Operations,
    calendar_s: Range,
    used: int,
    idle: int,
    power_w: float | None,
    pue: float | None,
    grid: tuple[float, str] | None,
) -> Energy | None:
    """Electricity of a run and its emissions.

    Args:
        operations: what share of the limit is drawn, and by the host.
        calendar_s: of the run, on the calendar.
        used, idle: devices that train, and devices that are paid for and stand by.
        power_w: the accelerator's power limit; without it there is no answer.
        pue: the provider's, or None for the assumed one.
        grid: kilograms of CO2e for a joule in that region, and the source; None where it is not known.
    """
    if power_w is None:
        return None
    factor = pue or operations.pue
    times = (calendar_s.low, calendar_s.mid, calendar_s.high)
    low, mid, high = (
        (
            used * (power_w * share + operations.host_w)
            + idle * (power_w * operations.idle_power_share + operations.host_w)
        )
        * (factor * time / _J_PER_KWH)
        for share, time in zip(operations.power_share, times, strict=True)
    )
    kwh = Range(low=low, mid=mid, high=high)
    co2e = kwh * (grid[0] * _J_PER_KWH) if grid else None
    return Energy(kwh=kwh, co2e_kg=co2e, pue=factor, grid_source=grid[1] if grid else "")
