"""The worker's end of the line: events are sent, and what ends a job is told."""

from __future__ import annotations

import os
import re
import sys
import threading
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import msgspec

from zenplan import documents
from zenplan.errors import FailureKind, InputFileError, ZenplanError
from zenplan.worker.protocol.events import Error, Event, Raised, Stage

_MOST_LETTERS = 500
# What Keras writes in a line before an exception of a layer, which it raises anew.
_AROUND = ("Exception encountered when calling", "Error encountered:")
_STYLES = re.compile(r"\x1b\[[0-9;]*m")
_OURS = str(Path(__file__).resolve().parents[2])
_NO_MEMORY = {"MemoryError", "OutOfMemoryError", "ResourceExhaustedError"}


@dataclass(slots=True)
class Events:
    """The way to the parent. As a context, it tells the parent what ended it, and lets nothing through.

    Attributes:
        descriptor: an open pipe.
        stage: the last that was begun.
    """

    descriptor: int
    stage: str = "start"
    # Threads send, too: a pipe that is full takes part of a line, and then another's.
    _one: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def begin(self, stage: str) -> None:
        """Say what is done from here on."""
        self.stage = stage
        self.send(Stage())

    def send(self, event: Event) -> None:
        """One line, with the stage in it."""
        line = documents.encode(msgspec.structs.replace(event, stage=self.stage)) + "\n"
        left = memoryview(line.encode())
        with self._one:
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
                    file=isinstance(error, InputFileError),
                )
            )
        elif error is not None:
            self.send(described(error))
        return True


def described(error: BaseException) -> Raised:
    """The exception for a reader: its class, what it says (its first line), and the last place outside of libraries."""
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    return Raised(
        type=type(error).__name__,
        text=says(error),
        module=str(error.name or "") if isinstance(error, ImportError) else "",
        place=_place(error),
        inside=not isinstance(error, ImportError | SyntaxError) and not (files and _is_users(files[-1])),
        kind=FailureKind.OUT_OF_MEMORY if lacks_memory(error) else FailureKind.RAISED,
    )


def lacks_memory(error: BaseException) -> bool:
    """Whether it is of a class by which Python or a framework says that memory was not enough."""
    return not _NO_MEMORY.isdisjoint(kind.__name__ for kind in type(error).__mro__)


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
