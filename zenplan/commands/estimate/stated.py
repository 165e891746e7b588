"""What an estimate assumes of the machines that were named or are quoted, and says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zenplan import units
from zenplan.commands.estimate.own import own_facts
from zenplan.commands.shared.shortfall import next_precision, trains_in
from zenplan.commands.shared.training_plan import training_plan
from zenplan.domain.answer.answer import Ranked
from zenplan.domain.fit.processor import WIDER
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.market.interruptions import Interruptions
from zenplan.domain.market.offer import OWN, Instance
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.request import Request
from zenplan.protocols import WorkloadFamily


def processor_facts(sheet: Accelerator) -> tuple[Fact, ...]:
    """What a step on a processor rests on."""
    source = sheet.sources.get("memory_bytes")
    return (
        Fact(
            name="processor",
            value=f"{sheet.name}: {sheet.multiprocessors} cores at {(sheet.clock_hz or 0.0) / 1e9:.3g} GHz",
            origin=Origin.ASSUMED,
            why="a CPU, of which no run was fitted: shares of its peak at the base clock as accelerators reach them, in an "
            f"interval {WIDER:g} times as wide",
        ),
        Fact(
            name="memory of the machine",
            value=units.size(sheet.memory_bytes),
            origin=Origin.DATA_SHEET,
            why=source.text if source else "of the machine",
        ),
    )


def _taken(instance: Instance, found: Interruptions) -> Fact:
    """How often a spot machine is taken, as published."""
    low, mid, high = (found.per_node_s * (100.0 * units.HOUR_S)).ends
    value = f"{mid:.2g} % an hour of {instance.provider} {instance.name} ({low:.2g}–{high:.2g})"
    why = f"{found.what}; {found.as_of or 'of no date'}: {found.source}"
    return Fact(name="spot preemption", value=value, origin=Origin.PUBLISHED, why=why)


def plan_on_named(request: Request, catalogue: Catalogue, families: Sequence[WorkloadFamily]) -> TrainingPlan:
    """The plan that a request asks for. Where it names accelerators and no precision, and none of them has the usual
    one, in the next that the first of them has.

    Raises:
        UsageError: the request is wrong, or names an accelerator that nobody knows.
    """
    plan = training_plan(request, families)
    named = [sheet for sheet in map(catalogue.by_name, request.gpu) if sheet.trains]
    if request.precision or not named or any(trains_in(sheet, plan.precision) for sheet in named):
        return plan
    name = next_precision(named[0], plan.precision)
    if name is None:
        return plan
    why = f"{named[0].name} has no {plan.precision.name}"
    plan = training_plan(replace(request, precision=name), families)
    facts = (replace(f, origin=Origin.ASSUMED, why=why) if f.name == "precision" else f for f in plan.facts)
    return replace(plan, facts=tuple(facts))


def machine_facts(request: Request, catalogue: Catalogue, ranked: Sequence[Ranked]) -> tuple[Fact, ...]:
    """How many devices are to be had, and what one's own machines are, of all that is quoted."""
    facts: dict[str, Fact] = {}
    for quote in (r.quote for r in ranked):
        limit, name = quote.on_demand, quote.offer.instance.accelerator
        sheet = quote.estimate.cluster.accelerator
        if sheet.is_processor:
            facts = {fact.name: fact for fact in processor_facts(sheet)} | facts
        if quote.offer.instance.provider == OWN:
            facts |= {fact.name: fact for fact in own_facts(catalogue.by_name(name), request)}
        elif limit is not None and (quote.beyond_on_demand or not (request.gpus or request.max_gpus)):
            value = f"{limit.devices} devices"
            facts.setdefault(
                value, Fact(name="largest cluster on demand", value=value, origin=limit.origin, why=limit.source)
            )
        if limit is not None and limit.quota:
            provider = quote.offer.instance.provider
            term = f"larger clusters are reserved for {units.duration(limit.term_s)} at least; " if limit.term_s else ""
            name, why = f"quota of {provider}", f"{term}{limit.term_source}"
            facts.setdefault(name, Fact(name=name, value=limit.quota, origin=limit.quota_origin, why=why))
        if quote.interruptions is not None and quote.offer.spot is not None:
            fact = _taken(quote.offer.instance, quote.interruptions)
            facts.setdefault(fact.value, fact)
    return tuple(facts.values())
