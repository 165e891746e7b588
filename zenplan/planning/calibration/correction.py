"""From a measured step of one device to what it makes of predictions for other devices, and many.

    factor = (measured / predicted)^power

of the device's own work: what it computes and moves, and what its host does. Both are of one device and the same batch;
the power, 0 to 1, is what pairs of published runs come out with (``benchmarks/carried_over.py``). Data sheets are in
the predictions, so that between two accelerators the ratio of what is predicted for them is carried over with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from zenplan.domain.fit.efficiency import (
    ACCELERATOR,
    ACCELERATOR_DEVICES,
    BATCH,
    DEVICES,
    MODEL,
    MODEL_DEVICES,
    VENDOR,
    CarriedOver,
    Correction,
    Grounds,
    Spread,
)
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.range import Range
from zenplan.domain.training.layout import Layout
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.columns import Hardware, Layouts
from zenplan.planning.physics.step import step_time


def kind_of(measured_on: Accelerator, cluster: Cluster, same_model: bool = True) -> str:
    """To what kind of run a step on one device is carried over; empty where no pairs are looked at: another model on
    another accelerator."""
    one = cluster.devices == 1
    if measured_on.name == cluster.accelerator.name:
        if same_model:
            return BATCH if one else DEVICES
        return MODEL if one else MODEL_DEVICES
    if not same_model:
        return ""
    if measured_on.vendor != cluster.accelerator.vendor:
        return VENDOR
    return ACCELERATOR if one else ACCELERATOR_DEVICES


def alone_s(plan: TrainingPlan, cluster: Cluster, batch: int) -> float:
    """Predicted seconds of a step of so many samples on one device of a cluster, nothing recomputed."""
    one = replace(cluster, node_devices=1, nodes=1, used=None, network_bytes_per_s=None)
    steps = step_time(plan, Layouts.of([Layout(micro_batch=batch)]), Hardware.of([one], plan.precision))
    return float(steps.total_s[0])


def correction(
    measured_s: Range,
    predicted_s: float,
    carried: CarriedOver | None,
    prior: Spread,
    grounds: Grounds,
    basis: str,
    calibration: str,
) -> Correction:
    """What a measured step makes of a prediction.

    Args:
        measured_s: of one device, with its 80 % interval.
        predicted_s: of the same step.
        carried: how well it carries to what is predicted; None where that is the very step.
        prior: of the prediction without it.
        grounds, basis: what this is, for programs and for people.
        calibration: the measurement's id.
    """
    power = carried.power if carried else 1.0
    # The two are independent: their variances add up.
    left_down, left_up = (carried.down, carried.up) if carried else (0.0, 0.0)
    down = math.hypot(power * math.log(measured_s.mid / measured_s.low), left_down * -math.log(prior.low))
    up = math.hypot(power * math.log(measured_s.high / measured_s.mid), left_up * math.log(prior.high))
    return Correction(
        factor=(measured_s.mid / predicted_s) ** power,
        grounds=grounds,
        spread=Spread(low=math.exp(-down), high=math.exp(up), basis=basis),
        calibration=calibration,
    )


def usable(table: Mapping[str, CarriedOver], kind: str) -> CarriedOver | None:
    """How well a measurement carries to that kind of run; None where it makes predictions no better."""
    found = table.get(kind)
    return found if found is not None and found.power > 0 else None
