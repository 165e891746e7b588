"""What a run is asked for while it goes on: by a line on stdin, by stdin's end, by SIGTERM."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from types import FrameType

from zenplan.worker.protocol import decode_stop

TERMINATED, GONE = "terminated", "parent gone"
# In which a worker without a parent writes its checkpoint; one that hangs is not left behind.
_GRACE_S = 300.0
_LOOK_S = 0.01


@dataclass(slots=True)
class Wishes:
    """The parent's and the system's wishes, looked at between steps.

    Attributes:
        lines: of stdin; None is its end.
        patient: set while the end of stdin is waited for here; until then it ends the process.
        reason: for which the run is to end; empty while it is not.
        every, evaluate_every: steps between checkpoints, and between evaluations, where that is to change.
        gone: whether the parent is.
    """

    lines: SimpleQueue[str | None]
    patient: threading.Event
    reason: str = ""
    every: int | None = None
    evaluate_every: int | None = None
    gone: bool = False
    _terminated: list[bool] = field(default_factory=list)

    def listen(self) -> None:
        """From here on SIGTERM is a wish, and so is SIGINT, which some launchers send to every process."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._terminate)

    def begin(self) -> None:
        """From here on there is something to save when the parent is gone."""
        self.patient.set()

    def look(self) -> str:
        """The reason for which the run is to end by now; empty where there is none."""
        if self._terminated and not self.reason:
            self.reason = TERMINATED
        while not self.lines.empty():
            try:
                line = self.lines.get_nowait()
            except Empty:
                break
            if line is None:
                self.parent_gone()
                continue
            stop = decode_stop(line)
            if stop.checkpoint_every is not None:
                self.every = stop.checkpoint_every
            if stop.evaluate_every is not None:
                self.evaluate_every = stop.evaluate_every
            if stop.checkpoint_every is None and stop.evaluate_every is None and not self.reason:
                self.reason = stop.reason
        return self.reason

    def wait(self) -> None:
        """Until the parent has said something, or is gone, or SIGTERM has come."""
        while self.lines.empty() and not (self._terminated or self.gone or self.reason):
            time.sleep(_LOOK_S)

    def parent_gone(self) -> None:
        """Nobody hears any more: the run is to end, and not to take long."""
        if not self.gone:
            self.gone = True
            self.reason = self.reason or GONE
            threading.Thread(target=_end, daemon=True).start()

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self._terminated.append(True)


def _end() -> None:
    time.sleep(_GRACE_S)
    os._exit(1)
