"""The JSON document of an answer: its objects, and how they are filled. The schema is made of them."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from zenplan.commands.estimate.quote_document import QuoteDocument, quote_document
from zenplan.commands.shared.document import (
    DISTINCT,
    AmountDocument,
    Count,
    Day,
    FactDocument,
    Moment,
    Name,
    NotNegative,
    Positive,
    RangeDocument,
    documents_of,
    one_of,
)
from zenplan.documents import Document, fill
from zenplan.domain.answer.answer import Answer, Change, Effect, Label, Ranked
from zenplan.domain.answer.federation import Federation
from zenplan.domain.answer.project import Project
from zenplan.domain.market.currency import Currency
from zenplan.domain.market.offer import Billing
from zenplan.domain.measured.prediction import LocalStep
from zenplan.domain.provenance import Origin
from zenplan.domain.software import Software
from zenplan.domain.training.plan import METHODS
from zenplan.planning.explain.line import Line
from zenplan.version import __version__

# What was given for one flag.
Given = str | bool | tuple[str, ...] | dict[str, Any] | None


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
    stack: Annotated[
        Name | None,
        Meta(description="The software by name, as in hf-trainer; null where any layout may be run."),
    ]
    method: Annotated[str, one_of(*METHODS), Meta(description="Which parameters are trained.")]


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
    disturbed: Annotated[bool, Meta(description="Whether other programs were busy when it was measured.")]


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
    total_usd: Annotated[
        RangeDocument | None,
        Meta(description="The whole bill, in US dollars; null where the price of the machines is not known."),
    ]
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
    tight: Annotated[
        bool,
        Meta(description="Whether it may run out of memory, where the recommended plan fits; absent: it does not."),
    ] = False


class EffectDocument(Document):
    """How far one input moves the recommended plan."""

    input: Annotated[Name, Meta(description="Its name, as among the inputs.")]
    value: Annotated[Name, Meta(description="What was taken, for people.")]
    origin: Annotated[Origin, Meta(description="Where that is from.")]
    changes: Annotated[
        tuple[ChangeDocument, ...],
        Meta(min_length=1, max_length=2, description="With a smaller and a larger value, in that order."),
    ]


class CostDocument(Document):
    """One line of the project's bill."""

    name: Annotated[Name, Meta(description="What is paid for.")]
    usd: Annotated[
        AmountDocument | None, Meta(description="Below 0 where it is taken off; null where it is not known.")
    ]
    counted: Annotated[bool, Meta(description="Whether it is in the total: what was given is.")]
    origin: Annotated[Origin, Meta(description="Where it is from.")]
    why: Annotated[str, Meta(description="How it was found.")]


class MonthDocument(Document):
    """What is spent on runs in one month."""

    month: Annotated[Name, Meta(description="As in 2026-12.")]
    usd: Annotated[NotNegative, Meta(description="At the middle of the bill, in US dollars.")]


class ProjectDocument(Document):
    """The bill around the first quote: experiments, further runs, data, labels."""

    costs: Annotated[tuple[CostDocument, ...], Meta(min_length=1, description="The runs first.")]
    total_usd: Annotated[
        RangeDocument | None,
        Meta(description="Of the costs that are counted, in US dollars; null where the run has no price."),
    ]
    wall_clock_s: Annotated[RangeDocument, Meta(description="All runs that were given, one after another, in seconds.")]
    months: Annotated[tuple[MonthDocument, ...], Meta(description="In order.")]


