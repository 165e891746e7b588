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

from collections.abc import Callable, Hashable
from dataclasses import fields
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
    Scan,
    Split,
)
from zenplan.domain.model.workload import LANGUAGE, Block
from zenplan.domain.software import Software
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.attention import fused_attention_s, query_rows, scored_keys
from zenplan.planning.physics.columns import Array, Hardware, Layouts
from zenplan.planning.physics.convolutions import convolution_sizes, convolution_work
from zenplan.planning.physics.work import TILE, Work, roofline

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
# Bytes that each element of what experts give takes where they have biases, forward and backward, and kernels of an expert:
# 16 bits read, products and sums written and read in fp32, cast back.
_EXPERT_BIASES, _BIAS_KERNELS = (28.0, 40.0), (3.0, 7.0)
# What the host launches to cast an operand: it, its transpose, its scales.
_CASTS = 3.0
# Kernels of a scan in chunks, forward and backward: sums of decays, states of chunks, their passing on, scores, outputs
# (state-spaces/mamba: ops/triton/ssd_combined.py); one that goes element by element is one, and computes its states
# again on the way back. It runs on the plain cores, which have about a sixteenth of the FLOP (NVIDIA A100 and H100
# data sheets: 19.5 of 312, 67 of 989 TFLOP/s).
_SCAN_KERNELS, _SCAN_BACKWARD, _PLAIN_CORES = (5.0, 9.0), 2.5, 16.0
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


def _matmul(
    op: MatMul, sizes: Array, plan: TrainingPlan, layouts: Layouts, hw: Hardware, narrow: bool
) -> tuple[Work, Work]:
    """A product; the backward pass has one for its input and, if it is trained, one for its weight."""
    rate = _rate(plan, hw, narrow)
    narrow = narrow and plan.precision.matmul_dtype != plan.precision.other_dtype
    width = plan.precision.compute_bytes
    operand = 1 if narrow else width  # bytes of an element that goes into the product
    rows, inner, columns, local = _local(op, sizes, layouts)
    weights = inner * columns * local
    # Each layer that stands in the product's place reads the input itself.
    calls = op.parts if plan.software in _BY_LAYER else 1
    moved = rows * (inner * operand * calls + columns * width) + weights * operand
    sides = np.array((inner, columns))
    aligned = _alignment(sides * operand, hw).min(axis=0) if _known(op) else np.ones_like(rows)
    computed, kernels = rows, np.ones_like(rows)
    if op.experts > 1:
        # The fullest device is waited for, and the last tile of each expert's rows is half empty.
        computed = rows * _imbalance(plan, layouts) + local * _TILE_ROWS / 2.0
        kernels = kernels if plan.tuning.grouped else np.ceil(local)
    flop = 2.0 * computed * inner * columns / aligned

    fill = _fill_elements(hw)

    def kernel(flop: Array, moved: Array, count: float = 1.0) -> Work:
        # Those of a layer's experts run side by side on the device; the host launches each.
        return roofline(hw, flop, rate, moved, calls, kernels * calls * count)

    def product(depth: Array) -> Work:
        return kernel(flop * (1.0 + fill / depth), moved)

    if op.role is Role.ADAPTER:
        # The thin side fills no tile of a product; beside it the wide side is read or written, which takes longer.
        thin = TILE / np.minimum(np.minimum(TILE, sizes[1]), sizes[2] / op.parts)
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


def _expert_biases(op: MatMul, sizes: Array, layouts: Layouts, hw: Hardware) -> tuple[Work, Work]:
    """Biases are added expert by expert, weighted in fp32, put together and cast back (Megatron-Core,
    TEGroupedMLP._apply_bias: t + b * p, cat, to)."""
    rows, _, columns, local = _local(op, sizes, layouts)
    experts = np.ceil(local)
    forward, backward = (
        roofline(hw, 0.0 * rows, 1.0, rows * columns * size, 1, kernels * experts)
        for size, kernels in zip(_EXPERT_BIASES, _BIAS_KERNELS, strict=True)
    )
    return forward, backward


