"""What a server on this machine takes: it is started here, and asked by another process."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace
from statistics import median

import numpy as np
import uvloop
from starlette.types import ASGIApp

from zenplan.adapters.serving.drift import training_inputs
from zenplan.adapters.serving.load import Load, Loaded
from zenplan.adapters.serving.schema import GENERATE, PREDICT
from zenplan.adapters.serving.server import Quiet, config_of
from zenplan.adapters.serving.service import Service
from zenplan.adapters.serving.worker import ModelWorker
from zenplan.domain.answer.run_serving import ServerTimes
from zenplan.errors import ZenplanError

Say = Callable[[str], None]
# Of calls of one size, and of requests of one kind: seconds, and the fewest of them.
_CALL_S, _LEAST, _LOAD_S = 0.5, 7, 1.5
# Tokens of a text that steps are timed by, and of its prompt; texts at most, of which some end early. A text of less than
# _TEXT_S is over before this process is scheduled once or twice: the next is twice as long, unless it ended by itself.
_TOKENS, _PROMPT, _MOST_TEXTS, _TEXT_S = 12, 4, 6, 0.1
_MOST_LINE, _LATE_S = 1 << 24, 120.0


def measured(app: ASGIApp, service: Service, bound: socket.socket, shared: bool, say: Say) -> ServerTimes:
    """Start the server, ask it, and end it.

    Args:
        app: that answers, for the service; bound: the socket.
        shared: whether server and model share the cores.
        say: told what is done.

    Raises:
        ZenplanError: the model's worker does not come to be ready, or a request is refused.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measured(app, service, bound, shared, say))


async def _measured(app: ASGIApp, service: Service, bound: socket.socket, shared: bool, say: Say) -> ServerTimes:
    say("opening the model")
    async with _running(app, service, bound), _client(bound.getsockname()[1]) as client:
        say("calls of each size")
        times = ServerTimes(
            calls_s=await (_steps if service.writes else _calls)(service),
            padded=service.worker.backend != "torch",
            request_s=0.0,
            batch_s=0.0,
            apart_s=0.0,
            wait_s=0.0 if service.writes else service.batcher.wait_s,
            shared=shared,
        )
        say("requests")
        return await (_of_texts if service.writes else _of_requests)(times, service, client)


@asynccontextmanager
async def _running(app: ASGIApp, service: Service, bound: socket.socket) -> AsyncIterator[None]:
    """The server, ready."""
    server = Quiet(config_of(app, service, 1.0))
    keeping = asyncio.create_task(service.worker.keep())
    answering = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        while service.worker.serving is None or not server.started:
            if keeping.done():
                keeping.result()
            await asyncio.sleep(0.02)
        yield
    finally:
        server.should_exit = server.force_exit = True
        keeping.cancel()
        await asyncio.gather(answering, keeping, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _Client:
    """A process that puts loads on the server."""

    process: asyncio.subprocess.Process
    port: int

    async def put(self, path: str, body: object, clients: int, seconds: float = _LOAD_S) -> Loaded:
        """That load, and what came of it. Raises ZenplanError: a request was refused."""
        load = Load(port=self.port, path=path, body=json.dumps(body), clients=clients, seconds=seconds)
        answer = b""
        if self.process.stdin is not None and self.process.stdout is not None:
            self.process.stdin.write(json.dumps(asdict(load)).encode() + b"\n")
            with suppress(TimeoutError):
                answer = await asyncio.wait_for(self.process.stdout.readline(), seconds + _LATE_S)
        if not answer:
            raise ZenplanError("the server could not be asked: the process that asks it ended, or hangs")
        found = Loaded(**json.loads(answer))
        if found.refused or not found.latency_s:
            raise ZenplanError(f"a request was refused: {found.refused or 'it took too long'}")
        return found


@asynccontextmanager
async def _client(port: int) -> AsyncIterator[_Client]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "zenplan.adapters.serving.load"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_MOST_LINE,
    )
    try:
        yield _Client(process, port)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _sizes(most: int) -> list[int]:
    """That a worker is called with: powers of two, and the most."""
    return sorted({*(1 << power for power in range(most.bit_length()) if 1 << power < most), most})


