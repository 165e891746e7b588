"""The JSON document of an answer: its objects, and how they are filled. The schema is made of them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from zenplan.commands.shared.document import (
    DISTINCT,
    Count,
    CountFromZero,
    Day,
    FactDocument,
    LayoutDocument,
    MemoryPartsDocument,
    Moment,
    Name,
    NotNegative,
    Positive,
    RangeDocument,
    Ratio,
    StepPartsDocument,
    one_of,
)
from zenplan.documents import Document, fill
from zenplan.domain.answer.answer import Answer, Change, Effect, Label, Ranked
from zenplan.domain.answer.estimate import Bill, Quote
from zenplan.domain.fit.efficiency import Grounds
from zenplan.domain.market.offer import Billing, Price
from zenplan.domain.measured.prediction import LocalStep
from zenplan.domain.provenance import Origin
from zenplan.domain.software import Software
from zenplan.domain.training.plan import METHODS
from zenplan.planning.explain.derivation import Line
from zenplan.planning.physics.input_pipeline import supply


class WorkloadDocument(Document):
    """What is trained."""

    name: Annotated[Name, Meta(description="Name of the model, or what it was made from.")]
    family: Annotated[Name, Meta(description="Kind of model, as in decoder.")]
    parameters: Annotated[Positive, Meta(description="Parameters, a count.")]
    active_parameters: Annotated[Positive, Meta(description="Parameters that one token meets in products, a count.")]
    trainable_parameters: Annotated[Positive, Meta(description="Parameters that are trained, a count.")]
    layers: Annotated[Count, Meta(description="Layers, a count.")]
    unit: Annotated[Name, Meta(description="What the data are counted in: tokens, or images, samples and the like.")]
    tokens_per_sample: Annotated[
        Count,
        Meta(description="Tokens of a sequence, or what there is of the unit in a sample, a count."),
    ]
    forward_flop_per_sample: Annotated[
        Positive,
        Meta(description="Operations of one forward pass of one sample, in FLOP."),
    ]


class PlanDocument(Document):
    """How it is trained."""

    tokens: Annotated[
        Positive,
        Meta(description="Tokens of the whole run, a count; of other models, in the unit of the workload."),
    ]
    samples: Annotated[Positive, Meta(description="Samples of the whole run, a count that need not be whole.")]
    global_batch_samples: Annotated[Count, Meta(description="Samples of an optimizer step, a count.")]
    steps: Annotated[Positive, Meta(description="Optimizer steps, a count that need not be whole.")]
    precision: Annotated[Name, Meta(description="Arithmetic of a step, as in bf16.")]
    optimizer: Annotated[Name, Meta(description="The optimizer, as in adamw.")]
    software: Annotated[Software, Meta(description="The kind of framework.")]
    method: Annotated[str, one_of(*METHODS), Meta(description="Which parameters are trained.")]


class PriceDocument(Document):
    """A price with its date and source."""

    usd_per_h: Annotated[Positive, Meta(description="Price of the whole machine, US dollars an hour.")]
    as_of: Annotated[
        Day | None,
        Meta(description="The day the price was seen, ISO 8601; null where its source has no date."),
    ]
    source: Annotated[Name, Meta(description="Where the price was read.")]


class MemoryDocument(MemoryPartsDocument):
    """Peak memory of the fullest device."""

    total_bytes: Annotated[Positive, Meta(description="The whole peak, in bytes.")]
    available_bytes: Annotated[Positive, Meta(description="Memory of the device, in bytes.")]


class StepDocument(StepPartsDocument):
    """Where the time of one step goes; the parts add up to the middle of the total."""

    total_s: Annotated[RangeDocument, Meta(description="The whole step, in seconds.")]


class BillDocument(Document):
    """Time and money of a run under one billing kind."""

    billing: Annotated[Billing, Meta(description="How the machines are paid for.")]
    steady_s: Annotated[RangeDocument, Meta(description="Time of the steps alone, in seconds.")]
    wall_clock_s: Annotated[
        RangeDocument,
        Meta(
            description="Time from start to end, in seconds: with start-up, evaluation, checkpoints and interruptions."
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
    machines_usd: Annotated[RangeDocument, Meta(description="The machines, in US dollars.")]
    storage_usd: Annotated[
        NotNegative | None,
        Meta(
            description="Checkpoint storage, in US dollars; null where its price is not known, and then not in the "
            "total."
        ),
    ]
    egress_usd: Annotated[
        NotNegative | None,
        Meta(
            description="Taking the weights out, in US dollars; null where its price is not known, and then not in "
            "the total."
        ),
    ]
    total_usd: Annotated[RangeDocument, Meta(description="The whole bill, in US dollars.")]


class EnergyDocument(Document):
    """Energy and emissions of the run."""

    kwh: Annotated[RangeDocument, Meta(description="Energy at the meter of the data centre, in kWh.")]
    co2e_kg: Annotated[
        RangeDocument | None,
        Meta(description="Emissions, in kg of CO2 equivalent; null where the grid of the region is not known."),
    ]
    pue: Annotated[float, Meta(ge=1, description="Power usage effectiveness used, a ratio.")]
    grid_source: Annotated[str | None, Meta(description="Where the grid's carbon intensity comes from.")]


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
        Meta(min_length=1, max_length=2, description="One for each billing kind with a known price."),
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
            "another one, fitted to published runs."
        ),
    ]
    correction: Annotated[
        CorrectionDocument | None,
        Meta(description="What a calibration made of the prediction; null where none was used."),
    ]


class HereDocument(Document):
    """The run on this machine's own processor, as it was calibrated."""

    calibration: Annotated[Name, Meta(description="Its id in the store.")]
    taken_at: Annotated[Moment, Meta(description="When it was begun.")]
    origin: Annotated[
        str | None,
        Meta(description="Where it was imported from; null where it was measured by the owner of the store."),
    ]
    device: Annotated[Name, Meta(description="The processor.")]
    backend: Annotated[Name, Meta(description="Of Keras.")]
    compiled: Annotated[bool, Meta(description="Whether a compiler saw the whole step.")]
    precision: Annotated[Name, Meta(description="As in fp32.")]
    threads: Annotated[Count, Meta(description="That computed, a count.")]
    batch_samples: Annotated[Count, Meta(description="Samples of the step, a count.")]
    step_s: Annotated[RangeDocument, Meta(description="A step, in seconds.")]
    samples_per_s: Annotated[RangeDocument, Meta(description="Samples a second.")]
    steps_s: Annotated[RangeDocument, Meta(description="All steps of the whole run, one after another, in seconds.")]
    method: Annotated[Name, Meta(description="How the step was found.")]
    changed: Annotated[
        tuple[str, ...],
        Meta(description="What is installed in another version than it was measured with."),
    ]


