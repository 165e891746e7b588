"""Derivation: every formula, number, unit and origin behind one quote, in the order they are computed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from zenplan import units
from zenplan.domain.answer.estimate import Bill, Estimate, Quote, RunTime
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.model.operators import Attention, Convolution, MatMul, Operator, Recurrent, Scan
from zenplan.domain.model.workload import Workload
from zenplan.domain.provenance import Origin
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.explain.attention import attention_lines
from zenplan.planning.explain.bill import bill_lines, energy_lines
from zenplan.planning.explain.line import Line, line
from zenplan.planning.money.run import production_share
from zenplan.planning.physics.blocks import block_passes
from zenplan.planning.physics.columns import Hardware, Layouts, kept_up
from zenplan.planning.physics.input_pipeline import Supply, supply
from zenplan.planning.physics.memory import COLLECTIVES_BYTES, FRAGMENTATION, WORKSPACE_BYTES, logit_bytes
from zenplan.planning.physics.operators import operator_work
from zenplan.planning.physics.states import trained_bytes
from zenplan.planning.physics.step import FORMULAS
from zenplan.planning.physics.work import Work
from zenplan.planning.search.tradeoff import runner_up_on, why


def derive(plan: TrainingPlan, operations: Operations, quote: Quote, bill: Bill) -> tuple[Line, ...]:
    """The whole derivation of one bill of one quote.

    Args:
        plan: what is trained.
        operations: how the run is operated.
        quote: whose time and memory is derived.
        bill: of that quote, on-demand or spot.
    """
    return (
        *_model(plan, quote),
        *_layout(plan, quote),
        *_accelerator(plan, quote),
        *_memory(plan, quote),
        *operator_lines(plan, quote.estimate),
        *_step(plan, quote),
        *limit_lines(plan, quote),
        *_run(operations, quote, bill),
        *bill_lines(plan, operations, quote, bill),
        *energy_lines(operations, quote),
    )


def _model(plan: TrainingPlan, quote: Quote) -> Iterator[Line]:
    load, derived = plan.workload, f"{Origin.DERIVED} from the operators"
    # What fills up the last micro-batches is computed, but is no progress.
    computed = quote.estimate.layout.global_batch
    batch = min(computed, plan.global_batch)
    steps = math.ceil(plan.samples / batch)
    trained = "3 · forward, or 2 · forward of frozen products"
    for quantity, formula, count in (
        ("N parameters", "Σ weights of operators", load.parameters),
        ("N active", "Σ weights a token meets in products", load.active_parameters),
        ("N trained", "Σ weights that get a gradient", load.trainable_parameters),
    ):
        yield line("model", quantity, formula, count, "", units.count(count), derived)
    for quantity, formula, flop in (
        ("training FLOP a sample", trained, load.training_flop_per_sample),
        ("forward FLOP a sample", _flop_formula(load), load.flop_per_sample),
    ):
        yield line("model", quantity, formula, flop, "FLOP", units.flop(flop), derived)
    asked = "see the assumptions"
    yield line("model", "B samples a step", "the global batch", float(batch), "samples", f"{batch:,}", asked)
    if computed > batch:
        whole = "d·b·m: B in whole micro-batches"
        yield line("model", "computed a step", whole, float(computed), "samples", f"{computed:,}", "the layout")
    yield line("model", "steps", "⌈samples / B⌉", float(steps), "", f"{steps:,}", str(Origin.DERIVED))


def _flop_formula(load: Workload) -> str:
    """The sum over the kinds of operators that the model has."""
    kinds = {type(o) for b in load.blocks for o in b.operators}
    terms = (
        (MatMul, "2·m·n·k"),
        (Attention, "attention 2·s·s̄·a·(d_k+d_v)"),
        (Convolution, "convolution 2·positions·window·(inputs/groups)·outputs"),
        (Recurrent, "recurrent 2·steps·rows·state·gates"),
        (Scan, "scan steps·heads·(chunk·(d_k+d_v) + 4·d_k·d_v)"),
    )
    return f"Σ {' + '.join(told for kind, told in terms if kind in kinds)}"


def _layout(plan: TrainingPlan, quote: Quote) -> Iterator[Line]:
    layout = quote.estimate.layout
    for quantity, value in (
        ("d data-parallel", layout.dp),
        ("t tensor-parallel", layout.tp),
        ("p pipeline stages", layout.pp),
        ("v virtual stages", layout.interleave),
        ("e expert-parallel", layout.ep),
        ("c context-parallel", layout.cp),
        ("b samples a micro-batch", layout.micro_batch),
        ("m micro-batches a step", layout.accumulation),
    ):
        yield line("layout", quantity, "", float(value), "", str(value), "found by the search")
    second = runner_up_on(plan, quote.estimate.cluster)
    if second is not None:
        yield line(
            "layout",
            "runner-up",
            "",
            second.slower,
            "",
            f"+{units.percent(second.slower)}",
            f"{second.layout} {why(second)}",
        )


def _accelerator(plan: TrainingPlan, quote: Quote) -> Iterator[Line]:
    cluster = quote.estimate.cluster
    yield from _data_sheet(plan, cluster)
    network = cluster.network_bytes_per_s
    if network is not None and cluster.nodes > 1:
        shown = f"{units.size(network)}/s"
        yield line("accelerator", "network, each device", "", network, "B/s", shown, "instance table")
    yield from _efficiency(plan, cluster)
    yield from (line("accelerator", *each) for each in attention_lines(plan, quote.estimate))


def _data_sheet(plan: TrainingPlan, cluster: Cluster) -> Iterator[Line]:
    """What of the accelerator's data sheet the step's time rests on."""
    sheet, dtype, wide = cluster.accelerator, plan.precision.matmul_dtype, plan.precision.other_dtype
    link, kept, bandwidth = (
        cluster.link_bytes_per_s or sheet.link_bytes_per_s,
        sheet.sustained_share,
        sheet.memory_bytes_per_s,
    )
    peaks = [(f"P dense {d} peak", sheet.peak(d), f"peak_flop_per_s.{d}") for d in dict.fromkeys((dtype, wide))]
    for quantity, value, unit, shown, key in (
        *((name, peak, "FLOP/s", units.flop_per_s(peak or 0), key) for name, peak, key in peaks),
        ("share of P kept up", kept, "", units.percent(kept or 0), "sustained_share"),
        ("W memory bandwidth", bandwidth, "B/s", f"{units.size(bandwidth)}/s", "memory_bytes_per_s"),
        (f"link ({sheet.link}), one direction", link, "B/s", f"{units.size(link or 0)}/s", "link_bytes_per_s"),
    ):
        if value is not None:
            source = sheet.sources.get(key)
            told = f"{Origin.DATA_SHEET}: {source.text} ({source.status} {source.date})" if source else "data sheet"
            yield line("accelerator", quantity, "", value, unit, shown, told)


def _efficiency(plan: TrainingPlan, cluster: Cluster) -> Iterator[Line]:
    """The fitted coefficients, and what a measurement makes of them."""
    efficiency, keeps = cluster.efficiency, kept_up(cluster.accelerator)
    fitted = f"fitted: {efficiency.source}"
    for name, value in (
        ("e of large products", efficiency.matmul * keeps),
        ("e_m of memory", efficiency.memory),
        *_of_convolutions(plan, efficiency.convolution * keeps),
        ("e of the link", efficiency.link),
        ("e of the network", efficiency.network),
    ):
        yield line("accelerator", name, "", value, "", units.percent(value), fitted)
    fixed_s, found = efficiency.operator_s, efficiency.correction
    yield line("accelerator", "t0 of an operator", "", fixed_s, "s", units.duration(fixed_s), fitted)
    if found is not None:
        formula = "e of all but link and network are divided by it; t0, c and launches are multiplied"
        shown = f"{found.factor:.3f}"
        yield line("accelerator", "measured over predicted", formula, found.factor, "", shown, found.spread.basis)


def _of_convolutions(plan: TrainingPlan, reached: float) -> tuple[tuple[str, float], ...]:
    """What only a model with convolutions is limited by."""
    there = any(isinstance(o, Convolution) for b in plan.workload.blocks for o in b.operators)
    return (("e_c of convolutions", reached),) if there else ()


def _memory(plan: TrainingPlan, quote: Quote) -> Iterator[Line]:
    memory = quote.estimate.memory
    each = trained_bytes(plan, sharded=quote.estimate.layout.zero >= 3)
    weight = f"{each.weight:g}"
    if plan.method == "qlora":
        weight = f"{plan.weight_bytes:.3g} (frozen products) or {weight}"
    outputs = "s·vocabulary" if plan.workload.tokens_per_sample > 1 else "classes"
    formulas = {
        "weights_bytes": f"N·{weight} bytes/(t·p), shared by d·c from ZeRO-3 on; experts by e too",
        "gradients_bytes": f"N trained · {each.gradient:g} bytes/(t·p), shared by d·c from ZeRO-2 on",
        "optimizer_bytes": f"N trained · {each.optimizer:g} bytes/(t·p), shared by d·c from ZeRO-1 on",
        "activations_bytes": "Σ kept by operators · micro-batches under way",
        "logits_bytes": f"b·{outputs}·{logit_bytes(plan):g} bytes/(t·c), on the last stage",
        "workspace_bytes": f"{units.size(WORKSPACE_BYTES)}, and {units.size(COLLECTIVES_BYTES)} for collectives",
        "fragmentation_bytes": f"{units.percent(FRAGMENTATION)} of activations and logits",
    }
    for name, value in memory.parts().items():
        yield line(
            "memory",
            name.removesuffix("_bytes"),
            formulas[name],
            value,
            "B",
            units.size(value),
            "Rajbhandari et al. 2020, Korthikanti et al. 2022",
        )
    has = quote.estimate.cluster.accelerator.capacity_bytes
    yield line(
        "memory",
        "total",
        "sum",
        memory.total_bytes,
        "B",
        f"{units.size(memory.total_bytes)} of {units.size(has)}",
        str(Origin.DERIVED),
    )


def _step(plan: TrainingPlan, quote: Quote) -> Iterator[Line]:
    step = quote.estimate.step
    for name, value in step.parts().items():
        formula, source = FORMULAS[name]
        yield line("step", name.removesuffix("_s"), formula, value, "s", units.duration(value), source)
    yield line("step", "step", "sum of the parts", step.total_s, "s", units.duration(step.total_s), str(Origin.DERIVED))
    low, high = quote.estimate.step_s.low, quote.estimate.step_s.high
    for name, value in (("low", low), ("high", high)):
        yield line(
            "step",
            f"step, {name}",
            f"step · {value / step.total_s:.3g}",
            value,
            "s",
            units.duration(value),
            quote.estimate.evidence,
        )
    yield line(
        "step",
        "MFU",
        f"training FLOP·B / (step·devices·P {plan.precision.other_dtype})",
        quote.estimate.mfu,
        "",
        units.percent(quote.estimate.mfu),
        "no recomputation, causal attention halved",
    )


def _run(operations: Operations, quote: Quote, bill: Bill) -> Iterator[Line]:
    run, hours, assumed = bill.run, quote.gpu_hours(bill).mid, str(Origin.ASSUMED)
    yield line(
        "run", "steady", "steps · step", run.steady_s.mid, "s", units.duration(run.steady_s.mid), str(Origin.DERIVED)
    )
    written = f"N trained · states / (machines · {units.size(operations.checkpoint_bytes_per_s)}/s)"
    yield line(
        "run", "δ checkpoint", written, run.checkpoint_write_s, "s", units.duration(run.checkpoint_write_s), assumed
    )
    yield line(
        "run",
        "interruptions",
        "λ·T, λ = devices/MTBF + nodes·preemptions",
        run.interruptions,
        "",
        units.significant(run.interruptions),
        "Llama 3 (2024); see the assumptions",
    )
    yield line(
        "run",
        "τ between checkpoints",
        "√(2·δ/λ), at most T",
        run.checkpoint_interval_s,
        "s",
        units.duration(run.checkpoint_interval_s),
        "Young 1974, Daly 2006",
    )
    yield _production(operations, quote, run)
    yield line(
        "run",
        "calendar",
        "start + T·π·(1 + eval)·e^(λR)·(e^(λ(τ+δ)) − 1)/(λτ)",
        run.wall_clock_s.mid,
        "s",
        units.duration(run.wall_clock_s.mid),
        "Daly 2006",
    )
    yield line("run", "GPU-hours", "calendar · devices", hours, "h", units.count(hours), str(Origin.DERIVED))


def _production(operations: Operations, quote: Quote, run: RunTime) -> Line:
    usual = operations.production[1]
    half, half_s = operations.production_half_devices, operations.production_half_s
    formula = f"1 + (p − 1)·(n − 1)/(n − 1 + {half:g})·T/(T + {units.duration(half_s)}), n devices"
    devices = float(quote.nodes * quote.offer.instance.devices)
    share = 1.0 + (usual - 1.0) * production_share(operations, devices, run.steady_s.mid)
    return line(
        "run",
        "π production",
        f"{formula}, p = {usual:g}",
        share,
        "",
        units.significant(share),
        "whole published runs; see the assumptions",
    )


# --- operators


def operator_lines(plan: TrainingPlan, estimate: Estimate) -> Iterator[Line]:
    """Each operator's time for one micro-batch on one device: forward and backward, arithmetic and the rest."""
    layouts = Layouts.of([estimate.layout])
    hardware = Hardware.of([estimate.cluster], plan.precision)
    share = estimate.layout.micro_batch / (estimate.layout.tp * estimate.layout.cp)
    for block in plan.workload.blocks:
        for op in block.operators:
            forward, backward = operator_work(op, block, plan, layouts, hardware)
            total = float(forward.total_s[0] + backward.total_s[0])
            formula = f"forward {_parts(forward)}, backward {_parts(backward)}"
            flop = f"; F {units.flop(op.flop * share)} forward" if op.flop else ""
            yield line(
                "operator",
                f"{block.name} × {block.repeat}: {op.name}",
                formula,
                total,
                "s",
                units.duration(total),
                f"{_law(op)}{flop}",
            )


