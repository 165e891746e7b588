"""The JSON document of when to train again. Its schema is made of it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from zenplan.commands.shared.document import Day, Name, NotNegative, one_of
from zenplan.documents import Document, fill
from zenplan.domain.answer.retraining import FORMS, Decay, RetrainPlan
from zenplan.domain.provenance import Origin


class DecayDocument(Document):
    """How a metric gets worse with the age of the model."""

    metric: Annotated[Name, Meta(description="Its name.")]
    start: Annotated[float, Meta(description="The metric of the new model.")]
    rises: Annotated[bool, Meta(description="Whether it is worse the higher it is.")]
    form: Annotated[
        str, one_of(*FORMS), Meta(description="linear: so much a day; exponential: such a share of what is left.")
    ]
    low: Annotated[float, Meta(description="Low, a day: of the metric where linear, a rate in ln where exponential.")]
    mid: Annotated[float, Meta(description="Middle of it.")]
    high: Annotated[float, Meta(description="High of it.")]
    origin: Annotated[Origin, Meta(description="Where it comes from.")]
    why: Annotated[str, Meta(description="How it was found.")]


class DaysDocument(Document):
    """Days of an age, from the fastest decay to the slowest; null where it never comes."""

    low: Annotated[NotNegative | None, Meta(description="At the high end of the decay, in days.")]
    mid: Annotated[NotNegative | None, Meta(description="At its middle, in days.")]
    high: Annotated[NotNegative | None, Meta(description="At its low end, in days.")]


class RetrainPlanDocument(Document, tag_field="schema", tag="zenplan.retrain-plan/1"):
    """Answer of 'zenplan retrain-plan'.

    When to train again what a run trained.
    """

    run: Annotated[Name, Meta(description="Its id.")]
    trained_on: Annotated[Day, Meta(description="The day it ended, ISO 8601.")]
    today: Annotated[Day, Meta(description="The day of the answer, ISO 8601.")]
    retrain_on: Annotated[
        Day | None, Meta(description="The day by which the next run is done, ISO 8601; null where none is called for.")
    ]
    decay: Annotated[DecayDocument, Meta(description="How the metric gets worse.")]
    run_usd: Annotated[NotNegative | None, Meta(description="What one more run costs, in US dollars.")]
    run_s: Annotated[NotNegative, Meta(description="What it takes, in seconds.")]
    usd_per_point_day: Annotated[
        NotNegative | None,
        Meta(description="What 0.01 of the metric is worth a day, in US dollars; null if not given."),
    ]
    interval: Annotated[
        DaysDocument | None, Meta(description="Between two runs, at the least cost; null without that value.")
    ]
    run_usd_per_day: Annotated[
        NotNegative | None, Meta(description="Of runs, US dollars a day at its middle; null where there is none.")
    ]
    lost_usd_per_day: Annotated[
        NotNegative | None, Meta(description="Of what the metric loses, US dollars a day; null where there is none.")
    ]
    limit: Annotated[float | None, Meta(description="The worst that the metric may be; null if not given.")]
    reached: Annotated[DaysDocument | None, Meta(description="Until it is that bad; null without a limit.")]
    notes: Annotated[tuple[str, ...], Meta(description="What was left out, one line each.")]


def retrain_document(plan: RetrainPlan) -> RetrainPlanDocument:
    """The whole answer."""
    on = plan.day_of(plan.days)
    return fill(
        RetrainPlanDocument,
        plan,
        trained_on=plan.trained_on.isoformat(),
        today=plan.today.isoformat(),
        retrain_on=on.isoformat() if on else None,
        decay=_decay(plan.decay),
        interval=fill(DaysDocument, plan.interval) if plan.interval else None,
        reached=fill(DaysDocument, plan.reached) if plan.reached else None,
    )


def _decay(decay: Decay) -> DecayDocument:
    return fill(DecayDocument, decay)
