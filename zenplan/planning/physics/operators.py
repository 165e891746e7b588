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
    Split,
)
from zenplan.domain.model.workload import LANGUAGE, Block
from zenplan.domain.software import Software
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.columns import Array, Hardware, Layouts
from zenplan.planning.physics.work import Passes, Work, roofline

# Bytes that a backward pass moves for each one forward: a norm reads two and writes one more.
_STREAM_BACKWARD = 1.5
# A fused attention kernel computes the scores again in its backward pass: 5 products to the forward's 2
# (Dao et al. 2022, algorithm 4).
_FUSED_BACKWARD = 2.5
# An unfused one writes and reads the scores as product, softmax, dropout and input of the next product.
_SCORE_PASSES, _SCORE_PASSES_BACKWARD, _UNFUSED_OPERATORS = 6.0, 8.0, 5
# Tensor cores take operands in rows of 16 bytes: a head of another width leaves them for slower kernels (NVIDIA,
# Matrix Multiplication Background User's Guide). How much is lost, there and in products of odd widths, is our
# assumption, near what BigScience's sweep of shapes shows.
_ALIGNED_BYTES = 16
_FP32_BYTES = 4.0
_MISALIGNED_HEAD, _MISALIGNED_PRODUCT, _SLOWER_PRODUCT = 0.1, 0.5, 0.85


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
    rate = hw.other_flop_per_s
    if narrow:
        wide = plan.precision.wide_share
        rate = 1.0 / ((1.0 - wide) / hw.matmul_flop_per_s + wide / hw.other_flop_per_s)
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
    moved = rows * (inner * operand + columns * width) + weights * operand
    aligned: Array = np.minimum(_alignment(inner * operand, hw), _alignment(columns * operand, hw))
    if op.inner % 1.0 or op.columns % 1.0:
        # Of a model that is known by its counts the sizes are averages: nobody knows how they are aligned.
        aligned = np.ones_like(aligned)
    flop = 2.0 * rows * inner * columns / aligned

    def product(depth: Array) -> Work:
        return roofline(hw, flop * (1.0 + _fill_elements(plan, hw) / depth), rate, moved, 1)

    # The gradient of the input sums over columns, that of the weight over the rows each expert meets.
    forward = product(inner)
    backward = product(columns) if op.input_gradient else Work.none(layouts)
    if op.trainable:
        backward = backward + product(rows / local)
    if narrow:
        # The inputs are cast to 8 bits, and their transposes for the backward pass: read wide, written narrow.
        forward = forward + roofline(hw, 0.0 * rows, rate, rows * inner * (width + 1.0), 1)
        backward = backward + roofline(hw, 0.0 * rows, rate, rows * columns * (width + 1.0), 1)
    if not op.trainable and plan.weight_bytes < width:
        # Weights kept in 4 bits are expanded before each product: read small, written at full width.
        forward = forward + roofline(hw, 0.0 * rows, rate, weights * (plan.weight_bytes + width), 1)
    return forward, backward


def _fill_elements(plan: TrainingPlan, hw: Hardware) -> Array:
    """What filling and draining the pipeline of a product takes, in elements of its inner dimension.

    It is a number of clocks, until the first operands have come and the last results have gone, in which a
    multiprocessor of fewer FLOP a clock would have got through fewer elements. Language models are fitted without.
    """
    return hw.fill_elements if plan.workload.family in LANGUAGE else hw.fill_elements * hw.pace


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
        flop = op.flop * share / aligned
        backward = roofline(hw, _FUSED_BACKWARD * flop, hw.attention_flop_per_s, 2.5 * moved, 2)
        return roofline(hw, flop, hw.attention_flop_per_s, moved, 1), backward
    flop = op.full_flop * share / aligned
    scores = op.score_elements * share * width
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
        elements, passes, split = op.elements, op.passes, op.split
        width = op.element_bytes or plan.precision.compute_bytes
        if _casts(plan) and (op.kind is ElementwiseKind.NORM or op.function is Function.SOFTMAX):
            width += _FP32_BYTES
    moved = elements * passes * width * layouts.micro_batch / (divisor(split, layouts) * layouts.cp)
    forward, backward = (
        roofline(hw, 0.0 * moved, hw.other_flop_per_s, size, 1) for size in (moved, moved * _STREAM_BACKWARD)
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


def block_passes(block: Block, plan: TrainingPlan, layouts: Layouts, hw: Hardware) -> Passes:
    """The work of one repetition of a block for one micro-batch, on one device.

    Args:
        block: of operators that are sized for one sample.
        plan: what is trained, and in which precision.
        layouts: n entries.
        hw: the devices; n entries, or one.
    """
    forward, backward, again = Work.none(layouts), Work.none(layouts), Work.none(layouts)
    for op in block.operators:
        ahead, back = operator_work(op, block, plan, layouts, hw)
        forward, backward = forward + ahead, backward + back
        if block.place == "middle":
            # A fused kernel already computes its scores again; selective recomputation adds nothing to it.
            unfused = isinstance(op, Attention) and not plan.fused_attention
            again = again + ahead * (layouts.full + (layouts.selective if unfused else 0.0))
    return Passes(forward, backward, again)


# --- recurrent layers
#
# Time of what a recurrent layer must do step by step.
#
# A step waits for the one before it. So it has the fixed time of its kernels, and reads the weights again, at each
# step; its product has only the samples of the micro-batch as rows (Diamos et al. 2016, persistent RNNs). Of the
# backward pass the gradient of the state goes step by step too, that of the weight is one product over all steps.


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
        filled = flop * (1.0 + _fill_elements(plan, hw) / depth)
        return roofline(hw, filled, hw.other_flop_per_s, moved, op.kernels) * op.steps

    forward = step(op.inner)
    backward = step(op.columns) if op.input_gradient else Work.none(layouts)
    if op.trainable:
        every = op.steps * flop * (1.0 + _fill_elements(plan, hw) / (op.steps * rows))
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
# Columns of the tiles that a product is done in.
_TILE, _SMALL_TILE = 64.0, 32.0
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