class FederationDocument(Document):
    """Federated averaging in the place of the central plan."""

    round_s: Annotated[Positive, Meta(description="The middle of a round, in seconds.")]
    wall_clock_s: Annotated[RangeDocument, Meta(description="All rounds, in seconds.")]
    slowest: Annotated[Positive, Meta(description="The slowest client of a round over the middle one, a ratio.")]
    down_bytes: Annotated[Positive, Meta(description="To all clients of all rounds, in bytes.")]
    up_bytes: Annotated[Positive, Meta(description="Back from them, in bytes.")]
    client_h: Annotated[RangeDocument, Meta(description="Device-hours of clients, in hours.")]
    passes: Annotated[Positive, Meta(description="Over all data, at the middle of rounds, a count.")]
    server_usd: Annotated[RangeDocument | None, Meta(description="The server, in US dollars; null without a price.")]
    egress_usd: Annotated[RangeDocument, Meta(description="What leaves the server, in US dollars.")]
    client_usd: Annotated[
        RangeDocument | None, Meta(description="Clients' devices, in US dollars; null where no price was given.")
    ]
    total_usd: Annotated[
        RangeDocument | None, Meta(description="What of it has a price, in US dollars; null without one of the server.")
    ]
    facts: Annotated[tuple[FactDocument, ...], Meta(description="What it rests on.")]


class CurrencyDocument(Document):
    """Another currency than US dollars, at a rate that was given, or that the price book has."""

    code: Annotated[Name, Meta(description="ISO 4217.")]
    per_usd: Annotated[Positive, Meta(description="So much of it for one dollar.")]
    as_of: Annotated[Day | None, Meta(description="The day of the rate, ISO 8601; null where it was not given.")]
    source: Annotated[Name, Meta(description="Who says so: as given, or the table of the price book.")] = "as given"


