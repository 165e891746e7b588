"""Whether a measured run can have been: its model beside its parameters, its speed beside the device's peak
and beside the prediction.
"""

from __future__ import annotations

from collections.abc import Mapping

from zenplan import units
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.model.operators import Convolution, Embedding
from zenplan.domain.model.workload import Workload, gradients
from zenplan.domain.precision import Precision
from zenplan.errors import Skipped

# Beyond this share two counts of parameters are of two models.
_SAME_MODEL = 0.25
# No training is that much slower than it should be: such a figure counts something else.
_SLOWEST = 300.0


def check_parameters(row: Mapping[str, str], workload: Workload) -> None:
    """Find a row whose params are not those of its shape, or of the published model of its name.

    Tables count a model with its embedding or without, and a head that shares it once or twice: any of them will do.

    Args:
        row: text by column.
        workload: made of the row's shape or name.

    Raises:
        Skipped: they lie more than 25 % apart; the message has both.
    """
    if not row["params"] or workload.guessed_shape:
        return
    given, found = float(row["params"]), workload.parameters
    embedding = sum(o.parameters for b in workload.blocks for o in b.operators if isinstance(o, Embedding))
    counts = (found, found - embedding, found + embedding)
    if not any(abs(given / count - 1.0) <= _SAME_MODEL for count in counts if count > 0):
        what = "the shape" if row["layers"] and row["width"] else f"the published {row['model']}"
        raise Skipped(f"params of {units.count(given)}, but {what} has {units.count(found)}")


def check_speed(workload: Workload, samples_per_s: float, sheet: Accelerator, precision: Precision) -> None:
    """Find a measurement that no device can have made.

    Args:
        workload: of which the forward and the backward pass count, and nothing computed again.
        samples_per_s: measured, of one device.
        sheet: the device's data sheet.
        precision: of the row, or taken for it.

    Raises:
        Skipped: that is more than the dense peak.
    """
    peak = sheet.peak(precision.matmul_dtype)
    if peak is None:
        return
    share = _least_flop(workload, precision) * samples_per_s / peak
    if share > 1.0:
        raise Skipped(f"faster than the device's peak: {share:.1f} times the dense {precision.name} of {sheet.name}")


def _least_flop(workload: Workload, precision: Precision) -> float:
    """Training FLOP of one sample with as few multiplications as a library can do: in fp32 convolutions of larger
    windows take a quarter of them (Lavin & Gray 2016, F(4 × 4, 3 × 3))."""
    flop = workload.training_flop_per_sample
    if precision.matmul_dtype != "fp32":
        return flop
    direct = sum(
        o.flop * block.repeat * (1.0 + gradients(o))
        for block in workload.blocks
        for o in block.operators
        if isinstance(o, Convolution) and o.window > 1
    )
    return flop - 0.75 * direct


def too_slow(predicted: float, measured: float) -> str:
    """Why a measurement is no speed of a training run; else empty. Both are samples a second of one device."""
    if measured * _SLOWEST >= predicted:
        return ""
    return f"slower than any run: {predicted / measured:,.0f} times slower than predicted"


def odd_experts(ep: int, workload: Workload) -> str:
    """A note where expert-parallel devices do not get as many experts each; else empty."""
    if workload.experts % ep:
        return f"ep = {ep} does not divide the {workload.experts} experts"
    return ""
