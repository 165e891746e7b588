"""Peak memory of the fullest device, by part.

States: ``planning.physics.states``. Activations: what each operator keeps (Korthikanti et al. 2022), for as many
micro-batches as a pipeline's first stage holds (Narayanan et al. 2021). The fullest device is on the first stage,
which holds the most micro-batches, or on the last, which holds the logits: both are computed.

The backward pass begins with the logits, while every activation is there; once they are gone, a recomputed layer
takes their place. So the larger of the two counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from zenplan.domain.answer.estimate import MemoryUse
from zenplan.domain.model.operators import Attention, Elementwise, ElementwiseKind, Embedding, Operator, Split
from zenplan.domain.model.workload import Block
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.columns import Array, Layouts
from zenplan.planning.physics.operators import divisor
from zenplan.planning.physics.stages import Stages, stages
from zenplan.planning.physics.states import Ends, fullest, placed, states, with_ends
from zenplan.units import GB

# The framework's context and its libraries' kernels: BigScience saw 1.3 GiB on a V100 and 1.5 GiB on an A100 (2022).
WORKSPACE_BYTES = 1.5 * GB
# The buffers of collectives, where there is more than one device: what the device's own tool shows beyond that.
COLLECTIVES_BYTES = 1.0 * GB
# Activations are of many sizes and come and go: what the allocator cannot fill with them.
FRAGMENTATION = 0.06
# An activation that keeps three times what it makes has a gate: both of its inputs and its product. The activated
# gate is a fourth, unless a fused kernel or a compiler makes it again (NVIDIA/Megatron-LM#482 lists it, and measured
# peaks have it).
_GATED = 3.0
# Of a number in fp32, and in the 8 bits that fp8 products take.
_WIDE_BYTES, _NARROW_BYTES = 4.0, 1.0
# Scores, softmax and dropout of unfused attention: 2 + 2 + 1 bytes of every score are kept.
_SCORE_BYTES = 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Memory:
    """``domain.answer.estimate.MemoryUse`` in columns: bytes by part, shape (n,) each."""

    weights_bytes: Array
    gradients_bytes: Array
    optimizer_bytes: Array
    activations_bytes: Array
    logits_bytes: Array
    workspace_bytes: Array
    fragmentation_bytes: Array

    @property
    def total_bytes(self) -> Array:
        """The whole peak."""
        return sum((getattr(self, f.name) for f in fields(self)), np.zeros_like(self.weights_bytes))

    def at(self, index: int) -> MemoryUse:
        """One entry as a noun."""
        return MemoryUse(**{f.name: float(getattr(self, f.name)[index]) for f in fields(self)})


def logit_bytes(plan: TrainingPlan) -> float:
    """Bytes of one logit at the peak, by the kind of software that computes the loss."""
    return plan.kept.logit_bytes


def _is_logits(op: Operator) -> bool:
    """The loss's elementwise work over the vocabulary: the only one wider than the compute type."""
    return isinstance(op, Elementwise) and op.element_bytes is not None


def _is_input(op: Operator) -> bool:
    """What goes into products as it is: read once and kept whole."""
    return (
        isinstance(op, Elementwise)
        and op.split is Split.SEQUENCE
        and op.passes == 1
        and op.saved == op.elements
        and not _is_logits(op)
    )


def _saved_bytes(op: Operator, plan: TrainingPlan) -> float:
    """Bytes that one operator keeps of one sample, before any division of them; an activated gate is apart.

    Korthikanti et al. 2022 for 16 bits. Products that multiply in 8 bits and keep their inputs so keep one byte of
    each (Transformer Engine: te.LayerNormLinear, te.Linear); attention and activations stay in 16.
    """
    width, kept = float(plan.precision.compute_bytes), plan.kept
    saved = op.saved_elements * width
    narrower = width - _NARROW_BYTES if kept.narrow_inputs else 0.0
    if isinstance(op, Attention):
        # The product behind attention has its own 8-bit copy of its input, and attention the output in 16.
        out = op.queries * op.heads * op.value_dim * _NARROW_BYTES if kept.narrow_inputs else 0.0
        return saved + out + (op.turned_elements * width if kept.rotated else 0.0)
    if not isinstance(op, Elementwise):
        return saved
    if _is_input(op):
        return saved - op.elements * narrower
    if op.kind is ElementwiseKind.NORM and kept.wide_norms:
        return saved + op.elements * _WIDE_BYTES
    if op.kind is ElementwiseKind.ACTIVATION and op.split is Split.HEADS:
        return saved - op.elements * narrower
    return saved


