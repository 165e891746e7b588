"""``python -m zenplan.worker``: one job, read as a line of JSON from stdin; see ``protocol`` for what it answers."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from zenplan.worker.counting.keras_file import read_keras_config
from zenplan.worker.protocol import AnyJob, Count, Counted, DataParallel, Done, Events, File, Measure, decode_job


def do(job: AnyJob, events: Events) -> None:
    """Do the job, whichever it is."""
    if isinstance(job, Count):
        _count(job, events)
    elif isinstance(job, Measure):
        _measure(job, events)
    else:
        _data_parallel(job, events)


def _count(job: Count, events: Events) -> None:
    """Count a model, layer by layer, and send the count."""
    wanted, config = job.model, dict[str, Any]()
    if isinstance(wanted, File):
        events.begin("read")
        # One that is refused is refused at once: before a framework is imported.
        config = read_keras_config(wanted.path)
        events.begin("start")
    # Keras takes its backend from the environment at its first import: not before the job is known.
    from zenplan.worker.counting.count import count_model
    from zenplan.worker.counting.load import configured_model, imported_model, weightless, with_inputs

    shapes = wanted.input_shapes
    with weightless(not job.values):
        if isinstance(wanted, File):
            model = configured_model(config, events)
        else:
            model = imported_model(wanted.target, events, wanted.arguments)
        if shapes and not getattr(model, "inputs", None):
            with_inputs(model, shapes)
        events.begin("count")
        counted = count_model(model, job.batch, shapes)
    events.send(Counted(count=counted))


def _measure(job: Measure, events: Events) -> None:
    """Step models and time them; each sample is sent as it comes."""
    from zenplan.worker.measuring.machine import confined

    # Before a framework is imported, which starts threads.
    threads = confined(job.threads)
    from zenplan.worker.measuring.measure import measure_points

    measure_points(job, threads, events)
    events.send(Done())


def _data_parallel(job: DataParallel, events: Events) -> None:
    """Step models as one of several ranks, and time them."""
    from zenplan.worker.measuring.machine import own_cores

    # Before a framework is imported, which starts threads.
    own_cores(job.rank, job.world, job.threads)
    from zenplan.worker.measuring.data_parallel import measure_together

    measure_together(job, events)
    events.send(Done())


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