class ComparedDocument(Document):
    """How much was looked at."""

    options: Annotated[Count, Meta(description="Combinations of offer and number of machines, a count.")]
    layouts: Annotated[Count, Meta(description="Layouts, a count.")]


class PointDocument(Document):
    """A quote of the frontier: what it takes, and on what."""

    labels: Annotated[tuple[Label, ...], DISTINCT, Meta(description="What it is among all; empty: between the others.")]
    provider: Annotated[Name, Meta(description="Who rents it out.")]
    instance: Annotated[Name, Meta(description="Machine type of the provider.")]
    region: Annotated[Name, Meta(description="Where it is; 'any' where the provider does not say.")]
    accelerator: Annotated[Name, Meta(description="Canonical name of the accelerator.")]
    machines: Annotated[Count, Meta(description="Machines rented, a count.")]
    devices: Annotated[Count, Meta(description="Devices rented, a count.")]
    wall_clock_s: Annotated[RangeDocument, Meta(description="Time from start to end, in seconds.")]
    total_usd: Annotated[RangeDocument, Meta(description="The whole bill, in US dollars.")]
    price_as_of: Annotated[
        Day | None,
        Meta(description="The day its price was seen, ISO 8601; null where its source has no date."),
    ]


class ChangeDocument(Document):
    """The recommended plan with another value of an input."""

    value: Annotated[Name, Meta(description="Of the input, for people.")]
    total_usd: Annotated[
        NotNegative | None, Meta(description="The whole bill, in US dollars; null where no price is known.")
    ]
    wall_clock_s: Annotated[NotNegative, Meta(description="Time from start to end, in seconds.")]


