"""From a calendar to dollars: rounding, whole machines, storage of checkpoints, egress of the result."""

from __future__ import annotations

import math

import numpy as np

from zenplan.domain.estimate import Bill, Energy, Range, RunTime
from zenplan.domain.offer import Billing, Terms
from zenplan.domain.operations import Operations
from zenplan.domain.plan import TrainingPlan
from zenplan.planning.arrays import Array
from zenplan.units import HOUR_S

# Where a provider's rounding is not known, the coarsest in use: the bill is not lower than it will be.
_COARSEST_S = HOUR_S
_J_PER_KWH = 3.6e6


def billed_s(calendar_s: Array, terms: Terms | None) -> Array:
    """Seconds that each machine is billed for: at least the minimum, rounded up to the granularity."""
    granularity = (terms.granularity_s if terms else None) or _COARSEST_S
    minimum = terms.minimum_s if terms else 0.0
    rounded: Array = np.ceil(np.maximum(calendar_s, minimum) / granularity) * granularity
    return rounded


def compute_usd(calendar_s: Array, usd_per_h: Array | float, nodes: Array | int, terms: Terms | None) -> Array:
    """Dollars for the machines, whole ones, idle devices too."""
    return billed_s(calendar_s, terms) / HOUR_S * usd_per_h * nodes


def bill(plan: TrainingPlan, operations: Operations, run: RunTime, billing: Billing, usd_per_h: float,
         nodes: int, terms: Terms | None) -> Bill:  # fmt: skip
    """The whole bill of one run on one offer."""
    calendar = np.array([run.calendar_s.low, run.calendar_s.mid, run.calendar_s.high])
    low, mid, high = (float(x) for x in compute_usd(calendar, usd_per_h, nodes, terms))
    storage = terms.storage_usd_per_byte_s if terms else None
    egress = terms.egress_usd_per_byte if terms else None
    stored = run.checkpoint_bytes * operations.kept_checkpoints * run.calendar_s.mid
    result = plan.workload.trainable_parameters * plan.precision.compute_bytes
    return Bill(
        billing=billing,
        run=run,
        billed_h=float(billed_s(calendar[1:2], terms)[0]) / HOUR_S,
        compute_usd=Range(low=low, mid=mid, high=high),
        storage_usd=None if storage is None else storage * stored,
        egress_usd=None if egress is None else egress * result,
    )


def energy(operations: Operations, run: RunTime, devices: int, power_w: float | None, pue: float | None,
           grid: tuple[float, str] | None) -> Energy | None:  # fmt: skip
    """Electricity of a run and its emissions.

    Args:
        power_w: the accelerator's power limit; without it there is no answer.
        pue: the provider's, or None for the assumed one.
        grid: kilograms of CO2e for a joule in that region, and the source; None where it is not known.
    """
    if power_w is None:
        return None
    factor = pue or operations.pue
    times = (run.calendar_s.low, run.calendar_s.mid, run.calendar_s.high)
    joules = [
        devices * (power_w * share + operations.host_w) * factor * time
        for share, time in zip(operations.power_share, times, strict=True)
    ]
    if not all(map(math.isfinite, joules)):
        return None
    kwh = Range(low=joules[0] / _J_PER_KWH, mid=joules[1] / _J_PER_KWH, high=joules[2] / _J_PER_KWH)
    co2e = kwh * (grid[0] * _J_PER_KWH) if grid else None
    return Energy(kwh=kwh, co2e_kg=co2e, pue=factor, grid_source=grid[1] if grid else "")