# --- predictions


async def _calls(service: Service) -> dict[int, float]:
    """Seconds of a call with each number of samples, one behind another as under a load: medians."""
    inputs, found = training_inputs(service.reader, service.batcher.batch), dict[int, float]()
    for size in _sizes(service.batcher.batch):
        some = {name: np.resize(each, (size, *each.shape[1:])) for name, each in inputs.items()}
        taken, end = list[float](), time.perf_counter() + _CALL_S

        async def call(some: dict[str, np.ndarray], taken: list[float], end: float) -> None:
            while time.perf_counter() < end or len(taken) < _LEAST:
                _, wall_s = await service.worker.predict(some)
                taken.append(wall_s)

        await asyncio.gather(call(some, taken, end), call(some, taken, end))
        found[size] = median(taken)
    return found


async def _of_requests(times: ServerTimes, service: Service, client: _Client) -> ServerTimes:
    """With what the server itself takes: of requests that come alone, and of many at once.

    Alone a request is a call of its own; together they share one. So two equations have the time of a request and of a call.
    """
    loads = []
    for clients in (1, 2 * times.max_batch):
        await client.put(PREDICT, service.example, clients, seconds=0.2)
        metrics, begin_s = service.metrics, time.process_time()
        batches, samples = metrics.batches, metrics.samples
        load = await client.put(PREDICT, service.example, clients)
        worked_s = (time.process_time() - begin_s) / len(load.latency_s)
        loads.append((load, worked_s, (metrics.samples - samples) / max(1, metrics.batches - batches)))
    (alone, alone_s, _), (_, together_s, size) = loads
    batch_s = min(alone_s, max(0.0, alone_s - together_s) / (1.0 - 1.0 / size)) if size > 1.0 else 0.0
    known_s = times.wait_s + times.call_s(1) + alone_s
    apart_s = max(0.0, median(alone.latency_s) - known_s)
    return replace(times, request_s=alone_s - batch_s, batch_s=batch_s, apart_s=apart_s)


# --- texts


async def _steps(service: Service) -> dict[int, float]:
    """Seconds of a step with each number of texts: means, for tokens come several at once where this process is late."""
    found, count = dict[int, float](), _TOKENS
    for size in _sizes(service.batcher.batch):
        taken_s, steps = 0.0, 0
        for seed in range(_MOST_TEXTS):
            text_s, made = await _written(service.worker, size, count, seed * size)
            taken_s, steps = taken_s + text_s, steps + made
            if steps >= _LEAST and taken_s >= _TEXT_S:
                break
            if text_s < _TEXT_S and made == count - 3:
                count *= 2
        if steps:
            found[size] = taken_s / steps
    return found


async def _written(worker: ModelWorker, size: int, count: int, seed: int) -> tuple[float, int]:
    """Seconds from the second token of the first text to that before its last, and steps in that time: until one ends."""
    at, alive = list[float](), [True] * size

    async def write(number: int) -> None:
        async with aclosing(worker.write([1] * _PROMPT, count, 1.0, seed + number)) as tokens:
            async for _, last in tokens:
                alive[number] = not last
                if not all(alive):
                    return
                if number == 0:
                    at.append(time.perf_counter())

    await asyncio.gather(*map(write, range(size)))
    return (at[-1] - at[1], len(at) - 2) if len(at) > 2 else (0.0, 0)


async def _of_texts(times: ServerTimes, service: Service, client: _Client) -> ServerTimes:
    """With the way of a request there and back, by texts of one token."""
    body = {**service.example, "max_tokens": 1}
    load = await client.put(GENERATE, body, 1)
    return replace(times, apart_s=max(0.0, median(load.latency_s) - times.call_s(1)))
