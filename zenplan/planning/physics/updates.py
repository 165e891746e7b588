"""What an update costs beside the bytes of the device's memory: the host's launches, and what crosses to the host."""

from __future__ import annotations

import numpy as np

from zenplan.domain.model.operators import Elementwise
from zenplan.domain.model.workload import LANGUAGE
from zenplan.domain.software import Software
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.columns import Array, Hardware

# Kernels of an update that goes tensor by tensor: the gradient is set to zero and the weight moved, and about four more
# for each state; of Adam ten, counted in torch/optim/_functional.py of PyTorch 1.8. No gradient of it is recorded, so that
# it takes the host about half of what an operator of a layer takes; that is our assumption.
_UPDATE_KERNELS, _STATE_KERNELS, _PLAIN_LAUNCH = 2.0, 4.0, 0.5


def launches_s(plan: TrainingPlan, hw: Hardware) -> Array:
    """What the host takes to launch the update of each tensor by itself, after it has waited for the scale of the gradients.

    Of language models it is in what the host does between steps; what is fused by hand updates all at once.
    """
    if not plan.tuning.apart or plan.software is not Software.EAGER or plan.workload.family in LANGUAGE:
        return np.zeros_like(hw.host_s)
    states = plan.optimizer.state_bytes / 4.0
    kernels = _tensors(plan) * (_UPDATE_KERNELS + _STATE_KERNELS * states)
    return _PLAIN_LAUNCH * hw.launch_s * kernels


def _tensors(plan: TrainingPlan) -> float:
    """Weights and biases that are updated."""
    each = ((block.repeat, op) for block in plan.workload.blocks for op in block.operators if op.trainable)
    # A norm has a bias too, and so have layers that say so.
    return sum(
        repeat * (2.0 if isinstance(op, Elementwise) or getattr(op, "bias", False) else 1.0)
        for repeat, op in each
        if op.parameters
    )


def hosted_bytes(plan: TrainingPlan) -> float:
    """Bytes of a parameter that cross to the host and back for the update, the larger way: both go at once.

    Paged states come and go (Dettmers et al. 2023). Where the host updates, gradients go and weights come (Ren et al.
    2021, ZeRO-Offload); how long it takes for that itself is left out.
    """
    if "optimizer" in plan.kept.offload:
        return max(plan.kept.gradient_bytes, float(plan.precision.compute_bytes))
    return plan.state_bytes if plan.optimizer.paged else 0.0
