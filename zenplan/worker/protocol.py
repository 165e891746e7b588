"""What the parent and its worker say to each other: a job, then events, one JSON document a line.

The parent writes one job, a line, to the worker's stdin; ``job`` in it says which. The worker answers on a descriptor
of its own, which the job names, with events; ``event`` in each says which. ``Error`` and ``Raised`` end any job, and
so does the event that its class names as ``last``.

A worker of a plugin's (another framework) speaks the same, and may be newer or older than its parent. So fields have
defaults where one can do without, a field that is not known is ignored, and **an event whose name is not here is
skipped**; whatever else is no event of these types is one DataError. The names ``step``, ``metric`` and ``checkpoint``
are kept for a job that trains.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, cast, get_args

import msgspec

from zenplan import documents
from zenplan.domain.measured.calibration import STEP
from zenplan.domain.model.count import ModelCount
from zenplan.domain.model.workload import Block
from zenplan.errors import DataError, FailureKind, ZenplanError
from zenplan.unions import Whole

_MOST_LETTERS = 500
# Of a line that is no event, in the error that says so.
_SHOWN_BYTES = 60
# What Keras writes in a line before an exception of a layer, which it raises anew.
_AROUND = ("Exception encountered when calling", "Error encountered:")
_STYLES = re.compile(r"\x1b\[[0-9;]*m")
_OURS = str(Path(__file__).resolve().parents[1])
_NO_MEMORY = {"MemoryError", "OutOfMemoryError", "ResourceExhaustedError"}


# --- events


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=str.lower):
    """What a worker says.

    Attributes:
        stage: what it is at: ``start``, ``read``, ``import``, ``build``, ``count``, ``compile`` or ``measure``.
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


class Reduced(Event, frozen=True, kw_only=True):
    """One all-reduce of a tensor was timed, with nothing else going on.

    Attributes:
        group: of models, between whose steps it was.
    """

    bytes: Whole
    group: Whole
    round: Whole
    wall_s: float


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
    """One of zenplan's errors ended the job."""

    message: str
    hint: str = ""
    exit_code: int = ZenplanError.exit_code
    kind: FailureKind = FailureKind.REFUSED
    type: str = ""


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


class _Unknown(msgspec.Struct):
    """An event of any name."""

    event: str


_AnyEvent = Stage | Machine | Counted | Built | Peak | Sampled | Reduced | Failed | Done | Error | Raised
_NAMES = {kind.__struct_config__.tag for kind in get_args(_AnyEvent)}


def decode_event(line: bytes) -> Event | None:
    """The event that a worker wrote, its texts printable; None for one whose name is not known here.

    Raises:
        DataError: it is no event. The process that wrote it ran code that is not ours.
    """
    what = f"the worker wrote what is no event: {line[:_SHOWN_BYTES]!r}"
    try:
        return documents.decode(line, cast(type[Event], _AnyEvent), what, foreign=True)
    except DataError:
        if documents.decode(line, _Unknown, what).event in _NAMES:
            raise
        return None


# --- jobs


class Target(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="target"):
    """The model that a function of the user's returns.

    Attributes:
        target: ``package.module:name``, imported with the current folder first.
        arguments: that the function is called with, by name.
        input_shapes: of one sample, for a model whose own are open or missing.
    """

    target: str
    arguments: dict[str, Any] = {}
    input_shapes: tuple[tuple[int, ...], ...] = ()


class File(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="file"):
    """The model of a ``.keras`` file."""

    path: str
    input_shapes: tuple[tuple[int, ...], ...] = ()


class Blocks(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="blocks"):
    """A model made of the operators of a workload, in its place.

    Attributes:
        name, blocks, tokens_per_sample, unit: of the workload.
    """

    name: str
    blocks: tuple[Block, ...]
    tokens_per_sample: int = 1
    unit: str = "samples"

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """What it is made of says its shapes."""
        return ()


Model = Target | File | Blocks


class Job(msgspec.Struct, frozen=True, kw_only=True, tag_field="job"):
    """What a worker is to do.

    Attributes:
        last: the event that ends it.
        what: how errors call the model.
        events: the descriptor that the worker answers on; its parent fills it in.
    """

    last: ClassVar[type[Event]] = Done
    what: str
    events: int = -1


class Count(Job, frozen=True, kw_only=True, tag="count"):
    """Count a model, layer by layer.

    Attributes:
        batch: samples that it is called with; None for any.
        values: whether variables get their values, which a builder may need.
    """

    last: ClassVar[type[Event]] = Counted
    model: Target | File
    batch: int | None = None
    values: bool = False


class WantedPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A model to be stepped at a batch.

    Attributes:
        role: of a point: ``step`` and ``operator`` are stepped, a ``program`` is compiled alone.
    """

    key: str
    role: str = STEP
    batch: int
    model: Model


class Rounds(msgspec.Struct, frozen=True, kw_only=True):
    """How often all models are stepped: it ends after ``most``, or once ``least`` are done and took ``seconds``."""

    least: int
    most: int
    seconds: float


class Measure(Job, frozen=True, kw_only=True, tag="measure"):
    """Step models and time them.

    Attributes:
        precision: as in ``domain.precision``; those that Keras has a policy for.
        compiled: by XLA or torch.compile; None for what the builder or Keras chooses.
        threads: of the host.
        device: ``cpu`` or ``gpu``.
        in_turn: False: all models are held, and each round steps every one; True: one is built, stepped, freed.
        count: whether each model is counted.
        more: whether another job may come. Until then models are held, and a point of a model that is held is stepped
            as it is. A worker that cannot says so by the end of this one: ``Done``.
        forget: whether models that are held are forgotten before this job.
        programs: folder in which compiled programs are kept for the next worker; empty for none.
    """

    precision: str
    compiled: bool | None = None
    threads: int
    device: str
    points: tuple[WantedPoint, ...]
    rounds: Rounds
    in_turn: bool = False
    count: bool = False
    more: bool = False
    forget: bool = False
    programs: str = ""


class Replica(msgspec.Struct, frozen=True, kw_only=True):
    """A model that every rank has a copy of.

    Attributes:
        batch: of one rank.
        ways: in which it is timed, of ``WAYS``.
    """

    key: str
    batch: int
    model: Model
    ways: tuple[str, ...]


# Rank 0 steps and the others wait; all step and reduce nothing; all step, and gradients are averaged while backward goes on.
ALONE, AT_ONCE, TOGETHER = WAYS = ("alone", "at_once", "together")


class DataParallel(Job, frozen=True, kw_only=True, tag="data_parallel"):
    """Step models as one of several ranks, each a process of this machine, and time them. All ranks get the same job.

    Attributes:
        rank: 0 to world - 1; the one field in which the ranks' jobs differ.
        world: processes.
        rendezvous: ``file://`` address that all can read, of a file that is not there yet.
        precision, threads: as of ``Measure``; each rank has cores of its own.
        sizes: bytes of the all-reduces that are timed in each round of each group.
        rounds: of each group.
        groups: models of a group are held together and take turns.
    """

    rank: int = 0
    world: int
    rendezvous: str
    precision: str
    threads: int
    sizes: tuple[int, ...]
    rounds: int
    groups: tuple[tuple[Replica, ...], ...]


AnyJob = Count | Measure | DataParallel


def decode_job(line: str) -> AnyJob:
    """The job that the parent wrote."""
    return documents.decode(line, cast(type[AnyJob], AnyJob), "the job")


# --- the worker's end


@dataclass(slots=True)
class Events:
    """The way to the parent. As a context, it tells the parent what ended it, and lets nothing through.

    Attributes:
        descriptor: an open pipe.
        stage: the last that was begun.
    """

    descriptor: int
    stage: str = "start"

    def begin(self, stage: str) -> None:
        """Say what is done from here on."""
        self.stage = stage
        self.send(Stage())

    def send(self, event: Event) -> None:
        """One line, with the stage in it."""
        line = documents.encode(msgspec.structs.replace(event, stage=self.stage)) + "\n"
        left = memoryview(line.encode())
        while left:
            left = left[os.write(self.descriptor, left) :]

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, ZenplanError):
            self.send(
                Error(
                    message=error.message,
                    hint=error.hint,
                    exit_code=error.exit_code,
                    kind=error.kind,
                    type=error.type,
                )
            )
        elif error is not None:
            self.send(described(error))
        return True


def described(error: BaseException) -> Raised:
    """The exception for a reader: its class, what it says (its first line), and the last place outside of libraries."""
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    names = {kind.__name__ for kind in type(error).__mro__}
    return Raised(
        type=type(error).__name__,
        text=says(error),
        module=str(error.name or "") if isinstance(error, ImportError) else "",
        place=_place(error),
        inside=not isinstance(error, ImportError | SyntaxError) and not (files and _is_users(files[-1])),
        kind=FailureKind.OUT_OF_MEMORY if names & _NO_MEMORY else FailureKind.RAISED,
    )


def says(error: BaseException) -> str:
    """The first line of what the exception says; of one that Keras has put words around, of what is within them."""
    # The place of a syntax error is told apart from what it says.
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    lines = [line.strip() for line in _STYLES.sub("", text).splitlines() if line.strip()]
    around = [i for i, line in enumerate(lines[:-1], 1) if line.startswith(_AROUND[0]) or line.endswith(_AROUND[1])]
    lines = lines[around[-1] :] if around else lines
    return (lines[0] if lines else "")[:_MOST_LETTERS]


def _place(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}"
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    # The user's own files: not zenplan's, not Python's, none that was installed.
    own = [(file, line) for file, line in frames if _is_users(file)]
    return f"{Path(own[-1][0]).name}:{own[-1][1]}" if own else ""


def _is_users(file: str) -> bool:
    library = file.startswith((_OURS, sys.base_prefix + os.sep + "lib", "<")) or "site-packages" in file
    return not library
