"""Derivation of the bill and of the energy of one quote."""

from __future__ import annotations

import math
from collections.abc import Iterator

from zenplan import units
from zenplan.domain.answer.estimate import Bill, Quote
from zenplan.domain.market.offer import Terms
from zenplan.domain.provenance import Origin
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.explain.line import Line, line
from zenplan.planning.money.beside import CHECKPOINTS, EGRESS
from zenplan.planning.money.commitments import UNUSED


def bill_lines(plan: TrainingPlan, operations: Operations, quote: Quote, bill: Bill) -> Iterator[Line]:
    """From the price of a machine to the dollars of the run.

    Args:
        plan: what is trained.
        operations: how the run is operated.
        quote: whose machines are paid.
        bill: of that quote.
    """
    yield from _price(quote, bill)
    terms = quote.terms
    rounding = terms.granularity_s if terms else None
    yield line(
        "bill",
        "billed hours",
        "calendar rounded up",
        bill.billed_h,
        "h",
        units.significant(bill.billed_h, 4),
        f"rounded to {units.duration(rounding)}: {terms.source}"
        if terms and rounding
        else "rounding not known: to the hour",
    )
    if bill.compute_usd is None or bill.total_usd is None:
        return
    yield line(
        "bill",
        "machines",
        "billed hours · price · machines",
        bill.compute_usd.mid,
        "USD",
        units.usd(bill.compute_usd.mid),
        str(Origin.DERIVED),
    )
    yield from _beside(plan, operations, bill, terms)
    yield line("bill", "total", "sum", bill.total_usd.mid, "USD", units.usd(bill.total_usd.mid), str(Origin.DERIVED))


def _price(quote: Quote, bill: Bill) -> Iterator[Line]:
    """The price of a machine, and how it was made where it was not read as it is."""
    price = quote.offer.price(bill.billing)
    if price is not None:
        date = f"as of {price.as_of}" if price.as_of else "date not known"
        yield line(
            "bill",
            f"{bill.billing} price of a machine",
            "",
            price.usd_per_h,
            "USD/h",
            f"{units.usd(price.usd_per_h)}/h",
            f"{price.source}, {date}",
        )
    for fact in quote.offer.derived:
        origin = f"{fact.origin}: {fact.why}" if fact.why else str(fact.origin)
        yield line("bill", fact.name, "", math.nan, "", fact.value, origin)


def _beside(plan: TrainingPlan, operations: Operations, bill: Bill, terms: Terms | None) -> Iterator[Line]:
    """What is paid beside the machines, and what is taken off."""
    formulas = {
        CHECKPOINTS: f"{operations.kept_checkpoints} kept · {units.size(bill.run.checkpoint_bytes)} · calendar · price",
        "data set storage": "data · calendar · price",
        "disks": f"machines · {units.size(operations.disk_bytes)} · calendar · price",
        "data in": "data · price",
        EGRESS: f"N trained · {plan.precision.compute_bytes} bytes · price",
        UNUSED: "all that is committed to - machines",
        "credits": "what they pay of what is spent until they expire",
        **{each.name: "time · price · machines" for each in bill.followed},
    }
    for part in bill.beside_machines:
        source = f"; {terms.source}" if terms and part.origin is Origin.PUBLISHED else ""
        usd, origin = part.mid_usd, f"{part.origin}: {part.why}{source}"
        yield line("bill", part.name, formulas[part.name], usd, "USD", units.usd(usd), origin)


def energy_lines(operations: Operations, quote: Quote) -> Iterator[Line]:
    """Electricity and what making it emitted; nothing where the power limit is not known."""
    energy = quote.energy
    if energy is None:
        return
    share = operations.power_share[1]
    formula = f"devices · (limit · {share:g} + {operations.host_w:g} W) · PUE {energy.pue:g} · calendar"
    yield line(
        "energy",
        "electricity",
        formula,
        energy.kwh.mid,
        "kWh",
        f"{units.count(energy.kwh.mid)} kWh",
        str(Origin.ASSUMED),
    )
    for name, formula, kg, source in (
        ("CO2e", "electricity · intensity of the grid", energy.co2e_kg, energy.grid_source),
        ("CO2e of making", "devices · kg, host included · time / life", energy.embodied_kg, energy.embodied_source),
    ):
        if kg is not None:
            yield line("energy", name, formula, kg.mid, "kg", f"{units.count(kg.mid)} kg", source)
