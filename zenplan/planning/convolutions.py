"""Time of a convolution on one device: a product over windows, as libraries compute it.

Every output position is a row, its window of the input channels the inner dimension (implicit GEMM; Chetlur et al.
2014, cuDNN). So it follows the law of products, at an efficiency of its own: in fp32 a 3 × 3 can be computed with
fewer multiplications than are counted (Lavin & Gray 2016, Winograd), a depthwise one has next to nothing to sum
over. Its operands come and go as feature maps.
"""

from __future__ import annotations

from zenplan.domain.convolution import Convolution
from zenplan.domain.plan import TrainingPlan
from zenplan.planning.arrays import Array, Hardware, Layouts
from zenplan.planning.work import Work, under_roof

# Tensor cores take channels last: without, each operand is transposed, read and written once more.
_TRANSPOSED = ("fp16", "bf16", "tf32")


def convolution_work(op: Convolution, plan: TrainingPlan, lay: Layouts, hw: Hardware) -> tuple[Work, Work]:
    """Forward and backward work of one micro-batch; the backward pass has a convolution for the weight and one for
    the input, as far as they have gradients."""
    width = plan.precision.compute_bytes
    flop = op.flop * lay.micro_batch / lay.cp
    maps = (op.input_elements + op.output_elements) * lay.micro_batch / lay.cp * width
    weights = op.parameters * width
    transposed = not plan.channels_last and plan.precision.other_dtype in _TRANSPOSED

    def convolve(depth: Array | float) -> Work:
        filled = flop * (1.0 + hw.fill_elements / depth)
        work = under_roof(hw, filled, hw.convolution_flop_per_s, maps + weights, hw.maps_bytes_per_s, 1)
        if transposed:
            work = work + under_roof(
                hw, 0.0 * flop, hw.convolution_flop_per_s, 2.0 * maps, hw.maps_bytes_per_s, 0
            )
        return work

    forward, backward = convolve(op.inner), Work.none(lay)
    if op.input_gradient:
        # Each input element is a sum over the outputs of its group, in as many windows.
        backward = backward + convolve(op.window * op.outputs / op.groups)
    if op.trainable:
        backward = backward + convolve(lay.micro_batch * op.positions / lay.cp)
    return forward, backward
