"""Time of a convolution on one device: a product over windows, as libraries compute it.

Every output position is a row, its window of the input channels the inner dimension (implicit GEMM; Chetlur et al.
2014, cuDNN). So it follows the law of products, at an efficiency of its own. Its operands come and go as feature maps,
which is all that a depthwise one takes time for.

Tensor cores have become ten times as fast while what a multiprocessor loads from its caches in a clock has hardly
grown. So each operation takes its time on the cores and a time to be fed, 1/(P·e_c) + 1/(clocks·feed): at the same clock
and as many multiprocessors a card of four times the peak is not twice as fast.
"""

from __future__ import annotations

from zenplan.domain.model.operators import Convolution
from zenplan.domain.model.workload import gradients
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.columns import Hardware, Layouts
from zenplan.planning.physics.work import Work, roofline

# 16-bit tensor cores take channels last: without, each operand is transposed, read and written once more.
_TENSOR_CORES = ("fp16", "bf16")
# Bytes of the operands that feeding is counted in.
_HALF = 2.0
# Windows that fewer multiplications can do in fp32, where the window meets every position; and how many fewer there are
# in effect: 2.25 of a tile of 2 x 2 (Lavin & Gray 2016), of which the transforms take back a part.
_WINOGRAD_WINDOWS, _WINOGRAD = (9.0, 25.0), 1.7
# A window that is not moved by more than one position has about as many inputs as outputs.
_SAME_SIZE = 1.3


def convolution_work(op: Convolution, plan: TrainingPlan, lay: Layouts, hw: Hardware) -> tuple[Work, Work]:
    """Forward and backward work of one micro-batch; the backward pass has a convolution for the weight and one for
    the input, as far as they have gradients.

    Args:
        op: sized for one sample.
        plan: what is trained, and in which precision.
        lay: the layouts; n entries.
        hw: the devices; n entries, or one.
    """
    width = plan.precision.compute_bytes
    flop = op.flop / _fewer(op, plan) * lay.micro_batch / lay.cp
    maps = (op.input_elements + op.output_elements) * lay.micro_batch / lay.cp * width
    moved = maps + op.parameters * width
    fed = width / _HALF / hw.feed_flop_per_s
    rate = 1.0 / (1.0 / hw.convolution_flop_per_s + fed)
    once = roofline(hw, flop, rate, moved, 1)
    if not plan.channels_last and plan.precision.other_dtype in _TENSOR_CORES:
        once = once + roofline(hw, 0.0 * flop, rate, 2.0 * maps, 0)
    return once, once * float(gradients(op))


def _fewer(op: Convolution, plan: TrainingPlan) -> float:
    """What computing it directly takes over what the library takes."""
    every = op.input_elements / op.inputs < _SAME_SIZE * op.positions
    plain = plan.precision.other_dtype == "fp32" and op.groups == 1
    return _WINOGRAD if plain and every and op.window in _WINOGRAD_WINDOWS else 1.0
