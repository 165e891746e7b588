"""TensorBoard: scalars in an event file in the run's folder, written without any library of its.

An event file is a row of records; a record is its length, a checksum of that, a message of protocol buffers, a checksum
of that (https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/lib/io/record_writer.h; the message is
``Event`` of tensorflow/core/util/event.proto).
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

from zenplan.domain.measured.tracked_run import TrackedRun

FOLDER = "tensorboard"
# CRC-32C (Castagnoli), its polynomial reversed; what is added to the rotated sum is TensorFlow's own.
_POLYNOMIAL, _ADDED = 0x82F63B78, 0xA282EAD8
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
# Fields of Event, Summary, Summary.Value and SessionLog.
_WALL_TIME, _STEP, _FILE_VERSION, _SUMMARY, _SESSION = 1, 2, 3, 5, 7
_VALUE, _TAG, _SIMPLE, _STATUS, _START = 1, 1, 2, 1, 1


@dataclass(frozen=True, slots=True)
class TensorBoard:
    """Writes for ``tensorboard --logdir``."""

    name: str = "tensorboard"

    def start(self, run: TrackedRun) -> EventFile:
        """A file of this start. Raises OSError: it cannot be written."""
        folder = Path(run.folder) / FOLDER
        folder.mkdir(exist_ok=True)
        now = time.time()
        path = folder / f"events.out.tfevents.{now:.0f}.{socket.gethostname()}.{os.getpid()}"
        file = EventFile(path.open("ab"), run.resumed)
        file.write(_bytes(_FILE_VERSION, b"brain.Event:2"))
        return file


@dataclass(slots=True)
class EventFile:
    """An event file that grows.

    Attributes:
        resumed: whether steps come once more: those that were logged before are then forgotten.
    """

    file: BinaryIO
    resumed: bool

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """The values, as scalars of their names."""
        if self.resumed:
            self.write(_number(_STEP, step) + _bytes(_SESSION, _number(_STATUS, _START)))
            self.resumed = False
        found = b"".join(_bytes(_VALUE, _bytes(_TAG, n.encode()) + _float(_SIMPLE, v)) for n, v in values.items())
        self.write(_number(_STEP, step) + _bytes(_SUMMARY, found))

    def finish(self, state: str) -> None:
        """Close it."""
        self.file.close()

    def write(self, event: bytes) -> None:
        """An event of now."""
        message = _key(_WALL_TIME, _EIGHT) + struct.pack("<d", time.time()) + event
        length = struct.pack("<Q", len(message))
        self.file.write(length + _checked(length) + message + _checked(message))
        self.file.flush()


def _checked(data: bytes) -> bytes:
    crc = 0xFFFFFFFF
    table = _table()
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    rotated = ((crc >> 15) | (crc << 17)) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + _ADDED) & 0xFFFFFFFF)


@cache
def _table() -> tuple[int, ...]:
    found = []
    for number in range(256):
        crc = number
        for _ in range(8):
            crc = (crc >> 1) ^ (_POLYNOMIAL if crc & 1 else 0)
        found.append(crc)
    return tuple(found)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _key(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _number(field: int, number: int) -> bytes:
    return _key(field, _VARINT) + _varint(number)


def _float(field: int, number: float) -> bytes:
    return _key(field, _FOUR) + struct.pack("<f", number)


def _bytes(field: int, data: bytes) -> bytes:
    return _key(field, _BYTES) + _varint(len(data)) + data
