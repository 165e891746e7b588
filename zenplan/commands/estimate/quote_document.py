"""The JSON document of a quote: its objects, and how they are filled."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from zenplan.commands.shared.document import (
    DISTINCT,
    FIT_DESCRIPTION,
    Count,
    CountFromZero,
    Day,
    FactDocument,
    LayoutDocument,
    MemoryPartsDocument,
    Name,
    NotNegative,
    Positive,
    RangeDocument,
    Ratio,
    StepPartsDocument,
)
from zenplan.documents import Document, fill
from zenplan.domain.answer.answer import Label, Ranked
from zenplan.domain.answer.estimate import Bill, Quote
from zenplan.domain.answer.fit import Fit
from zenplan.domain.fit.efficiency import Grounds
from zenplan.domain.market.offer import Billing, Price
from zenplan.domain.model.workload import Workload
from zenplan.domain.provenance import Origin
from zenplan.domain.training.operations import Operations
from zenplan.planning.money.beside import CHECKPOINTS, EGRESS
from zenplan.planning.money.parts import bill_parts
from zenplan.planning.physics.input_pipeline import supply
from zenplan.units import HOUR_S


class PriceDocument(Document):
    """A price with its date and source."""

    usd_per_h: Annotated[
        NotNegative,
        Meta(description="Price of the whole machine, US dollars an hour; 0 only where the user said so."),
    ]
    as_of: Annotated[
        Day | None,
        Meta(description="The day the price was seen, ISO 8601; null where its source has no date."),
    ]
    source: Annotated[Name, Meta(description="Where the price was read.")]


class MemoryDocument(MemoryPartsDocument):
    """Peak memory of the fullest device."""

    total_bytes: Annotated[Positive, Meta(description="The whole peak, in bytes.")]
    available_bytes: Annotated[Positive, Meta(description="Memory of the device, in bytes.")]
    fit: Annotated[Fit, Meta(description=FIT_DESCRIPTION)]


class StepDocument(StepPartsDocument):
    """Where the time of one step goes; the parts add up to the middle of the total."""

    total_s: Annotated[RangeDocument, Meta(description="The whole step, in seconds.")]


class PartDocument(Document):
    """One line of a bill, in its low, middle and high case: each adds up to that end of the total."""

    name: Annotated[Name, Meta(description="What is paid for.")]
    low_usd: Annotated[float, Meta(description="In the low case, in US dollars; below 0 where it is taken off.")]
    mid_usd: Annotated[float, Meta(description="In the middle case, in US dollars.")]
    high_usd: Annotated[float, Meta(description="In the high case, in US dollars.")]
    origin: Annotated[Origin, Meta(description="Where it comes from.")]
    why: Annotated[str, Meta(description="The price, or how it is found.")]


class InterruptionsDocument(Document):
    """How often a spot machine is taken away."""

    low_per_h: Annotated[NotNegative, Meta(description="Chance in an hour that one machine is taken, low, a ratio.")]
    mid_per_h: Annotated[NotNegative, Meta(description="The same, middle, a ratio.")]
    high_per_h: Annotated[NotNegative, Meta(description="The same, high, a ratio.")]
    what: Annotated[Name, Meta(description="The published figure that it is made of.")]
    as_of: Annotated[Day | None, Meta(description="The day it was seen, ISO 8601; null where its source has none.")]
    source: Annotated[Name, Meta(description="Where it was read.")]


class AvailabilityDocument(Document):
    """How many devices of a kind are to be had of a provider, and on which terms."""

    on_demand_devices: Annotated[Count, Meta(description="The largest cluster without a reservation, in devices.")]
    origin: Annotated[Origin, Meta(description="Where that is from.")]
    source: Annotated[Name, Meta(description="Why it is that.")]
    quota: Annotated[str | None, Meta(description="What an account has to have first; null where that is not known.")]
    least_reservation_s: Annotated[
        Positive | None,
        Meta(description="The shortest reservation of a larger cluster, in seconds; null where that is not known."),
    ]
    reservation_source: Annotated[str | None, Meta(description="Where quota and reservation were read; null without.")]


class FollowedDocument(Document):
    """Something that is done after the training."""

    name: Annotated[Name, Meta(description="As its part of the bill is called.")]
    time_s: Annotated[RangeDocument, Meta(description="In seconds, in the wall-clock time; 0 of serving.")]


class BillDocument(Document):
    """Time and money of a run under one billing kind."""

    billing: Annotated[Billing, Meta(description="How the machines are paid for.")]
    steady_s: Annotated[RangeDocument, Meta(description="Time of the steps alone, in seconds.")]
    wall_clock_s: Annotated[
        RangeDocument,
        Meta(
            description="Time from start to end, in seconds: with start-up, evaluation, checkpoints and interruptions, "
            "and what was asked to follow."
        ),
    ]
    goodput: Annotated[Ratio, Meta(description="Steady over wall-clock time, a ratio.")]
    interruptions: Annotated[NotNegative, Meta(description="Expected interruptions of the run, a count.")]
    checkpoint_interval_s: Annotated[
        NotNegative | None,
        Meta(description="Time between checkpoints, in seconds; null where none is worth its time."),
    ]
    checkpoint_bytes: Annotated[NotNegative, Meta(description="One checkpoint, in bytes.")]
    gpu_hours: Annotated[RangeDocument, Meta(description="Device-hours of the wall-clock time.")]
    billed_h: Annotated[NotNegative, Meta(description="Hours that each machine is billed for, at the middle.")]
    machines_usd: Annotated[
        RangeDocument | None, Meta(description="The machines, in US dollars; null where nobody has a price for them.")
    ]
    storage_usd: Annotated[
        NotNegative | None,
        Meta(
            description="Checkpoint storage, in US dollars; null where its price is not known, and then a range in the "
            "parts."
        ),
    ]
    egress_usd: Annotated[
        NotNegative | None,
        Meta(
            description="Taking the weights out, in US dollars; null where its price is not known, and then a range in "
            "the parts."
        ),
    ]
    total_usd: Annotated[
        RangeDocument | None,
        Meta(description="The whole bill, in US dollars; null where the price of the machines is not known."),
    ]
    parts: Annotated[
        tuple[PartDocument, ...],
        Meta(description="Where the dollars go, to the cent; empty where the price of the machines is not known."),
    ] = ()
    followed: Annotated[
        Annotated[tuple[FollowedDocument, ...], Meta(min_length=1)] | UnsetType,
        Meta(description="What follows the training, of which the dollars are among the parts; only with --then."),
    ] = UNSET
    paid_anyway: Annotated[
        PartDocument | None,
        Meta(
            description="Of a commitment that has begun: what the run does not use while it lasts. It is paid without the"
            " run as well, and is in no total; null where there is none."
        ),
    ] = None


class EnergyDocument(Document):
    """Energy and emissions of the run."""

    kwh: Annotated[RangeDocument, Meta(description="Energy at the meter of the data centre, in kWh.")]
    co2e_kg: Annotated[
        RangeDocument | None,
        Meta(description="Emissions, in kg of CO2 equivalent; null where the grid of the region is not known."),
    ]
    pue: Annotated[float, Meta(ge=1, description="Power usage effectiveness used, a ratio.")]
    grid_source: Annotated[str | None, Meta(description="Where the grid's carbon intensity comes from.")]
    embodied_kg: Annotated[
        RangeDocument | None,
        Meta(
            description="The run's share of what making the machines emitted, in kg of CO2 equivalent, beside co2e_kg; "
            "null where it is not known of the device."
        ),
    ]
    embodied_source: Annotated[str | None, Meta(description="Where that figure comes from.")]


class PricesDocument(Document):
    """Prices of one machine."""

    on_demand: Annotated[PriceDocument | None, Meta(description="On-demand price; null where it is not known.")] = (
        msgspec.field(name="on-demand")
    )
    spot: Annotated[PriceDocument | None, Meta(description="Spot price; null where it is not known.")]


class InputDocument(Document):
    """The input pipeline; its time is not in the step."""

    vcpus: Annotated[Count, Meta(description="Of all machines, a count.")]
    prepared_samples_per_s: Annotated[Positive, Meta(description="Samples a second that these can prepare, about.")]
    share: Annotated[
        Positive,
        Meta(description="The same as a share of what the devices take; below 1 the devices would wait."),
    ]
    basis: Annotated[Name, Meta(description="Where the figure is from.")]


class CorrectionDocument(Document):
    """A calibration that the time of a step rests on."""

    calibration: Annotated[Name, Meta(description="Its id in the store.")]
    factor: Annotated[
        Positive,
        Meta(description="Time of the device's own work over what published runs let expect, a ratio."),
    ]


class QuoteDocument(Document):
    """An offer with what the run takes on it."""

    labels: Annotated[
        tuple[Label, ...],
        DISTINCT,
        Meta(description="What this quote is among those shown; empty: between the others."),
    ]
    provider: Annotated[Name, Meta(description="Who rents it out.")]
    instance: Annotated[Name, Meta(description="Machine type of the provider.")]
    tier: Annotated[str | None, Meta(description="The provider's class of service; null where it has none.")]
    region: Annotated[Name, Meta(description="Where it is; 'any' where the provider does not say.")]
    accelerator: Annotated[Name, Meta(description="Canonical name of the accelerator.")]
    machines: Annotated[Count, Meta(description="Machines rented, a count.")]
    devices: Annotated[Count, Meta(description="Devices in use, a count.")]
    idle_devices: Annotated[CountFromZero, Meta(description="Devices that are paid for and not used, a count.")]
    beyond_on_demand: Annotated[
        Count | None,
        Meta(
            description="Devices that are usually had on demand, a count, where this takes more and needs a "
            "reservation; null where it does not."
        ),
    ]
    layout: Annotated[LayoutDocument, Meta(description="How a step is laid out.")]
    memory: Annotated[MemoryDocument, Meta(description="Peak memory of the fullest device.")]
    step: Annotated[StepDocument, Meta(description="Where the time of a step goes.")]
    mfu: Annotated[
        Ratio,
        Meta(
            description="Model FLOP utilisation: model FLOP of a step over what the devices could do in its time, a "
            "ratio."
        ),
    ]
    samples_per_s: Annotated[Positive, Meta(description="Samples (sequences, images) a second of all devices.")]
    input: Annotated[
        InputDocument | None,
        Meta(
            description="What the processors can prepare; null where a sample needs next to nothing, or the "
            "processors are not known."
        ),
    ]
    bills: Annotated[
        tuple[BillDocument, ...],
        Meta(
            min_length=1,
            max_length=2,
            description="One for each billing kind with a known price; one alone where no price is known.",
        ),
    ]
    prices: Annotated[PricesDocument, Meta(description="Prices of one machine.")]
    energy: Annotated[
        EnergyDocument | None,
        Meta(description="Energy and emissions; null where the accelerator's power is not known."),
    ]
    evidence: Annotated[Name, Meta(description="What the prediction of time rests on.")]
    grounds: Annotated[
        Grounds,
        Meta(
            description="The kind of evidence, strongest first: measured on that accelerator, carried over from "
            "another one, fitted to published runs, assumed."
        ),
    ]
    correction: Annotated[
        CorrectionDocument | None,
        Meta(description="What a calibration made of the prediction; null where none was used."),
    ]
    price_derived: Annotated[
        tuple[FactDocument, ...],
        Meta(description="How the price was made, where it was not read as it is; else empty."),
    ] = ()
    interruptions: Annotated[
        InterruptionsDocument | None,
        Meta(description="How often a spot machine of it is taken; null where nothing is published: see the inputs."),
    ] = None
    availability: Annotated[
        AvailabilityDocument | None,
        Meta(description="How many are to be had, and on which terms; null where nothing is known."),
    ] = None
    guess: Annotated[
        str | None,
        Meta(description="Why it is not sure that such a machine is to be had; null where it is listed as it is."),
    ] = None


def quote_document(workload: Workload, operations: Operations, ranked: Ranked) -> QuoteDocument:
    """The quote in base units."""
    quote = ranked.quote
    estimate, offer, instance = quote.estimate, quote.offer, quote.offer.instance
    return fill(
        QuoteDocument,
        quote,
        labels=ranked.labels,
        provider=instance.provider,
        instance=instance.name,
        tier=offer.tier or None,
        region=offer.region,
        accelerator=instance.accelerator,
        machines=quote.nodes,
        layout=fill(LayoutDocument, estimate.layout),
        memory=fill(
            MemoryDocument,
            estimate.memory,
            available_bytes=estimate.cluster.accelerator.capacity_bytes,
            fit=estimate.fit,
        ),
        step=fill(StepDocument, estimate.step, total_s=fill(RangeDocument, estimate.step_s)),
        mfu=estimate.mfu,
        samples_per_s=estimate.samples_per_s,
        input=_input(workload, quote),
        bills=tuple(_bill(operations, quote, bill) for bill in quote.bills),
        prices=PricesDocument(on_demand=_price(offer.on_demand), spot=_price(offer.spot)),
        energy=_energy(quote),
        evidence=estimate.evidence,
        grounds=estimate.grounds,
        correction=fill(CorrectionDocument, estimate.correction) if estimate.correction else None,
        price_derived=tuple(fill(FactDocument, fact) for fact in offer.derived),
        interruptions=_interruptions(quote),
        availability=_availability(quote),
        guess=offer.guess or None,
    )


def _availability(quote: Quote) -> AvailabilityDocument | None:
    limit = quote.on_demand
    if limit is None:
        return None
    return fill(
        AvailabilityDocument,
        limit,
        on_demand_devices=limit.devices,
        quota=limit.quota or None,
        least_reservation_s=limit.term_s,
        reservation_source=limit.term_source or None,
    )


def _interruptions(quote: Quote) -> InterruptionsDocument | None:
    found = quote.interruptions
    if found is None:
        return None
    of_an_hour = found.per_node_s * HOUR_S
    return fill(
        InterruptionsDocument,
        found,
        low_per_h=of_an_hour.low,
        mid_per_h=of_an_hour.mid,
        high_per_h=of_an_hour.high,
        as_of=found.as_of.isoformat() if found.as_of else None,
    )


def _price(price: Price | None) -> PriceDocument | None:
    if price is None:
        return None
    return fill(PriceDocument, price, as_of=price.as_of.isoformat() if price.as_of else None)


def _input(workload: Workload, quote: Quote) -> InputDocument | None:
    found = supply(workload, quote)
    if found is None:
        return None
    return fill(InputDocument, found, prepared_samples_per_s=found.prepared_per_s, basis=found.preparation.source)


def _known_usd(bill: Bill, name: str) -> float | None:
    """Middle dollars of a part whose price is known, 0 where it costs nothing; None where that is not known."""
    part = bill.part(name)
    if part is None:
        return 0.0
    return None if part.origin is Origin.ASSUMED else part.mid_usd


def _bill(operations: Operations, quote: Quote, bill: Bill) -> BillDocument:
    run = bill.run
    return fill(
        BillDocument,
        run,
        billing=bill.billing,
        steady_s=fill(RangeDocument, run.steady_s),
        wall_clock_s=fill(RangeDocument, bill.wall_clock_s),
        followed=tuple(fill(FollowedDocument, f, time_s=fill(RangeDocument, f.time_s)) for f in bill.followed) or UNSET,
        gpu_hours=fill(RangeDocument, quote.gpu_hours(bill)),
        billed_h=bill.billed_h,
        machines_usd=fill(RangeDocument, bill.compute_usd) if bill.compute_usd else None,
        storage_usd=_known_usd(bill, CHECKPOINTS),
        egress_usd=_known_usd(bill, EGRESS),
        parts=tuple(fill(PartDocument, part) for part in bill_parts(operations, quote, bill)),
        total_usd=fill(RangeDocument, bill.total_usd) if bill.total_usd else None,
        paid_anyway=fill(PartDocument, bill.paid_anyway) if bill.paid_anyway else None,
    )


def _energy(quote: Quote) -> EnergyDocument | None:
    energy = quote.energy
    if energy is None:
        return None
    return fill(
        EnergyDocument,
        energy,
        kwh=fill(RangeDocument, energy.kwh),
        co2e_kg=fill(RangeDocument, energy.co2e_kg) if energy.co2e_kg else None,
        grid_source=energy.grid_source or None,
        embodied_kg=fill(RangeDocument, energy.embodied_kg) if energy.embodied_kg else None,
        embodied_source=energy.embodied_source or None,
    )
