"""The JSON document of ``zenplan calibrate``: every point, and what is predicted from them. Its schema is made of it."""

from __future__ import annotations

from statistics import median
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from zenplan.commands.shared.document import (
    Count,
    CountFromZero,
    Moment,
    Name,
    NotNegative,
    Positive,
    one_of,
)
from zenplan.documents import Document, fill
from zenplan.domain.measured.calibrated import Calibrated, Calibrations, KnownSpeed
from zenplan.domain.measured.calibration import CPU, KINDS, ROLES, WALL, Fingerprint, Measured
from zenplan.domain.measured.collectives import COLLECTIVES
from zenplan.domain.measured.prediction import DataParallelStep, ScaledStep
from zenplan.domain.range import Range
from zenplan.planning.calibration.data_parallel import MOST_WORKERS


class FingerprintDocument(Document):
    """On what the calibration holds."""

    device: Annotated[Name, Meta(description="What the driver, or the system, calls it.")]
    kind: Annotated[Literal["cpu", "gpu"], Meta(description="Processor or GPU.")]
    driver: Annotated[str, Meta(description="Version of a GPU's driver; empty for a processor.")]
    threads: Annotated[Count, Meta(description="Threads of the host that compute.")]
    backend: Annotated[Name, Meta(description="Backend of Keras, or a plugin's engine.")]
    versions: Annotated[
        dict[str, Annotated[str, Meta(description="A version.")]],
        Meta(description="Versions, by the name of the software."),
    ]
    precision: Annotated[Name, Meta(description="Number format, as in bf16.")]
    compiled: Annotated[bool, Meta(description="Whether a compiler saw the whole step (XLA, torch.compile).")]


class PointDocument(Document):
    """A point: one model at one depth and batch."""

    key: Annotated[Name, Meta(description="Its name.")]
    role: Annotated[
        str,
        one_of(*ROLES),
        Meta(description="Training steps of a model, or of one operator; or compiled and never run."),
    ]
    depth: Annotated[
        Count | None,
        Meta(description="Repetitions of the block that repeats; null where the model is taken as it is."),
    ]
    batch: Annotated[Count, Meta(description="Samples of a step.")]
    rounds: Annotated[CountFromZero, Meta(description="Steps that were timed.")]
    clock: Annotated[
        str,
        one_of(WALL, CPU),
        Meta(description="The clock of step_s: the processor's where one thread computes."),
    ]
    step_s: Annotated[NotNegative | None, Meta(description="Median step, in seconds; null without one.")]
    spread: Annotated[
        NotNegative | None,
        Meta(description="Half of the range of the middle half of the steps, in ln; null with fewer than three."),
    ]
    wall_s: Annotated[NotNegative | None, Meta(description="Median step by the wall clock, in seconds.")]
    cpu_s: Annotated[
        NotNegative | None,
        Meta(description="Median step by the processor's clock, all threads, in seconds."),
    ]
    clock_hz: Annotated[
        Positive | None,
        Meta(description="Median clock of the GPU, in Hz; null where it was not read."),
    ]
    setup_s: Annotated[NotNegative | None, Meta(description="Building, compiling and the first steps, in seconds.")]
    peak_bytes: Annotated[
        Positive | None,
        Meta(description="Peak memory, measured, in bytes; null where the backend does not tell."),
    ]
    predicted_bytes: Annotated[
        Positive | None,
        Meta(description="Peak memory, predicted, in bytes; null where nobody predicted it."),
    ]
    program_bytes: Annotated[
        Positive | None,
        Meta(description="Read and written by the compiled program, in bytes, as its compiler counts."),
    ]
    failure: Annotated[str, Meta(description="Why there are no samples; empty where there are.")]


class TargetDocument(Document):
    """The step that is predicted."""

    depth: Annotated[Count | None, Meta(description="As of a point.")]
    batch: Annotated[Count, Meta(description="Samples of a step.")]
    predicted_bytes: Annotated[Positive | None, Meta(description="Peak memory, predicted, in bytes.")]


class SecondsDocument(Document):
    """A time, in seconds."""

    low: Annotated[Positive, Meta(description="Low end of the 80 % interval, in seconds.")]
    mid: Annotated[Positive, Meta(description="Middle, in seconds.")]
    high: Annotated[Positive, Meta(description="High end, in seconds.")]


