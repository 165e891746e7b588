"""Derivation: every formula, number, unit and origin behind one quote, in the order they are computed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from zenplan import units
from zenplan.domain.estimate import Bill, Quote
from zenplan.domain.evidence import Origin
from zenplan.domain.operations import Operations
from zenplan.domain.plan import TrainingPlan
from zenplan.planning.step import FORMULAS


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One quantity.

    Attributes:
        group: what it belongs to: model, accelerator, layout, memory, step, run, bill.
        formula: in the symbols of the field; empty for what is read or given.
        value: in base units; ``shown`` is the same for people.
        origin: where it comes from, and the source.
    """

    group: str
    quantity: str
    formula: str
    value: float
    unit: str
    shown: str
    origin: str


def derive(plan: TrainingPlan, operations: Operations, quote: Quote, bill: Bill) -> tuple[Line, ...]:
    """The whole derivation of one bill of one quote."""
    return (
        *_model(plan, quote),
        *_accelerator(plan, quote),
        *_memory(quote),
        *_step(plan, quote),
        *_run(plan, operations, quote, bill),
        *_bill(quote, bill),
    )


def _line(group: str, quantity: str, formula: str, value: float, unit: str, shown: str, origin: str) -> Line:
    return Line(group=group, quantity=quantity, formula=formula, value=value, unit=unit, shown=shown,
                origin=origin)  # fmt: skip


def _model(plan: TrainingPlan, quote: Quote) -> Iterator[Line]:
    load = plan.workload
    # Not what was asked for, but what the layout makes of it.
    batch = quote.estimate.layout.global_batch
    steps = math.ceil(plan.samples / batch)
    derived = f"{Origin.DERIVED} from the operators"
    yield _line("model", "N parameters", "Σ weights of operators", load.parameters, "", units.count(load.parameters),
                derived)  # fmt: skip
    yield _line("model", "N active", "Σ weights a token meets in products", load.active_parameters, "",
                units.count(load.active_parameters), derived)  # fmt: skip
    yield _line("model", "forward FLOP a sample", "Σ 2·m·n·k + attention 2·s·s̄·a·(d_k+d_v)", load.flop_per_sample,
                "FLOP", units.flop(load.flop_per_sample), derived)  # fmt: skip
    yield _line("model", "B samples a step", "the global batch in whole micro-batches", float(batch), "samples",
                f"{batch:,}", "see the assumptions")  # fmt: skip
    yield _line("model", "steps", "⌈samples / B⌉", float(steps), "", f"{steps:,}", str(Origin.DERIVED))


def _accelerator(plan: TrainingPlan, quote: Quote) -> Iterator[Line]:
    cluster, efficiency = quote.estimate.cluster, quote.estimate.cluster.efficiency
    sheet = cluster.accelerator
    dtype = plan.precision.matmul_dtype

    def sheet_line(quantity: str, value: float | None, unit: str, shown: str, key: str) -> Iterator[Line]:
        if value is not None:
            source = sheet.sources.get(key)
            told = (
                f"{Origin.DATA_SHEET}: {source.text} ({source.status} {source.date})"
                if source
                else "data sheet"
            )
            yield _line("accelerator", quantity, "", value, unit, shown, told)

    peak = sheet.peak(dtype)
    yield from sheet_line(f"P dense {dtype} peak", peak, "FLOP/s", units.flop_per_s(peak or 0),
                          f"peak_flop_per_s.{dtype}")  # fmt: skip
    yield from sheet_line("W memory bandwidth", sheet.memory_bytes_per_s, "B/s",
                          f"{units.size(sheet.memory_bytes_per_s)}/s", "memory_bytes_per_s")  # fmt: skip
    link = cluster.link_bytes_per_s or sheet.link_bytes_per_s
    yield from sheet_line(f"link ({sheet.link}), one direction", link, "B/s", f"{units.size(link or 0)}/s",
                          "link_bytes_per_s")  # fmt: skip
    network = cluster.network_bytes_per_s
    if network is not None and cluster.nodes > 1:
        yield _line("accelerator", "network, each device", "", network, "B/s", f"{units.size(network)}/s",
                    "instance table")  # fmt: skip
    for name, value in (("e of large products", efficiency.matmul), ("e of fused attention", efficiency.attention),
                        ("e_m of memory", efficiency.memory), ("e of the link", efficiency.link),
                        ("e of the network", efficiency.network)):  # fmt: skip
        yield _line("accelerator", name, "", value, "", units.percent(value), f"fitted: {efficiency.source}")
    yield _line("accelerator", "t0 of an operator", "", efficiency.operator_s, "s",
                units.duration(efficiency.operator_s), f"fitted: {efficiency.source}")  # fmt: skip