def _local(op: MatMul, sizes: Array, layouts: Layouts) -> tuple[Array, Array, Array, Array]:
    """What one device has of a product: rows of a micro-batch, inner dimension, columns, and experts."""
    op_rows, op_inner, op_columns = sizes
    tp, local = layouts.tp, np.ones_like(layouts.tp)
    rows = layouts.micro_batch * op_rows / layouts.cp * op.active
    if op.experts > 1:
        # Where expert groups fold over tensor groups, each device has whole experts and fewer rows.
        rows, tp = rows * expert_tensor(layouts) / layouts.tp, np.minimum(tp, expert_tensor(layouts))
        local = op.experts / np.minimum(layouts.ep, op.experts)
    inner = op_inner / tp if op.split is Split.ROWS else np.full_like(tp, op_inner)
    columns = op_columns / tp if op.split is Split.COLUMNS else np.full_like(tp, op_columns)
    return rows, inner, columns, local


def _known(op: MatMul) -> bool:
    """Whether its sizes are those of a real product. Of a model that is known by its counts they are averages: nobody
    knows how they are aligned."""
    return op.inner % 1.0 == op.columns % 1.0 == 0.0


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


def _attention(op: Attention, sizes: Array, plan: TrainingPlan, layouts: Layouts, hw: Hardware) -> tuple[Work, Work]:
    rows, keys, io_elements, full_flop, score_elements = sizes
    share = layouts.micro_batch / (layouts.tp * layouts.cp)
    width = plan.precision.compute_bytes
    odd = op.key_dim * width % _ALIGNED_BYTES or op.value_dim * width % _ALIGNED_BYTES
    aligned = _MISALIGNED_HEAD if odd else 1.0
    moved = io_elements * share * width
    if plan.fused_attention:
        ahead_s, back_s = fused_attention_s(op, rows, keys, share, layouts.cp, hw)
        # A context group hands keys round, and each device has a kernel for each part of them.
        forward = roofline(hw, ahead_s / aligned, 1.0, moved, layouts.cp)
        return forward, roofline(hw, back_s / aligned, 1.0, 2.5 * moved, 2.0 * layouts.cp)
    flop, scores = full_flop * share / aligned, score_elements * share * width
    if _casts(plan):
        # Softmax is in fp32; queries, keys, values and the output are copied between layouts, read and written.
        scores, moved = score_elements * share * _FP32_BYTES, 3.0 * moved
    # The two products are limited by arithmetic, the softmax between them by memory: one after the other.
    forward = roofline(hw, flop, hw.other_flop_per_s, moved, 2)
    softmax = roofline(hw, 0.0 * flop, hw.other_flop_per_s, _SCORE_PASSES * scores, _UNFUSED_OPERATORS - 2)
    back = roofline(hw, 2.0 * flop, hw.other_flop_per_s, 2.0 * moved, 4)
    unsoft = roofline(hw, 0.0 * flop, hw.other_flop_per_s, _SCORE_PASSES_BACKWARD * scores, 3)
    return forward + softmax, back + unsoft


def _scan(op: Scan, sizes: Array, plan: TrainingPlan, layouts: Layouts, hw: Hardware) -> tuple[Work, Work]:
    """A linear recurrence: in chunks by products, or element by element in one kernel."""
    flop, io_elements = sizes
    share = layouts.micro_batch / (layouts.tp * layouts.cp)
    rate = hw.other_flop_per_s if op.chunk else hw.other_flop_per_s / _PLAIN_CORES
    moved = io_elements * share * plan.precision.compute_bytes
    ahead, back = _SCAN_KERNELS if op.chunk else (1.0, 1.0)
    forward = roofline(hw, flop * share, rate, moved, ahead)
    return forward, roofline(hw, _SCAN_BACKWARD * flop * share, rate, _SCAN_BACKWARD * moved, back)


def _stream(
    op: Elementwise | Embedding, sizes: Array, plan: TrainingPlan, layouts: Layouts, hw: Hardware
) -> tuple[Work, Work]:
    """What moves so many bytes of a sample, and computes next to nothing."""
    (size,) = sizes
    moved = size * layouts.micro_batch / (divisor(_divided(op), layouts) * layouts.cp)
    if _permutes(op):
        return _permutation(moved, plan, layouts, hw)
    forward, backward = (
        roofline(hw, 0.0 * moved, hw.other_flop_per_s, each, 1) for each in (moved, moved * _STREAM_BACKWARD)
    )
    return forward, backward


def _divided(op: Elementwise | Embedding) -> Split:
    """How it is divided. Of an embedding every device looks up its own part of the rows."""
    return Split.SEQUENCE if isinstance(op, Embedding) else op.split


def _permutes(op: Operator) -> bool:
    return isinstance(op, Elementwise) and op.kind is ElementwiseKind.PERMUTATION


