"""What the worker says to its parent: one JSON document a line, on a file descriptor of its own.

Events of any job: ``stage`` (it begins to import, build, count, compile or measure), ``error`` (one of zenplan's errors),
``raised`` (any other exception: its last line, and the place in the user's code). The last two end the job.

The job ``count`` is answered by ``count``, which ends it.

The job ``measure``::

    what       how errors call the model
    precision  as in ``domain.precision``; those that Keras has a policy for
    compiled   true or false, by XLA or torch.compile; null for what the builder or Keras chooses
    threads    of the host
    device     cpu or gpu
    points     [{key, role (``step``, ``operator``: stepped; ``program``: compiled alone), batch, model}]
    model      {kind: target, target, arguments, input_shapes}, {kind: config, config, input_shapes}, or
               {kind: blocks, ...} as ``standin_model`` takes it
    rounds     {least, most, seconds}: it ends after ``most``, or once ``least`` are done and steps took ``seconds``
    in_turn    false: all models are held, and each round steps every one; true: one is built, stepped, freed
    count      whether each model is counted

Its events, beside the stages; those of a point have its ``key``::

    machine    {device, kind, driver, threads, versions, compiled}: once, before those below
    count      {count}: where asked for
    built      {setup_s, program_bytes}: until it was warm; the bytes are null where no compiler tells
    peak       {bytes, how}: of the warm model, over what was in use before; null where nobody tells
    sample     {round, wall_s, cpu_s}: of one step
    failed     {reason}: it is left out from here on, the others go on
    done       the end
"""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from zenplan.errors import ZenplanError

_MOST_LETTERS = 500
# What Keras writes in a line before an exception of a layer, which it raises anew.
_AROUND = ("Exception encountered when calling", "Error encountered:")
_STYLES = re.compile(r"\x1b\[[0-9;]*m")
_OURS = str(Path(__file__).resolve().parents[1])


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
        self.send(event="stage")

    def send(self, **event: Any) -> None:
        """One line, with the stage in it."""
        line = json.dumps({"stage": self.stage, **event}, allow_nan=False) + "\n"
        left = memoryview(line.encode())
        while left:
            left = left[os.write(self.descriptor, left) :]

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, ZenplanError):
            self.send(event="error", message=error.message, hint=error.hint, exit_code=error.exit_code)
        elif error is not None:
            self.send(event="raised", **described(error))
        return True


def described(error: BaseException) -> dict[str, Any]:
    """The exception for a reader: its kind, what it says (its first line), and the last place outside of libraries.

    Returns:
        ``kind``; ``text``; ``module`` of an import that failed, else empty; ``place``, as in ``file.py:12``, empty
        where none of the user's code was running; ``inside``, whether a library raised it that is
        not Python's import.
    """
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    return {
        "kind": type(error).__name__,
        "text": says(error),
        "module": str(error.name or "") if isinstance(error, ImportError) else "",
        "place": _place(error),
        "inside": not isinstance(error, ImportError | SyntaxError) and not (files and _is_users(files[-1])),
    }


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
