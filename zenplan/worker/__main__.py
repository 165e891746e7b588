"""``python -m zenplan.worker``: one job, read as a line of JSON from stdin; see ``protocol`` for what it answers."""

from __future__ import annotations

import os
import sys
import threading

from zenplan.worker.jobs import do
from zenplan.worker.protocol import Events, decode_job


def _end_with_parent(descriptor: int) -> None:
    """Wait for the parent to close its end of stdin, which it does when it is gone; then leave at once."""
    while os.read(descriptor, 4096):
        pass
    os._exit(1)


def main() -> None:
    """Do the job; what goes wrong in it becomes an event."""
    job = decode_job(sys.stdin.readline())
    stdin = os.dup(0)
    # Code of the user's that reads from stdin finds it empty.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    threading.Thread(target=_end_with_parent, args=(stdin,), daemon=True).start()
    with Events(job.events) as events:
        events.begin("start")
        do(job, events)


main()
