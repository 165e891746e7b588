"""Time of one optimizer step, by part, for many layouts on many clusters at once.

    step = m · stage + (model − stage)/v + exposed communication + optimizer + c + slowest device

m micro-batches a step, v virtual stages on each of p pipeline stages (Narayanan et al. 2021); a stage is the slowest,
its share of the layers (``planning.physics.stages``) and what it has of the ends of the model; the model is all stages
together, so that the middle term is (p-1)/v · stage where they are alike; c what the host does between steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from zenplan.domain.answer.estimate import StepTime
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.model.operators import Attention, MatMul
from zenplan.domain.model.workload import Block
from zenplan.domain.training.layout import Layout
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.tuning import TensorOverlap
from zenplan.planning.physics.blocks import Asked, Parts, parts_of
from zenplan.planning.physics.collectives import all_reduce_s, dispatch_s, gather_s, send_s
from zenplan.planning.physics.columns import Array, Hardware, Index, Layouts
from zenplan.planning.physics.operators import expert_tensor, operator_work
from zenplan.planning.physics.stages import Stages, stages
from zenplan.planning.physics.states import fullest
from zenplan.planning.physics.stragglers import slowest
from zenplan.planning.physics.tables import is_shared_out, travel_s, updated_bytes
from zenplan.planning.physics.updates import hosted_bytes, launches_s
from zenplan.planning.physics.work import Passes

# Share of the backward pass of the last micro-batch under which gradients can travel: the first layers
# to finish start it, the last layer's gradient has nothing to hide behind.
OVERLAP = 0.8
# Share of the way to the experts that travels under computation where software overlaps it: Qwen3-30B on 16 H100
# (NVIDIA-NeMo/Megatron-Bridge, skills/nemo-mbridge-perf-moe-hardware-configs).
_EXPERTS_HIDDEN = 0.37
# Of a gradient that is summed in fp32.
_SUMMED_BYTES = 4.0
# The update reads a gradient in fp32.
_UPDATE_READS_GRADIENT = 4.0

# What each part is, for --explain: a formula in the symbols above, and where it is from.
FORMULAS = {
    "compute_s": ("m · Σ F/(P·e)", "roofline (Williams et al. 2009); F counted operator by operator"),
    "memory_s": ("m · Σ max(0, Q/(W·e_m) − F/(P·e))", "roofline (Williams et al. 2009)"),
    "overhead_s": ("m · operators · t0", "ramp-up and tail of an operator, fitted"),
    "launch_s": (
        "m · (max(0, operators · launch − work) + the same of experts)",
        "the host launches ahead of the device; experts when it has told how many rows each gets",
    ),
    "host_s": (
        "c",
        "input, optimizer launches and logging between steps, fitted; launches of an update that goes tensor by tensor",
    ),
    "recompute_s": ("m · forward work done again", "Korthikanti et al. 2022"),
    "tensor_s": (
        "m·⌈layers/p⌉·4 (6 with full recomputation)·2(t−1)/t·b·s·h·bytes/B, less what products hide",
        "ring all-reduce; Narayanan et al. 2021; hidden: Korthikanti et al. 2022",
    ),
    "pipeline_s": (
        "2 · (m + p − 1) · b·s·h·bytes/(t·B), gathered over the link; interleaved: of m·v inner ones what is not hidden",
        "Narayanan et al. 2021",
    ),
    "data_s": (
        "all-reduce of gradients, or ZeRO gathers, beyond what computation hides; a share of what it hides",
        "ring over two levels; Rajbhandari et al. 2020",
    ),
    "expert_s": ("m · layers/p · 4 · (e−1)/e · tokens·h·k·bytes/B", "all-to-all"),
    "lookup_s": ("m · 2 · (n−1)/n · b·rows·width·bytes/B", "all-to-all of the rows of tables that devices share out"),
    "context_s": (
        "m · Σ max(0, ring of keys and values − attention); a share of what it hides",
        "ring attention (Liu et al. 2023)",
    ),
    "bubble_s": ("(Σ stages − slowest)/v; (p−1)/v · stage where all are alike", "1F1B (Narayanan et al. 2021)"),
    "optimizer_s": ("bytes of states / (W·e_m)", "each state read and written once"),
    "straggler_s": ("σ·z(n) · (m · stage + optimizer + c)", "the slowest of n devices (Blom 1958); σ fitted"),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Steps:
    """``domain.answer.estimate.StepTime`` in columns: seconds by part, shape (n,) each."""

    compute_s: Array
    memory_s: Array
    overhead_s: Array
    launch_s: Array
    host_s: Array
    recompute_s: Array
    tensor_s: Array
    pipeline_s: Array
    data_s: Array
    expert_s: Array
    lookup_s: Array
    context_s: Array
    bubble_s: Array
    optimizer_s: Array
    straggler_s: Array

    @property
    def total_s(self) -> Array:
        """The whole step."""
        return sum((getattr(self, name) for name in _PARTS), np.zeros_like(self.compute_s))

    def take(self, index: Index) -> Steps:
        """Those entries, in that order."""
        return Steps(**{name: getattr(self, name).take(index) for name in _PARTS})

    def at(self, index: int) -> StepTime:
        """One entry as a noun."""
        return StepTime(**{name: float(getattr(self, name)[index]) for name in _PARTS})


_PARTS = tuple(f.name for f in fields(Steps))


def step_time(plan: TrainingPlan, layouts: Layouts, hw: Hardware) -> Steps:
    """Seconds of a step by part. ``layouts`` and ``hw`` have one entry for each candidate, in the same order."""
    return step_times([Asked(plan, layouts, hw)])[0]


def step_times(asked: Sequence[Asked]) -> list[Steps]:
    """The same of several plans at once, which takes a fraction of the time where each has few candidates."""
    return [_step(*each, parts) for each, parts in zip(asked, parts_of(asked), strict=True)]


def _step(plan: TrainingPlan, layouts: Layouts, hw: Hardware, parts: Parts) -> Steps:
    m = layouts.accumulation
    first, layers, last = parts
    tensor, expert = (each(plan, layouts, hw, layers) for each in (_tensor_s, _expert_s))
    context = _context_s(plan, layouts, hw)
    exchanged = tensor + expert + context
    shares = stages(plan, layouts)
    stage, share = _slowest_stage(shares, layouts, parts, exchanged)
    gradients = _moved_bytes(plan, layouts, shares, trained_only=True)
    tensor, expert, context = tensor * share, expert * share, context * share
    forward, busy = stage.both, stage.total_s + exchanged * share
    launch = _launch_s(plan, hw, stage, busy)
    one = busy + launch
    host, update = hw.host_s + launches_s(plan, hw), _optimizer_s(plan, layouts, hw, gradients)
    model, whole = first + layers + last, first.total_s + layers.total_s + last.total_s + exchanged
    return Steps(
        compute_s=m * forward.compute_s,
        memory_s=m * forward.memory_s,
        overhead_s=m * forward.overhead_s,
        launch_s=m * launch,
        host_s=host,
        recompute_s=m * stage.again.total_s,
        tensor_s=m * tensor,
        pipeline_s=_pipeline_s(plan, layouts, hw, one),
        data_s=_data_s(plan, layouts, hw, stage, shares, gradients),
        expert_s=m * expert,
        lookup_s=m * travel_s(plan, layouts, hw),
        context_s=m * context,
        # A micro-batch meets every stage before the slowest has the next one, and after it had the last.
        bubble_s=np.maximum(whole + _launch_s(plan, hw, model, whole) - one, 0.0) / layouts.interleave,
        optimizer_s=update,
        straggler_s=hw.variation * slowest(hw.devices) * (m * (stage.total_s + launch) + host + update),
    )


def _launch_s(plan: TrainingPlan, hw: Hardware, stage: Passes, busy: Array) -> Array:
    """What a stage waits for the host in one micro-batch, which launches ahead of the device.

    The products of experts are launched when the device has told how many rows each gets: then nothing is ahead.
    """
    replayed = hw.launch_s * (1.0 - plan.tuning.replayed)
    all_launches = stage.forward.launches + stage.backward.launches + stage.again.launches
    if not plan.tuning.dropless:
        return np.maximum(replayed * all_launches - busy, 0.0)
    rest = replayed * (all_launches - stage.routed.launches) - (busy - stage.routed.total_s)
    return np.maximum(rest, 0.0) + np.maximum(replayed * stage.routed.launches - stage.routed.total_s, 0.0)


def _middle(plan: TrainingPlan) -> list[Block]:
    return [b for b in plan.workload.blocks if b.place == "middle"]


def _slowest_stage(shares: Stages, layouts: Layouts, parts: Parts, exchanged_s: Array) -> tuple[Passes, Array]:
    """Work of the slowest stage for one micro-batch, and its share of the layers.

    Args:
        shares: of the layers that stages have.
        layouts: as of ``step_time``.
        parts: of the whole model.
        exchanged_s: what all layers exchange with other devices, in the same stage.
    """
    first, middle, last = parts
    layers_s = middle.total_s + exchanged_s
    loads = (shares.first * layers_s + first.total_s, shares.inner * layers_s, shares.last * layers_s + last.total_s)
    slowest = np.argmax(loads, axis=0)
    share: Array = np.choose(slowest, shares)
    # Alone, a stage has both ends.
    head, tail = (((slowest == end) | (layouts.pp == 1)).astype(float) for end in (0, 2))
    return middle * share + first * head + last * tail, share


def _tensor_s(plan: TrainingPlan, layouts: Layouts, hw: Hardware, layers: Passes) -> Array:
    """Exchanges of tensor parallelism of all layers for one micro-batch, as far as they cost time.

    Forward, each is waited for. Backward, the gradient of a product's input travels while that of its weight is
    computed; with sequence parallelism that is half of what travels, the other half comes before (Korthikanti et al.
    2022, section 4.2.2). In pieces, beside the products that need them, all but the first of them travel under products
    (Transformer Engine's user buffers); that needs sequence parallelism.
    """
    if not (layouts.tp > 1).any():
        return np.zeros_like(layouts.tp)
    ahead, back = np.zeros_like(layouts.tp), np.zeros_like(layouts.tp)
    for block in _middle(plan):
        size = block.boundary * layouts.micro_batch * _exchanged_bytes(plan, layouts) / layouts.cp
        once = block.repeat * block.reductions * all_reduce_s(hw, size, layouts.tp, np.ones_like(layouts.tp))
        ahead, back = ahead + once, back + (0.0 if block.passed else once)
    under, under_back = np.zeros_like(ahead), np.zeros_like(ahead)
    if plan.tuning.tensor is not TensorOverlap.NONE:
        under_back = np.minimum(back * np.where(layouts.sequence > 0, 0.5, 1.0), layers.gradients_s)
    if plan.tuning.tensor is TensorOverlap.PIPELINED:
        pieces = np.where(layouts.sequence > 0, 1.0 - 1.0 / layouts.tp, 0.0) * ahead
        under = np.minimum(pieces, layers.divided_s)
        # The backward pass has two products for each of the forward pass.
        under_back = np.maximum(under_back, np.minimum(pieces, 2.0 * layers.divided_s))
    hidden = under * (1.0 + layouts.full) + under_back
    paid = ahead + back * (1.0 + layouts.full) - hidden + hw.contention * hidden
    return np.where(layouts.tp > 1, paid, 0.0)


def _exchanged_bytes(plan: TrainingPlan, layouts: Layouts) -> Array:
    """Bytes of an element that is exchanged: where operands are narrow, what is gathered is cast before it travels; what
    is summed stays wide."""
    p = plan.precision
    narrow = p.matmul_dtype != p.other_dtype
    gathered = np.where(narrow & (layouts.sequence > 0), 1.0, float(p.compute_bytes))
    return (gathered + p.compute_bytes) / 2.0


def _expert_s(plan: TrainingPlan, layouts: Layouts, hw: Hardware, layers: Passes) -> Array:
    """All-to-alls to the experts and back, forward and backward, of all layers for one micro-batch.

    Where tokens cross the network, software can send them under the computation of another micro-batch.
    """
    total = np.zeros_like(layouts.tp)
    if not (layouts.ep > 1).any():
        return total
    for block in _middle(plan):
        routed = [o for o in block.operators if isinstance(o, MatMul) and o.experts > 1]
        if routed:
            rows = routed[0].rows * layouts.micro_batch / (layouts.cp * layouts.tp)
            size = rows * routed[0].inner * plan.precision.compute_bytes
            apart = expert_tensor(layouts)
            tuning = plan.tuning
            ways = tuning.once_a_node, tuning.once_a_device
            once = dispatch_s(hw, size, float(routed[0].active), layouts.ep, apart, *ways)
            total = total + block.repeat * (4.0 + 2.0 * layouts.full) * once
    if plan.tuning.experts:
        far = layouts.ep * expert_tensor(layouts) > hw.near
        under = np.minimum(_EXPERTS_HIDDEN * total, OVERLAP * (layers.forward.total_s + layers.backward.total_s))
        total = np.where(far, _paid(hw, total, under), total)
    return np.where(layouts.ep > 1, total, 0.0)


def _context_s(plan: TrainingPlan, layouts: Layouts, hw: Hardware) -> Array:
    """Keys and values passed round the context group, beyond the attention they are passed under, and a share of what
    it hides.

    Backward, they come round again and so do their gradients; where a layer is computed again, they do too.
    """
    total = np.zeros_like(layouts.tp)
    if not (layouts.cp > 1).any():
        return total
    for block in _middle(plan):
        for op in (o for o in block.operators if isinstance(o, Attention)):
            pairs = op.keys * op.kv_heads * (op.key_dim + op.value_dim)
            size = pairs * layouts.micro_batch * plan.precision.compute_bytes / layouts.tp
            ring = gather_s(hw, size, layouts.cp, layouts.tp)
            ahead, back = operator_work(op, block, plan, layouts, hw)
            forward = (1.0 + layouts.full) * _paid(hw, ring, ahead.total_s)
            exposed = forward + _paid(hw, 2.0 * ring, back.total_s)
            total = total + block.repeat * exposed
    return np.where(layouts.cp > 1, total, 0.0)


def _pipeline_s(plan: TrainingPlan, layouts: Layouts, hw: Hardware, one_s: Array) -> Array:
    """Sends between stages in a step, beyond what is hidden under others; ``one_s`` is what a stage takes for one
    micro-batch.

    With virtual stages, v times as many sends, a device computes one while another's are under way. A send to one
    neighbour takes next to nothing from what computes, so what is hidden is free.
    """
    if not (layouts.pp > 1).any():
        return np.zeros_like(layouts.pp)
    m, once = layouts.accumulation, 2.0 * _boundary_s(plan, layouts, hw)
    under = m * np.maximum(layouts.interleave * once - one_s, 0.0)
    pipeline = (layouts.pp - 1) * once + np.where(layouts.interleave > 1, under, m * once)
    return np.where(layouts.pp > 1, pipeline, 0.0)


def _boundary_s(plan: TrainingPlan, layouts: Layouts, hw: Hardware) -> Array:
    """One send of a micro-batch between two stages.

    Each device of a tensor group sends its part (Narayanan et al. 2021, section 4.1): Megatron-LM does so in every
    schedule (``scatter_gather_tensors_in_pipeline``), DeepSpeed's pipeline engine too (``pipe_partitioned``). Where
    activations are not divided under sequence parallelism anyway, the group that has them puts the parts together.
    """
    size = max((b.boundary for b in _middle(plan)), default=0.0) * layouts.micro_batch * plan.precision.compute_bytes
    size = size / layouts.cp
    gather = np.where(layouts.sequence > 0, 0.0, gather_s(hw, size, layouts.tp, np.ones_like(layouts.tp)))
    # Stages are the outermost dimension: together they span all devices.
    return send_s(hw, size / layouts.tp, hw.devices) + gather


def _data_s(
    plan: TrainingPlan, layouts: Layouts, hw: Hardware, stage: Passes, shares: Stages, gradients: _Moved
) -> Array:
    """Communication of data parallelism and ZeRO in a step, as far as it costs time."""
    if not (layouts.replicas > 1).any():
        return np.zeros_like(layouts.dp)
    summed = _Moved(*(_wider_gradients(plan) * size for size in gradients))
    scatter = _over_data_s(layouts, hw, summed)
    # A plain all-reduce is a reduce-scatter and an all-gather; ZeRO-1 gathers weights instead, once a step. ZeRO-2 keeps
    # no whole gradients, so it scatters those of every micro-batch.
    hidden = (OVERLAP if plan.tuning.data else 0.0) * stage.backward.total_s
    updated = np.where(layouts.zero >= 1, _over_data_s(layouts, hw, gradients), scatter)
    plain = _paid(hw, scatter + updated, hidden)
    plain = plain + np.where(layouts.zero == 2, (layouts.accumulation - 1) * _paid(hw, scatter, hidden), 0.0)
    sharded, last = np.zeros_like(plain), scatter + updated
    if (layouts.zero >= 3).any():
        gather = _over_data_s(layouts, hw, _moved_bytes(plan, layouts, shares, trained_only=False))
        sharded = _sharded_s(plan, layouts, hw, stage, gather, scatter)
        last = np.where(layouts.zero >= 3, gather + scatter, last)
    between = _between_shards_s(layouts, hw, summed, np.maximum(hidden - last, 0.0))
    return np.where(layouts.replicas > 1, np.where(layouts.zero >= 3, sharded, plain) + between, 0.0)


def _paid(hw: Hardware, communication: Array, hidden: Array) -> Array:
    """Seconds that a communication adds: what computation does not hide, and a share of what it does.

    The two compete for memory and multiprocessors, so that each slows the other (contention, fitted).
    """
    exposed = np.maximum(communication - hidden, 0.0)
    return exposed + hw.contention * (communication - exposed)


def _wider_gradients(plan: TrainingPlan) -> float:
    """Bytes of a gradient that is summed over devices, over those of a weight that is gathered: twice as many where
    software sums what it computed in bf16 in fp32."""
    return _SUMMED_BYTES / plan.precision.compute_bytes if plan.tuning.sums_wide and _in_bf16(plan) else 1.0


def _in_bf16(plan: TrainingPlan) -> bool:
    return plan.precision.other_dtype == "bf16"


def _over_data_s(layouts: Layouts, hw: Hardware, moved: _Moved) -> Array:
    """A gather of a device's weights, or a scatter of their gradients, over the devices that share them."""
    dense, experts = moved
    once = gather_s(hw, dense, layouts.shards, layouts.tp)
    if not (experts > 0).any():
        return once
    # Experts live on every ep-th device only, so they meet that many fewer.
    alike, apart = _expert_replicas(layouts)
    return once + gather_s(hw, experts, alike, apart)


class _Moved(NamedTuple):
    """Bytes of a device's weights, shape (n,): those that all devices of its stage have, and those of its experts."""

    dense: Array
    experts: Array


def _moved_bytes(plan: TrainingPlan, layouts: Layouts, shares: Stages, trained_only: bool) -> _Moved:
    """Those that data parallelism moves.

    Frozen products of the layers travel as they are kept, in 4 bits under QLoRA (bitsandbytes, FSDP-QLoRA).
    """
    sizes = dict.fromkeys(("first", "middle", "last", "experts"), 0.0)
    for block in plan.workload.blocks:
        for op in (o for o in block.operators if o.trainable or not trained_only):
            if is_shared_out(op):
                continue
            routed = isinstance(op, MatMul) and op.experts > 1
            kept = not op.trainable and isinstance(op, MatMul) and block.place == "middle"
            width = plan.weight_bytes if kept else float(plan.precision.compute_bytes)
            sizes["experts" if routed else block.place] += op.parameters * block.repeat * width
    middle = sizes["middle"]
    # Of the fullest stage; alone, a stage has both ends.
    ends = (middle * shares.first + sizes["first"], middle * shares.last + sizes["last"])
    whole = middle + sizes["first"] + sizes["last"]
    dense = np.where(layouts.pp > 1, np.maximum(np.maximum(*ends), middle * shares.inner), whole)
    experts = np.zeros_like(dense)
    if sizes["experts"]:
        experts = sizes["experts"] * fullest(shares)[0] / (expert_tensor(layouts) * layouts.ep)
    return _Moved(dense / layouts.tp, experts)


def _expert_replicas(layouts: Layouts) -> tuple[Array, Array]:
    """Devices that have the same experts, and how far they are from each other."""
    apart = expert_tensor(layouts) * layouts.ep
    return np.maximum(layouts.tp * layouts.replicas / apart, 1.0), apart


def _between_shards_s(layouts: Layouts, hw: Hardware, gradients: _Moved, hidden: Array) -> Array:
    """Hybrid sharding: groups that hold the same shards all-reduce their gradients once a step.

    ``hidden`` is what the group's own collectives leave of the backward pass. Experts are scattered over all
    that have them in any case.
    """
    groups = layouts.replicas / layouts.shards
    if not (groups > 1).any():
        return np.zeros_like(layouts.tp)
    reduce = all_reduce_s(hw, gradients.dense / layouts.shards, groups, layouts.tp * layouts.shards)
    return np.where(groups > 1, _paid(hw, reduce, hidden), 0.0)


def _sharded_s(
    plan: TrainingPlan, layouts: Layouts, hw: Hardware, stage: Passes, gather: Array, scatter: Array
) -> Array:
    """ZeRO-3: weights are gathered for each pass of each micro-batch, gradients scattered; with prefetch,
    only what takes longer than the layer before it is exposed, and the first layer's gather."""
    ahead = _paid(hw, gather, stage.forward.total_s)
    back = _paid(hw, gather + scatter, stage.backward.total_s + stage.again.total_s)
    first_layer = (gather + scatter) / max(plan.workload.layers, 1)
    exposed: Array = layouts.accumulation * (ahead + back) + first_layer
    return exposed


def _optimizer_s(plan: TrainingPlan, layouts: Layouts, hw: Hardware, gradients: _Moved) -> Array:
    """The update reads the gradient, reads and writes each state and the master weight, writes the weight."""
    p = plan.precision
    moved = _UPDATE_READS_GRADIENT + 2.0 * (plan.state_bytes + p.master_bytes) + p.compute_bytes
    dense, experts = (size / p.compute_bytes for size in gradients)
    alike, _ = _expert_replicas(layouts)
    own = np.where(layouts.zero >= 1, dense / layouts.shards + experts / alike, dense + experts)
    update: Array = (own * moved + updated_bytes(plan, layouts)) / hw.memory_bytes_per_s
    return update + own * hosted_bytes(plan) / hw.pcie_bytes_per_s


# --- runs that were made


class Question(NamedTuple):
    """Runs that have a plan in common: the workload, the precision and the way of attention.

    Attributes:
        clusters: where each run ran.
        layouts: what each can have had; at least one.
    """

    plan: TrainingPlan
    clusters: Sequence[Cluster]
    layouts: Sequence[Sequence[Layout]]


def fastest(questions: Sequence[Question]) -> list[list[tuple[Layout, float]]]:
    """The layout with the most samples a second, and how many it does on one device, for each run of each question."""
    asked = []
    for plan, clusters, layouts in questions:
        counts = [len(each) for each in layouts]
        hw = Hardware.of(clusters, plan.precision).take(np.repeat(np.arange(len(clusters)), counts))
        asked.append(Asked(plan, Layouts.of([layout for each in layouts for layout in each]), hw))
    return [
        _best(question.layouts, (each.layouts.samples / steps.total_s / each.hw.devices).tolist())
        for question, each, steps in zip(questions, asked, step_times(asked), strict=True)
    ]


def _best(layouts: Sequence[Sequence[Layout]], speeds: Sequence[float]) -> list[tuple[Layout, float]]:
    """Of each run the layout of the highest speed, which stand one after another."""
    found, start = [], 0
    for options in layouts:
        mine = speeds[start : start + len(options)]
        best = max(range(len(options)), key=mine.__getitem__)
        found.append((options[best], mine[best]))
        start += len(options)
    return found
