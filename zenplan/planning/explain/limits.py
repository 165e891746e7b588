"""What limits a step, and each block of it: arithmetic, memory bandwidth, launches, communication, the input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from zenplan import units
from zenplan.domain.answer.estimate import Quote
from zenplan.domain.provenance import Origin
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.explain.derivation_line import Line, line
from zenplan.planning.physics.columns import Hardware, Layouts
from zenplan.planning.physics.input_pipeline import Supply, supply
from zenplan.planning.physics.operators import block_passes

# The parts of a step that each limit has; what is computed again counts as arithmetic, of which it mostly is.
LIMITS: Final = {
    "compute": ("compute_s", "recompute_s"),
    "memory bandwidth": ("memory_s", "optimizer_s"),
    "launches": ("overhead_s", "launch_s", "host_s"),
    "communication": ("tensor_s", "pipeline_s", "data_s", "expert_s", "lookup_s", "context_s"),
    "pipeline bubble": ("bubble_s",),
}


def limit_lines(plan: TrainingPlan, quote: Quote) -> Iterator[Line]:
    """The whole step, the input pipeline beside it, and each block of operators."""
    step = quote.estimate.step.parts()
    shares = {name: sum(step[part] for part in parts) for name, parts in LIMITS.items()}
    yield _line("step", shares, "parts of the step")
    found = supply(plan.workload, quote)
    if found is not None:
        yield _input(found)
    layouts = Layouts.of([quote.estimate.layout])
    hardware = Hardware.of([quote.estimate.cluster], plan.precision)
    for block in plan.workload.blocks:
        passes = block_passes(block, plan, layouts, hardware)
        work = passes.forward + passes.backward
        parts = {"compute": work.compute_s, "memory bandwidth": work.memory_s, "launches": work.overhead_s}
        yield _line(
            f"{block.name} × {block.repeat}",
            {name: float(s[0]) for name, s in parts.items()},
            "parts of its operators, forward and backward",
        )


def _line(what: str, seconds: dict[str, float], of: str) -> Line:
    """Which limit takes the largest share, and the shares of all that have one."""
    total = sum(seconds.values())
    shares = {name: s / total for name, s in sorted(seconds.items(), key=lambda each: -each[1]) if s > 0.005 * total}
    first = next(iter(shares), "nothing")
    told = ", ".join(f"{name} {units.percent(share)}" for name, share in shares.items())
    return line("limit", what, told, shares.get(first, 0.0), "", first, f"{Origin.DERIVED}: {of}")


def _input(found: Supply) -> Line:
    """Samples that the processors prepare for each one that the devices take."""
    formula = f"{found.vcpus:,} vCPUs / {units.duration(found.preparation.vcpu_s)} a sample / samples a second"
    shown = f"keeps up {units.significant(found.share)} times over"
    if found.waits > 0:
        shown = f"too slow: {units.percent(found.share)} of what is taken"
    return line(
        "limit", "input pipeline", formula, found.share, "", shown, f"{Origin.ASSUMED}: {found.preparation.source}"
    )
