"""Throughput of runs that were made: the fastest of the layouts that each can have had."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.training.layout import Layout
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.columns import Hardware, Layouts
from zenplan.planning.physics.step import step_time


def fastest(
    plan: TrainingPlan, clusters: Sequence[Cluster], layouts: Sequence[Sequence[Layout]]
) -> list[tuple[Layout, float]]:
    """The layout with the most samples a second, and how many it does on one device, for each run.

    Args:
        plan: what all of these runs have in common: the workload, the precision and the way of attention.
        clusters: where each run ran.
        layouts: what each can have had; at least one.

    Returns:
        For each run its layout, and samples a second and device.
    """
    counts = [len(each) for each in layouts]
    columns = Layouts.of([layout for each in layouts for layout in each])
    hardware = Hardware.of(clusters, plan.precision).take(np.repeat(np.arange(len(clusters)), counts))
    speeds = columns.samples / step_time(plan, columns, hardware).total_s / hardware.devices
    starts = np.cumsum([0, *counts[:-1]])
    found = []
    for options, start in zip(layouts, starts, strict=True):
        mine = speeds[start : start + len(options)]
        best = int(np.argmax(mine))
        found.append((options[best], float(mine[best])))
    return found
