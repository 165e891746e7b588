"""What devices lack for a plan, in one line: memory, or the precision."""

from __future__ import annotations

from collections.abc import Sequence

from zenplan import units
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.model.workload import Workload
from zenplan.domain.precision import PRECISIONS, Precision
from zenplan.planning.search.search import HEADROOM, usable_bytes

# From the narrowest products to the widest.
_NARROW_FIRST = ("nvfp4", "mxfp8", "fp8", "bf16", "fp16", "tf32", "fp32")
# Products that take scales of blocks (OCP Microscaling Formats 2023): from this compute capability on (NVIDIA,
# PTX ISA, tcgen05.mma.block_scale and mma.block_scale), and on AMD's generation (CDNA 4 instruction set).
_BLOCK_SCALES_SINCE, _BLOCK_SCALES_IN = 10, "CDNA4"


def what_helps(workload: Workload) -> str:
    """A hint: what makes a model fit that does not; a smaller sample, and adapters, where it has such."""
    ways = ["more --gpus", "devices with more memory"]
    if workload.tokens_per_sample > 1:
        ways.append("a shorter --seq-len")
    elif workload.image_size:
        ways.append("a smaller --image-size")
    if workload.heads:
        ways.append("--method lora or qlora")
    return f"{', '.join(ways[:-1])}, or {ways[-1]}"


def shortfall(where: Cluster, needs_bytes: float) -> str:
    """What the leanest layout needs on each device, what it has, and what is missing."""
    return (
        f"{where.devices} × {where.accelerator.name} needs {units.size(needs_bytes)} a device of "
        f"{units.size(where.accelerator.capacity_bytes)}, {HEADROOM:.0%} of it left free: "
        f"{units.size(needs_bytes - usable_bytes(where))} short"
    )


def trains_in(accelerator: Accelerator, precision: Precision) -> bool:
    """Whether an accelerator has the precision: its peaks, and products that take scales of blocks where it has such."""
    return accelerator.can_run(precision) and (not precision.block_scaled or _has_block_scales(accelerator))


def lacks(accelerator: Accelerator, precision: Precision) -> str:
    """What an accelerator that does not train in the precision has not, as in ``no bf16 peak in the data sheet``."""
    if accelerator.can_run(precision):
        return f"no products with scales of blocks, which {precision.name} needs"
    return f"no {precision.name} peak in the data sheet"


def _has_block_scales(accelerator: Accelerator) -> bool:
    return (
        accelerator.peak("fp4") is not None
        or accelerator.architecture == _BLOCK_SCALES_IN
        or (accelerator.compute_major or 0) >= _BLOCK_SCALES_SINCE
    )


def other_precision(accelerator: Accelerator, asked: Precision) -> str:
    """A hint: what to train in on an accelerator that has not the precision that was asked for.

    The next wider one that it has, or its widest; with all of those that it has.
    """
    has = [name for name in _NARROW_FIRST if trains_in(accelerator, PRECISIONS[name])]
    if not has:
        return f"'zenplan accelerators show {accelerator.name}' has what is known of it"
    return f"try --precision {_next(has, asked.name)}; {accelerator.name} has {', '.join(has)}"


def next_precision(accelerator: Accelerator, asked: Precision) -> str | None:
    """What to train in on an accelerator that has not the usual precision; None where nothing is known of it."""
    has = [name for name in _NARROW_FIRST if trains_in(accelerator, PRECISIONS[name])]
    return _next(has, asked.name) if has else None


def _next(has: Sequence[str], asked: str) -> str:
    index = _NARROW_FIRST.index(asked)
    return next((name for name in has if _NARROW_FIRST.index(name) > index), has[-1])
