"""What a worker says to its parent: events."""

from __future__ import annotations

import msgspec

from zenplan.domain.model.count import ModelCount
from zenplan.errors import FailureKind, ZenplanError
from zenplan.unions import Whole


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=str.lower):
    """What a worker says.

    Attributes:
        stage: what it is at: ``start``, ``read``, ``import``, ``build``, ``count``, ``compile``, ``measure``,
            ``rehearse`` or ``train``.
    """

    stage: str = ""


class Stage(Event, frozen=True, kw_only=True):
    """It begins another stage."""


class Machine(Event, frozen=True, kw_only=True):
    """On what it measures; once, before all that was measured.

    Attributes:
        device, kind, driver, threads, versions, compiled: as in ``domain.measured.calibration.Fingerprint``.
    """

    device: str
    kind: str
    driver: str = ""
    threads: Whole
    versions: dict[str, str]
    compiled: bool


class Counted(Event, frozen=True, kw_only=True, tag="count"):
    """A model's count: the answer of the job ``count``, and of a point where the job ``measure`` asks for it.

    Attributes:
        key: of the point; empty where there is none.
    """

    key: str = ""
    count: ModelCount


class Built(Event, frozen=True, kw_only=True):
    """A model is built, compiled and warm.

    Attributes:
        setup_s: until then.
        compile_s: of it, until the first step was made; None where nobody told.
        program_bytes: that a step reads and writes, by the compiler's count; None where no compiler tells.
        gradient_bytes: that are reduced in a step; None where one worker has no need of it.
    """

    key: str
    setup_s: float
    compile_s: float | None = None
    program_bytes: float | None = None
    gradient_bytes: float | None = None


class Peak(Event, frozen=True, kw_only=True):
    """The peak of memory of a warm model, over what was in use before.

    Attributes:
        bytes: None where nobody tells.
        how: ``allocator`` of a GPU, ``resident set`` of the process.
    """

    key: str
    bytes: float | None = None
    how: str = ""


class Sampled(Event, frozen=True, kw_only=True, tag="sample"):
    """One step was timed; as ``domain.measured.calibration.Sample``.

    Attributes:
        way: of several workers, how they stepped: ``alone``, ``at_once``, ``together``; empty of one.
    """

    key: str
    way: str = ""
    round: Whole
    wall_s: float
    cpu_s: float


class Failed(Event, frozen=True, kw_only=True):
    """A point is left out from here on; the others go on.

    Attributes:
        reason: for people.
        kind, type: as of ``domain.measured.calibration.Measured``.
    """

    key: str
    reason: str
    kind: FailureKind = FailureKind.OTHER
    type: str = ""


class Done(Event, frozen=True, kw_only=True):
    """The end of a job that has no answer of its own.

    Attributes:
        stays: whether the worker waits for another job, its models held.
    """

    stays: bool = False


class Error(Event, frozen=True, kw_only=True):
    """One of zenplan's errors ended the job.

    Attributes:
        file: whether it is of a file that the user named.
    """

    message: str
    hint: str = ""
    exit_code: int = ZenplanError.exit_code
    kind: FailureKind = FailureKind.REFUSED
    type: str = ""
    file: bool = False


class Raised(Event, frozen=True, kw_only=True):
    """Any other exception ended the job.

    Attributes:
        type: its class.
        text: the first line of what it says.
        module: of an import that failed, else empty.
        place: in the user's code, as in ``file.py:12``; empty where none of it was running.
        inside: whether a library raised it that is not Python's import.
    """

    type: str = ""
    text: str = ""
    module: str = ""
    place: str = ""
    inside: bool = False
    kind: FailureKind = FailureKind.RAISED
