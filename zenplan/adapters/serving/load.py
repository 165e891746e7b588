"""Requests over connections that stay open: clients that each ask again once they are answered, or requests at a rate.

``python -m zenplan.adapters.serving.load`` reads a ``Load`` a line as JSON, and writes what came of it. It is a process of
its own, so that its work is not the server's; without the server, or the one who started it, it ends.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, dataclass


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
        latency_s: of each answer, from when the request was due; wall_s: of all.
        refused: the first line of an answer that was none; empty where all were.
    """

    latency_s: list[float]
    wall_s: float
    refused: str = ""


_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Refused(Exception):
    """The server answered with another status than 200."""


async def put_on(load: Load) -> Loaded:
    """Do it. Raises OSError: there is no server."""
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


async def _answered(connection: _Connection, request: bytes) -> None:
    reader, writer = connection
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    body = await reader.readexactly(int(length.partition(b":")[2]))
    if not head.startswith(b"HTTP/1.1 200"):
        raise _Refused(f"{head.split(b' ')[1].decode()}: {body[:200].decode(errors='replace')}")


async def _clients(load: Load, found: list[float]) -> None:
    request, end = _request(load), time.perf_counter() + load.seconds

    async def client() -> None:
        connection = await asyncio.open_connection("127.0.0.1", load.port)
        while time.perf_counter() < end and len(found) < load.most:
            begin = time.perf_counter()
            await _answered(connection, request)
            found.append(time.perf_counter() - begin)
        connection[1].close()

    async with asyncio.TaskGroup() as group:
        for _ in range(load.clients):
            group.create_task(client())


async def _paced(load: Load, found: list[float]) -> None:
    request, free, draw = _request(load), list[_Connection](), random.Random(0)  # noqa: S311 (arrivals are no secret)

    async def ask(due: float) -> None:
        connection = free.pop() if free else await asyncio.open_connection("127.0.0.1", load.port)
        await _answered(connection, request)
        found.append(time.perf_counter() - due)
        free.append(connection)

    due = time.perf_counter()
    end = due + load.seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(load.most):
            due += draw.expovariate(load.rate_per_s)
            if due > end:
                return
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(ask(due))


def main() -> None:
    """Each line of stdin, until its end."""
    for line in sys.stdin:
        found = asyncio.run(put_on(Load(**json.loads(line))))
        sys.stdout.write(f"{json.dumps(asdict(found))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