class EffectDocument(Document):
    """How far one input moves the recommended plan."""

    input: Annotated[Name, Meta(description="Its name, as among the inputs.")]
    value: Annotated[Name, Meta(description="What was taken, for people.")]
    origin: Annotated[Origin, Meta(description="Where that is from.")]
    changes: Annotated[
        tuple[ChangeDocument, ...],
        Meta(min_length=1, max_length=2, description="With a smaller and a larger value, in that order."),
    ]


class LineDocument(Document):
    """One line of the derivation."""

    group: Annotated[Name, Meta(description="What the quantity belongs to.")]
    quantity: Annotated[Name, Meta(description="What it is.")]
    formula: Annotated[
        str,
        Meta(description="How it is computed, in the symbols of the field; empty where it is read or given."),
    ]
    value: Annotated[float | None, Meta(description="Its value in the unit of this line; null where it is not finite.")]
    unit: Annotated[str, Meta(description="The unit of the value; empty for a count or a ratio.")]
    shown: Annotated[Name, Meta(description="The value for people.")]
    origin: Annotated[Name, Meta(description="Where it comes from.")]


class EstimateDocument(Document, tag_field="schema", tag="zenplan.estimate/2"):
    """Answer of 'zenplan estimate'.

    Ranked quotes for one training run. Quantities are in base units, named by the suffix of the field; ratios are 0
    to 1; null is not known, never 0.
    """

    today: Annotated[Day, Meta(description="The day of the estimate, ISO 8601.")]
    finish: Annotated[
        Day | None,
        Meta(
            description="The day the first quote ends if it starts today, by its middle, ISO 8601; null where no "
            "calendar goes so far."
        ),
    ]
    workload: Annotated[WorkloadDocument, Meta(description="What is trained.")]
    plan: Annotated[PlanDocument, Meta(description="How it is trained.")]
    inputs: Annotated[
        tuple[FactDocument, ...],
        Meta(min_length=1, description="Every input of the estimate, with its origin."),
    ]
    billing: Annotated[Billing, Meta(description="The billing kind that quotes are ranked by.")]
    deadline_s: Annotated[
        NotNegative | None,
        Meta(description="The latest it may take, in seconds; null where none was given."),
    ]
    budget_usd: Annotated[
        NotNegative | None,
        Meta(description="The most it may cost, in US dollars; null where none was given."),
    ]
    met: Annotated[
        bool,
        Meta(description="Whether the first quote meets deadline and budget; true where none was given."),
    ]
    verdict: Annotated[str, Meta(description="The same in words; empty where neither was given.")]
    quotes: Annotated[
        tuple[QuoteDocument, ...],
        Meta(min_length=1, description="Quotes, the recommended first and then from cheap to fast."),
    ]
    frontier: Annotated[
        tuple[PointDocument, ...],
        Meta(min_length=1, description="The quotes that no other beats in both time and dollars, from cheap to fast."),
    ]
    sensitivity: Annotated[
        tuple[EffectDocument, ...],
        Meta(description="Inputs by how far they move the recommended plan, the farthest first."),
    ]
    compared: Annotated[ComparedDocument, Meta(description="How much was looked at.")]
    left_out: Annotated[tuple[str, ...], Meta(description="What was not quoted, or not used, and why, one line each.")]
    here: Annotated[
        tuple[HereDocument, ...],
        Meta(
            description="What the run takes on this machine's own processor, the fastest way first; empty where the "
            "model was not calibrated on it."
        ),
    ]
    derivation: Annotated[
        Annotated[tuple[LineDocument, ...], Meta(min_length=1)] | UnsetType,
        Meta(description="Every formula and number of the first quote; only with --explain."),
    ] = UNSET