# What divides a part: a split of tensor parallelism, or None for the devices of a context group alone.
_Parts = dict[Split | None, float]


class _BlockBytes(NamedTuple):
    """Bytes that one repetition of a block keeps of one sample, undivided: all operators of a kind are one sum."""

    saved: _Parts
    gates: _Parts
    scores: float
    logits: _Parts


def _block_bytes(block: Block, plan: TrainingPlan) -> _BlockBytes:
    kept, width = plan.kept, plan.precision.compute_bytes
    saved: _Parts = {}
    gates: _Parts = {}
    logits: _Parts = {}
    scores = 0.0
    for op in () if block.passed else block.operators:
        if isinstance(op, Embedding):
            continue
        if isinstance(op, Elementwise) and op.element_bytes is not None:
            logits[op.split] = logits.get(op.split, 0.0) + op.elements * kept.logit_bytes
            continue
        among = None if kept.gathered and _is_input(op) else op.split
        saved[among] = saved.get(among, 0.0) + _saved_bytes(op, plan)
        if isinstance(op, Attention) and not plan.fused_attention:
            scores += op.score_elements * _SCORE_BYTES
        gated = isinstance(op, Elementwise) and op.saved == _GATED * op.elements and op.saved > 0
        if gated and kept.gate and isinstance(op, Elementwise):
            gates[op.split] = gates.get(op.split, 0.0) + op.elements * width
    return _BlockBytes(saved, gates, scores, logits)


def _divided(parts: _Parts, layouts: Layouts) -> Array:
    """What a device has of a micro-batch."""
    total = np.zeros_like(layouts.tp)
    for split, size in parts.items():
        total = total + (size / divisor(split, layouts) if split is not None else size)
    return total * (layouts.micro_batch / layouts.cp)


def _kept_by_block(found: _BlockBytes, layouts: Layouts) -> Array:
    """Bytes that one repetition of a block keeps of one micro-batch, nothing recomputed but what ``selective`` says,
    without the logits."""
    kept = _divided(found.saved, layouts)
    if found.gates:
        # Where every second product is kept, what lies between them is made again.
        half = (layouts.full > 0) & (layouts.full < 1)
        kept = kept + np.where(half, 0.0, _divided(found.gates, layouts))
    if found.scores:
        scores = found.scores * (1.0 - layouts.selective)
        kept = kept + scores * layouts.micro_batch / (layouts.tp * layouts.cp)
    return kept


def _in_flight(block: Block, plan: TrainingPlan, layouts: Layouts) -> Array:
    """Bytes of the gradients that are there at once in one layer's backward pass: of all that its widest activation
    has kept."""
    most = np.zeros_like(layouts.tp)
    for op in () if block.passed else block.operators:
        if isinstance(op, Elementwise) and op.kind is ElementwiseKind.ACTIVATION:
            size = op.saved * plan.precision.compute_bytes * layouts.micro_batch
            most = np.maximum(most, size / (divisor(op.split, layouts) * layouts.cp))
    return most


def _kept_by_blocks(blocks: Iterable[_BlockBytes], layouts: Layouts) -> Array:
    """Bytes that one repetition of each block keeps of one micro-batch, without the logits."""
    return sum((_kept_by_block(b, layouts) for b in blocks), np.zeros_like(layouts.tp))


def kept_by_layers(plan: TrainingPlan, layouts: Layouts) -> list[Array]:
    """Bytes that one repetition of each block of layers keeps of one micro-batch."""
    return [_kept_by_block(_block_bytes(b, plan), layouts) for b in placed(plan.workload.blocks, "middle")]


def layer_activation_bytes(plan: TrainingPlan, layouts: Layouts, kept_by_block: Sequence[Array]) -> Array:
    """Bytes that all layers keep of one micro-batch: of what is recomputed, the inputs; of the rest, everything.

    Args:
        plan, layouts: n entries.
        kept_by_block: of ``kept_by_layers``.
    """
    total = np.zeros_like(layouts.tp)
    for block, kept in zip(placed(plan.workload.blocks, "middle"), kept_by_block, strict=True):
        if block.passed:
            continue
        wide = plan.kept.wide_inputs is not None and layouts.zero >= plan.kept.wide_inputs
        width = np.where(wide, _WIDE_BYTES, plan.precision.compute_bytes)
        inputs = block.boundary * width * layouts.micro_batch
        inputs = inputs / (divisor(Split.SEQUENCE, layouts) * layouts.cp)
        total = total + block.repeat * (layouts.full * inputs + (1.0 - layouts.full) * kept)
    return total


