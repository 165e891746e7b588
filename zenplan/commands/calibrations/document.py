"""The JSON documents of calibrations: one of the store, and many as teams share them. Their schemas are made of them.

``export`` writes what ``list`` says; ``adapters/store/file.py`` reads it again. What is shared says of a failure its
kind and the type of what was raised, never a text: it may quote the user's own code.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta

from zenplan import units
from zenplan.adapters.store.file import MOST_BYTES, SCHEMA, shared
from zenplan.adapters.store.store import ID
from zenplan.commands.shared.document import Count, CountFromZero, Moment, NotNegative, Positive, one_of
from zenplan.documents import Document, encode, fill
from zenplan.domain.checks import MOST_LETTERS, MOST_NAMES
from zenplan.domain.measured.calibration import CPU, KINDS, ROLES, STATES, WALL, Measured, Stored
from zenplan.domain.measured.prediction import StepPrediction
from zenplan.errors import UsageError

# What a file that others wrote may hold at most.
ShortText = Annotated[str, Meta(max_length=MOST_LETTERS)]
ShortName = Annotated[str, Meta(min_length=1, max_length=MOST_LETTERS)]
CalibrationId = Annotated[str, Meta(pattern=f"^{ID.pattern}$")]


class FingerprintDocument(Document):
    """On what it holds."""

    device: Annotated[ShortName, Meta(description="As the driver, or the system, calls it.")]
    kind: Annotated[Literal["gpu", "cpu"], Meta(description="Of the device.")]
    driver: Annotated[ShortText, Meta(description="Version of a GPU's driver; empty for a processor.")]
    threads: Annotated[Count, Meta(description="Of the host that compute, a count.")]
    backend: Annotated[ShortName, Meta(description="Of Keras, as in torch.")]
    versions: Annotated[
        dict[str, Annotated[ShortText, Meta(description="A version.")]],
        Meta(max_length=MOST_NAMES, description="Of keras, the backend and python."),
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
            max_length=MOST_NAMES,
            description="What a step has of each kind of work, by its name; empty where nobody counted.",
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


class StepsDocument(Document):
    """A point and the steps that were taken of it."""

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


class MeasuredDocument(StepsDocument):
    """A point and what became of it."""

    failure: Annotated[ShortText, Meta(description="Why it failed; empty where it did not.")]
    failure_kind: Annotated[ShortText, Meta(description="The same in a word, for programs; empty where nobody knew.")]
    failure_type: Annotated[ShortText, Meta(description="Name of the exception's class; empty where none was raised.")]
    step_s: Annotated[NotNegative | None, Meta(description="Median step, in seconds; null without samples.")]
    spread: Annotated[
        NotNegative | None,
        Meta(description="Half of the range of the middle half of the steps, in ln; null with fewer than three."),
    ]


class SharedMeasuredDocument(StepsDocument):
    """A point and what became of it."""

    failure: Annotated[
        ShortText,
        Meta(
            description="Why it has no samples: the kind of failure, and the type of what the user's code raised, never "
            "its text; empty where it has."
        ),
    ]
    failure_kind: Annotated[
        ShortText,
        Meta(
            description="The same in a word, for programs; empty where nobody knew. Optional: the first files have none."
        ),
    ] = ""
    failure_type: Annotated[
        ShortText,
        Meta(description="Name of the exception's class; empty where none was raised. Optional, as the kind."),
    ] = ""


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


_Notes = Annotated[
    tuple[Annotated[ShortText, Meta(description="A line.")], ...],
    Meta(description="What was seen on the machine."),
]


class SubjectDocument(Document):
    """What was measured, on what and when."""

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


class CalibrationDocument(SubjectDocument, tag_field="schema", tag="zenplan.calibration/1"):
    """Answer of 'zenplan calibrations show'.

    One calibration, and the step that is predicted of it.
    """

    measured: Annotated[tuple[MeasuredDocument, ...], Meta(description="Points in the order they were added.")]
    notes: _Notes
    clock: Annotated[str, one_of(WALL, CPU), Meta(description="By which steps are timed.")]
    prediction: Annotated[
        PredictionDocument | None,
        Meta(description="The step of the whole model; null of a sweep, or where too little was measured."),
    ]
    no_prediction: Annotated[
        str,
        Meta(description="Why there is no prediction; empty where there is one, and of a sweep."),
    ]


class SharedCalibrationDocument(SubjectDocument):
    """A calibration."""

    measured: Annotated[tuple[SharedMeasuredDocument, ...], Meta(description="Points in the order they were added.")]
    notes: _Notes


class CalibrationsDocument(Document, tag_field="schema", tag=SCHEMA):
    """Answer of 'zenplan calibrations list', and what 'export' writes and 'import' reads.

    Calibrations with every sample.
    """

    calibrations: Annotated[tuple[SharedCalibrationDocument, ...], Meta(description="The newest first.")]
    left_out: Annotated[
        tuple[Annotated[ShortText, Meta(description="A line.")], ...],
        Meta(description="What could not be read of the store."),
    ]


S = TypeVar("S", bound=SubjectDocument)
R = TypeVar("R", bound=StepsDocument)


def calibration_document(stored: Stored, prediction: StepPrediction | None, why_none: str) -> CalibrationDocument:
    """One calibration with every sample, and what is predicted of it.

    Args:
        stored: the calibration.
        prediction: of its model's step; None of a sweep, or where too little was measured.
        why_none: what was too little; empty of a sweep.
    """
    clock = stored.calibration.fingerprint.clock
    return _subject(
        CalibrationDocument,
        stored,
        measured=tuple(_measured(each, clock) for each in stored.calibration.measured),
        clock=clock,
        prediction=None if prediction is None else _prediction(prediction),
        no_prediction=why_none,
    )


def calibrations_document(calibrations: Iterable[Stored], left_out: Iterable[str] = ()) -> CalibrationsDocument:
    """Calibrations as they are shared; and what could not be read of the store, a line each."""
    return CalibrationsDocument(
        calibrations=tuple(_shared(shared(stored)) for stored in calibrations), left_out=tuple(left_out)
    )


def calibrations_text(calibrations: Iterable[Stored], left_out: Iterable[str] = ()) -> str:
    """The same as text. Raises UsageError: it is more than ``import`` takes."""
    text = encode(calibrations_document(calibrations, left_out), indent=1) + "\n"
    if (size := len(text.encode())) > MOST_BYTES:
        raise UsageError(
            f"these calibrations make a file of {units.size(size)}, and 'import' takes {units.size(MOST_BYTES)}",
            "export some of them: name their ids after the file",
        )
    return text


def _shared(stored: Stored) -> SharedCalibrationDocument:
    measured = tuple(_run(SharedMeasuredDocument, each) for each in stored.calibration.measured)
    return _subject(SharedCalibrationDocument, stored, measured=measured)


def _subject(kind: type[S], stored: Stored, **own: Any) -> S:
    """That document of a calibration; times are in UTC."""
    c = stored.calibration
    return fill(
        kind,
        c,
        state=stored.state,
        origin=stored.origin,
        taken_at=c.taken_at.astimezone(UTC).isoformat(),
        target=None if c.target is None else fill(PointDocument, c.target),
        fingerprint=fill(FingerprintDocument, c.fingerprint),
        **own,
    )


def _run(kind: type[R], measured: Measured, **own: Any) -> R:
    """That document of a point and its steps."""
    samples = tuple(fill(SampleDocument, sample) for sample in measured.samples)
    return fill(kind, measured, point=fill(PointDocument, measured.point), samples=samples, **own)


def _measured(measured: Measured, clock: str) -> MeasuredDocument:
    samples = measured.samples
    return _run(
        MeasuredDocument,
        measured,
        step_s=measured.step_s(clock) if samples else None,
        spread=measured.spread(clock) if len(samples) > 2 else None,
    )


def _prediction(prediction: StepPrediction) -> PredictionDocument:
    return fill(PredictionDocument, prediction, step_s=fill(StepRangeDocument, prediction.step_s))