def _law(op: Operator) -> str:
    """The time of one pass of an operator, in the symbols of the lines of the accelerator."""
    if isinstance(op, Convolution):
        return "t0 + max(F/(P·e_c), Q/(W·e_m))"
    if isinstance(op, Recurrent):
        return f"{op.steps:,.0f} steps · ({op.kernels:g}·t0 + max(F/(P·e), Q/(W·e_m)))"
    return "t0 + max(F/(P·e), Q/(W·e_m))" if op.flop else "t0 + Q/(W·e_m)"


def _parts(work: Work) -> str:
    """Seconds of arithmetic, of memory beyond it, and fixed, those that there are."""
    named = (("arithmetic", work.compute_s), ("memory", work.memory_s), ("fixed", work.overhead_s))
    return " + ".join(f"{units.duration(float(s[0]))} {name}" for name, s in named if s[0] > 0) or "0 s"


# --- limits
# The parts of a step that each limit has; what is computed again counts as arithmetic, of which it mostly is.
LIMITS: Final = {
    "compute": ("compute_s", "recompute_s"),
    "memory bandwidth": ("memory_s", "optimizer_s"),
    "launches": ("overhead_s", "launch_s", "host_s"),
    "communication": ("tensor_s", "pipeline_s", "data_s", "expert_s", "lookup_s", "context_s"),
    "pipeline bubble": ("bubble_s",),
    "slowest device": ("straggler_s",),
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
        work = block_passes(block, plan, layouts, hardware).both
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
