"""What answers with a run's model, for whoever serves it or measures that."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from zenplan.adapters.corpus.preprocessing import TEXT, Preprocessor
from zenplan.adapters.serving.app import Gate
from zenplan.adapters.serving.batching import Batcher
from zenplan.adapters.serving.drift import Monitor, features_of
from zenplan.adapters.serving.metrics import Metrics
from zenplan.adapters.serving.schema import Bounds, example_of
from zenplan.adapters.serving.service import Service
from zenplan.adapters.serving.worker import ModelWorker
from zenplan.adapters.workers.process import backend_of
from zenplan.commands.run_serving.wanted import Wanted
from zenplan.commands.train.finished import FinishedRun
from zenplan.worker.protocol import Serve

# Of the machine's memory, that a worker may take where nothing is said.
_SHARE = 0.8


def service_of(run: FinishedRun, wanted: Wanted, backend: str | None, tell: Callable[[str], None]) -> Service:
    """What answers with the run's model; nothing of it is started.

    Args:
        run: whose model answers; wanted: how it is served.
        backend: to answer on; None for that of the run.
        tell: told a line each time that a worker has ended.

    Raises:
        InputFileError, DataError: its data cannot be read.
    """
    reader = Preprocessor.of(Path(run.job.data))
    threads = wanted.threads or run.job.threads
    what = f"run {run.id}"
    worker = ModelWorker(
        job=Serve(what=what, model=run.trained(), line=-1, batch=wanted.max_batch, threads=threads, end=reader.end),
        backend=backend_of(backend or run.backend, {}),
        memory_bytes=wanted.memory_bytes or _SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        time_s=wanted.time_s,
        tell=tell,
    )
    metrics = Metrics(wanted.usd_per_h)
    monitor = Monitor(features_of(reader), wanted.window, wanted.threshold)
    batcher = Batcher(
        worker=worker,
        batch=wanted.max_batch,
        wait_s=wanted.max_wait_s,
        most_waiting=wanted.queue,
        seen=lambda inputs, output, wall_s: None,
    )
    service = Service(
        name=f"{run.result.status.name} ({what})",
        reader=reader,
        decode=reader.decode,
        worker=worker,
        batcher=batcher,
        metrics=metrics,
        monitor=monitor,
        bounds=Bounds(samples=wanted.queue, tokens=wanted.max_tokens),
        time_s=wanted.time_s,
        most_texts=wanted.queue if reader.what == TEXT else 0,
        example=example_of(reader),
    )
    batcher.seen = service.saw
    return service


def gate_of(wanted: Wanted) -> Gate:
    """What requests to it have to pass."""
    return Gate(body_bytes=int(wanted.max_body_bytes), body_s=wanted.body_s, token=wanted.token)
