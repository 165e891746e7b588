"""The traits of a run that make its prediction more or less sure, and the interval that they give."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from zenplan.domain.fit.efficiency import Spread
from zenplan.domain.fit.processor import PROCESSOR
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.model.workload import LANGUAGE
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.columns import Array

# What none of the fitted runs had, by what it is.
UNSEEN: Final = {
    "generation": "a generation without published runs",
    "precision": "a precision without published runs on its generation",
    "software": "a kind of software without published runs",
    "family": "a family of models without published runs",
    "method": "a method without published runs",
}
UNKNOWN_SOFTWARE = "software that is not known"
GUESSED_SHAPE = "a guessed shape"
GUESSED_LAYOUT = "a layout that is not known in full"
SEVERAL_NODES = "several nodes"
EXPERTS = "a mixture of experts"
LONG = "a long sequence"
BEYOND = "more devices than were measured"
# Tokens of a sequence up to which most runs are.
_USUAL_TOKENS = 8192.0


def features(plan: TrainingPlan, cluster: Cluster) -> Mapping[str, str]:
    """What a run has that others may not have had: kind, as in ``UNSEEN``, to which."""
    architecture, kind = cluster.accelerator.architecture, plan.software
    found = {
        "generation": f"generation/{architecture}",
        "precision": f"{plan.precision.matmul_dtype} on {architecture}",
        "family": f"family/{plan.workload.family}",
        "method": f"method/{plan.method}",
    }
    return found | ({"software": f"software/{kind}"} if kind else {})


def traits(plan: TrainingPlan, cluster: Cluster, layout_known: bool = True) -> Mapping[str, float]:
    """Trait to how much of it a run has: 1, or powers of ten of devices beyond what was measured, powers of two of a
    sequence beyond the usual."""
    interval, load = cluster.efficiency.interval, plan.workload
    unseen = [kind for kind, which in features(plan, cluster).items() if which not in interval.seen]
    if "generation" in unseen:
        unseen.remove("precision")
    language = load.family in LANGUAGE
    found = {
        **{UNSEEN[kind]: 1.0 for kind in unseen},
        PROCESSOR: cluster.accelerator.is_processor,
        UNKNOWN_SOFTWARE: plan.software is None,
        f"family {load.family}": not language and "family" not in unseen,
        GUESSED_SHAPE: load.guessed_shape,
        GUESSED_LAYOUT: not layout_known,
        SEVERAL_NODES: cluster.nodes > 1,
        EXPERTS: load.experts > 1,
        LONG: max(0.0, math.log2(load.tokens_per_sample / _USUAL_TOKENS)) if language else 0.0,
        BEYOND: max(0.0, math.log10(cluster.devices / interval.devices)),
    }
    return {name: float(amount) for name, amount in found.items() if amount}


def spread_of(plan: TrainingPlan, cluster: Cluster, layout_known: bool = True) -> Spread:
    """The interval of a step's time on a cluster, as ratios of measured to predicted. It is that of known software
    where the plan names one of which runs were fitted."""
    if cluster.efficiency.correction is not None:
        return cluster.efficiency.correction.spread
    known = plan.stack is not None and plan.stack.fitted
    return cluster.efficiency.interval.of(traits(plan, cluster, layout_known), known)


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
