"""Time of a convolution on one device: a product over windows, as libraries compute it.

Every output position is a row, its window of the input channels the inner dimension (implicit GEMM; Chetlur et al.
2014, cuDNN). So it follows the law of products, at an efficiency of its own. Its operands come and go as feature
maps, which is all that a depthwise one takes time for.

Tensor cores have become ten times as fast while what a multiprocessor loads from its caches in a clock has hardly
grown. So each operation takes its time on the cores and a time to be fed, 1/(P·e_c) + 1/(clocks·feed): at the same
clock and as many multiprocessors a card of four times the peak is not twice as fast.
"""

from __future__ import annotations

from zenplan.domain.model.operators import Convolution
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.columns import Array, Hardware, Layouts
from zenplan.planning.physics.work import TILE, Work, roofline

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


def convolution_work(
    op: Convolution, sizes: Array, plan: TrainingPlan, layouts: Layouts, hw: Hardware
) -> tuple[Work, Work]:
    """Forward and backward work of one micro-batch; the backward pass has a convolution for the weight and one for the
    input, as far as they have gradients.

    Args:
        op: one of those whose ``sizes`` they are, by ``convolution_sizes``.
        sizes: a column for each entry, or one for all.
        plan: what is trained, and in which precision.
        layouts: n entries.
        hw: the devices; n entries, or one.
    """
    direct, elements, parameters, inner, outer, positions = sizes
    width = plan.precision.compute_bytes
    flop = direct * layouts.micro_batch / layouts.cp
    maps = elements * layouts.micro_batch / layouts.cp * width
    moved = maps + parameters * width
    fed = width / _HALF / hw.feed_flop_per_s
    rate = 1.0 / (1.0 / hw.convolution_flop_per_s + fed)
    fill = hw.fill_elements * hw.pace

    def product(depth: Array) -> Work:
        once = roofline(hw, flop * (1.0 + fill / depth), rate, moved, 1)
        if not plan.channels_last and plan.precision.other_dtype in _TENSOR_CORES:
            once = once + roofline(hw, 0.0 * flop, rate, 2.0 * maps, 0)
        return once

    # The gradient of the input sums over the outputs, that of the weight over positions.
    backward = product(outer) if op.input_gradient else Work.none(layouts)
    if op.trainable:
        backward = backward + product(positions * layouts.micro_batch)
    return product(inner), backward


def convolution_sizes(op: Convolution, plan: TrainingPlan) -> tuple[float, ...]:
    """FLOP of one sample as a library does them, elements of its maps, parameters, what an element of the output and one
    of the input's gradient are sums over, positions."""
    return (
        op.flop * _padded(op) / _fewer(op, plan),
        op.input_elements + op.output_elements,
        op.parameters,
        op.inner,
        op.window * op.outputs / op.groups,
        op.positions,
    )


def _padded(op: Convolution) -> float:
    """What a library computes over what the convolution has: a product is done in tiles, and 80 channels take two
    tiles of 64 (NVIDIA, Matrix Multiplication Background User's Guide, tile quantization)."""
    each = op.outputs / op.groups
    if each < _SMALL_TILE or each != round(each):
        # Few channels a group have kernels of their own; of a model that is known by its counts nobody knows them.
        return 1.0
    tile = TILE if each > _SMALL_TILE else _SMALL_TILE
    return -(-each // tile) * tile / each


def _fewer(op: Convolution, plan: TrainingPlan) -> float:
    """What computing it directly takes over what the library takes."""
    every = op.input_elements / op.inputs < _SAME_SIZE * op.positions
    plain = plan.precision.other_dtype == "fp32" and op.groups == 1
    return _WINOGRAD if plain and every and op.window in _WINOGRAD_WINDOWS else 1.0
