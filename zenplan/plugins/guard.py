"""The plugin border: calls code that is not ours, and answers whatever that code does.

A plugin may raise anything at all, exit, print, or never come back. ``attempt`` turns each of these into a
reason of one line. What it cannot stop is native code that keeps the interpreter to itself, or that ends
the process.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, Generic, TextIO, TypeVar, cast

from zenplan.errors import ZenplanError

TIMEOUT_S: Final = 5.0
_MOST_LETTERS: Final = 300

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[T]):
    """What came of a call: a value, or in one line why there is none.

    Attributes:
        reason: empty where there is a value (which may be None).
        given_up: there was no answer in time; the call may still be running.
        elapsed_s: wall time until there was an answer, or until we stopped waiting for one.
    """

    value: T | None
    reason: str = ""
    given_up: bool = False
    elapsed_s: float = 0.0


def attempt(work: Callable[[], T], timeout_s: float | None) -> Outcome[T]:
    """The outcome of ``work()``. A KeyboardInterrupt of the user's own is passed on; nothing else is.

    Args:
        work: what to call, plugin code included.
        timeout_s: how long to wait for it, in a thread that is then left alone, with stdout sent to stderr;
            None for zenplan's own code, which is called directly.
    """
    start = perf_counter()
    answer = _run(work) if timeout_s is None else _run_in_thread(work, timeout_s)
    value, reason = answer or (None, f"no answer within {timeout_s:g} s")
    return Outcome(value=value, reason=reason, given_up=answer is None, elapsed_s=perf_counter() - start)


def one_line(text: str) -> str:
    """The text on one line, without control characters, and not longer than a few lines of a terminal."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    plain = " ".join(plain.split())
    return plain if len(plain) <= _MOST_LETTERS else f"{plain[: _MOST_LETTERS - 1]}…"


def _run(work: Callable[[], T]) -> tuple[T | None, str]:
    value, error = _caught(work)
    if error is None:
        return value, ""
    # The error is the plugin's own too: its text can raise as well.
    text, trouble = _caught(lambda: one_line(str(error)))
    kind = type(error).__name__
    if not text or trouble:
        return None, kind
    return None, text if isinstance(error, ZenplanError) else f"{kind}: {text}"


def _caught(work: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    try:
        return work(), None
    except KeyboardInterrupt as error:
        # The user's own Ctrl-C reaches the main thread only; in any other, a plugin raised it.
        if threading.current_thread() is threading.main_thread():
            raise
        return None, error
    except BaseException as error:  # noqa: BLE001 - the plugin border: a plugin raises whatever it likes
        return None, error


def _run_in_thread(work: Callable[[], T], timeout_s: float) -> tuple[T | None, str] | None:
    answer: list[tuple[T | None, str]] = []
    # A daemon: a plugin that hangs must not keep the program from ending.
    thread = threading.Thread(target=lambda: answer.append(_run(work)), name="zenplan-plugin", daemon=True)
    # stdout is the answer; what a plugin says is progress at best.
    with redirect_stdout(sys.stderr):
        thread.start()
        thread.join(timeout_s)
    if answer:
        return answer[0]
    sys.stdout = cast(TextIO, _StdoutWithout(sys.stdout, thread))
    _stop(thread)
    return None


def _stop(thread: threading.Thread) -> None:
    """Ask the thread to exit. One that loops would otherwise take its share of every second from us."""
    import ctypes

    # It is heard between two steps of Python code; one that sleeps hears it when it wakes up.
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))


class _StdoutWithout:
    """stdout, except for a thread that was given up and may still print: that goes to stderr."""

    def __init__(self, stream: TextIO, thread: threading.Thread) -> None:
        self._stream = stream
        self._thread = thread

    def write(self, text: str) -> int:
        """Write to whichever stream the calling thread has."""
        given_up = threading.current_thread() is self._thread
        return (sys.stderr if given_up else self._stream).write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
