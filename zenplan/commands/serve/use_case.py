"""``zenplan serve``: the model of a finished run behind HTTP."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from zenplan.adapters.corpus.preprocessing import TEXT, Preprocessor
from zenplan.adapters.serving.app import Gate, app_of
from zenplan.adapters.serving.batching import Batcher
from zenplan.adapters.serving.connections import listening
from zenplan.adapters.serving.drift import Monitor, features_of
from zenplan.adapters.serving.metrics import Metrics
from zenplan.adapters.serving.schema import Bounds, example_of
from zenplan.adapters.serving.server import Told, serve
from zenplan.adapters.serving.service import Service
from zenplan.adapters.serving.worker import ModelWorker
from zenplan.adapters.workers.process import backend_of
from zenplan.commands.serve.asked import Wanted
from zenplan.commands.serve.screen import Screen
from zenplan.commands.train.finished import FinishedRun
from zenplan.worker.protocol import Serve

# Of the machine's memory, that a worker may take where nothing is said.
_SHARE = 0.8


def serve_run(run: FinishedRun, wanted: Wanted, backend: str | None, screen: Screen) -> int | None:
    """Serve it until a signal comes; what it returns is as of ``adapters.serving.server.serve``.

    Args:
        run: whose model answers.
        wanted: how it is served.
        backend: to answer on; None for that of the run.
        screen: that is told how it goes.
    """
    service = service_of(run, wanted, backend, screen.line)
    bound = listening(wanted.host, wanted.port)
    host, port = bound.getsockname()[:2]
    url = f"http{'s' if wanted.tls else ''}://{f'[{host}]' if ':' in host else host}:{port}"
    gate = Gate(body_bytes=int(wanted.max_body_bytes), body_s=wanted.body_s, token=wanted.token)
    told = Told(
        ready=lambda: screen.ready(service, url, bool(wanted.token)),
        line=screen.line,
        status=lambda: screen.status(service),
    )
    with bound:
        return serve(app_of(service, gate, screen.line), service, bound, wanted.drain_s, told, wanted.tls)


def service_of(run: FinishedRun, wanted: Wanted, backend: str | None, tell: Callable[[str], None]) -> Service:
    """What answers with the run's model; nothing of it is started.

    Args:
        run, wanted, backend: as of ``serve_run``.
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
        example=example_of(reader, reader.decode),
    )
    batcher.seen = service.saw
    return service
