"""The job ``serve``: a trained model that stays in its worker and answers requests.

Requests and answers go over a socket that the worker inherits, apart from the line of events: a frame is the length of
what follows, eight bytes with the least first, then MessagePack. Arrays are their bytes as they lie in memory.
"""

from __future__ import annotations

import socket
import struct
from typing import cast

import msgspec

from zenplan.errors import DataError
from zenplan.unions import Whole
from zenplan.worker.protocol.events import Event
from zenplan.worker.protocol.jobs import Job
from zenplan.worker.protocol.trained import Trained

LENGTH = struct.Struct("<Q")
# Far more than a batch has; what says it is longer is no frame.
MOST_FRAME_BYTES = 1 << 33


class Tensor(msgspec.Struct, frozen=True, array_like=True):
    """An array.

    Attributes:
        kind: of its numbers, as ``float32``.
        data: in the order of rows.
    """

    kind: str
    shape: tuple[Whole, ...]
    data: bytes


# --- requests


class Predict(msgspec.Struct, frozen=True, kw_only=True, tag="predict"):
    """Call the model with a batch.

    Attributes:
        inputs: by name, their first axis that of samples.
    """

    id: Whole
    inputs: dict[str, Tensor]


class Continue(msgspec.Struct, frozen=True, kw_only=True, tag="continue"):
    """Write tokens after others; several texts step together, each a token at a step.

    Attributes:
        tokens: that it goes on from, one at least.
        count: tokens that are wanted.
        temperature: that logits are divided by before a token is drawn; 0 for the likeliest.
        seed: of the draw.
    """

    id: Whole
    tokens: tuple[Whole, ...]
    count: Whole
    temperature: float
    seed: Whole


class Forget(msgspec.Struct, frozen=True, kw_only=True, tag="forget"):
    """Nobody waits for that text any more."""

    id: Whole


# --- answers


class Predicted(msgspec.Struct, frozen=True, kw_only=True, tag="predicted"):
    """What the model returned for a batch: of classes their probabilities.

    Attributes:
        wall_s: of the call.
    """

    id: Whole
    output: Tensor
    wall_s: float


class Stepped(msgspec.Struct, frozen=True, kw_only=True, tag="stepped"):
    """One more token of each text that is being written.

    Attributes:
        tokens: by the number of the request.
        ended: texts of which it was the last.
        wall_s: of the step.
    """

    tokens: dict[Whole, Whole]
    ended: tuple[Whole, ...]
    wall_s: float


Request = Predict | Continue | Forget
Reply = Predicted | Stepped


def framed(message: Request | Reply) -> bytes:
    """The frame of a message."""
    body = msgspec.msgpack.encode(message)
    return LENGTH.pack(len(body)) + body


def decode_request(body: bytes) -> Request:
    """The request that a parent wrote."""
    return msgspec.msgpack.decode(body, type=cast(type[Request], Request))


def decode_reply(body: bytes) -> Reply:
    """The reply that a worker wrote.

    Raises:
        DataError: it is none. The process that wrote it ran code that is not ours.
    """
    try:
        return msgspec.msgpack.decode(body, type=cast(type[Reply], Reply))
    except msgspec.MsgspecError as error:
        raise DataError("the worker wrote what is no reply") from error


def read_frame(connection: socket.socket) -> bytes:
    """What the next frame holds, waited for; empty at the end of the line."""
    head = _exactly(connection, LENGTH.size)
    return _exactly(connection, LENGTH.unpack(head)[0]) if head else b""


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = bytearray(size)
    view = memoryview(found)
    while view:
        count = connection.recv_into(view)
        if not count:
            return b""
        view = view[count:]
    return bytes(found)


# --- the job


class Serve(Job, frozen=True, kw_only=True, tag="serve"):
    """Open a trained model, tell ``Serving`` once it is warm, and answer requests until the line ends.

    Attributes:
        line: descriptor of the socket, which the worker inherits.
        batch: samples, or texts, of a call at most. Calls are padded to powers of two, so that few sizes are compiled.
        end: token after which a text is at its end; None for none.
    """

    model: Trained
    line: int
    batch: Whole = 32
    threads: Whole = 1
    end: Whole | None = None


class Serving(Event, frozen=True, kw_only=True, tag="serving"):
    """The model is warm, and requests are answered from here on.

    Attributes:
        length: tokens that it looks back on; 0 of a model that writes no text.
        outputs: numbers that it returns of a sample.
        setup_s: until then.
    """

    length: Whole = 0
    outputs: Whole = 1
    setup_s: float
