"""The plugin border: calls code that is not ours, and answers whatever that code does.

A plugin may raise anything at all, exit, print, or never come back: each becomes a reason of one line. One that never
comes back is left alone in its thread, which ends with the program. Native code that keeps the interpreter to itself,
or that ends the process, cannot be stopped.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TextIO, TypeVar, cast

from zenplan.errors import ZenplanError, printable

TIMEOUT_S: Final = 5.0
_MOST_LETTERS: Final = 300

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[T]):
    """What came of a call: a value, or in one line why there is none.

    Attributes:
        reason: empty where there is a value (which may be None).
        given_up: there was no answer in time; the call may still be running.
    """

    value: T | None = None
    reason: str = ""
    given_up: bool = False


def attempt(work: Callable[[], T], timeout_s: float | None) -> Outcome[T]:
    """The outcome of ``work()``. A KeyboardInterrupt of the user's own is passed on; nothing else is.

    Args:
        work: what to call, plugin code included.
        timeout_s: how long to wait for it, in a thread that writes to stderr what it has for stdout; None for
            zenplan's own code, which is called directly.
    """
    if timeout_s is None:
        return _outcome(work)
    found: list[Outcome[T]] = []
    # A daemon: a plugin that hangs must not keep the program from ending.
    thread = threading.Thread(target=lambda: found.append(_outcome(work)), name="zenplan-plugin", daemon=True)
    stdout, sys.stdout = sys.stdout, cast(TextIO, _StdoutWithout(sys.stdout, thread))
    thread.start()
    thread.join(timeout_s)
    if not found:
        return Outcome(reason=f"no answer within {timeout_s:g} s", given_up=True)
    sys.stdout = stdout
    return found[0]


def one_line(text: str) -> str:
    """The text on one line, without control characters, and not longer than a few lines of a terminal."""
    plain = " ".join(printable(text, " ").split())
    return plain if len(plain) <= _MOST_LETTERS else f"{plain[: _MOST_LETTERS - 1]}…"


def _outcome(work: Callable[[], T], explained: bool = True) -> Outcome[T]:
    try:
        return Outcome(value=work())
    except BaseException as error:
        # The user's own Ctrl-C reaches the main thread only; in any other, a plugin raised it.
        if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            raise
        # The error is the plugin's own too: its text can raise as well.
        text = _outcome(partial(_text, error), explained=False).value if explained else ""
        kind = type(error).__name__
        return Outcome(reason=(text if isinstance(error, ZenplanError) else f"{kind}: {text}") if text else kind)


def _text(error: BaseException) -> str:
    return one_line(str(error))


class _StdoutWithout:
    """stdout, except for one thread, which has stderr: stdout is the answer; what a plugin says is progress at best."""

    def __init__(self, stream: TextIO, thread: threading.Thread) -> None:
        self._stream = stream
        self._thread = thread

    def write(self, text: str) -> int:
        """Write to whichever stream the calling thread has."""
        stream = self._own()
        # A stream that was closed before the program started is None, and takes nothing.
        return stream.write(text) if stream else len(text)

    def close(self) -> None:
        """Nothing: the stream is not the plugin's to close."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own(), name)

    def _own(self) -> TextIO | None:
        return sys.stderr if threading.current_thread() is self._thread else self._stream