def document(answer: Answer, lines: tuple[Line, ...]) -> EstimateDocument:
    """The whole answer in base units, with the lines of the derivation, if there are any."""
    plan, load = answer.plan, answer.plan.workload
    facts = (*plan.facts, *answer.operations.facts())
    return fill(
        EstimateDocument,
        answer,
        workload=fill(WorkloadDocument, load, forward_flop_per_sample=load.flop_per_sample),
        plan=fill(
            PlanDocument,
            plan,
            global_batch_samples=plan.global_batch,
            precision=plan.precision.name,
            optimizer=plan.optimizer.name,
        ),
        inputs=tuple(fill(FactDocument, fact) for fact in facts),
        billing=answer.request.billing,
        deadline_s=answer.request.deadline_s,
        budget_usd=answer.request.budget_usd,
        quotes=tuple(_quote(answer, ranked) for ranked in answer.ranked),
        today=answer.today.isoformat(),
        finish=answer.finish.isoformat() if answer.finish else None,
        frontier=tuple(_point(ranked) for ranked in answer.frontier),
        sensitivity=tuple(_effect(effect) for effect in answer.sensitivity),
        compared=fill(ComparedDocument, answer),
        here=tuple(_here(step) for step in answer.here),
        derivation=tuple(fill(LineDocument, line) for line in lines) or UNSET,
    )


def _quote(answer: Answer, ranked: Ranked) -> QuoteDocument:
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
        memory=fill(MemoryDocument, estimate.memory, available_bytes=estimate.cluster.accelerator.capacity_bytes),
        step=fill(StepDocument, estimate.step, total_s=fill(RangeDocument, estimate.step_s)),
        mfu=estimate.mfu,
        samples_per_s=estimate.samples_per_s,
        input=_input(answer, quote),
        bills=tuple(_bill(quote, bill) for bill in quote.bills),
        prices=PricesDocument(on_demand=_price(offer.on_demand), spot=_price(offer.spot)),
        energy=_energy(quote),
        evidence=estimate.evidence,
        grounds=estimate.grounds,
        correction=fill(CorrectionDocument, estimate.correction) if estimate.correction else None,
    )


def _point(ranked: Ranked) -> PointDocument:
    quote, instance = ranked.quote, ranked.quote.offer.instance
    price = quote.offer.price(ranked.bill.billing)
    return PointDocument(
        labels=ranked.labels,
        provider=instance.provider,
        instance=instance.name,
        region=quote.offer.region,
        accelerator=instance.accelerator,
        machines=quote.nodes,
        devices=quote.devices,
        wall_clock_s=fill(RangeDocument, ranked.wall_clock_s),
        total_usd=fill(RangeDocument, ranked.total_usd),
        price_as_of=price.as_of.isoformat() if price and price.as_of else None,
    )


def _effect(effect: Effect) -> EffectDocument:
    return fill(EffectDocument, effect, changes=tuple(_change(change) for change in effect.changes))


def _change(change: Change) -> ChangeDocument:
    return fill(ChangeDocument, change, total_usd=change.usd)


def _price(price: Price | None) -> PriceDocument | None:
    if price is None:
        return None
    return fill(PriceDocument, price, as_of=price.as_of.isoformat() if price.as_of else None)


def _input(answer: Answer, quote: Quote) -> InputDocument | None:
    found = supply(answer.plan.workload, quote)
    if found is None:
        return None
    return fill(InputDocument, found, prepared_samples_per_s=found.prepared_per_s, basis=found.preparation.source)


def _bill(quote: Quote, bill: Bill) -> BillDocument:
    run = bill.run
    return fill(
        BillDocument,
        run,
        billing=bill.billing,
        steady_s=fill(RangeDocument, run.steady_s),
        wall_clock_s=fill(RangeDocument, run.wall_clock_s),
        gpu_hours=fill(RangeDocument, quote.gpu_hours(bill)),
        billed_h=bill.billed_h,
        machines_usd=fill(RangeDocument, bill.compute_usd),
        storage_usd=bill.storage_usd,
        egress_usd=bill.egress_usd,
        total_usd=fill(RangeDocument, bill.total_usd),
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
    )


def _here(step: LocalStep) -> HereDocument:
    taken = step.calibration
    return fill(
        HereDocument,
        taken.fingerprint,
        calibration=taken.id,
        taken_at=taken.taken_at.isoformat(),
        origin=step.origin or None,
        batch_samples=step.batch,
        step_s=fill(RangeDocument, step.prediction.step_s),
        samples_per_s=fill(RangeDocument, step.samples_per_s),
        steps_s=fill(RangeDocument, step.run_s),
        method=step.prediction.method,
        changed=step.changed,
    )
