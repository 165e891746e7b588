"""What Flower's processes and the worker say to each other arrives as it was, and what is none is not taken."""

from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest

from zenplan_flower import wire


def test_arrays_arrive_as_they_were() -> None:
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(2.5), np.empty((0, 4), np.int64)]
    found = wire.unpacked(wire.packed(arrays))
    assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(arrays, found, strict=True))
    strided = np.arange(6.0).reshape(2, 3).T
    assert np.array_equal(wire.unpacked(wire.packed([strided]))[0], strided)


def test_a_call_is_answered(tmp_path: Path) -> None:
    path = tmp_path / "worker"
    large = [np.random.default_rng(0).normal(size=500_000)]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        heard: list[wire.Call] = []

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                heard.append(wire.receive_call(connection))
                wire.send(connection, wire.Answer(arrays=heard[0].arrays, numbers={"num-examples": 3.0}))

        thread = threading.Thread(target=serve)
        thread.start()
        answer = wire.ask(path, wire.Call(what=wire.TRAIN, client=2, round=5, arrays=wire.packed(large)))
        thread.join()
    assert (heard[0].what, heard[0].client, heard[0].round) == ("train", 2, 5)
    assert answer.numbers == {"num-examples": 3.0}
    assert np.array_equal(wire.unpacked(answer.arrays)[0], large[0])


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"", ConnectionError),
        (struct.pack(">Q", 100) + b"short", ConnectionError),
        (struct.pack(">Q", 1 << 60), ConnectionError),
        (struct.pack(">Q", 4) + b"\xff\xff\xff\xff", msgspec.DecodeError),
        (struct.pack(">Q", 1) + b"\x80", msgspec.ValidationError),
    ],
)
def test_what_is_no_call_is_not_taken(sent: bytes, error: type[Exception]) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            theirs.sendall(sent)
        with pytest.raises(error):
            wire.receive_call(ours)


def test_objects_are_not_unpacked() -> None:
    with pytest.raises(ValueError, match="objects"):
        wire.unpacked([wire.Packed("|O", (1,), b"12345678")])
