"""What Flower's apps, which are processes of their own, ask of the worker that started them: calls over a local socket.

A call and its answer are a length in eight bytes and a document of MessagePack: nothing in them is run.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
from zenplan.worker.training.prepared import Array

# The variable that names the socket.
VARIABLE = "ZENPLAN_FEDERATION"
BEGIN, TRAIN, AVERAGED, EVALUATE, DONE = "begin", "train", "averaged", "evaluate", "done"
HERE = "here"
_HEAD = struct.Struct(">Q")
_MOST_BYTES = 1 << 36


class Packed(msgspec.Struct, frozen=True):
    """An array."""

    kind: str
    shape: tuple[int, ...]
    data: bytes


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked.

    Attributes:
        what: ``begin`` a run; ``train`` a client; say which were ``averaged``; ``evaluate``; the run is ``done``. The server
            is ``here`` for as long as the connection that says so is open.
        averaged, left_out: clients of a round.
        numbers: what is told besides.
    """

    what: str
    client: int = -1
    round: int = 0
    arrays: list[Packed] = []
    averaged: list[int] = []
    left_out: list[int] = []
    numbers: dict[str, float] = {}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered; ``dropped``: the client fails in this round."""

    arrays: list[Packed] = []
    numbers: dict[str, float] = {}
    dropped: bool = False


def packed(arrays: list[Array]) -> list[Packed]:
    """Arrays as they are sent."""
    return [Packed(a.dtype.str, a.shape, np.ascontiguousarray(a).tobytes()) for a in arrays]


def unpacked(found: list[Packed]) -> list[Array]:
    """Arrays as they were. Raises ValueError: what came is none."""
    kinds = [np.dtype(each.kind) for each in found]
    if any(kind.hasobject for kind in kinds):
        raise ValueError("an array of objects")
    return [np.frombuffer(e.data, kind).reshape(e.shape) for e, kind in zip(found, kinds, strict=True)]


def send(connection: socket.socket, document: Call | Answer) -> None:
    """One document."""
    text = msgspec.msgpack.encode(document)
    connection.sendall(_HEAD.pack(len(text)) + text)


def receive_call(connection: socket.socket) -> Call:
    """One call. Raises ConnectionError: it breaks off; msgspec.ValidationError: it is none."""
    return msgspec.msgpack.decode(_document(connection), type=Call)


def ask(path: str | Path, call: Call) -> Answer:
    """The worker's answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        send(connection, call)
        return msgspec.msgpack.decode(_document(connection), type=Answer)


@contextmanager
def being_here(path: str | Path) -> Iterator[None]:
    """Within it the worker knows that this process lives: the system closes the connection of one that does not."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        send(connection, Call(what=HERE))
        yield


def is_gone(connection: socket.socket) -> bool:
    """Whether the process at the other side has closed it; it says nothing more while it is here."""
    connection.setblocking(False)
    try:
        return not connection.recv(1)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def _document(connection: socket.socket) -> bytes:
    (length,) = _HEAD.unpack(_exactly(connection, _HEAD.size))
    if length > _MOST_BYTES:
        raise ConnectionError(f"a document of {length:,} bytes")
    return _exactly(connection, length)


def _exactly(connection: socket.socket, count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        some = connection.recv(min(count - len(found), 1 << 20))
        if not some:
            raise ConnectionError("the other side broke off")
        found += some
    return bytes(found)