class RateDocument(Document):
    """Samples a second, a count a second."""

    low: Annotated[Positive, Meta(description="Low end of the 80 % interval, a count a second.")]
    mid: Annotated[Positive, Meta(description="Middle, a count a second.")]
    high: Annotated[Positive, Meta(description="High end, a count a second.")]


class DollarsDocument(Document):
    """An amount, in dollars."""

    low: Annotated[Positive, Meta(description="Low end of the 80 % interval, in dollars.")]
    mid: Annotated[Positive, Meta(description="Middle, in dollars.")]
    high: Annotated[Positive, Meta(description="High end, in dollars.")]


class PredictionDocument(Document):
    """What is predicted."""

    step_s: Annotated[SecondsDocument, Meta(description="The step, in seconds.")]
    samples_per_s: Annotated[RateDocument, Meta(description="Samples a second, a count a second.")]
    flop_per_s: Annotated[Positive | None, Meta(description="Reached, in FLOP of training a second.")]
    method: Annotated[Name, Meta(description="How it was found.")]
    doubts: Annotated[
        tuple[Annotated[Name, Meta(description="A line.")], ...],
        Meta(description="What widened the interval."),
    ]
    stepping_s: Annotated[NotNegative, Meta(description="Spent on timed steps, in seconds.")]


class ShareDocument(Document):
    """A share."""

    low: Annotated[Positive, Meta(description="Low end of the 80 % interval, a share.")]
    mid: Annotated[Positive, Meta(description="Middle, a share.")]
    high: Annotated[Positive, Meta(description="High end, a share.")]


class CollectiveDocument(Document):
    """A kind of collective among the workers; docs/calibration.md has how its time comes of it."""

    name: Annotated[str, one_of(*COLLECTIVES), Meta(description="Which.")]
    latency_s: Annotated[NotNegative, Meta(description="Of an exchange between two workers, in seconds.")]
    s_per_byte: Annotated[NotNegative, Meta(description="Seconds for a byte that a worker sends.")]
    spread: Annotated[NotNegative, Meta(description="Relative error of the fit, one standard deviation, a share.")]


class ScaledDocument(Document):
    """The step of a number of workers, each with the same batch."""

    workers: Annotated[Count, Meta(description="Processes, each with a copy of the model.")]
    measured: Annotated[
        bool, Meta(description="Whether collectives and computing were measured among as many, or are carried over.")
    ]
    step_s: Annotated[SecondsDocument, Meta(description="The step of all, predicted, in seconds.")]
    efficiency: Annotated[ShareDocument, Meta(description="Speed of a worker over that of one alone, a share.")]


class WorkersDocument(Document):
    """A number of workers."""

    low: Annotated[Count, Meta(description="Low end.")]
    mid: Annotated[Count, Meta(description="Middle.")]
    high: Annotated[Count, Meta(description="High end.")]


class TogetherDocument(Document):
    """The step of several workers."""

    workers: Annotated[int, Meta(ge=2, description="Processes, each with a copy of the model.")]
    batch: Annotated[Count, Meta(description="Samples of one worker in a step.")]
    step_s: Annotated[SecondsDocument, Meta(description="The step of all, predicted, in seconds.")]
    samples_per_s: Annotated[RateDocument, Meta(description="Samples of all workers a second.")]
    speed_up: Annotated[Positive, Meta(description="Samples a second over those of one worker alone.")]
    compute_s: Annotated[
        SecondsDocument,
        Meta(description="A worker's step while the others compute too, without the all-reduce, in seconds."),
    ]
    alone_s: Annotated[SecondsDocument, Meta(description="A worker's step while the others wait, in seconds.")]
    all_reduce_s: Annotated[NotNegative, Meta(description="All-reduce of the gradients by itself, in seconds.")]
    all_reduce_bytes: Annotated[NotNegative, Meta(description="Bytes of gradients that a worker reduces in a step.")]
    latency_s: Annotated[NotNegative, Meta(description="Of an all-reduce among the workers, in seconds.")]
    s_per_byte: Annotated[NotNegative, Meta(description="Seconds of an all-reduce for a byte of a worker's tensor.")]
    exposed: Annotated[NotNegative, Meta(description="Seconds by which the step grows for a second of all-reduce.")]
    collectives: Annotated[
        tuple[CollectiveDocument, ...], Meta(description="Collectives among the workers, as they were measured.")
    ]
    scaling: Annotated[
        tuple[ScaledDocument, ...],
        Meta(
            description="Of the workers asked for, and of more, each with cores or a device of its own, joined alike."
        ),
    ]
    efficient: Annotated[Positive, Meta(description="Share of the speed of one alone that is called efficient.")]
    efficient_workers: Annotated[
        Count,
        Meta(
            description="The most workers with that share of the speed of one alone each, at the low end of their "
            f"efficiency: published runs scaled worse than predicted more often than better. At most {MOST_WORKERS}."
        ),
    ]
    efficient_workers_range: Annotated[
        WorkersDocument,
        Meta(description="That number at the low end, the middle and the high end of their efficiency."),
    ]
    method: Annotated[Name, Meta(description="How it was found.")]
    doubts: Annotated[
        tuple[Annotated[Name, Meta(description="A line.")], ...],
        Meta(description="What widened the interval, one line each."),
    ]


