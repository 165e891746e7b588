"""The traits of a run that make its prediction more or less sure, and the interval that they give."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from zenplan.domain.fit.efficiency import Spread
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.model.workload import LANGUAGE
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.columns import Array

UNMEASURED = "a generation or precision without published runs"
UNKNOWN_SOFTWARE = "software that is not known"
GUESSED_SHAPE = "a guessed shape"
GUESSED_LAYOUT = "a layout that is not known in full"
SEVERAL_NODES = "several nodes"
EXPERTS = "a mixture of experts"
# Of four-bit training there is no published throughput yet that was fitted to.
_MEASURED_DTYPES = ("fp32", "tf32", "fp16", "bf16", "fp8")
BEYOND = "more devices than were measured"
STAND_IN = "software that is timed as the nearest kind"
# What that makes of the width. The step times that the four fitted kinds of software have for one model on the same
# devices (8B to 70B, 1 to 64 devices) spread by 0.13 in ln, in the median of standard deviations; the interval of a
# run without traits by 0.16. So far off may a stack be that the fit has not seen: the two add up in quadrature.
STAND_IN_FACTOR = 1.3


def traits(plan: TrainingPlan, cluster: Cluster, layout_known: bool = True) -> Mapping[str, float]:
    """Trait to how much of it a run has: 1, or for devices the powers of ten beyond what was measured."""
    interval = cluster.efficiency.interval
    generation = f"generation/{cluster.accelerator.architecture}"
    found = {
        generation: generation in interval.factors,
        UNMEASURED: generation not in interval.factors or plan.precision.matmul_dtype not in _MEASURED_DTYPES,
        f"software/{plan.software}": plan.software is not None,
        UNKNOWN_SOFTWARE: plan.software is None,
        STAND_IN: plan.stack is not None and not plan.stack.fitted,
        f"family/{plan.workload.family}": plan.workload.family not in LANGUAGE,
        GUESSED_SHAPE: plan.workload.guessed_shape,
        GUESSED_LAYOUT: not layout_known,
        SEVERAL_NODES: cluster.nodes > 1,
        EXPERTS: plan.workload.experts > 1,
        BEYOND: max(0.0, math.log10(cluster.devices / interval.devices)),
    }
    return {name: float(amount) for name, amount in found.items() if amount}


def spread_of(plan: TrainingPlan, cluster: Cluster, layout_known: bool = True) -> Spread:
    """The interval of a step's time on a cluster, as ratios of measured to predicted."""
    if cluster.efficiency.correction is not None:
        return cluster.efficiency.correction.spread
    found = traits(plan, cluster, layout_known)
    interval = cluster.efficiency.interval
    if STAND_IN in found:
        interval = replace(interval, factors={**interval.factors, STAND_IN: STAND_IN_FACTOR})
    return interval.of(found)


def step_ranges(plan: TrainingPlan, clusters: Sequence[Cluster], step_s: Array) -> Array:
    """Low, middle and high seconds of a step on each cluster; ``step_s`` is shape (n,), the answer (3, n)."""
    known: dict[tuple[object, ...], Spread] = {}

    def spread(c: Cluster) -> Spread:
        # All that an interval goes by.
        key = (id(c.efficiency), c.accelerator.architecture, c.nodes > 1, c.devices)
        if key not in known:
            known[key] = spread_of(plan, c)
        return known[key]

    spreads = [spread(c) for c in clusters]
    low, high = (np.array([getattr(s, end) for s in spreads]) for end in ("low", "high"))
    return np.stack([step_s * low, step_s, step_s * high])
