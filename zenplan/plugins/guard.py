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
from queue import SimpleQueue
from time import monotonic
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


class Aside:
    """Calls into code that is not ours, one after another in a thread of their own: nobody waits for them. The first that
    fails is the last.

    Args:
        name: of the thread.
        most: calls that may wait; one that does not keep up is given up.
    """

    def __init__(self, name: str, most: int) -> None:
        self._calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._most = most
        self._reason = ""
        self._since: float | None = None
        # A daemon: a plugin that hangs must not keep the program from ending.
        self._thread = threading.Thread(target=self._go, name=name, daemon=True)
        self._before, self._ours = sys.stdout, cast(TextIO, _StdoutWithout(sys.stdout, self._thread))
        sys.stdout = self._ours
        self._thread.start()

    def call(self, work: Callable[[], object]) -> None:
        """Call it after those before it. It is forgotten where one of them failed."""
        if self._calls.qsize() >= self._most:
            self._reason = self._reason or f"it does not keep up: {self._most:,} calls wait"
        if not self._reason:
            self._calls.put(work)

    def failure(self, patience_s: float) -> str:
        """Why no more is called; empty while there is no reason. A call that takes longer is given up."""
        since = self._since
        if not self._reason and since is not None and monotonic() - since > patience_s:
            self._reason = f"no answer within {patience_s:g} s"
        return self._reason

    def close(self, timeout_s: float) -> None:
        """Wait for what was called, but not for long; where something failed, not at all."""
        self._calls.put(None)
        self._thread.join(0.0 if self._reason else timeout_s)
        if self._thread.is_alive() and not self._reason:
            self._reason = f"it was not done within {timeout_s:g} s of the end"
        if sys.stdout is self._ours:
            sys.stdout = self._before

    def _go(self) -> None:
        while (work := self._calls.get()) is not None and not self._reason:
            self._since = monotonic()
            outcome = _outcome(work)
            self._since = None
            self._reason = self._reason or outcome.reason


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
