"""Time of operators on one device: a roofline with a fixed cost.

    t = t0 + max(F / (P·e), Q / (W·e_m))

F the FLOP, P the dense peak, Q the bytes, W the memory bandwidth (Williams et al. 2009, the roofline
model). A product of inner dimension k has e·k / (k + k0): every tile of its result fills and drains its
pipeline once (NVIDIA, Matrix Multiplication Background User's Guide). The fixed cost t0 is what the ramp-up
and the tail take; for a product of F FLOP it makes the efficiency e·F / (F + P·e·t0), the saturating curve
that measured products follow. The host launches operators ahead of the device: launches cost time only
where they take longer than the work itself.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import fields, replace
from operator import attrgetter

import numpy as np

from zenplan.domain.model.operators import (
    Attention,
    Convolution,
    Elementwise,
    ElementwiseKind,
    Embedding,
    Function,
    MatMul,
    Operator,
    Recurrent,
    Role,
    Split,
)
from zenplan.domain.model.workload import LANGUAGE, Block
from zenplan.domain.software import Software
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.attention import fused_attention_s
from zenplan.planning.physics.columns import Array, Hardware, Layouts
from zenplan.planning.physics.work import Passes, Work, roofline

# Bytes that a backward pass moves for each one forward: a norm reads two and writes one more.
_STREAM_BACKWARD = 1.5
# An unfused one writes and reads the scores as product, softmax, dropout and input of the next product.
_SCORE_PASSES, _SCORE_PASSES_BACKWARD, _UNFUSED_OPERATORS = 6.0, 8.0, 5
# Tensor cores take operands in rows of 16 bytes: a head of another width leaves them for slower kernels (NVIDIA,
# Matrix Multiplication Background User's Guide). How much is lost, there and in products of odd widths, is our
# assumption, near what BigScience's sweep of shapes shows.
_ALIGNED_BYTES = 16
_FP32_BYTES = 4.0
_MISALIGNED_HEAD, _MISALIGNED_PRODUCT, _SLOWER_PRODUCT = 0.1, 0.5, 0.85
# The thin side of an adapter fills no tile of a product, which has 64 on a side at least (NVIDIA, Matrix Multiplication
# Background User's Guide); beside it the wide side is read or written, which takes longer.
_TILE = 64.0
# Software whose models call each layer by itself, and that does not put the sums of adapters into other kernels.
_BY_LAYER = (Software.EAGER, Software.PATCHED)
_FUSED_ADAPTERS = (Software.PATCHED, Software.COMPILED, Software.JAX, Software.XLA)

# Rows of the tiles that products are computed in (NVIDIA, Matrix Multiplication Background User's Guide).
_TILE_ROWS = 128.0
# Where routing is learned, experts get unequal shares; how unequal those of whole devices are is our assumption
# (Wang et al. 2024, arXiv 2408.15664: the fullest expert has 1.04 to 1.7 times the average of a batch).
_FULLEST = 1.1
# Kernels of a mixture that are no products: scores, the largest of them, counts, order, the balancing loss, forward and
# backward; counted in Megatron-Core's router and dispatcher, with fused kernels and without.
_ROUTING, _ROUTING_UNFUSED = (15.0, 20.0), (40.0, 60.0)
# What the host launches to cast an operand: it, its transpose, its scales.
_CASTS = 3.0
# Unfused, rows are selected, weighted, added up and copied in passes of their own.
_PERMUTED_UNFUSED = 2.5


def divisor(split: Split, layouts: Layouts) -> Array:
    """What tensor parallelism divides an operator by."""
    if split is Split.NONE:
        return np.ones_like(layouts.tp)
    if split is Split.SEQUENCE:
        return np.where(layouts.sequence > 0, layouts.tp, 1.0)
    return layouts.tp


def expert_tensor(layouts: Layouts) -> Array:
    """Devices that share one expert: the tensor group, or fewer where expert groups are larger than dp·cp.

    Expert groups fold over the tensor groups then (Megatron-Core's expert tensor parallelism).
    """
    return np.clip(layouts.tp * layouts.replicas / layouts.ep, 1.0, layouts.tp)


def _matmul(op: MatMul, plan: TrainingPlan, layouts: Layouts, hw: Hardware, narrow: bool) -> tuple[Work, Work]:
    """A product; the backward pass has one for its input and, if it is trained, one for its weight."""
    rate = _rate(plan, hw, narrow)
    narrow = narrow and plan.precision.matmul_dtype != plan.precision.other_dtype
    width = plan.precision.compute_bytes
    operand = 1 if narrow else width  # bytes of an element that goes into the product
    tp, local = divisor(op.split, layouts), op.experts / np.minimum(layouts.ep, op.experts)
    rows = layouts.micro_batch * op.rows / layouts.cp * op.active
    if op.experts > 1:
        # Where expert groups fold over tensor groups, each device has whole experts and fewer rows.
        rows, tp = rows * expert_tensor(layouts) / layouts.tp, np.minimum(tp, expert_tensor(layouts))
    inner = op.inner / tp if op.split is Split.ROWS else op.inner * np.ones_like(tp)
    columns = op.columns / tp if op.split is Split.COLUMNS else op.columns * np.ones_like(tp)
    weights = inner * columns * local
    # Each layer that stands in the product's place reads the input itself.
    calls = op.parts if plan.software in _BY_LAYER else 1
    moved = rows * (inner * operand * calls + columns * width) + weights * operand
    # Of a model that is known by its counts the sizes are averages: nobody knows how they are aligned.
    known = op.inner % 1.0 == op.columns % 1.0 == 0.0
    aligned = np.minimum(*(_alignment(n * operand, hw) for n in (inner, columns))) if known else np.ones_like(tp)
    computed, kernels = rows, np.ones_like(tp)
    if op.experts > 1:
        # The fullest device is waited for, and the last tile of each expert's rows is half empty.
        computed = rows * _imbalance(plan, layouts) + local * _TILE_ROWS / 2.0
        kernels = kernels if plan.tuning.grouped else np.ceil(local)
    flop = 2.0 * computed * inner * columns / aligned

    def kernel(flop: Array, moved: Array, count: float = 1.0) -> Work:
        # Those of a layer's experts run side by side on the device; the host launches each.
        return replace(roofline(hw, flop, rate, moved, calls), launches=kernels * calls * count)

    def product(depth: Array) -> Work:
        return kernel(flop * (1.0 + _fill_elements(hw) / depth), moved)

    if op.role is Role.ADAPTER:
        thin = _TILE / min(_TILE, op.inner, op.columns / op.parts)
        return _adapter(op, roofline(hw, 2.0 * rows * inner * columns * thin, rate, moved, calls))

    # The gradient of the input sums over columns, that of the weight over the rows each expert meets.
    forward, backward = product(inner), product(columns) if op.input_gradient else Work.none(layouts)
    if op.trainable:
        backward = backward + product(rows / local)
    if narrow:
        # The inputs are cast to 8 bits, and the gradients of the results.
        ahead, back = (kernel(0.0 * rows, rows * n * plan.precision.cast_passes, _CASTS) for n in (inner, columns))
        forward, backward = forward + ahead, backward + back
    if op.trainable or plan.weight_bytes >= width:
        return forward, backward
    expanded = _expanded(plan, hw, weights, calls)
    return forward + expanded, backward + expanded


def _expanded(plan: TrainingPlan, hw: Hardware, weights: Array, calls: float) -> Work:
    """Weights kept in 4 bits are expanded before each product, of the backward pass too: read small, written at full
    width (bitsandbytes, autograd/_functions.py: MatMul4Bit)."""
    return roofline(hw, 0.0 * weights, 1.0, weights * (plan.weight_bytes + plan.precision.compute_bytes), calls)


def _rate(plan: TrainingPlan, hw: Hardware, narrow: bool) -> Array:
    """FLOP a second of large products; ``narrow`` ones are in the plan's own format, but for the layers that stay wide."""
    if not narrow:
        return hw.other_flop_per_s
    wide = plan.precision.wide_share
    return 1.0 / ((1.0 - wide) / (hw.matmul_flop_per_s * plan.precision.products) + wide / hw.other_flop_per_s)


def _adapter(op: MatMul, once: Work) -> tuple[Work, Work]:
    """A thin product, of which each pass moves the wide side; the backward pass has one for the weight too."""
    return once, once * (2.0 if op.input_gradient else 1.0)


def _imbalance(plan: TrainingPlan, layouts: Layouts) -> Array:
    """Rows of the expert-parallel device that has the most of them, over the average."""
    return np.where((layouts.ep > 1) & (not plan.tuning.balanced), _FULLEST, 1.0)


def _fill_elements(hw: Hardware) -> Array:
    """What filling and draining the pipeline of a product takes, in elements of its inner dimension.

    It is a number of clocks, until the first operands have come and the last results have gone, in which a
    multiprocessor of fewer FLOP a clock would have got through fewer elements: an H20 loses fewer than an H100 (OpenXLA's
    table of products on H100; alibaba/InferSim:bench_data/gemm/h20/data.csv). Multiprocessors that are faster have
    larger tiles and deeper pipelines too, so that it grows with the square root of their pace; that is our assumption.
    """
    return hw.fill_elements * np.sqrt(hw.pace)


def _casts(plan: TrainingPlan) -> bool:
    """Whether a framework casts operator by operator: PyTorch's autocast runs softmax and norms over rows or groups in
    fp32 (torch.amp, "CUDA ops that autocast to float32"), so that what they give, and the sums behind them, is there
    in fp32 and in the 16 bits that the next product takes. Language models are fitted without."""
    mixed = plan.precision.compute_bytes < _FP32_BYTES and plan.software is Software.EAGER
    return mixed and plan.workload.family not in LANGUAGE


def _alignment(row_bytes: Array, hw: Hardware) -> Array:
    """What operands in rows of that size leave of a product's speed."""
    fast, aligned = row_bytes / hw.row_bytes, row_bytes / _ALIGNED_BYTES
    # Whole numbers by rounding: numpy's remainder of floats takes nine times as long.
    slower = np.where(aligned == np.rint(aligned), _SLOWER_PRODUCT, _MISALIGNED_PRODUCT)
    return np.where(fast == np.rint(fast), 1.0, slower)


def _attention(op: Attention, plan: TrainingPlan, layouts: Layouts, hw: Hardware) -> tuple[Work, Work]:
    share = layouts.micro_batch / (layouts.tp * layouts.cp)
    width = plan.precision.compute_bytes
    odd = op.key_dim * width % _ALIGNED_BYTES or op.value_dim * width % _ALIGNED_BYTES
    aligned = _MISALIGNED_HEAD if odd else 1.0
    moved = op.io_elements * share * width
    if plan.fused_attention:
        ahead_s, back_s = fused_attention_s(op, share, layouts.cp, hw)
        # A context group hands keys round, and each device has a kernel for each part of them.
        forward = roofline(hw, ahead_s / aligned, 1.0, moved, layouts.cp)
        return forward, roofline(hw, back_s / aligned, 1.0, 2.5 * moved, 2.0 * layouts.cp)
    flop, scores = op.full_flop * share / aligned, op.score_elements * share * width
    if _casts(plan):
        # Softmax is in fp32; queries, keys, values and the output are copied between layouts, read and written.
        scores, moved = op.score_elements * share * _FP32_BYTES, 3.0 * moved
    # The two products are limited by arithmetic, the softmax between them by memory: one after the other.
    forward = roofline(hw, flop, hw.other_flop_per_s, moved, 2)
    softmax = roofline(hw, 0.0 * flop, hw.other_flop_per_s, _SCORE_PASSES * scores, _UNFUSED_OPERATORS - 2)
    back = roofline(hw, 2.0 * flop, hw.other_flop_per_s, 2.0 * moved, 4)
    unsoft = roofline(hw, 0.0 * flop, hw.other_flop_per_s, _SCORE_PASSES_BACKWARD * scores, 3)
    return forward + softmax, back + unsoft


def _elementwise(op: Elementwise | Embedding, plan: TrainingPlan, layouts: Layouts, hw: Hardware) -> tuple[Work, Work]:
    if isinstance(op, Embedding):
        elements, passes, width = float(op.rows * op.width), 2.0, float(plan.precision.compute_bytes)
        split = Split.SEQUENCE  # every device looks up its own part of the rows
    else:
        elements, passes, split, width = op.elements, _passes(op, plan), op.split, _width(op, plan)
    moved = elements * passes * width * layouts.micro_batch / (divisor(split, layouts) * layouts.cp)
    if isinstance(op, Elementwise) and op.kind is ElementwiseKind.PERMUTATION:
        return _permutation(moved, plan, layouts, hw)
    forward, backward = (
        roofline(hw, 0.0 * moved, hw.other_flop_per_s, size, 1) for size in (moved, moved * _STREAM_BACKWARD)
    )
    return forward, backward


def _width(op: Elementwise, plan: TrainingPlan) -> float:
    """Bytes of an element."""
    casts = _casts(plan) and (op.kind is ElementwiseKind.NORM or op.function is Function.SOFTMAX)
    return (op.element_bytes or plan.precision.compute_bytes) + (_FP32_BYTES if casts else 0.0)


def _passes(op: Elementwise, plan: TrainingPlan) -> float:
    """How often each element is read or written, forward."""
    adds = op.kind is ElementwiseKind.ADAPTER_SUM
    unfused = plan.software not in _FUSED_ADAPTERS if adds else plan.software is Software.EAGER
    return op.eager_passes if unfused and op.eager_passes is not None else op.passes


def _permutation(moved: Array, plan: TrainingPlan, layouts: Layouts, hw: Hardware) -> tuple[Work, Work]:
    """Rows of a mixture are put in the order of their experts, and back, with all that decides on it.

    Forward and backward move as much: the gradient of a gather is a scatter. Tokens that come from other devices lie
    by device, and are put in order once more.
    """
    fused = plan.tuning.permutation
    moved = moved * (1.0 if fused else _PERMUTED_UNFUSED) * np.where(layouts.ep > 1, 2.0, 1.0)
    kernels = _ROUTING if fused else _ROUTING_UNFUSED
    forward, backward = (
        replace(roofline(hw, 0.0 * moved, hw.other_flop_per_s, moved, 4), launches=np.full_like(moved, n))
        for n in kernels
    )
    return forward, backward


def operator_work(op: Operator, block: Block, plan: TrainingPlan, layouts: Layouts, hw: Hardware) -> tuple[Work, Work]:
    """Forward and backward work of one operator for one micro-batch.

    Args:
        op: sized for one sample.
        block: that it is in.
        plan: what is trained, and in which precision.
        layouts: n entries.
        hw: the devices; n entries, or one.
    """
    if isinstance(op, MatMul):
        # Under fp8 the layers' products run in it; the head and the router stay wider.
        narrow = block.place == "middle" and op.split is not Split.NONE
        return _matmul(op, plan, layouts, hw, narrow)
    if isinstance(op, Attention):
        return _attention(op, plan, layouts, hw)
    if isinstance(op, Convolution):
        return convolution_work(op, plan, layouts, hw)
    if isinstance(op, Recurrent):
        return recurrent_work(op, plan, layouts, hw)
    return _elementwise(op, plan, layouts, hw)


def _counted(block: Block, plan: TrainingPlan) -> Iterator[tuple[Operator, float]]:
    """A block's operators, each with how many there are of it. Elementwise ones that are divided alike move as much as
    so many of their average size."""
    others: dict[Hashable, tuple[Operator, int]] = {}
    streams: dict[Split, list[Elementwise]] = {}
    for op in block.operators:
        if isinstance(op, Elementwise) and op.kind is not ElementwiseKind.PERMUTATION:
            streams.setdefault(op.split, []).append(op)
        else:
            key = _VALUES[type(op)](op)
            others[key] = (op, 1 + (others[key][1] if key in others else 0))
    yield from ((op, float(count)) for op, count in others.values())
    for split, alike in streams.items():
        moved_bytes = sum(op.elements * _passes(op, plan) * _width(op, plan) for op in alike)
        average = Elementwise(
            name="average", elements=moved_bytes / len(alike), passes=1.0, split=split, element_bytes=1.0
        )
        yield average, float(len(alike))


# All that an operator is but its name.
_VALUES: dict[type, Callable[[object], Hashable]] = {
    kind: attrgetter(*(f.name for f in fields(kind) if f.name != "name"))
    for kind in (MatMul, Attention, Convolution, Recurrent, Embedding, Elementwise)
}


def block_passes(block: Block, plan: TrainingPlan, layouts: Layouts, hw: Hardware) -> Passes:
    """The work of one repetition of a block for one micro-batch, on one device.

    Args:
        block: of operators that are sized for one sample.
        plan: what is trained, and in which precision.
        layouts: n entries.
        hw: the devices; n entries, or one.
    """
    passes = Passes.none(layouts)
    for op, count in _counted(block, plan):
        found = _operator_passes(op, block, plan, layouts, hw)
        passes = passes + (found * float(count) if count > 1 else found)
    return passes


def _operator_passes(op: Operator, block: Block, plan: TrainingPlan, layouts: Layouts, hw: Hardware) -> Passes:
    ahead, back = operator_work(op, block, plan, layouts, hw)
    nothing = Work.none(layouts)
    again, routed, divided_s, gradients_s = nothing, nothing, nothing.compute_s, nothing.compute_s
    if block.place == "middle":
        # A fused kernel already computes its scores again; selective recomputation adds nothing to it.
        unfused = isinstance(op, Attention) and not plan.fused_attention
        again = ahead * (layouts.full + (layouts.selective if unfused else 0.0))
        if isinstance(op, MatMul) and op.experts > 1:
            routed = ahead + back + again
        elif isinstance(op, MatMul) and op.split in (Split.COLUMNS, Split.ROWS):
            divided_s = ahead.total_s
            if op.split is Split.COLUMNS and op.trainable:
                # Of the two products of the backward pass one is for the weight.
                gradients_s = back.total_s * (0.5 if op.input_gradient else 1.0)
    return Passes(ahead, back, again, divided_s, gradients_s, routed)


# --- recurrent layers
#
# Time of what a recurrent layer must do step by step.
#
# A step waits for the one before it. So it has the fixed time of its kernels, and reads the weights again, at each
# step; its product has only the samples of the micro-batch as rows (Diamos et al. 2016, persistent RNNs). Of the
# backward pass the gradient of the state goes step by step too, that of the weight is one product over all steps.

#
# Where a framework loops over the steps, most kernels of a step are small, and the device begins one within
# microseconds of the end of the last if the host has launched it by then: what limits it is the host.

# From one small kernel to the next of a stream, the kernel included, with launches ahead (NVIDIA, Getting Started with
# CUDA Graphs, 2019: 3.8 us a kernel of 2.9 us on V100).
_NEXT_KERNEL_S = 3.8e-6


def recurrent_work(op: Recurrent, plan: TrainingPlan, layouts: Layouts, hw: Hardware) -> tuple[Work, Work]:
    """Forward and backward work of one micro-batch.

    Args:
        op: sized for one sample.
        plan: what is trained, and in which precision.
        layouts: n entries.
        hw: the devices; n entries, or one.
    """
    width = plan.precision.compute_bytes
    rows = layouts.micro_batch * op.rows
    flop = 2.0 * rows * op.inner * op.columns
    moved = op.inner * op.columns * width + rows * (op.inner + op.columns) * width

    def step(depth: Array | float) -> Work:
        filled = flop * (1.0 + _fill_elements(hw) / depth)
        once = roofline(hw, filled, hw.other_flop_per_s, moved, 1)
        rest = np.full_like(once.launches, op.kernels - 1.0)
        gaps = once.overhead_s + rest * np.minimum(_NEXT_KERNEL_S, hw.operator_s)
        return replace(once, overhead_s=gaps, launches=once.launches + rest) * op.steps

    forward = step(op.inner)
    backward = step(op.columns) if op.input_gradient else Work.none(layouts)
    if op.trainable:
        every = op.steps * flop * (1.0 + _fill_elements(hw) / (op.steps * rows))
        kept = op.steps * rows * (op.inner + op.columns) * width
        backward = backward + roofline(hw, every, hw.other_flop_per_s, kept * np.ones_like(layouts.tp), 1)
    return forward, backward


# --- convolutions
#
# Time of a convolution on one device: a product over windows, as libraries compute it.
#
# Every output position is a row, its window of the input channels the inner dimension (implicit GEMM; Chetlur et al.
# 2014, cuDNN). So it follows the law of products, at an efficiency of its own. Its operands come and go as feature
# maps, which is all that a depthwise one takes time for.
#
# Tensor cores have become ten times as fast while what a multiprocessor loads from its caches in a clock has hardly
# grown. So each operation takes its time on the cores and a time to be fed, 1/(P·e_c) + 1/(clocks·feed): at the same
# clock and as many multiprocessors a card of four times the peak is not twice as fast.

# 16-bit tensor cores take channels last: without, each operand is transposed, read and written once more.
_TENSOR_CORES = ("fp16", "bf16")
# Bytes of the operands that feeding is counted in.
_HALF = 2.0
# Windows that fewer multiplications can do in fp32, where the window meets every position; and how many fewer there are
# in effect: 2.25 of a tile of 2 x 2 (Lavin & Gray 2016), of which the transforms take back a part.
_WINOGRAD_WINDOWS, _WINOGRAD = (9.0, 25.0), 1.7
# Columns of the smaller tiles that a product is done in.
_SMALL_TILE = 32.0
# A window that is not moved by more than one position has about as many inputs as outputs.
_SAME_SIZE = 1.3


def convolution_work(op: Convolution, plan: TrainingPlan, layouts: Layouts, hw: Hardware) -> tuple[Work, Work]:
    """Forward and backward work of one micro-batch; the backward pass has a convolution for the weight and one for
    the input, as far as they have gradients.

    Args:
        op: sized for one sample.
        plan: what is trained, and in which precision.
        layouts: n entries.
        hw: the devices; n entries, or one.
    """
    width = plan.precision.compute_bytes
    flop = op.flop * _padded(op) / _fewer(op, plan) * layouts.micro_batch / layouts.cp
    maps = (op.input_elements + op.output_elements) * layouts.micro_batch / layouts.cp * width
    moved = maps + op.parameters * width
    fed = width / _HALF / hw.feed_flop_per_s
    rate = 1.0 / (1.0 / hw.convolution_flop_per_s + fed)
    fill = hw.fill_elements * hw.pace

    def product(depth: Array | float) -> Work:
        once = roofline(hw, flop * (1.0 + fill / depth), rate, moved, 1)
        if not plan.channels_last and plan.precision.other_dtype in _TENSOR_CORES:
            once = once + roofline(hw, 0.0 * flop, rate, 2.0 * maps, 0)
        return once

    # The gradient of the input sums over the outputs, that of the weight over positions.
    backward = product(op.window * op.outputs / op.groups) if op.input_gradient else Work.none(layouts)
    if op.trainable:
        backward = backward + product(op.positions * layouts.micro_batch)
    return product(op.inner), backward


def _padded(op: Convolution) -> float:
    """What a library computes over what the convolution has: a product is done in tiles, and 80 channels take two
    tiles of 64 (NVIDIA, Matrix Multiplication Background User's Guide, tile quantization)."""
    each = op.outputs / op.groups
    if each < _SMALL_TILE or each != round(each):
        # Few channels a group have kernels of their own; of a model that is known by its counts nobody knows them.
        return 1.0
    tile = _TILE if each > _SMALL_TILE else _SMALL_TILE
    return -(-each // tile) * tile / each


def _fewer(op: Convolution, plan: TrainingPlan) -> float:
    """What computing it directly takes over what the library takes."""
    every = op.input_elements / op.inputs < _SAME_SIZE * op.positions
    plain = plan.precision.other_dtype == "fp32" and op.groups == 1
    return _WINOGRAD if plain and every and op.window in _WINOGRAD_WINDOWS else 1.0