class RunDocument(Document):
    """The whole run."""

    samples: Annotated[Positive | None, Meta(description="Samples seen; null where nobody said.")]
    seconds: Annotated[
        SecondsDocument | None,
        Meta(description="All steps, one after another, in seconds; null where it is not known."),
    ]
    usd_per_h: Annotated[
        Positive | None,
        Meta(description="Of the device, in dollars an hour; null where it is not known."),
    ]
    price: Annotated[str, Meta(description="Where the price is from.")]
    usd: Annotated[
        DollarsDocument | None,
        Meta(description="Dollars of the device, in dollars; null where it is not known."),
    ]


class KnownSpeedDocument(Document):
    """A model that is widely known, by a calibration of the device in general."""

    model: Annotated[Name, Meta(description="Its name.")]
    batch: Annotated[Count, Meta(description="Samples of a step.")]
    unit: Annotated[Name, Meta(description="What is counted: samples, images or tokens.")]
    a_second: Annotated[
        RateDocument | None, Meta(description="Of that unit a second, a count a second; null where it is not told.")
    ]
    reason: Annotated[str, Meta(description="Why it is not told; empty where it is.")]


class CalibrationDocument(Document):
    """A calibration and what it predicts."""

    id: Annotated[Name, Meta(description="In the store.")]
    kind: Annotated[str, one_of(*KINDS), Meta(description="Of one model, or of the device in general.")]
    subject: Annotated[Name, Meta(description="The model's name; of a sweep, the family.")]
    family: Annotated[Name, Meta(description="Family of the model.")]
    stand_in: Annotated[str, Meta(description="How what ran differs from the model; empty where it is the user's own.")]
    taken_at: Annotated[Moment, Meta(description="When it began.")]
    fingerprint: Annotated[FingerprintDocument, Meta(description="On what the calibration holds.")]
    parameters: Annotated[NotNegative | None, Meta(description="Of the whole model, a count.")]
    flop_per_sample: Annotated[
        NotNegative | None,
        Meta(description="Of training, one sample of the whole model, in FLOP."),
    ]
    unit: Annotated[Name, Meta(description="What samples are counted in.")]
    tokens_per_sample: Annotated[Count, Meta(description="Tokens of a sample, a count; 1 where it is no sequence.")]
    points: Annotated[tuple[PointDocument, ...], Meta(description="What was measured, in order.")]
    target: Annotated[TargetDocument | None, Meta(description="The step that is predicted; null for a sweep.")]
    prediction: Annotated[PredictionDocument | None, Meta(description="What is predicted; null where nothing is.")]
    no_prediction: Annotated[str, Meta(description="Why nothing is predicted; empty where it is.")]
    run: Annotated[RunDocument, Meta(description="The whole run.")]
    speeds: Annotated[
        tuple[KnownSpeedDocument, ...],
        Meta(description="Known models, by a calibration of the device in general; empty of a model."),
    ]
    facts: Annotated[
        tuple[Annotated[Name, Meta(description="A line.")], ...],
        Meta(description="What was not asked for and chosen."),
    ]
    notes: Annotated[
        tuple[Annotated[Name, Meta(description="A line.")], ...],
        Meta(description="What was seen on the machine."),
    ]
    together: Annotated[
        TogetherDocument | UnsetType,
        Meta(description="The step of several workers; only where --workers asked for it."),
    ] = UNSET


class FailedDocument(Document):
    """A calibration that failed."""

    name: Annotated[Name, Meta(description="Backend, and whether it was compiled.")]
    reason: Annotated[Name, Meta(description="Why.")]