class WouldHelpDocument(Document):
    """A change of the request that would meet what was asked."""

    change: Annotated[Name, Meta(description="As flags of the command.")]
    text: Annotated[Name, Meta(description="What there is then, for people.")]
    total_usd: Annotated[
        NotNegative | None, Meta(description="The whole bill then, in US dollars; null where it is not known.")
    ]
    wall_clock_s: Annotated[NotNegative, Meta(description="Time from start to end then, in seconds.")]


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

    zenplan_version: Annotated[Name, Meta(description="The release that made it.")]
    request: Annotated[
        dict[str, Given],
        Meta(
            description="The flags that it was asked with, by their names as keys of a request file; paths are as from "
            "the folder that it was asked in; null stands for what no file can hold, a model built in Python."
        ),
    ]
    today: Annotated[Day, Meta(description="The day of the estimate, ISO 8601.")]
    finish: Annotated[
        Day | None,
        Meta(
            description="The day on which the first quote ends if it starts when it is asked, by its middle and the "
            "local clock, ISO 8601; null where no calendar goes so far."
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
    horizon_s: Annotated[
        Positive,
        Meta(description="Plans that take longer are no candidates while one takes less, in seconds."),
    ]
    day_is_worth_usd: Annotated[
        NotNegative | None,
        Meta(description="What a day is worth, in US dollars; null where a share of the bill is taken."),
    ]
    met: Annotated[
        bool,
        Meta(description="Whether the first quote meets deadline and budget; true where none was given."),
    ]
    judgement: Annotated[
        tuple[str, ...],
        Meta(description="Whether the amount of training is sensible, one line each; empty where all is as usual."),
    ]
    rule: Annotated[Name, Meta(description="Which quote is recommended, for people.")]
    verdict: Annotated[
        str,
        Meta(
            description="Whether the first quote meets them, and that nothing is within the horizon, in words; or empty."
        ),
    ]
    would_help: Annotated[
        tuple[WouldHelpDocument, ...],
        Meta(description="Where nothing meets what was asked: changes of the request that would, the easiest first."),
    ]
    quotes: Annotated[
        tuple[QuoteDocument, ...],
        Meta(min_length=1, description="Quotes, the recommended first and then from cheap to fast."),
    ]
    frontier: Annotated[
        tuple[PointDocument, ...],
        Meta(
            min_length=1,
            description="Of the quotes within what was asked, those that no other beats in both time and dollars, from "
            "cheap to fast; of all within the horizon where none is within what was asked.",
        ),
    ]
    sensitivity: Annotated[
        tuple[EffectDocument, ...],
        Meta(description="Inputs by how far they move the recommended plan, the farthest first."),
    ]
    project: Annotated[ProjectDocument, Meta(description="The bill around the first quote.")]
    currency: Annotated[
        CurrencyDocument | None,
        Meta(description="That tables show amounts in; amounts of this document are US dollars all the same."),
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
    federation: Annotated[
        FederationDocument | UnsetType,
        Meta(description="What clients would take instead; only with --federated."),
    ] = UNSET
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
        zenplan_version=__version__,
        request=dict(answer.request.given),
        workload=fill(WorkloadDocument, load, forward_flop_per_sample=load.flop_per_sample),
        plan=fill(
            PlanDocument,
            plan,
            global_batch_samples=plan.global_batch,
            precision=plan.precision.name,
            optimizer=plan.optimizer.name,
            stack=plan.stack.name if plan.stack else None,
        ),
        inputs=tuple(fill(FactDocument, fact) for fact in facts),
        billing=answer.request.billing,
        deadline_s=answer.request.deadline_s,
        budget_usd=answer.request.budget_usd,
        horizon_s=answer.request.longest_s,
        day_is_worth_usd=answer.request.day_usd,
        would_help=tuple(fill(WouldHelpDocument, way, total_usd=way.usd) for way in answer.would_help),
        quotes=tuple(quote_document(load, answer.operations, ranked) for ranked in answer.ranked),
        today=answer.today.isoformat(),
        finish=answer.finish.isoformat() if answer.finish else None,
        frontier=tuple(point(ranked) for ranked in answer.frontier),
        sensitivity=tuple(effect(each) for each in answer.sensitivity),
        project=_project(answer.project),
        currency=_currency(answer.request.currency),
        compared=fill(ComparedDocument, answer),
        here=tuple(_here(step) for step in answer.here),
        federation=_federation(answer.federation) if answer.federation else UNSET,
        derivation=tuple(fill(LineDocument, line) for line in lines) or UNSET,
    )


def point(ranked: Ranked) -> PointDocument:
    """A quote in short."""
    quote, instance = ranked.quote, ranked.quote.offer.instance
    price = ranked.price
    return PointDocument(
        labels=ranked.labels,
        provider=instance.provider,
        instance=instance.name,
        region=quote.offer.region,
        accelerator=instance.accelerator,
        machines=quote.nodes,
        devices=quote.devices,
        wall_clock_s=fill(RangeDocument, ranked.wall_clock_s),
        total_usd=fill(RangeDocument, ranked.total_usd) if ranked.total_usd else None,
        price_as_of=price.as_of.isoformat() if price and price.as_of else None,
    )


def _project(project: Project) -> ProjectDocument:
    return fill(
        ProjectDocument,
        project,
        costs=tuple(fill(CostDocument, c, usd=fill(AmountDocument, c.usd) if c.usd else None) for c in project.costs),
        total_usd=fill(RangeDocument, project.total_usd) if project.total_usd else None,
        wall_clock_s=fill(RangeDocument, project.wall_clock_s),
        months=tuple(fill(MonthDocument, month) for month in project.months),
    )


def _federation(found: Federation) -> FederationDocument:
    return fill(
        FederationDocument,
        found,
        wall_clock_s=fill(RangeDocument, found.wall_clock_s),
        client_h=fill(RangeDocument, found.client_h),
        egress_usd=fill(RangeDocument, found.egress_usd),
        facts=tuple(fill(FactDocument, fact) for fact in found.facts),
        **documents_of(RangeDocument, found, "server_usd", "client_usd", "total_usd"),
    )


def _currency(currency: Currency | None) -> CurrencyDocument | None:
    if currency is None:
        return None
    return fill(CurrencyDocument, currency, as_of=currency.as_of.isoformat() if currency.as_of else None)


def effect(found: Effect) -> EffectDocument:
    """How far one input moves a plan."""
    return fill(EffectDocument, found, changes=tuple(_change(change) for change in found.changes))


def _change(change: Change) -> ChangeDocument:
    return fill(ChangeDocument, change, total_usd=change.usd)


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
        disturbed=step.disturbed,
    )
