"""Peak memory of the fullest device, by part.

States: weights, gradients, master weights and optimizer state, divided as the ZeRO stage says (Rajbhandari
et al. 2020). Activations: what each operator keeps (Korthikanti et al. 2022), for as many micro-batches as
a pipeline's first stage holds (Narayanan et al. 2021). The fullest device is on the first stage, which holds
the most micro-batches, or on the last, which holds the logits: both are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace

import numpy as np

from zenplan.domain.estimate import MemoryUse
from zenplan.domain.operators import Attention, Lookup, MatMul, Operator, Split, Stream
from zenplan.domain.plan import TrainingPlan
from zenplan.domain.workload import Block
from zenplan.planning.arrays import Array, Layouts, largest_share
from zenplan.planning.operators import divisor
from zenplan.units import GB

# The framework's context, its libraries' handles and the buffers of the collectives.
WORKSPACE_BYTES = 1.5 * GB
# Activations are of many sizes and come and go: what the allocator cannot fill with them.
FRAGMENTATION = 0.06
# Scores, softmax and dropout of unfused attention: 2 + 2 + 1 bytes of every score are kept.
_SCORE_BYTES = 5.0
_GRADIENT_BYTES = 4.0


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


def _sum_bytes(blocks: Iterable[Block], lay: Layouts, bytes_of: Callable[[Operator, Block], float]) -> Array:
    """Bytes of these blocks' parameters on one device of its tensor and expert groups."""
    total = np.zeros_like(lay.tp)
    for block in blocks:
        for op in block.operators:
            split = Split.NONE if isinstance(op, Stream) else op.split
            experts = np.minimum(lay.ep, op.experts) if isinstance(op, MatMul) else 1.0
            size = op.parameters * bytes_of(op, block) * block.repeat
            total = total + size / (divisor(split, lay) * experts)
    return total


def _kept_by_block(block: Block, plan: TrainingPlan, lay: Layouts) -> Array:
    """Bytes that one repetition keeps of one micro-batch, nothing recomputed but what ``selective`` says."""
    total = np.zeros_like(lay.tp)
    for op in block.operators:
        width = plan.precision.kept_bytes
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


# A figure on the first pipeline stage and on the last: the fullest device is on one of the two.
_Ends = tuple[Array, Array]


def _activations(plan: TrainingPlan, lay: Layouts) -> _Ends:
    """Bytes kept at the peak."""
    stage = layer_activation_bytes(plan, lay) * largest_share(plan, lay)
    # 1F1B: the first stage has min(p, m) micro-batches under way, the last has one. Interleaving keeps
    # (1 + (p-1)/(p·v)) times as many (Korthikanti et al. 2022, section 4.2.3).
    interleaved = np.where(lay.interleave > 1, 1.0 + (lay.pp - 1) / (lay.pp * lay.interleave), 1.0)
    first, last = (
        sum((_kept_by_block(b, plan, lay) for b in _placed(plan.workload.blocks, p)), np.zeros_like(lay.tp))
        for p in ("first", "last")
    )
    # While a layer is computed again, all that it keeps is there for a moment.
    again = np.zeros_like(lay.tp)
    for block in _placed(plan.workload.blocks, "middle"):
        again = np.maximum(again, _kept_by_block(block, plan, lay))
    head, tail = _with_ends(lay, first, last)
    most = stage * (interleaved * np.minimum(lay.pp, lay.accumulation))
    return most + head + lay.full * again, stage * interleaved + tail + lay.full * again


def _with_ends(lay: Layouts, first: Array, last: Array) -> _Ends:
    """What the ends of the model add to each; without a pipeline one device has both."""
    return np.where(lay.pp > 1, first, first + last), np.where(lay.pp > 1, last, first + last)


def _stage_bytes(plan: TrainingPlan, lay: Layouts, bytes_of: Callable[[Operator, Block], float]) -> _Ends:
    """Bytes of parameters: a stage's share of the layers, and its end."""
    blocks = plan.workload.blocks
    middle, first, last = (_sum_bytes(_placed(blocks, p), lay, bytes_of) for p in ("middle", "first", "last"))
    head, tail = _with_ends(lay, first, last)
    share = middle * largest_share(plan, lay)
    return share + head, share + tail


def _states(plan: TrainingPlan, lay: Layouts) -> tuple[_Ends, _Ends, _Ends]:
    """Weights, gradients and optimizer state, as divided by ZeRO."""
    precision = plan.precision

    def weight(op: Operator, block: Block) -> float:
        frozen_product = isinstance(op, MatMul) and not op.trainable and block.place == "middle"
        return plan.weight_bytes if frozen_product else precision.compute_bytes

    def optimizer(op: Operator, block: Block) -> float:
        return (precision.master_bytes + plan.optimizer.state_bytes) * op.trainable

    def gradient(op: Operator, block: Block) -> float:
        return _GRADIENT_BYTES * op.trainable  # in fp32, beside 16-bit weights

    kept = []
    for stage, bytes_of in ((3, weight), (2, gradient), (1, optimizer)):
        shared = np.where(lay.zero >= stage, lay.replicas, 1.0)
        # An expert is on every ep-th of them, which share its states: with ep that is all, as for the rest.
        whole = replace(lay, ep=np.where(lay.zero >= stage, 1.0, lay.ep))
        first, last = _stage_bytes(plan, whole, bytes_of)
        kept.append((first / shared, last / shared))
    (first, last), gradients, states = kept
    # A tied head on another stage than the embedding is a second copy of it.
    tied = sum(float(o.inner * o.columns) for b in _placed(plan.workload.blocks, "last")
               for o in b.operators if isinstance(o, MatMul) and o.tied)  # fmt: skip
    last = last + np.where(lay.pp > 1, tied * precision.compute_bytes / lay.tp, 0.0)
    in_use = np.where(lay.zero >= 3, _whole_under_zero3(plan, lay, weight), 0.0)
    return (first + in_use, last + in_use), gradients, states


def _whole_under_zero3(plan: TrainingPlan, lay: Layouts, weight: Callable[[Operator, Block], float]) -> Array:
    """ZeRO-3 holds the layer in use and the one fetched ahead whole, weights and gradients; or an end."""
    largest = np.zeros_like(lay.tp)
    for block in _placed(plan.workload.blocks, "middle"):
        largest = np.maximum(largest, _sum_bytes((block,), lay, weight) / block.repeat)
    ends = _sum_bytes((b for b in plan.workload.blocks if b.place != "middle"), lay, weight)
    whole: Array = np.maximum(2.0 * largest, ends) * 2.0
    return whole


def _placed(blocks: Iterable[Block], place: str) -> list[Block]:
    return [b for b in blocks if b.place == place]


def peak_memory(plan: TrainingPlan, lay: Layouts) -> Memory:
    """The peak of the fullest device. Depends on the layout only, not on the hardware."""
    parts = (*_states(plan, lay), _activations(plan, lay))
    first, last = (sum(part[end] for part in parts) for end in (0, 1))
    fuller = last > first
    weights, gradients, optimizer, activations = (np.where(fuller, b, a) for a, b in parts)
    return Memory(
        weights_bytes=weights,
        gradients_bytes=gradients,
        optimizer_bytes=optimizer,
        activations_bytes=activations,
        workspace_bytes=WORKSPACE_BYTES + FRAGMENTATION * activations,
    )
