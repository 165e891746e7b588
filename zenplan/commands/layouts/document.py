"""The JSON document and the flat records of a trade-off. The schema is ``data/schemas/layouts-1.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from zenplan.domain.answer.estimate import Estimate
from zenplan.domain.answer.tradeoff import Tradeoff
from zenplan.domain.training.layout import Layout


def document(found: Tradeoff) -> Mapping[str, Any]:
    """The whole answer in JSON types and base units."""
    plan, cluster = found.plan, found.cluster
    return {
        "workload": {
            "name": plan.workload.name,
            "parameters": plan.workload.parameters,
            "layers": plan.workload.layers,
            "unit": plan.workload.unit,
            "tokens_per_sample": plan.workload.tokens_per_sample,
        },
        "plan": {
            "global_batch_samples": plan.global_batch,
            "precision": plan.precision.name,
            "optimizer": plan.optimizer.name,
            "software": plan.software,
            "method": plan.method,
        },
        "inputs": [{**asdict(f), "origin": str(f.origin)} for f in plan.facts],
        "cluster": {
            "accelerator": cluster.accelerator.name,
            "devices": cluster.devices,
            "node_devices": cluster.node_devices,
            "nodes": cluster.nodes,
            "network_bytes_per_s": cluster.network_bytes_per_s,
            "memory_bytes": cluster.accelerator.capacity_bytes,
        },
        "by": found.by,
        "layouts": [_estimate(found, e) for e in found.listed],
        "frontier": [_estimate(found, e) for e in found.frontier],
        "runner_up": _runner_up(found),
        "sizes": [{**asdict(s), "layout": layout(s.layout)} for s in found.sizes],
        "price": _price(found),
        "spread": {
            "low": found.fastest.step_s.low / found.fastest.step_s.mid,
            "high": found.fastest.step_s.high / found.fastest.step_s.mid,
            "basis": found.fastest.evidence,
            "grounds": str(found.fastest.grounds),
        },
        "compared": {"layouts": found.considered, "fitting": found.fitting},
    }


def layout(one: Layout) -> dict[str, Any]:
    """Every field of a layout in JSON types."""
    return {**asdict(one), "recompute": str(one.recompute)}


def _estimate(found: Tradeoff, estimate: Estimate) -> dict[str, Any]:
    return {
        "layout": layout(estimate.layout),
        "step": {**estimate.step.parts(), "total_s": estimate.step.total_s},
        "memory": {**estimate.memory.parts(), "total_bytes": estimate.memory.total_bytes},
        "memory_share": estimate.memory.total_bytes / estimate.cluster.accelerator.capacity_bytes,
        "mfu": estimate.mfu,
        "samples_per_s": estimate.samples_per_s,
        "tokens_per_s_per_device": _tokens_per_s(found, estimate),
    }


def _tokens_per_s(found: Tradeoff, estimate: Estimate) -> float:
    return estimate.samples_per_s * found.plan.workload.tokens_per_sample / found.cluster.devices


def _runner_up(found: Tradeoff) -> dict[str, Any] | None:
    second = found.runner_up
    if second is None:
        return None
    return {
        "layout": layout(second.layout),
        "slower": second.slower,
        "parts": {name.removesuffix("_s"): share for name, share in second.parts.items()},
    }


def _price(found: Tradeoff) -> dict[str, Any] | None:
    price = found.price
    if price is None:
        return None
    return {
        "device_usd_per_h": price.usd_per_h,
        "offer": price.offer,
        "as_of": price.as_of.isoformat() if price.as_of else None,
    }


def record(found: Tradeoff, estimate: Estimate) -> Mapping[str, Any]:
    """One layout of the list on one level, for CSV."""
    whole = _estimate(found, estimate)
    return {
        **whole["layout"],
        "step_s": estimate.step.total_s,
        **estimate.step.parts(),
        "memory_bytes": estimate.memory.total_bytes,
        "memory_share": whole["memory_share"],
        "mfu": estimate.mfu,
        "samples_per_s": estimate.samples_per_s,
        "tokens_per_s_per_device": whole["tokens_per_s_per_device"],
    }