_MEMORY_FORMULAS = {
    "weights_bytes": "N·2/(t·p), divided by d under ZeRO-3",
    "gradients_bytes": "N·4/(t·p), divided by d from ZeRO-2",
    "optimizer_bytes": "N·(master + states)/(t·p), divided by d from ZeRO-1",
    "activations_bytes": "Σ kept by operators · micro-batches under way",
    "workspace_bytes": "1.5 GB + 6 % of activations",
}


def _memory(quote: Quote) -> Iterator[Line]:
    memory = quote.estimate.memory
    for name, value in memory.parts().items():
        yield _line("memory", name.removesuffix("_bytes"), _MEMORY_FORMULAS[name], value, "B", units.size(value),
                    "Rajbhandari et al. 2020, Korthikanti et al. 2022")  # fmt: skip
    has = quote.estimate.cluster.accelerator.capacity_bytes
    yield _line("memory", "total", "sum", memory.total_bytes, "B",
                f"{units.size(memory.total_bytes)} of {units.size(has)}", str(Origin.DERIVED))  # fmt: skip


def _step(plan: TrainingPlan, quote: Quote) -> Iterator[Line]:
    step = quote.estimate.step
    for name, value in step.parts().items():
        formula, source = FORMULAS[name]
        yield _line("step", name.removesuffix("_s"), formula, value, "s", units.duration(value), source)
    yield _line("step", "step", "sum of the parts", step.total_s, "s", units.duration(step.total_s),
                str(Origin.DERIVED))  # fmt: skip
    low, high = quote.estimate.step_s.low, quote.estimate.step_s.high
    spread = quote.estimate.cluster.efficiency.spread
    for name, ratio, value in (("low", spread.low, low), ("high", spread.high, high)):
        yield _line(
            "step", f"step, {name}", f"step · {ratio:.3g}", value, "s", units.duration(value), spread.basis
        )
    yield _line("step", "MFU", "3·forward FLOP·B / (step·devices·P)", quote.estimate.mfu, "",
                units.percent(quote.estimate.mfu), "no recomputation, causal attention halved")  # fmt: skip


def _run(plan: TrainingPlan, operations: Operations, quote: Quote, bill: Bill) -> Iterator[Line]:
    run, assumed = bill.run, str(Origin.ASSUMED)
    yield _line("run", "steady", "steps · step", run.steady_s.mid, "s", units.duration(run.steady_s.mid),
                str(Origin.DERIVED))  # fmt: skip
    yield _line("run", "δ checkpoint", "N·states / (nodes · 1 GB/s)", run.checkpoint_write_s, "s",
                units.duration(run.checkpoint_write_s), assumed)  # fmt: skip
    yield _line("run", "interruptions", "λ·T, λ = devices/MTBF + nodes·preemptions", run.interruptions, "",
                units.significant(run.interruptions), "Llama 3 (2024); see the assumptions")  # fmt: skip
    yield _line("run", "τ between checkpoints", "√(2·δ/λ), at most T", run.checkpoint_interval_s, "s",
                units.duration(run.checkpoint_interval_s), "Young 1974, Daly 2006")  # fmt: skip
    yield _line("run", "calendar", "start + T·(1 + eval)·(1 + δ/τ)/(1 − λ(τ/2 + R))", run.calendar_s.mid, "s",
                units.duration(run.calendar_s.mid), "Daly 2006")  # fmt: skip
    yield _line("run", "GPU-hours", "calendar · devices", run.calendar_s.mid / 3600 * quote.devices, "h",
                units.count(run.calendar_s.mid / 3600 * quote.devices), str(Origin.DERIVED))  # fmt: skip


def _bill(quote: Quote, bill: Bill) -> Iterator[Line]:
    price = quote.offer.price(bill.billing)
    if price is not None:
        date = f"as of {price.as_of}" if price.as_of else "date not known"
        yield _line("bill", f"{bill.billing} price of a machine", "", price.usd_per_h, "USD/h",
                    f"{units.usd(price.usd_per_h)}/h", f"{price.source}, {date}")  # fmt: skip
    terms = quote.terms
    rounding = terms.granularity_s if terms else None
    yield _line("bill", "billed hours", "calendar rounded up", bill.billed_h, "h",
                units.significant(bill.billed_h, 4),
                f"rounded to {units.duration(rounding)}: {terms.source}" if terms and rounding
                else "rounding not known: to the hour")  # fmt: skip
    yield _line("bill", "machines", "billed hours · price · machines", bill.compute_usd.mid, "USD",
                units.usd(bill.compute_usd.mid), str(Origin.DERIVED))  # fmt: skip
    for name, value, formula in (
        ("checkpoint storage", bill.storage_usd, "kept · size · time · price"),
        ("egress of the weights", bill.egress_usd, "N·2 · price"),
    ):
        if value is not None and terms:
            yield _line("bill", name, formula, value, "USD", units.usd(value), terms.source)
    yield _line("bill", "total", "sum", bill.total_usd.mid, "USD", units.usd(bill.total_usd.mid),
                str(Origin.DERIVED))  # fmt: skip
