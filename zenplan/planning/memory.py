"""Peak memory of the fullest device, by part.

States: weights, gradients, master weights and optimizer state, divided as the ZeRO stage says (Rajbhandari
et al. 2020). Activations: what each operator keeps (Korthikanti et al. 2022), for as many micro-batches as
a pipeline's first stage holds (Narayanan et al. 2021). The fullest device is on the first stage, which holds
the most micro-batches, or on the last, which holds the logits: both are computed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from zenplan.domain.estimate import MemoryUse
from zenplan.domain.plan import TrainingPlan
from zenplan.domain.workload import Attention, Block, Lookup, MatMul, Split, Stream
from zenplan.planning.arrays import Array, Layouts
from zenplan.planning.operators import divisor
from zenplan.units import GB

# The framework's context, its libraries' handles and the buffers of the collectives.
WORKSPACE_BYTES = 1.5 * GB
# Activations are of many sizes and come and go: what the allocator cannot fill with them.
FRAGMENTATION = 0.06
# Scores, softmax and dropout of unfused attention: 2 + 2 + 1 bytes of every score are kept.
_SCORE_BYTES = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """``domain.estimate.MemoryUse`` in columns: bytes by part, shape (n,) each."""

    weights_bytes: Array
    gradients_bytes: Array
    optimizer_bytes: Array
    activations_bytes: Array
    workspace_bytes: Array

    @property
    def total_bytes(self) -> Array:
        """The whole peak."""
        return sum((getattr(self, f.name) for f in fields(self)), np.zeros_like(self.weights_bytes))

    def at(self, index: int) -> MemoryUse:
        """One entry as a noun."""
        return MemoryUse(**{f.name: float(getattr(self, f.name)[index]) for f in fields(self)})


def _parameters(blocks: tuple[Block, ...], lay: Layouts, trainable: bool) -> Array:
    """Parameters of the blocks on one device of their tensor and expert groups."""
    total = np.zeros_like(lay.tp)
    for block in blocks:
        for op in block.operators:
            if trainable and not getattr(op, "trainable", True):
                continue
            split = Split.NONE if isinstance(op, Stream | Attention) else op.split
            experts = np.minimum(lay.ep, op.experts) if isinstance(op, MatMul) else 1.0
            total = total + op.parameters * block.repeat / (divisor(split, lay) * experts)
    return total


def _kept_by_block(block: Block, plan: TrainingPlan, lay: Layouts) -> Array:
    """Bytes that one repetition keeps of one micro-batch, nothing recomputed but what ``selective`` says."""
    total = np.zeros_like(lay.tp)
    for op in block.operators:
        width = float(plan.precision.compute_bytes)
        split = op.split
        if isinstance(op, Stream) and op.element_bytes:
            width = op.element_bytes
        if isinstance(op, Attention) and not plan.fused_attention:
            scores = op.score_elements * _SCORE_BYTES * (1.0 - lay.selective)
            total = total + scores * lay.micro_batch / (lay.tp * lay.cp)
        if isinstance(op, Lookup):
            continue
        total = total + op.saved_elements * width * lay.micro_batch / (divisor(split, lay) * lay.cp)
    return total


def layer_activation_bytes(plan: TrainingPlan, lay: Layouts) -> Array:
    """Bytes that all layers keep of one micro-batch: everything, or under full recomputation the inputs."""
    total = np.zeros_like(lay.tp)
    for block in plan.workload.blocks:
        if block.place != "middle":
            continue
        inputs = block.boundary * plan.precision.compute_bytes * lay.micro_batch / (lay.tp * lay.cp)
        kept = _kept_by_block(block, plan, lay)
        total = total + block.repeat * np.where(lay.full > 0, inputs, kept)
    return total


def _activations(plan: TrainingPlan, lay: Layouts, last_stage: bool) -> Array:
    blocks = plan.workload.blocks
    stage = layer_activation_bytes(plan, lay) / lay.pp
    # 1F1B: the first stage has min(p, m) micro-batches under way, the last has one. Interleaving keeps
    # (1 + (p-1)/(p·v)) times as many (Korthikanti et al. 2022, section 4.2.3).
    interleaved = np.where(lay.interleave > 1, 1.0 + (lay.pp - 1) / (lay.pp * lay.interleave), 1.0)
    under_way = np.minimum(lay.pp, lay.accumulation) * interleaved
    if last_stage:
        under_way = np.where(lay.pp > 1, interleaved, under_way)
    place = "last" if last_stage else "first"
    ends = [b for b in blocks if b.place == place]
    end = sum((_kept_by_block(b, plan, lay) for b in ends), np.zeros_like(lay.tp))
    # While a layer is computed again, all that it keeps is there for a moment.
    peak = np.zeros_like(lay.tp)
    for block in blocks:
        if block.place == "middle":
            peak = np.maximum(peak, _kept_by_block(block, plan, lay))
    return stage * under_way + end + lay.full * peak


def _states(plan: TrainingPlan, lay: Layouts, last_stage: bool) -> tuple[Array, Array, Array]:
    """Weights, gradients and optimizer state of a stage, as divided by ZeRO."""
    blocks, precision = plan.workload.blocks, plan.precision
    middle = tuple(b for b in blocks if b.place == "middle")
    first, last = (tuple(b for b in blocks if b.place == p) for p in ("first", "last"))
    ends = last if last_stage else first
    # Without a pipeline one device has both ends; a tied head on another stage is a second copy.
    total, trained = (
        _parameters(middle, lay, t) / lay.pp
        + np.where(lay.pp > 1, _parameters(ends, lay, t), _parameters(first, lay, t) + _parameters(last, lay, t))
        for t in (False, True)
    )
    if last_stage:
        tied = sum(float(o.inner * o.columns) for b in last for o in b.operators if isinstance(o, MatMul) and o.tied)
        extra = np.where(lay.pp > 1, tied / lay.tp, 0.0)
        total, trained = total + extra, trained + extra
    frozen = total - trained
    group = lay.dp
    weights = frozen * plan.weight_bytes + trained * precision.compute_bytes
    # fp32 gradients beside 16-bit weights: 4 bytes; ZeRO-2 and 3 keep this device's shard only.
    gradients = trained * 4.0
    optimizer = trained * (precision.master_bytes + plan.optimizer.state_bytes)
    return (
        np.where(lay.zero >= 3, weights / group + _gathered(plan, lay), weights),
        np.where(lay.zero >= 2, gradients / group, gradients),
        np.where(lay.zero >= 1, optimizer / group, optimizer),
    )


def _gathered(plan: TrainingPlan, lay: Layouts) -> Array:
    """Under ZeRO-3, the layer in use and the one fetched ahead are whole, weights and gradients."""
    largest = np.zeros_like(lay.tp)
    for block in plan.workload.blocks:
        if block.place == "middle":
            one = _parameters((block,), lay, False) / block.repeat
            largest = np.maximum(largest, one)
    ends = sum((_parameters((b,), lay, False) for b in plan.workload.blocks if b.place != "middle"),
               np.zeros_like(lay.tp))  # fmt: skip
    return np.maximum(2.0 * largest, ends) * 2.0 * plan.precision.compute_bytes


def peak_memory(plan: TrainingPlan, lay: Layouts) -> Memory:
    """The peak of the fullest device. Depends on the layout only, not on the hardware."""
    candidates = []
    for last_stage in (False, True):
        weights, gradients, optimizer = _states(plan, lay, last_stage)
        activations = _activations(plan, lay, last_stage)
        if last_stage is False:
            # One stage alone has the logits too.
            last = [b for b in plan.workload.blocks if b.place == "last"]
            logits = sum((_kept_by_block(b, plan, lay) for b in last), np.zeros_like(lay.tp))
            activations = activations + np.where(lay.pp > 1, 0.0, logits)
        candidates.append((weights, gradients, optimizer, activations))
    first, final = candidates
    fuller = sum(final) > sum(first)
    weights, gradients, optimizer, activations = (np.where(fuller, b, a) for a, b in zip(first, final, strict=True))
    return Memory(
        weights_bytes=weights,
        gradients_bytes=gradients,
        optimizer_bytes=optimizer,
        activations_bytes=activations,
        workspace_bytes=WORKSPACE_BYTES + FRAGMENTATION * activations,
    )
