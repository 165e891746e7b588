"""A worker process: the job that its parent writes is done, and what goes wrong in it becomes an event."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue

from zenplan.worker.protocol import AnyJob, Events, decode_job


@dataclass(slots=True)
class Stdin:
    """What the parent writes: a job, and what comes after it.

    Attributes:
        lines: as they come; None is the end, where it is waited for.
        patient: set while its end does not end this process: a training run has a checkpoint to write.
    """

    lines: SimpleQueue[str | None] = field(default_factory=SimpleQueue)
    patient: threading.Event = field(default_factory=threading.Event)

    def read(self, descriptor: int) -> None:
        """Put each line on the queue. The parent closes its end when it is gone: then leave at once."""
        with os.fdopen(descriptor, encoding="utf-8") as lines:
            for line in lines:
                self.lines.put(line)
        if not self.patient.is_set():
            os._exit(1)
        self.lines.put(None)

    def job(self) -> AnyJob:
        """The next job."""
        return decode_job(self.lines.get() or "")


def serve(do: Callable[[AnyJob, Events, Stdin], None]) -> None:
    """Read the job and do it: the whole of a worker's program.

    Args:
        do: does the job, and those after it; what it raises becomes an event.
    """
    stdin = os.dup(0)
    # Code of the user's that reads from stdin finds it empty.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    given = Stdin()
    threading.Thread(target=given.read, args=(stdin,), daemon=True).start()
    job = given.job()
    with Events(job.events) as events:
        events.begin("start")
        do(job, events, given)