def moved_bytes(op: Elementwise | Embedding, plan: TrainingPlan) -> float:
    """Bytes that its forward pass moves of one sample."""
    if isinstance(op, Embedding):
        return float(op.rows * op.width) * 2.0 * float(plan.precision.compute_bytes)
    return op.elements * _passes(op, plan) * _width(op, plan)


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
    forward, backward = (roofline(hw, 0.0 * moved, hw.other_flop_per_s, moved, 4, n) for n in kernels)
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
    sizes = np.array(sizes_of(op, plan), dtype=float)[:, None]
    ahead, back = work_of(op, sizes, block.place == "middle", plan, layouts, hw)
    return ahead, Work.none(layouts) if block.passed else back


def work_of(
    op: Operator, sizes: Array, in_layer: bool, plan: TrainingPlan, layouts: Layouts, hw: Hardware
) -> tuple[Work, Work]:
    """Forward and backward work of operators of one law for one micro-batch.

    Args:
        op: one of them.
        sizes: of each, by ``sizes_of``: a column for each entry, or one for all.
        in_layer: whether they are in a layer, not at an end of the model.
        plan: what is trained, and in which precision.
        layouts: n entries.
        hw: the devices; n entries, or one.
    """
    if isinstance(op, MatMul):
        # Under fp8 the layers' products run in it; the head and the router stay wider.
        forward, backward = _matmul(op, sizes, plan, layouts, hw, in_layer and op.split is not Split.NONE)
        if op.experts > 1 and op.bias and op.split is Split.ROWS and plan.software is Software.FUSED:
            more, more_back = _expert_biases(op, sizes, layouts, hw)
            return forward + more, backward + more_back
        return forward, backward
    if isinstance(op, Attention):
        return _attention(op, sizes, plan, layouts, hw)
    if isinstance(op, Convolution):
        return convolution_work(op, sizes, plan, layouts, hw)
    if isinstance(op, Recurrent):
        return recurrent_work(op, plan, layouts, hw)
    if isinstance(op, Scan):
        return _scan(op, sizes, plan, layouts, hw)
    return _stream(op, sizes, plan, layouts, hw)


def sizes_of(op: Operator, plan: TrainingPlan) -> tuple[float, ...]:
    """The numbers of an operator that its law takes."""
    if isinstance(op, MatMul):
        return op.rows, op.inner, op.columns
    if isinstance(op, Attention):
        return query_rows(op), scored_keys(op), op.io_elements, op.full_flop, op.score_elements
    if isinstance(op, Convolution):
        return convolution_sizes(op, plan)
    if isinstance(op, Scan):
        return op.flop, op.io_elements
    return () if isinstance(op, Recurrent) else (moved_bytes(op, plan),)


def law_of(op: Operator) -> Hashable:
    """What decides on an operator's time but its sizes: those that have it in common are evaluated together."""
    if isinstance(op, MatMul):
        kind = op.split, op.role is Role.ADAPTER, op.experts, op.active, op.parts
        return MatMul, kind, op.bias, op.trainable, op.input_gradient, _known(op)
    if isinstance(op, Attention):
        return Attention, op.key_dim, op.value_dim
    if isinstance(op, Convolution):
        return Convolution, op.trainable, op.input_gradient
    if isinstance(op, Recurrent):
        return VALUES[Recurrent](op)
    if isinstance(op, Scan):
        return Scan, op.chunk > 0
    return Elementwise, _permutes(op), _divided(op)


# All that an operator is but its name.
VALUES: dict[type, Callable[[object], Hashable]] = {
    kind: attrgetter(*(f.name for f in fields(kind) if f.name != "name"))
    for kind in (MatMul, Attention, Convolution, Recurrent, Scan, Embedding, Elementwise)
}


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
        once = roofline(hw, filled, hw.other_flop_per_s, moved, 1, op.kernels)
        once.overhead_s[:] += (op.kernels - 1.0) * np.minimum(_NEXT_KERNEL_S, hw.operator_s)
        return once * op.steps

    forward = step(op.inner)
    backward = step(op.columns) if op.input_gradient else Work.none(layouts)
    if op.trainable:
        every = op.steps * flop * (1.0 + _fill_elements(hw) / (op.steps * rows))
        kept = op.steps * rows * (op.inner + op.columns) * width
        backward = backward + roofline(hw, every, hw.other_flop_per_s, kept * np.ones_like(layouts.tp), 1)
    return forward, backward
