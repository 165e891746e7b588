"""The JSON documents of a run: what was predicted before it, and what came out. Their schemas are made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, field

from zenplan.commands.shared.document import (
    Count,
    CountFromZero,
    FactDocument,
    Moment,
    Name,
    NotNegative,
    Positive,
    RangeDocument,
    Ratio,
    one_of,
    range_document,
)
from zenplan.commands.shared.exported import ExportDocument, export_document
from zenplan.documents import Document, fill
from zenplan.domain.measured.export import Export
from zenplan.domain.measured.training_run import ORIGINS, STATES, RunPrediction, RunResult, RunStatus, Spent
from zenplan.domain.provenance import Fact
from zenplan.domain.range import Range

_Seconds = NotNegative | None


class PredictionParts(Document):
    """What was predicted of a run before its first step."""

    origin: Annotated[str, one_of(*ORIGINS), Meta(description="What it is from, the closest to the run first.")]
    why: Annotated[str, Meta(description="The same for people.")]
    made_at: Annotated[Moment, Meta(description="When, with its time zone.")]
    steps: Annotated[Count, Meta(description="Steps of the run, a count.")]
    step_s: Annotated[RangeDocument | None, Meta(description="A step, in seconds, 80 %; null where nothing is known.")]
    correction: Annotated[
        Positive, Meta(description="What earlier runs here made of the middle of the step, a ratio; 1 for nothing.")
    ]
    setup_s: Annotated[
        _Seconds,
        Meta(description="From the command's start to the first step, in seconds; null where it is not known."),
    ]
    rehearsal_s: Annotated[NotNegative, Meta(description="That timing steps before the run took, in seconds.")]
    evaluations: Annotated[CountFromZero, Meta(description="Evaluations of the run, a count.")]
    evaluate_s: Annotated[_Seconds, Meta(description="One of them, in seconds; null where it is not known.")]
    checkpoints: Annotated[CountFromZero, Meta(description="Checkpoints of the run but for its first, a count.")]
    checkpoint_s: Annotated[_Seconds, Meta(description="One of them, in seconds; null where it is not known.")]
    ending_s: Annotated[_Seconds, Meta(description="After the last step, in seconds; null where it is not known.")]
    beside_spread: Annotated[
        NotNegative, Meta(description="Of what is predicted beside steps, an 80 % half width, a ratio.")
    ]
    ending_spread: Annotated[NotNegative, Meta(description="Of the ending, an 80 % half width, a ratio.")]
    checkpoint_bytes: Annotated[NotNegative | None, Meta(description="One on disk, in bytes; null where not known.")]
    cores: Annotated[
        NotNegative | None,
        Meta(description="Processor seconds a second of the timed steps, a ratio; null where nobody measured them."),
    ]
    run_s: Annotated[
        RangeDocument | None, Meta(description="From start to end, in seconds, 80 %; null where not known.")
    ]
    usd: Annotated[RangeDocument | None, Meta(description="For that time, in US dollars; null where not known.")]
    usd_per_h: Annotated[NotNegative | None, Meta(description="An hour, in US dollars; null where it is not known.")]
    price: Annotated[str, Meta(description="Where that is from, for people.")]
    power_w: Annotated[NotNegative | None, Meta(description="Of the machine, in watts; null where it is not known.")]
    energy_j: Annotated[RangeDocument | None, Meta(description="For that time, in joules; null where not known.")]
    memory_bytes: Annotated[NotNegative | None, Meta(description="At the peak, in bytes; null where it is not known.")]
    memory_how: Annotated[str, Meta(description="How that was found.")]
    flop_per_step: Annotated[NotNegative | None, Meta(description="Of training, in FLOP; null without a count.")]
    peak_flop_per_s: Annotated[
        NotNegative | None, Meta(description="Of the device in that precision, in FLOP/s; null without a data sheet.")
    ]
    facts: Annotated[tuple[FactDocument, ...], Meta(description="What was not asked for and chosen.")]
    # Runs of before these were kept have none of them.
    start_s: Annotated[
        NotNegative,
        Meta(description="Of setup_s, until the worker was started, in seconds; it had passed when this was made."),
    ] = 0.0
    evaluate_every: Annotated[
        CountFromZero, Meta(description="Steps between evaluations; 0 where they are at the end alone.")
    ] = 0
    checkpoint_every: Annotated[
        CountFromZero, Meta(description="Steps between checkpoints; 0 where there is one at the end alone.")
    ] = 0
    workers: Annotated[
        Count | None, Meta(description="That it is predicted for, a count; null where that was not kept.")
    ] = None
    devices: Annotated[Count | None, Meta(description="Of each of them, a count; null where that was not kept.")] = None


class PredictionDocument(PredictionParts, tag_field="schema", tag="zenplan.prediction/1"):
    """Prediction of a training run, from before its first step.

    Answer of 'zenplan train --dry-run', and prediction.json of a run's folder.
    """


class SpentDocument(Document):
    """Seconds by what they were spent on."""

    setup_s: Annotated[
        NotNegative, Meta(description="From the command's start until the first step could begin, in seconds.")
    ]
    rehearsal_s: Annotated[NotNegative, Meta(description="Timing steps before the run, in seconds.")]
    steps_s: Annotated[NotNegative, Meta(description="Steps, waiting for batches among them, in seconds.")]
    evaluation_s: Annotated[NotNegative, Meta(description="Evaluations, in seconds.")]
    checkpoint_s: Annotated[NotNegative, Meta(description="Checkpoints that the run waited for, in seconds.")]
    other_s: Annotated[NotNegative, Meta(description="Nothing of these, in seconds.")]
    total_s: Annotated[NotNegative, Meta(description="All of it, in seconds.")]


class StatusDocument(Document):
    """How a run stands."""

    id: Annotated[Name, Meta(description="Of the run.")]
    name: Annotated[Name, Meta(description="Of what is trained.")]
    state: Annotated[str, one_of(*STATES), Meta(description="Running: a process is at it. Killed: none is any more.")]
    reason: Annotated[str, Meta(description="Why it ended, a word; empty while it runs.")]
    message: Annotated[str, Meta(description="What went wrong, for people; empty where nothing did.")]
    exit_code: Annotated[CountFromZero | None, Meta(description="Of the command; null while it runs.")]
    step: Annotated[CountFromZero, Meta(description="Steps that are done, a count.")]
    steps: Annotated[Count, Meta(description="Steps of the run, a count.")]
    checkpoint: Annotated[CountFromZero, Meta(description="Step of the newest checkpoint; 0 before the first.")]
    pid: Annotated[CountFromZero, Meta(description="Of the process that writes.")]
    host: Annotated[str, Meta(description="Its machine.")]
    backend: Annotated[Name, Meta(description="It runs on.")]
    device: Annotated[Name, Meta(description="It runs on: cpu or gpu.")]
    started_at: Annotated[Moment, Meta(description="Of the first start, with its time zone.")]
    updated_at: Annotated[Moment, Meta(description="Of this text, with its time zone.")]
    starts: Annotated[CountFromZero, Meta(description="How often it was begun or resumed, a count.")]
    spent: Annotated[SpentDocument, Meta(description="Seconds so far, of all starts.")]
    energy_j: Annotated[NotNegative | None, Meta(description="So far, in joules; null where nobody measures.")]
    usd_per_h: Annotated[NotNegative | None, Meta(description="An hour, in US dollars; null where it is not known.")]
    usd: Annotated[NotNegative | None, Meta(description="So far, in US dollars; null where it is not known.")]
    # Runs of before these were kept have none of them.
    workers: Annotated[Count, Meta(description="That train it together, a count.")] = 1
    devices: Annotated[Count, Meta(description="Of each worker, a count.")] = 1
    keras_backend: Annotated[
        str, Meta(description="Of Keras, that its model is of; empty where it is none of Keras's, or not known yet.")
    ] = ""


Figures = dict[str, Annotated[dict[str, Annotated[float, Meta(description="A figure.")]], Meta(description="By name.")]]


class RunDocument(Document, tag_field="schema", tag="zenplan.run/1"):
    """Answer of 'zenplan train' and 'zenplan runs show'.

    What came out of a training run, beside what was predicted of it. It is result.json of the run's folder.
    """

    status: Annotated[StatusDocument, Meta(description="At its end.")]
    prediction: Annotated[PredictionParts | None, Meta(description="From before it; null where none was kept.")]
    first_loss: Annotated[float | None, Meta(description="Of training; null without a step.")]
    last_loss: Annotated[float | None, Meta(description="Of training; null without a step.")]
    metrics: Annotated[Figures, Meta(description="Of the last evaluation of each part.")]
    baselines: Annotated[Figures, Meta(description="The same names of the stated baseline; empty without one.")]
    best_step: Annotated[CountFromZero | None, Meta(description="Of the lowest validation loss; null without one.")]
    best_loss: Annotated[float | None, Meta(description="The lowest of validation; null without one.")]
    step_s: Annotated[NotNegative | None, Meta(description="Mean step, in seconds; null without a step.")]
    wait_share: Annotated[Ratio | None, Meta(description="Of it, waiting for batches; null without a step.")]
    evaluations: Annotated[CountFromZero, Meta(description="That were made, a count.")]
    checkpoints: Annotated[CountFromZero, Meta(description="That were made but for its first, a count.")]
    samples: Annotated[CountFromZero, Meta(description="That were trained on, a count.")]
    tokens: Annotated[CountFromZero | None, Meta(description="That were trained on, a count; null for other samples.")]
    parameters: Annotated[CountFromZero | None, Meta(description="Of the model, a count; null where not known.")]
    trainable: Annotated[CountFromZero | None, Meta(description="Of them, a count; null where not known.")]
    peak_bytes: Annotated[NotNegative | None, Meta(description="Of memory, in bytes; null where nobody tells.")]
    peak_how: Annotated[str, Meta(description="Who told it.")]
    mfu: Annotated[NotNegative | None, Meta(description="Of the device's peak; null where it is not known.")]
    model: Annotated[str, Meta(description="Path of the trained model; empty where the run is not finished.")]
    folder: Annotated[str, Meta(description="Of the run.")]
    notes: Annotated[
        tuple[Annotated[str, Meta(description="A line.")], ...], Meta(description="What was said while it ran.")
    ]
    # Runs of before these were counted have none of them.
    scored: Annotated[
        dict[str, Annotated[Count, Meta(description="Samples.")]],
        Meta(description="Samples of the last evaluation of each part; none of tokens."),
    ] = field(default_factory=dict)
    no_better: Annotated[
        tuple[Annotated[str, Meta(description="A name.")], ...],
        Meta(description="Metrics of test data, else of validation, that are no better than the baseline."),
    ] = ()
    # Of 'zenplan runs show' alone: result.json is from before them.
    exports: Annotated[
        tuple[ExportDocument, ...], Meta(description="What was exported of it and is still there, the last at the end.")
    ] = ()


class TrialDocument(Document):
    """One run of a search."""

    number: Annotated[Count, Meta(description="From 1.")]
    values: Annotated[
        dict[str, Annotated[str | bool | int | float, Meta(description="A value.")]],
        Meta(description="Its settings, by name."),
    ]
    why: Annotated[str, Meta(description="Why it was not run, or failed; empty where it was.")]
    run: Annotated[str, Meta(description="Id of its run; empty where it was not run.")]
    reason: Annotated[str, Meta(description="Why it ended, a word: behind where it was given up; empty where not run.")]
    step: Annotated[CountFromZero, Meta(description="Steps that were done, a count.")]
    validation_loss: Annotated[float | None, Meta(description="The lowest of validation; null without one.")]
    total_s: Annotated[_Seconds, Meta(description="That it took, in seconds; null where it was not run.")]
    usd: Annotated[NotNegative | None, Meta(description="That it cost, in US dollars; null where not known.")]
    predicted_s: Annotated[RangeDocument | None, Meta(description="Before it, in seconds; null where not known.")]
    predicted_usd: Annotated[RangeDocument | None, Meta(description="Before it, in US dollars; null where not known.")]
    folder: Annotated[str, Meta(description="Of its run.")]


class SearchDocument(Document, tag_field="schema", tag="zenplan.search/1"):
    """Answer of 'zenplan train' with [search].

    Its trials, and the best of them. It is search.json of the search's folder.
    """

    trials: Annotated[tuple[TrialDocument, ...], Meta(description="In the order in which they are run.")]
    best: Annotated[Count | None, Meta(description="Number of the best; null where none came to its end.")]
    predicted_s: Annotated[
        RangeDocument | None, Meta(description="All that were to be run, none given up, in seconds; null if not known.")
    ]
    predicted_usd: Annotated[RangeDocument | None, Meta(description="The same in US dollars; null where not known.")]
    folder: Annotated[str, Meta(description="Of the search.")]


def _parts(kind: Any, found: RunPrediction) -> Any:
    return fill(
        kind,
        found,
        made_at=found.made_at.isoformat(),
        step_s=range_document(found.step_s),
        run_s=range_document(found.run_s),
        usd=range_document(found.usd),
        energy_j=range_document(found.energy_j),
        facts=tuple(fill(FactDocument, each) for each in found.facts),
    )


def prediction_document(found: RunPrediction) -> PredictionDocument:
    """The prediction."""
    document: PredictionDocument = _parts(PredictionDocument, found)
    return document


def status_document(found: RunStatus) -> StatusDocument:
    """How it stands."""
    return fill(
        StatusDocument,
        found,
        started_at=found.started_at.isoformat(),
        updated_at=found.updated_at.isoformat(),
        spent=fill(SpentDocument, found.spent),
    )


def run_document(found: RunResult, folder: str, exports: Sequence[Export] = ()) -> RunDocument:
    """What came out, where it lies, and what was exported of it."""
    return fill(
        RunDocument,
        found,
        status=status_document(found.status),
        prediction=None if found.prediction is None else _parts(PredictionParts, found.prediction),
        metrics={part: dict(values) for part, values in found.metrics.items()},
        baselines={part: dict(values) for part, values in found.baselines.items()},
        scored=dict(found.scored),
        folder=folder,
        exports=tuple(map(export_document, exports)),
    )


# --- and back


def _noun(kind: Any, document: Any, **own: Any) -> Any:
    return kind(**{f.name: getattr(document, f.name) for f in fields(kind) if f.name not in own}, **own)


def _range(found: RangeDocument | None) -> Range | None:
    return None if found is None else _noun(Range, found)


def prediction_of(found: PredictionParts) -> RunPrediction:
    """The noun of a document. Raises DataError: it says what cannot be; ValueError: a date is none."""
    prediction: RunPrediction = _noun(
        RunPrediction,
        found,
        made_at=datetime.fromisoformat(found.made_at),
        step_s=_range(found.step_s),
        facts=tuple(_noun(Fact, each) for each in found.facts),
    )
    return prediction


def result_of(found: RunDocument) -> RunResult:
    """The noun of a document. Raises as ``prediction_of``."""
    status = _noun(
        RunStatus,
        found.status,
        started_at=datetime.fromisoformat(found.status.started_at),
        updated_at=datetime.fromisoformat(found.status.updated_at),
        spent=_noun(Spent, found.status.spent),
        checkpoints=found.checkpoints,
    )
    own: Mapping[str, Any] = {
        "status": status,
        "prediction": None if found.prediction is None else prediction_of(found.prediction),
    }
    result: RunResult = _noun(RunResult, found, **own)
    return result
