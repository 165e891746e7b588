"""What devices lack for a plan, in one line: memory, or the precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zenplan import units
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.precision import PRECISIONS, Precision
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.stack import STACKS, Stack
from zenplan.planning.search.search import HEADROOM, search, usable_bytes

# From the narrowest products to the widest.
_NARROW_FIRST = ("nvfp4", "mxfp8", "fp8", "fp8-rowwise", "fp8-block", "bf16", "fp16", "tf32", "fp32")
# Products that take scales of blocks (OCP Microscaling Formats 2023): from this compute capability on (NVIDIA,
# PTX ISA, tcgen05.mma.block_scale and mma.block_scale), and on AMD's generation (CDNA 4 instruction set).
_BLOCK_SCALES_SINCE, _BLOCK_SCALES_IN = 10, "CDNA4"
# Stacks that a hint names.
_MOST_NAMED = 4


def what_helps(plan: TrainingPlan, clusters: Sequence[Cluster]) -> str:
    """A hint: what makes a model fit that does not on any of these clusters; other software, where the plan's is
    named and another one fits; a smaller sample, and adapters, where it has such."""
    workload, stack = plan.workload, plan.stack
    ways = ["more --gpus", "devices with more memory"]
    if stack is not None:
        ways = [*ways[0 if stack.divides(plan.method) else 1 :], "a smaller model"]
    if workload.tokens_per_sample > 1:
        ways.append("a shorter --seq-len")
    elif workload.image_size:
        ways.append("a smaller --image-size")
    if workload.heads and plan.method != "qlora":
        ways.append("--method lora or qlora" if plan.method == "full" else "--method qlora")
    others = _other_software(plan, clusters) if stack else ""
    return f"{others}{', '.join(ways[:-1])}, or {ways[-1]}"


def _other_software(plan: TrainingPlan, clusters: Sequence[Cluster]) -> str:
    """What other software could do that the plan's cannot, as the start of a hint."""
    others = [s for s in STACKS.values() if s is not plan.stack and s.trains(plan.method, plan.precision.name)]
    fitting = [s for s in others if _fits(replace(plan, stack=s, software=s.kind), s.most_devices, clusters)]
    if fitting:
        return f"--software {_some(fitting)} could; else "
    dividing = [s for s in others if s.divides(plan.method)]
    if plan.stack and not plan.stack.divides(plan.method) and dividing:
        return f"--software {_some(dividing)} can divide it over more devices; else "
    return ""


def _some(stacks: Sequence[Stack]) -> str:
    """The names of the first few."""
    *first, last = [s.name for s in stacks[:_MOST_NAMED]]
    return f"{', '.join(first)} or {last}" if first else last


def _fits(plan: TrainingPlan, most: int | None, clusters: Sequence[Cluster]) -> bool:
    """Whether the plan has a layout that fits one of the clusters, those with too many devices left out: one that is
    tight may run out of memory there, and is no way out."""
    some = [c for c in clusters if most is None or c.devices <= most]
    return bool(some) and bool(search(plan, some).fits.any())


def shortfall(where: Cluster, needs_bytes: float) -> str:
    """What the leanest layout needs on each device, what it has, and what is missing: of all of it, or of what is
    left free."""
    has = where.accelerator.capacity_bytes
    needs = f"{where.devices} × {where.accelerator.name} needs {units.size(needs_bytes)} a device of {units.size(has)}"
    if needs_bytes > has:
        return f"{needs}: {units.size(needs_bytes - has)} short"
    return f"{needs}, {units.percent(HEADROOM)} of it left free: {units.size(needs_bytes - usable_bytes(where))} short"


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
