"""Requests over connections that stay open: clients that each ask again once they are answered, or requests at a rate.

``python -m zenplan.adapters.serving.load`` reads a ``Load`` a line as JSON, and writes what came of it to descriptor 1. It
is a process of its own, so that its work is not the server's; without the server, or the one who started it, it ends.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, dataclass

import uvloop


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is asked of a server on loopback.

    Attributes:
        path, body: of each request, the latter JSON.
        clients: that ask again and again; or
        rate_per_s: at which requests come at random, each on a connection that is free.
        seconds, most: that it lasts, and requests, whichever is over first.
    """

    port: int
    path: str
    body: str
    clients: int = 0
    rate_per_s: float = 0.0
    seconds: float = 1.0
    most: int = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What came of it.

    Attributes:
        latency_s: of each answer, from when it was asked for; wall_s: of all.
        refused: the first line of an answer that was none; empty where all were.
    """

    latency_s: list[float]
    wall_s: float
    refused: str = ""


class _Refused(Exception):
    """The server answered with another status than 200."""


class _Connection(asyncio.Protocol):
    """One that stays open, with a request at a time: a client's own work must be little beside the server's."""

    def __init__(self) -> None:
        self._got, self._answer = b"", asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # of TCP it is one
        """As of asyncio."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """As of asyncio."""
        self._got += data
        head, between, body = self._got.partition(b"\r\n\r\n")
        if not between:
            return
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        if len(body) < int(length.partition(b":")[2]) or self._answer.done():
            return
        if head.startswith(b"HTTP/1.1 200"):
            self._answer.set_result(None)
        else:
            self._answer.set_exception(
                _Refused(f"{head.split(b' ')[1].decode()}: {body[:200].decode(errors='replace')}")
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """As of asyncio."""
        if not self._answer.done():
            self._answer.set_exception(_Refused("the connection was closed"))

    async def answered(self, request: bytes) -> None:
        """Ask, and wait for the whole answer."""
        self._got, self._answer = b"", asyncio.get_running_loop().create_future()
        if self._transport is not None:
            self._transport.write(request)
        await self._answer

    def close(self) -> None:
        """Nothing more is asked."""
        if self._transport is not None:
            self._transport.close()
        self._answer.cancel()


async def _connected(load: Load) -> _Connection:
    loop = asyncio.get_running_loop()
    _, found = await loop.create_connection(_Connection, "127.0.0.1", load.port)
    return found


def put_on(load: Load) -> Loaded:
    """Do it. Raises OSError: there is no server."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_put_on(load))


async def _put_on(load: Load) -> Loaded:
    begin, found, refused = time.perf_counter(), list[float](), ""
    try:
        await (_paced(load, found) if load.rate_per_s else _clients(load, found))
    except* _Refused as group:
        refused = str(group.exceptions[0])
    return Loaded(latency_s=found, wall_s=time.perf_counter() - begin, refused=refused)


def _request(load: Load) -> bytes:
    head = f"POST {load.path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: "
    body = load.body.encode()
    return f"{head}{len(body)}\r\n\r\n".encode() + body


async def _clients(load: Load, found: list[float]) -> None:
    request, end = _request(load), time.perf_counter() + load.seconds

    async def client() -> None:
        connection = await _connected(load)
        while time.perf_counter() < end and len(found) < load.most:
            begin = time.perf_counter()
            await connection.answered(request)
            found.append(time.perf_counter() - begin)
        connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(load.clients):
            group.create_task(client())


async def _paced(load: Load, found: list[float]) -> None:
    request, free, draw = _request(load), list[_Connection](), random.Random(0)  # noqa: S311 (arrivals are no secret)

    async def ask() -> None:
        connection = free.pop() if free else await _connected(load)
        begin = time.perf_counter()
        await connection.answered(request)
        found.append(time.perf_counter() - begin)
        free.append(connection)

    due = time.perf_counter()
    end = due + load.seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(load.most):
            due += draw.expovariate(load.rate_per_s)
            if due > end:
                return
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(ask())


def main() -> None:
    """Each line of stdin, until its end."""
    for line in sys.stdin:
        found = put_on(Load(**json.loads(line)))
        with open(1, "w", encoding="utf-8", closefd=False) as answers:
            answers.write(f"{json.dumps(asdict(found))}\n")


if __name__ == "__main__":
    main()
