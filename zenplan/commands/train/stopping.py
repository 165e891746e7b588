"""What ends a run before its end: signals, a cloud's notice, its limits; and the exit code that each has."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType, MappingProxyType
from typing import Final

from zenplan.domain.measured.training_run import FAILED, FINISHED, PREEMPTED, STOPPED
from zenplan.planning.watch.limits import MAX_HOURS, MAX_USD

SIGINT, SIGTERM, PREEMPTION, DIVERGED = "sigint", "sigterm", "preempted", "diverged"
# 'zenplan stop': an order in the run's folder.
ORDERED: Final = "zenplan stop"
# A trial of a search that others leave behind.
BEHIND: Final = "behind"
# Of launchers: try again later (EX_TEMPFAIL of sysexits.h).
_TRY_AGAIN: Final = 75
# The worker's reason for an end, or what ended it, to the run's state and exit code. ``terminated``: by a SIGTERM that
# reached the worker itself.
ENDS: Final[Mapping[str, tuple[str, int]]] = MappingProxyType(
    {
        "finished": (FINISHED, 0),
        "until_loss": (FINISHED, 0),
        "patience": (FINISHED, 0),
        BEHIND: (STOPPED, 0),
        MAX_USD: (STOPPED, 3),
        MAX_HOURS: (STOPPED, 3),
        ORDERED: (STOPPED, 3),
        SIGINT: (STOPPED, 130),
        SIGTERM: (STOPPED, 143),
        "terminated": (STOPPED, 143),
        PREEMPTION: (PREEMPTED, _TRY_AGAIN),
        DIVERGED: (FAILED, 1),
    }
)
_NAMES: Final = {signal.SIGINT: SIGINT, signal.SIGTERM: SIGTERM}


def why_of(reason: str) -> str:
    """What is said when a signal or an order ends a run."""
    if reason == ORDERED:
        return f"stopped by {ORDERED}: ending with a checkpoint"
    return f"{reason.upper()}: ending with a checkpoint; once more ends at once"


@contextmanager
def signals() -> Iterator[Callable[[], str]]:
    """A function that says which signal has come: ``sigint``, ``sigterm``, or empty.

    The first ends a run with a checkpoint. A second ends it at once: KeyboardInterrupt. Outside of the main thread,
    which alone is told of signals, there are none.
    """
    found: list[str] = []

    def hear(number: int, _frame: FrameType | None) -> None:
        if found:
            raise KeyboardInterrupt
        found.append(_NAMES[signal.Signals(number)])

    if threading.current_thread() is not threading.main_thread():
        yield lambda: ""
        return
    before = {number: signal.getsignal(number) for number in _NAMES}
    for number, handler in before.items():
        # What whoever started us wants ignored stays so.
        if handler != signal.SIG_IGN:
            signal.signal(number, hear)
    try:
        yield lambda: found[0] if found else ""
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
