"""Peak memory of the fullest device, by part.

States: ``planning.physics.states``. Activations: what each operator keeps (Korthikanti et al. 2022), for as many
micro-batches as a pipeline's first stage holds (Narayanan et al. 2021). The fullest device is on the first stage,
which holds the most micro-batches, or on the last, which holds the logits: both are computed.

The backward pass begins with the logits, while every activation is there; once they are gone, a recomputed layer
takes their place. So the larger of the two counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from zenplan.domain.answer.estimate import MemoryUse
from zenplan.domain.model.operators import Attention, Elementwise, Embedding, Operator, Split
from zenplan.domain.model.workload import Block
from zenplan.domain.software import Software
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.columns import Array, Layouts
from zenplan.planning.physics.operators import divisor
from zenplan.planning.physics.stages import stages
from zenplan.planning.physics.states import Ends, fullest, placed, states, with_ends
from zenplan.units import GB

# The framework's context and its libraries' kernels: BigScience saw 1.3 GiB on a V100 and 1.5 GiB on an A100 (2022).
WORKSPACE_BYTES = 1.5 * GB
# The buffers of collectives, where there is more than one device: what the device's own tool shows beyond that.
COLLECTIVES_BYTES = 1.0 * GB
# Activations are of many sizes and come and go: what the allocator cannot fill with them.
FRAGMENTATION = 0.06
# Bytes of a logit at the peak: 16 bits, and its fp32 copy, for which the loss is computed, which a compiled loss keeps
# to. A fused one works on 16 bits and makes their gradient beside them. In plain PyTorch, log-softmax and gradient are
# two more (torchtitan before and after its loss was compiled, 2024 and 2025; llm-foundry's runs, which all fitted).
_COMPILED = (Software.COMPILED, Software.JAX, Software.XLA)
_LOGIT_BYTES = {
    Software.COMPILED: 6.0,
    Software.JAX: 6.0,
    Software.XLA: 6.0,
    Software.FUSED: 4.0,
    Software.PATCHED: 4.0,
    Software.EAGER: 14.0,
    None: 10.0,
}
# An activation that keeps three times what it makes has a gate: both of its inputs and its product. The activated
# gate is a fourth, unless a compiler makes it again (NVIDIA/Megatron-LM#482 lists it, and measured peaks have it).
_GATED = 3.0
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
    return _LOGIT_BYTES[plan.software]


def _is_logits(op: Operator) -> bool:
    """The loss's elementwise work over the vocabulary: the only one wider than the compute type."""
    return isinstance(op, Elementwise) and op.element_bytes is not None


def _kept_bytes(op: Operator, plan: TrainingPlan, layouts: Layouts) -> Array:
    """Bytes that one operator keeps of one micro-batch, nothing recomputed but what ``selective`` says.

    Under fp8 too: products keep their inputs as they come, and the 8-bit copies are made again (torchtitan's and
    FlagPerf's fp8 runs peak no lower than their bf16 ones).
    """
    if isinstance(op, Embedding):
        return np.zeros_like(layouts.tp)
    if isinstance(op, Elementwise) and _is_logits(op):
        size = op.elements * logit_bytes(plan)
        logits: Array = size * layouts.micro_batch / (divisor(op.split, layouts) * layouts.cp)
        return logits
    width = plan.precision.compute_bytes
    saved = np.full_like(layouts.tp, op.saved_elements)
    if isinstance(op, Elementwise) and op.saved == _GATED * op.elements and plan.software not in _COMPILED:
        # Where every second product is kept, what lies between them is made again.
        saved = saved + np.where((layouts.full > 0) & (layouts.full < 1), 0.0, op.elements)
    kept: Array = saved * width * layouts.micro_batch / (divisor(op.split, layouts) * layouts.cp)
    if isinstance(op, Attention) and not plan.fused_attention:
        scores = op.score_elements * _SCORE_BYTES * (1.0 - layouts.selective)
        kept = kept + scores * layouts.micro_batch / (layouts.tp * layouts.cp)
    return kept


def _kept_by_blocks(blocks: Iterable[Block], plan: TrainingPlan, layouts: Layouts, logits: bool) -> Array:
    """Bytes that one repetition of each block keeps of one micro-batch: the logits, or all the rest."""
    return sum(
        (_kept_bytes(o, plan, layouts) for b in blocks for o in b.operators if _is_logits(o) == logits),
        np.zeros_like(layouts.tp),
    )


def layer_activation_bytes(plan: TrainingPlan, layouts: Layouts) -> Array:
    """Bytes that all layers keep of one micro-batch: of what is recomputed, the inputs; of the rest, everything."""
    total = np.zeros_like(layouts.tp)
    for block in placed(plan.workload.blocks, "middle"):
        inputs = block.boundary * plan.precision.compute_bytes * layouts.micro_batch
        inputs = inputs / (divisor(Split.SEQUENCE, layouts) * layouts.cp)
        kept = _kept_by_blocks((block,), plan, layouts, logits=False)
        total = total + block.repeat * (layouts.full * inputs + (1.0 - layouts.full) * kept)
    return total


def _activations(plan: TrainingPlan, layouts: Layouts) -> tuple[Ends, Ends]:
    """Bytes kept at the peak: activations, and logits beside them."""
    blocks = plan.workload.blocks
    layers, (before, at_the_end) = layer_activation_bytes(plan, layouts), fullest(stages(plan, layouts))
    most_stages, least_stages = _under_way(layouts)
    first, last = (_kept_by_blocks(placed(blocks, p), plan, layouts, logits=False) for p in ("first", "last"))
    logits = _kept_by_blocks(placed(blocks, "last"), plan, layouts, logits=True)
    head, tail = with_ends(layouts, first, last)
    none, ends = with_ends(layouts, np.zeros_like(logits), logits)
    # While a layer is computed again, all that it keeps is there for a moment.
    again = np.zeros_like(layouts.tp)
    for block in placed(blocks, "middle"):
        again = np.maximum(again, _kept_by_blocks((block,), plan, layouts, logits=False))
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
    held = states(plan, layouts)
    kept, logits = _activations(plan, layouts)
    # What is not fitted well into the allocator's blocks comes and goes with the activations.
    loose = (FRAGMENTATION * (kept[0] + logits[0]), FRAGMENTATION * (kept[1] + logits[1]))
    # The update's copies are there when the activations are gone; only what they are larger by is the peak's.
    copies = (held.unscaled[end] - kept[end] - logits[end] - loose[end] for end in (0, 1))
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
