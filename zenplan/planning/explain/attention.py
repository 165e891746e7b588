"""What a derivation says of attention: which kernel runs, and what it reaches at the plan's length."""

from __future__ import annotations

import math
from collections.abc import Iterator

from zenplan import units
from zenplan.domain.answer.estimate import Estimate
from zenplan.domain.model.operators import Attention
from zenplan.domain.provenance import Origin
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.attention import FORMULA, score_flop
from zenplan.planning.physics.columns import Hardware, Layouts
from zenplan.planning.physics.operators import operator_work


def attention_lines(plan: TrainingPlan, estimate: Estimate) -> Iterator[tuple[str, str, float, str, str, str]]:
    """Quantity, formula, value, unit, value for people and origin of each line; none without fused attention."""
    found = [(b, o) for b in plan.workload.blocks for o in b.operators if isinstance(o, Attention)]
    if not found or not plan.fused_attention:
        return
    # Of layers that differ in their windows, those with the most of it.
    block, op = max(found, key=lambda each: each[1].flop)
    cluster, layout = estimate.cluster, estimate.layout
    hardware = Hardware.of([cluster], plan.precision)
    forward, backward = operator_work(op, block, plan, Layouts.of([layout]), hardware)
    ahead, back = score_flop(op)
    flop = op.flop * (1.0 + back / ahead) * layout.micro_batch / (layout.tp * layout.cp)
    peak = cluster.accelerator.peak(plan.precision.other_dtype) or math.nan
    reached = flop / (float(forward.compute_s[0] + backward.compute_s[0]) * peak)
    kernel = cluster.efficiency.kernel.on(cluster.accelerator.compute_major)
    told = f"{kernel.source}; which kernel runs is {Origin.ASSUMED} by the kind of software and the generation"
    yield f"e of attention ({kernel.what})", FORMULA, reached, "", units.percent(reached), told
    share = cluster.efficiency.attention
    of_fit = f"fitted: {cluster.efficiency.source}"
    yield "e of attention in a step, of the kernel alone", "", share, "", units.percent(share), of_fit