class CalibrateDocument(Document, tag_field="schema", tag="zenplan.calibrate/1"):
    """Answer of 'zenplan calibrate'.

    What was measured on this machine, and what is predicted from it.
    """

    compared: Annotated[bool, Meta(description="Whether the calibrations are of one model, to be compared.")]
    calibrations: Annotated[
        tuple[CalibrationDocument, ...],
        Meta(description="In the order in which they were asked for."),
    ]
    failed: Annotated[tuple[FailedDocument, ...], Meta(description="Those that came to nothing.")]


def calibrate_document(found: Calibrations) -> CalibrateDocument:
    """The whole answer."""
    return CalibrateDocument(
        compared=found.compared,
        calibrations=tuple(_calibrated(each) for each in found.taken),
        failed=tuple(fill(FailedDocument, each) for each in found.failed),
    )


def _calibrated(each: Calibrated) -> CalibrationDocument:
    taken = each.calibration
    return fill(
        CalibrationDocument,
        taken,
        taken_at=taken.taken_at.isoformat(),
        fingerprint=fill(FingerprintDocument, taken.fingerprint),
        unit=each.unit,
        tokens_per_sample=each.tokens_per_sample,
        points=tuple(point_document(measured, taken.fingerprint) for measured in taken.measured),
        target=None if taken.target is None else fill(TargetDocument, taken.target),
        prediction=_prediction(each),
        together=_together(each.together),
        no_prediction=each.reason,
        run=fill(
            RunDocument,
            each.run,
            seconds=None if each.run_s is None else fill(SecondsDocument, each.run_s),
            usd=None if each.run_usd is None else fill(DollarsDocument, each.run_usd),
        ),
        speeds=tuple(_speed(known) for known in each.speeds),
        facts=each.facts,
    )


def _speed(known: KnownSpeed) -> KnownSpeedDocument:
    rate = None if known.a_second is None else fill(RateDocument, known.a_second)
    return fill(KnownSpeedDocument, known, a_second=rate)


def point_document(measured: Measured, mark: Fingerprint) -> PointDocument:
    """A point: the medians of its steps; None of one that never ran."""
    samples, clock = measured.samples, mark.clock
    clocks = [s.clock_hz for s in samples if s.clock_hz is not None]
    return fill(
        PointDocument,
        measured.point,
        rounds=len(samples),
        clock=clock,
        step_s=measured.step_s(clock) if samples else None,
        spread=measured.known_spread(clock),
        wall_s=median(s.wall_s for s in samples) if samples else None,
        cpu_s=median(s.cpu_s for s in samples) if samples else None,
        clock_hz=median(clocks) if clocks else None,
        setup_s=measured.setup_s,
        peak_bytes=measured.peak_bytes,
        program_bytes=measured.program_bytes,
        failure=measured.failure,
    )


def _prediction(each: Calibrated) -> PredictionDocument | None:
    found, rate = each.prediction, each.samples_per_s
    if found is None or rate is None:
        return None
    return fill(
        PredictionDocument,
        found,
        step_s=fill(SecondsDocument, found.step_s),
        samples_per_s=fill(RateDocument, rate),
        flop_per_s=each.flop_per_s,
    )


def _together(found: DataParallelStep | None) -> TogetherDocument | UnsetType:
    """A field of its own where several workers were asked for, and none where they were not."""
    if found is None:
        return UNSET
    return fill(
        TogetherDocument,
        found,
        step_s=fill(SecondsDocument, found.step.step_s),
        samples_per_s=fill(RateDocument, found.samples_per_s),
        compute_s=fill(SecondsDocument, found.compute.step_s),
        alone_s=fill(SecondsDocument, found.alone.step_s),
        all_reduce_s=found.reduce_s,
        all_reduce_bytes=found.gradient_bytes,
        collectives=tuple(fill(CollectiveDocument, each) for each in found.collectives),
        scaling=tuple(map(_scaled, found.scaling)),
        efficient_workers=int(found.efficient_workers.low),
        efficient_workers_range=_workers(found.efficient_workers),
        method=found.step.method,
        doubts=found.step.doubts,
    )


def _workers(found: Range) -> WorkersDocument:
    return WorkersDocument(low=int(found.low), mid=int(found.mid), high=int(found.high))


def _scaled(found: ScaledStep) -> ScaledDocument:
    return fill(
        ScaledDocument,
        found,
        step_s=fill(SecondsDocument, found.step_s),
        efficiency=fill(ShareDocument, found.efficiency),
    )
