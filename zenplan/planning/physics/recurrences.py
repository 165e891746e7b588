"""Time of what a recurrent layer must do step by step.

A step waits for the one before it. So it has the fixed time of its kernels, and reads the weights again, at each
step; its product has only the samples of the micro-batch as rows (Diamos et al. 2016, persistent RNNs). Of the
backward pass the gradient of the state goes step by step too, that of the weight is one product over all steps.
"""

from __future__ import annotations

import numpy as np

from zenplan.domain.model.operators import Recurrent
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.columns import Array, Hardware, Layouts
from zenplan.planning.physics.work import Work, roofline


def recurrent_work(op: Recurrent, plan: TrainingPlan, lay: Layouts, hw: Hardware) -> tuple[Work, Work]:
    """Forward and backward work of one micro-batch.

    Args:
        op: sized for one sample.
        plan: what is trained, and in which precision.
        lay: the layouts; n entries.
        hw: the devices; n entries, or one.
    """
    width = plan.precision.compute_bytes
    rows = lay.micro_batch * op.rows
    flop = 2.0 * rows * op.inner * op.columns
    moved = op.inner * op.columns * width + rows * (op.inner + op.columns) * width

    def step(depth: Array | float) -> Work:
        filled = flop * (1.0 + hw.fill_elements / depth)
        return roofline(hw, filled, hw.other_flop_per_s, moved, op.kernels) * op.steps

    forward = step(op.inner)
    backward = step(op.columns) if op.input_gradient else Work.none(lay)
    if op.trainable:
        every = op.steps * flop * (1.0 + hw.fill_elements / (op.steps * rows))
        kept = op.steps * rows * (op.inner + op.columns) * width
        backward = backward + roofline(hw, every, hw.other_flop_per_s, kept * np.ones_like(lay.tp), 1)
    return forward, backward
