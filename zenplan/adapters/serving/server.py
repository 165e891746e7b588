"""The server: a socket, uvicorn, and the model's worker beside it; SIGTERM lets requests in flight finish."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import uvicorn
import uvloop
from starlette.types import ASGIApp

from zenplan.adapters.serving.connections import quiet_config
from zenplan.adapters.serving.drift import Feature, prediction_feature, training_inputs
from zenplan.adapters.serving.service import Service

# Of a connection on which nothing is asked.
_IDLE_S = 30
_BACKLOG, _LOOK_S = 2048, 1.0
# Samples of the training data that the model's usual answers are told by.
_REFERENCE: Final = 512


class Quiet(uvicorn.Server):
    """uvicorn's, that leaves signals to whoever runs it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None is."""
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is told of a server, for a screen.

    Attributes:
        ready: once, when the model is warm; line: a warning, or what has happened; status: now and then, where requests
            have come.
        every_s: between two of ``status``.
    """

    ready: Callable[[], None]
    line: Callable[[str], None]
    status: Callable[[], None]
    every_s: float = 10.0


def serve(
    app: ASGIApp,
    service: Service,
    bound: socket.socket,
    drain_s: float,
    told: Told,
    tls: tuple[str, str] | None = None,
) -> int | None:
    """Answer requests until a signal comes.

    Args:
        app: that answers, for the service; bound: the socket.
        drain_s: that requests in flight have after a signal.
        told: what is told of it.
        tls: files of a certificate and its key; None for plain HTTP.

    Returns:
        The signal, where requests were cut off after ``drain_s``; None where each had its answer.

    Raises:
        ZenplanError: the model's worker does not come to be ready.
    """
    # A request takes three quarters of the processor's time that it takes on Python's own loop.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(Quiet(config_of(app, service, drain_s, tls)), service, bound, told))


async def _serve(server: Quiet, service: Service, bound: socket.socket, told: Told) -> int | None:
    came = list[int]()
    loop = asyncio.get_running_loop()

    def leave(number: int) -> None:
        # A second one does not wait.
        server.force_exit = bool(came)
        came.append(number)
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave, number)
    service.worker.lost = service.batcher.drop
    keeping = asyncio.create_task(service.worker.keep())
    watching = asyncio.create_task(_watch(service, told))
    answering = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        await asyncio.wait({keeping, watching, answering}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            server.should_exit = server.force_exit = True
            await answering
            for task in (keeping, watching):
                if task.done():
                    task.result()
    finally:
        cut = service.metrics.cut or service.metrics.in_flight
        for task in (keeping, watching):
            task.cancel()
        await asyncio.gather(keeping, watching, return_exceptions=True)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    return came[0] if came and cut else None


def config_of(app: ASGIApp, service: Service, drain_s: float, tls: tuple[str, str] | None = None) -> uvicorn.Config:
    """That of a server for the service; arguments as of ``serve``."""
    most = service.batcher.most_waiting + 256
    return quiet_config(
        app,
        tls,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=max(1, round(drain_s)),
        backlog=_BACKLOG,
        limit_concurrency=most,
    )


async def _watch(service: Service, told: Told) -> None:
    """Tell what is to be told, at its time."""
    while service.worker.serving is None:
        await asyncio.sleep(0.02)
    if not service.writes:
        service.monitor.features = (*service.monitor.features, await _of_predictions(service))
    told.ready()
    drifted, shown, last = set[str](), 0, asyncio.get_running_loop().time()
    while True:
        await asyncio.sleep(_LOOK_S)
        for each in service.monitor.drifts():
            if each.drifted and each.name not in drifted:
                drifted.add(each.name)
                told.line(
                    f"{each.name} has drifted from the training data: population stability index {each.index:.2f}"
                    f" over the last {each.seen} observations"
                )
        now = asyncio.get_running_loop().time()
        if service.metrics.answered != shown and now - last >= told.every_s:
            shown, last = service.metrics.answered, now
            told.status()


async def _of_predictions(service: Service) -> Feature:
    """What the model answers for its training data."""
    import numpy as np

    inputs = training_inputs(service.reader, _REFERENCE)
    batch, outputs = service.batcher.batch, list[Any]()
    for first in range(0, len(next(iter(inputs.values()))), batch):
        output, _ = await service.worker.predict({name: each[first : first + batch] for name, each in inputs.items()})
        outputs.append(output)
    classes = len(service.reader.classes) or int(service.reader.data.get("classes") or 0)
    return prediction_feature(np.concatenate(outputs), classes)
