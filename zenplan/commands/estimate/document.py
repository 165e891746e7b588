"""The JSON document and the flat records of an answer. The schema is ``data/schemas/estimate-1.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from zenplan.commands.estimate.here import here_document
from zenplan.commands.shared.ranges import range_document
from zenplan.domain.answer.answer import Answer, Ranked
from zenplan.domain.answer.estimate import Bill, Estimate, Quote
from zenplan.domain.market.offer import Billing, Price
from zenplan.domain.provenance import Fact
from zenplan.planning.explain.derivation_line import Line
from zenplan.planning.physics.input_pipeline import supply


def document(answer: Answer, lines: tuple[Line, ...]) -> Mapping[str, Any]:
    """The whole answer in JSON types and base units, with the lines of the derivation, if there are any."""
    plan = answer.plan
    load = plan.workload
    whole: dict[str, Any] = {
        "workload": {
            "name": load.name,
            "family": load.family,
            "parameters": load.parameters,
            "active_parameters": load.active_parameters,
            "trainable_parameters": load.trainable_parameters,
            "layers": load.layers,
            "unit": load.unit,
            "tokens_per_sample": load.tokens_per_sample,
            "forward_flop_per_sample": load.flop_per_sample,
        },
        "plan": {
            "tokens": plan.tokens,
            "samples": plan.samples,
            "global_batch_samples": plan.global_batch,
            "steps": plan.steps,
            "precision": plan.precision.name,
            "optimizer": plan.optimizer.name,
            "software": plan.software,
            "method": plan.method,
        },
        "inputs": [_fact(f) for f in (*plan.facts, *answer.operations.facts())],
        "billing": str(answer.request.billing),
        "deadline_s": answer.request.deadline_s,
        "budget_usd": answer.request.budget_usd,
        "met": answer.met,
        "verdict": answer.verdict,
        "quotes": [_quote(answer, r) for r in answer.ranked],
        "compared": {"options": answer.options, "layouts": answer.layouts, "frontier": answer.frontier},
        "left_out": list(answer.left_out),
        "here": here_document(answer),
    }
    if lines:
        whole["derivation"] = [asdict(line) for line in lines]
    return whole


def _fact(fact: Fact) -> dict[str, str]:
    return {"name": fact.name, "value": fact.value, "origin": str(fact.origin), "why": fact.why}


def _price(price: Price | None) -> dict[str, Any] | None:
    if price is None:
        return None
    as_of = price.as_of.isoformat() if price.as_of else None
    return {"usd_per_h": price.usd_per_h, "as_of": as_of, "source": price.source}


def _quote(answer: Answer, ranked: Ranked) -> dict[str, Any]:
    quote = ranked.quote
    estimate, instance = quote.estimate, quote.offer.instance
    return {
        "labels": list(ranked.labels),
        "provider": instance.provider,
        "instance": instance.name,
        "tier": quote.offer.tier or None,
        "region": quote.offer.region,
        "accelerator": instance.accelerator,
        "machines": quote.nodes,
        "devices": quote.devices,
        "idle_devices": quote.idle_devices,
        "layout": {**asdict(estimate.layout), "recompute": str(estimate.layout.recompute)},
        "memory": {
            **estimate.memory.parts(),
            "total_bytes": estimate.memory.total_bytes,
            "available_bytes": estimate.cluster.accelerator.capacity_bytes,
        },
        "step": {**estimate.step.parts(), "total_s": range_document(estimate.step_s)},
        "mfu": estimate.mfu,
        "samples_per_s": estimate.samples_per_s,
        "input": _input(answer, quote),
        "bills": [_bill(quote, b) for b in quote.bills],
        "prices": {str(k): _price(quote.offer.price(k)) for k in Billing},
        "energy": _energy(quote),
        "evidence": estimate.evidence,
        "grounds": str(estimate.grounds),
        "correction": _correction(estimate),
    }


def _correction(estimate: Estimate) -> dict[str, Any] | None:
    found = estimate.correction
    return {"calibration": found.calibration, "factor": found.factor} if found else None


def _input(answer: Answer, quote: Quote) -> dict[str, Any] | None:
    found = supply(answer.plan.workload, quote)
    if found is None:
        return None
    return {
        "vcpus": found.vcpus,
        "prepared_samples_per_s": found.prepared_per_s,
        "share": found.share,
        "basis": found.preparation.source,
    }


def _bill(quote: Quote, bill: Bill) -> dict[str, Any]:
    run = bill.run
    return {
        "billing": str(bill.billing),
        "steady_s": range_document(run.steady_s),
        "wall_clock_s": range_document(run.calendar_s),
        "goodput": run.goodput,
        "interruptions": run.interruptions,
        "checkpoint_interval_s": run.checkpoint_interval_s,
        "checkpoint_bytes": run.checkpoint_bytes,
        "gpu_hours": range_document(quote.gpu_hours(bill)),
        "billed_h": bill.billed_h,
        "machines_usd": range_document(bill.compute_usd),
        "storage_usd": bill.storage_usd,
        "egress_usd": bill.egress_usd,
        "total_usd": range_document(bill.total_usd),
    }


def _energy(quote: Quote) -> dict[str, Any] | None:
    if quote.energy is None:
        return None
    co2e = quote.energy.co2e_kg
    return {
        "kwh": range_document(quote.energy.kwh),
        "co2e_kg": range_document(co2e) if co2e else None,
        "pue": quote.energy.pue,
        "grid_source": quote.energy.grid_source or None,
    }


def record(answer: Answer, ranked: Ranked) -> dict[str, Any]:
    """One quote as a flat row, for CSV. What is not known is None."""
    quote, bill = ranked.quote, ranked.bill
    estimate, instance = quote.estimate, quote.offer.instance
    found = supply(answer.plan.workload, quote)
    row: dict[str, Any] = {
        "labels": " ".join(ranked.labels),
        "billing": str(bill.billing),
        "provider": instance.provider,
        "instance": instance.name,
        "tier": quote.offer.tier,
        "region": quote.offer.region,
        "accelerator": instance.accelerator,
        "machines": quote.nodes,
        "devices": quote.devices,
        "idle_devices": quote.idle_devices,
        "layout": str(estimate.layout),
        "memory_bytes": estimate.memory.total_bytes,
        "memory_available_bytes": estimate.cluster.accelerator.capacity_bytes,
        "step_s": estimate.step.total_s,
        "mfu": estimate.mfu,
        "samples_per_s": estimate.samples_per_s,
        "grounds": str(estimate.grounds),
        "input_share": found.share if found else None,
        "gpu_hours": quote.gpu_hours(bill).mid,
        "wall_clock_s_low": bill.run.calendar_s.low,
        "wall_clock_s": bill.run.calendar_s.mid,
        "wall_clock_s_high": bill.run.calendar_s.high,
    }
    for kind in Billing:
        own, price, name = quote.bill(kind), quote.offer.price(kind), str(kind).replace("-", "_")
        total = own.total_usd if own else None
        row |= {
            f"{name}_usd_low": total.low if total else None,
            f"{name}_usd": total.mid if total else None,
            f"{name}_usd_high": total.high if total else None,
            f"{name}_price_as_of": price.as_of if price else None,
        }
    row["kwh"] = quote.energy.kwh.mid if quote.energy else None
    row["co2e_kg"] = quote.energy.co2e_kg.mid if quote.energy and quote.energy.co2e_kg else None
    return row
