"""The JSON document of one calibration of the store. Its schema is made of it."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Literal

from msgspec import Meta

from zenplan.commands.shared.document import Count, CountFromZero, Moment, NotNegative, Positive, one_of
from zenplan.documents import Document, fill
from zenplan.domain.measured.calibration import CPU, KINDS, ROLES, STATES, WALL, Measured, Stored
from zenplan.domain.measured.prediction import StepPrediction

# What a file that others wrote may hold at most.
ShortText = Annotated[str, Meta(max_length=1000)]
ShortName = Annotated[str, Meta(min_length=1, max_length=1000)]
CalibrationId = Annotated[str, Meta(pattern="^[a-z2-7]{8}$")]


class FingerprintDocument(Document):
    """On what it holds."""

    device: Annotated[ShortName, Meta(description="As the driver, or the system, calls it.")]
    kind: Annotated[Literal["gpu", "cpu"], Meta(description="Of the device.")]
    driver: Annotated[ShortText, Meta(description="Version of a GPU's driver; empty for a processor.")]
    threads: Annotated[Count, Meta(description="Of the host that compute, a count.")]
    backend: Annotated[ShortName, Meta(description="Of Keras, as in torch.")]
    versions: Annotated[
        dict[str, Annotated[ShortText, Meta(description="A version.")]],
        Meta(max_length=200, description="Of keras, the backend and python."),
    ]
    precision: Annotated[ShortName, Meta(description="Training precision, as in bf16.")]
    compiled: Annotated[bool, Meta(description="Whether a compiler saw the whole step (XLA, torch.compile).")]


class PointDocument(Document):
    """What was run."""

    key: Annotated[ShortName, Meta(description="Its name, unique in the calibration, as in depth=2 batch=8.")]
    role: Annotated[
        str,
        one_of(*ROLES),
        Meta(
            description="What is run: training steps of a model, or of one operator; or it is compiled and never run."
        ),
    ]
    depth: Annotated[
        Count | None,
        Meta(description="Repetitions of the block that repeats, a count; null where the model is taken as it is."),
    ]
    batch: Annotated[Count, Meta(description="Samples of a step, a count.")]
    features: Annotated[
        dict[str, Annotated[NotNegative, Meta(description="How much of it.")]],
        Meta(
            max_length=200, description="What a step has of each kind of work, by its name; empty where nobody counted."
        ),
    ]
    predicted_bytes: Annotated[
        NotNegative | None,
        Meta(description="Device memory at the peak as predicted, in bytes; null where nobody did."),
    ]


class SampleDocument(Document):
    """One step."""

    round: Annotated[
        CountFromZero,
        Meta(description="Of the measurement; all points take their turn in each. A count from 0."),
    ]
    wall_s: Annotated[Positive, Meta(description="By the clock on the wall, in seconds.")]
    cpu_s: Annotated[NotNegative, Meta(description="By the processor's clock, all threads, in seconds.")]
    clock_hz: Annotated[Positive | None, Meta(description="Clock of the GPU, in Hz; null where it was not read.")]


class MeasuredDocument(Document):
    """A point and what became of it."""

    point: Annotated[PointDocument, Meta(description="What was run.")]
    samples: Annotated[tuple[SampleDocument, ...], Meta(description="Steps after the warm-up, in order.")]
    setup_s: Annotated[
        NotNegative | None,
        Meta(description="Building, compiling and the first steps, in seconds; null where it came to no step."),
    ]
    peak_bytes: Annotated[
        NotNegative | None,
        Meta(description="Memory at the peak, in bytes; null where the backend does not tell."),
    ]
    program_bytes: Annotated[
        NotNegative | None,
        Meta(description="What the compiled program reads and writes by its compiler's count, in bytes; null without."),
    ]
    failure: Annotated[ShortText, Meta(description="Why it failed; empty where it did not.")]
    failure_kind: Annotated[ShortText, Meta(description="The same in a word, for programs; empty where nobody knew.")]
    failure_type: Annotated[ShortText, Meta(description="Name of the exception's class; empty where none was raised.")]
    step_s: Annotated[NotNegative | None, Meta(description="Median step, in seconds; null without samples.")]
    spread: Annotated[
        NotNegative | None,
        Meta(description="Half of the range of the middle half of the steps, in ln; null with fewer than three."),
    ]


class StepRangeDocument(Document):
    """In seconds, an 80 % interval."""

    low: Annotated[NotNegative, Meta(description="Lower end, in seconds.")]
    mid: Annotated[NotNegative, Meta(description="Middle, in seconds.")]
    high: Annotated[NotNegative, Meta(description="Upper end, in seconds.")]


class PredictionDocument(Document):
    """The step of the whole model."""

    step_s: Annotated[StepRangeDocument, Meta(description="In seconds, an 80 % interval.")]
    method: Annotated[ShortName, Meta(description="How it was found.")]
    doubts: Annotated[
        tuple[Annotated[str, Meta(description="A line.")], ...],
        Meta(description="What widened the interval."),
    ]
    stepping_s: Annotated[NotNegative, Meta(description="Timed steps and their warm-up, in seconds.")]


class CalibrationDocument(Document, tag_field="schema", tag="zenplan.calibration/1"):
    """Answer of 'zenplan calibrations show'.

    One calibration, and the step that is predicted of it.
    """

    id: Annotated[CalibrationId, Meta(description="In the store.")]
    state: Annotated[
        str,
        one_of(*STATES),
        Meta(description="Whether a process is at it, it ended before its time, or all was measured."),
    ]
    origin: Annotated[
        ShortText,
        Meta(description="Where it came from if not from here: imported from which file, and when."),
    ]
    taken_at: Annotated[Moment, Meta(description="When it began, with its time zone.")]
    kind: Annotated[
        str,
        one_of(*KINDS),
        Meta(description="Whether it is of one model, or of the device in general."),
    ]
    subject: Annotated[
        ShortName,
        Meta(description="Name of the model as it was asked for; of a sweep, the family or all."),
    ]
    family: Annotated[ShortName, Meta(description="Family of the model, as in decoder.")]
    stand_in: Annotated[
        ShortText,
        Meta(description="How what ran differs from the model; empty where it is the model itself."),
    ]
    target: Annotated[
        PointDocument | None,
        Meta(description="The whole model at the wanted batch, which is predicted; null for a sweep."),
    ]
    parameters: Annotated[
        NotNegative | None,
        Meta(description="Of the whole model, a count; null where it is not known."),
    ]
    flop_per_sample: Annotated[
        NotNegative | None,
        Meta(description="Of training the whole model on one sample, in FLOP; null where it is not known."),
    ]
    fingerprint: Annotated[FingerprintDocument, Meta(description="On what it holds.")]
    measured: Annotated[tuple[MeasuredDocument, ...], Meta(description="Points in the order they were added.")]
    notes: Annotated[
        tuple[Annotated[ShortText, Meta(description="A line.")], ...],
        Meta(description="What was seen on the machine."),
    ]
    clock: Annotated[str, one_of(WALL, CPU), Meta(description="By which steps are timed.")]
    prediction: Annotated[
        PredictionDocument | None,
        Meta(description="The step of the whole model; null of a sweep, or where too little was measured."),
    ]
    no_prediction: Annotated[
        str,
        Meta(description="Why there is no prediction; empty where there is one, and of a sweep."),
    ]


def calibration_document(stored: Stored, prediction: StepPrediction | None, why_none: str) -> CalibrationDocument:
    """One calibration with every sample, and what is predicted of it.

    Args:
        stored: the calibration.
        prediction: of its model's step; None of a sweep, or where too little was measured.
        why_none: what was too little; empty of a sweep.
    """
    c = stored.calibration
    clock = c.fingerprint.clock
    return fill(
        CalibrationDocument,
        c,
        state=stored.state,
        origin=stored.origin,
        taken_at=c.taken_at.astimezone(UTC).isoformat(),
        target=None if c.target is None else fill(PointDocument, c.target),
        fingerprint=fill(FingerprintDocument, c.fingerprint),
        measured=tuple(_measured(each, clock) for each in c.measured),
        clock=clock,
        prediction=None if prediction is None else _prediction(prediction),
        no_prediction=why_none,
    )


def _measured(measured: Measured, clock: str) -> MeasuredDocument:
    samples = measured.samples
    return fill(
        MeasuredDocument,
        measured,
        point=fill(PointDocument, measured.point),
        samples=tuple(fill(SampleDocument, sample) for sample in samples),
        step_s=measured.step_s(clock) if samples else None,
        spread=measured.spread(clock) if len(samples) > 2 else None,
    )


def _prediction(prediction: StepPrediction) -> PredictionDocument:
    return fill(PredictionDocument, prediction, step_s=fill(StepRangeDocument, prediction.step_s))