def _activations(plan: TrainingPlan, layouts: Layouts, shares: Stages) -> tuple[Ends, Ends]:
    """Bytes kept at the peak: activations, and logits beside them."""
    blocks, kept_by_block = plan.workload.blocks, kept_by_layers(plan, layouts)
    layers, (before, at_the_end) = layer_activation_bytes(plan, layouts, kept_by_block), fullest(shares)
    if "activations" in plan.kept.offload:
        # Two layers are on the device: one is at work, another is on its way.
        resident = 2.0 / max(plan.workload.layers, 1)
        before, at_the_end = np.minimum(before, resident), np.minimum(at_the_end, resident)
    most_stages, least_stages = _under_way(layouts)
    head_bytes, tail_bytes = ([_block_bytes(b, plan) for b in placed(blocks, p)] for p in ("first", "last"))
    first, last = (_kept_by_blocks(each, layouts) for each in (head_bytes, tail_bytes))
    logits = sum((_divided(each.logits, layouts) for each in tail_bytes), np.zeros_like(layouts.tp))
    head, tail = with_ends(layouts, first, last)
    none, ends = with_ends(layouts, np.zeros_like(logits), logits)
    # While a layer is computed again, all that it keeps is there for a moment, and gradients of it.
    again = np.zeros_like(layouts.tp)
    if (layouts.full > 0).any():
        for block, kept in zip(placed(blocks, "middle"), kept_by_block, strict=True):
            again = np.maximum(again, kept + _in_flight(block, plan, layouts))
        again = np.where(layouts.full > 0, again, 0.0)
    most, least = layers * before * most_stages + head, layers * at_the_end * least_stages + tail
    # Beside the logits a recomputed layer takes no more than what it is larger by.
    return (most + np.maximum(again - none, 0.0), least + np.maximum(again - ends, 0.0)), (none, ends)


def _under_way(layouts: Layouts) -> Ends:
    """Stages' worth of activations of one micro-batch that are kept on the first stage, and on the last.

    1F1B: min(p, m), and one. Interleaved, micro-batches go in groups of N, p or a few more, through all parts of a
    stage: (v-1)·N + 2·(p-1) + 1 parts are under way on the first, which is p · (1 + (p-1)/(p·v)) stages for N = p
    (Korthikanti et al. 2022, section 4.2.3); the last starts backward with (v-1)·N + 1 of them. Never more than all
    parts of all micro-batches.
    """
    group = layouts.accumulation / np.maximum(np.floor(layouts.accumulation / layouts.pp), 1.0)
    rest = (layouts.interleave - 1.0) * group + 1.0
    # One part a stage has no rounds to fill: its warm-up is half as long.
    filled = rest + np.where(layouts.interleave > 1, 2.0, 1.0) * (layouts.pp - 1.0)
    most, least = (np.minimum(parts / layouts.interleave, layouts.accumulation) for parts in (filled, rest))
    return most, least


def peak_memory(plan: TrainingPlan, layouts: Layouts) -> Memory:
    """The peak of the fullest device. Depends on the layout only, not on the hardware."""
    shares = stages(plan, layouts)
    held = states(plan, layouts, shares)
    kept, logits = _activations(plan, layouts, shares)
    # What is not fitted well into the allocator's blocks comes and goes with the activations.
    loose = (FRAGMENTATION * (kept[0] + logits[0]), FRAGMENTATION * (kept[1] + logits[1]))
    # The update's copies are there when the activations are gone; only what they are larger by is the peak's.
    copies = (held.copies[end] - kept[end] - logits[end] - loose[end] for end in (0, 1))
    first_extra, last_extra = (np.maximum(extra, 0.0) for extra in copies)
    updated = (held.optimizer[0] + first_extra, held.optimizer[1] + last_extra)
    parts = (held.weights, held.gradients, updated, kept, logits, loose)
    first, last = (sum(part[end] for part in parts) for end in (0, 1))
    fuller = last > first
    weights, gradients, optimizer, activations, ends, fragmentation = (np.where(fuller, b, a) for a, b in parts)
    return Memory(
        weights_bytes=weights,
        gradients_bytes=gradients,
        optimizer_bytes=optimizer,
        activations_bytes=activations,
        logits_bytes=ends,
        workspace_bytes=WORKSPACE_BYTES
        + np.where(layouts.replicas * layouts.tp * layouts.pp > 1, COLLECTIVES_BYTES, 0.0),
        fragmentation_bytes=fragmentation,
    )
