"""The plugin border: calls code that is not ours, and answers whatever that code does.

A plugin may raise anything at all, exit, print, or never come back: each becomes a reason of one line. One that never
comes back is left alone in its thread, which ends with the program. What others rely on of the process, and a plugin
changes, is put back. Native code that keeps the interpreter to itself, or that ends the process, cannot be stopped.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue
from time import monotonic
from typing import Any, Final, Generic, NoReturn, TextIO, TypeVar, cast

from zenplan.errors import ZenplanError, printable

TIMEOUT_S: Final = 5.0
_MOST_LETTERS: Final = 300

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[T]):
    """What came of a call: a value, or in one line why there is none.

    Attributes:
        reason: empty where there is a value (which may be None).
        traceback: of what was raised; empty unless it was asked for.
        given_up: there was no answer in time; the call may still be running.
        changed: what of the process was changed, and is put back.
    """

    value: T | None = None
    reason: str = ""
    traceback: str = ""
    given_up: bool = False
    changed: tuple[str, ...] = ()


class _PluginThread(threading.Thread):
    """A thread that runs code that is not ours. A daemon: a plugin that hangs must not keep the program from ending."""

    def __init__(self, name: str, target: Callable[[], object]) -> None:
        super().__init__(name=name, target=target, daemon=True)


def attempt(
    work: Callable[[], T], timeout_s: float | None, *, watched: bool = False, traced: bool = False
) -> Outcome[T]:
    """The outcome of ``work()``. A KeyboardInterrupt of the user's own is passed on; nothing else is.

    Args:
        work: what to call, plugin code included.
        timeout_s: how long to wait for it, in a thread that writes to stderr what it has for stdout; None for
            zenplan's own code, which is called directly.
        watched: put back what it changes of the process.
        traced: keep the traceback.
    """
    if timeout_s is None:
        return _outcome(work, traced)
    found: list[Outcome[T]] = []
    changed: list[str] = []
    routed = _route()
    put_back = _keeper(changed) if watched else _nothing

    def kept() -> T:
        try:
            return work()
        finally:
            put_back()

    thread = _PluginThread("zenplan-plugin", lambda: found.append(_outcome(kept, traced)))
    thread.start()
    thread.join(timeout_s)
    if not found:
        put_back()
        return Outcome(reason=f"no answer within {timeout_s:g} s", given_up=True, changed=tuple(changed))
    routed.leave()
    return replace(found[0], changed=tuple(changed)) if changed else found[0]


def _keeper(changed: list[str]) -> Callable[[], None]:
    """What puts back, once, what has changed from here on, and adds what it was to the list."""
    from zenplan.plugins.surroundings import surroundings

    before, first = surroundings(), threading.Lock()

    def put_back() -> None:
        # A call that was given up may end much later: what is so by then is as others want it.
        if first.acquire(blocking=False):
            changed.extend(before.put_back())

    return put_back


def _nothing() -> None:
    pass


def one_line(text: str) -> str:
    """The text on one line, without control characters, and not longer than a few lines of a terminal."""
    plain = " ".join(printable(text, " ").split())
    return plain if len(plain) <= _MOST_LETTERS else f"{plain[: _MOST_LETTERS - 1]}…"


def _outcome(work: Callable[[], T], traced: bool = False, explained: bool = True) -> Outcome[T]:
    try:
        return Outcome(value=work())
    except BaseException as error:
        # The user's own Ctrl-C reaches the main thread only; in any other, a plugin raised it.
        if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            raise
        # The error is the plugin's own too: its text can raise as well.
        text = _outcome(partial(_text, error), explained=False).value if explained else ""
        kind = one_line(type(error).__name__)
        reason = (text if isinstance(error, ZenplanError) else f"{kind}: {text}") if text else kind
        where = _outcome(partial(_traceback, error), explained=False).value if traced else ""
        return Outcome(reason=reason, traceback=where or "")


def _text(error: BaseException) -> str:
    return one_line(str(error))


def _traceback(error: BaseException) -> str:
    from traceback import format_exception

    lines = "".join(format_exception(error)).splitlines()
    return "\n".join(printable(line, " ") for line in lines) + "\n"


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
        self._thread = _PluginThread(name, self._go)
        self._routed = _route()
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
        if not self._thread.is_alive():
            self._routed.leave()

    def _go(self) -> None:
        while (work := self._calls.get()) is not None and not self._reason:
            self._since = monotonic()
            outcome = _outcome(work)
            self._since = None
            self._reason = self._reason or outcome.reason


class _Routed:
    """stdout, except for threads of plugins, which have stderr: stdout is the answer; what a plugin says is progress at
    best. While it is in place, such a thread that ends the process ends itself alone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._exit, self._process = os._exit, os.getpid()
        self.calls = 0

    def write(self, text: str) -> int:
        """Write to whichever stream the calling thread has."""
        stream = self._own()
        # A stream that was closed before the program started is None, and takes nothing.
        return stream.write(text) if stream else len(text)

    def close(self) -> None:
        """Nothing: the stream is not the plugin's to close."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own(), name)

    def leave(self) -> None:
        """A call is over. After the last one stdout is what it was."""
        with _LOCK:
            self.calls -= 1
            if self.calls == 0:
                os._exit = self._exit
                if cast(object, sys.stdout) is self:
                    sys.stdout = self._stream

    def exit(self, status: int) -> NoReturn:
        """In place of ``os._exit``. A process that was forked off does end."""
        if os.getpid() == self._process and isinstance(threading.current_thread(), _PluginThread):
            raise SystemExit(f"it ended the process with {status}")
        self._exit(status)

    def _own(self) -> TextIO | None:
        return sys.stderr if isinstance(threading.current_thread(), _PluginThread) else self._stream


_LOCK: Final = threading.Lock()


def _route() -> _Routed:
    """stdout for a call that begins; ``leave`` ends it. A call that was given up never ends."""
    with _LOCK:
        routed = cast(object, sys.stdout)
        if not isinstance(routed, _Routed):
            routed = _Routed(sys.stdout)
            sys.stdout = cast(TextIO, routed)
            os._exit = routed.exit
        routed.calls += 1
        return routed
