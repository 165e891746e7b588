"""Embedding tables that devices share out: recommenders' categories (Naumov et al. 2019, DLRM).

A table is too large for every device to have it, and a step touches few of its rows. So each device has some of them,
and looks rows up for all samples; an all-to-all brings them to the device that has the sample, and their gradients
back. Only rows that were taken are updated, where they lie.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from zenplan.domain.model.operators import Embedding, Operator
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.collectives import dispatch_s
from zenplan.planning.physics.columns import Array, Hardware, Layouts

# The update reads a row's gradient in fp32.
_GRADIENT_BYTES = 4.0


def is_shared_out(op: Operator) -> bool:
    """Whether the operator looks rows up in tables that devices share out."""
    return isinstance(op, Embedding) and op.sparse


def _tables(plan: TrainingPlan) -> Iterator[tuple[Embedding, int]]:
    """Each with how often it is there."""
    for block in plan.workload.blocks:
        for op in block.operators:
            if isinstance(op, Embedding) and op.sparse:
                yield op, block.repeat


def resident_bytes(plan: TrainingPlan, layouts: Layouts) -> tuple[Array, Array]:
    """Bytes of a device's tables, and of their optimizer's states; shape (n,) each."""
    entries = sum(op.parameters * repeat for op, repeat in _tables(plan))
    share = entries / (layouts.replicas * layouts.tp)
    return share * plan.precision.compute_bytes, share * plan.state_bytes


def travel_s(plan: TrainingPlan, layouts: Layouts, hw: Hardware) -> Array:
    """Seconds of the all-to-alls of one micro-batch, forward and backward; shape (n,)."""
    elements = sum(op.rows * op.width * repeat for op, repeat in _tables(plan))
    if not elements:
        return np.zeros_like(layouts.tp)
    size = elements * layouts.micro_batch * plan.precision.compute_bytes
    return 2.0 * dispatch_s(hw, size, 1.0, layouts.replicas, layouts.tp)


def updated_bytes(plan: TrainingPlan, layouts: Layouts) -> Array:
    """Bytes that the update of a device's rows moves in a step: gradient, each state and the row itself; shape (n,)."""
    elements = sum(op.rows * op.width * repeat for op, repeat in _tables(plan) if op.trainable)
    each = _GRADIENT_BYTES + 2.0 * (plan.state_bytes + plan.precision.compute_bytes)
    return elements * each * layouts.micro_batch * layouts.accumulation
