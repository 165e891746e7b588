"""An answer piece by piece: unpacked in small steps, so that no answer is larger in memory than its reader allows."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Final

import httpx

from zenplan import units
from zenplan.errors import DataError

_PIECE_BYTES: Final = 1 << 16
# A server that has sent less than this by then keeps us waiting on purpose, or might as well.
_SLOW_S, _SLOW_BYTES_PER_S = 20.0, 100.0
_GZIP: Final = 31


class CutOff(Exception):
    """The answer ended before its end."""


def pieces(response: httpx.Response, most_bytes: float, where: str) -> Iterator[bytes]:
    """The body, unpacked, in pieces of at most 64 KiB.

    Raises:
        DataError: it is larger, is packed in another way than gzip, or comes too slowly.
        CutOff: it ends before its end.
    """
    too_large = DataError(f"{where} answers with more than {units.size(most_bytes)}", "it is not what was asked for")
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "", "gzip", "x-gzip"):
        raise DataError(f"{where} answers in {coding[:20]}, which was not asked for")
    # What is packed is no smaller unpacked.
    stated = response.headers.get("content-length", "")
    if stated.isdecimal() and int(stated[:20]) > most_bytes:
        raise too_large
    # As it comes: with a size, httpx keeps back what has come until there is that much, and no trickle would be seen.
    raw = _in_time(response.iter_raw(), where)
    taken = 0
    for piece in _unpacked(raw, where) if "gzip" in coding else _cut(raw):
        taken += len(piece)
        if taken > most_bytes:
            raise too_large
        yield piece


def _in_time(raw: Iterator[bytes], where: str) -> Iterator[bytes]:
    """The same, as long as it does not trickle. Time that the reader takes does not count."""
    waited_s, taken = 0.0, 0
    while True:
        asked = monotonic()
        piece = next(raw, None)
        if piece is None:
            return
        waited_s += monotonic() - asked
        taken += len(piece)
        if waited_s > _SLOW_S and taken < waited_s * _SLOW_BYTES_PER_S:
            raise DataError(
                f"{where} sends {taken / waited_s:.0f} bytes a second, which is too slow", "try again later"
            )
        yield piece


def _cut(raw: Iterable[bytes]) -> Iterator[bytes]:
    for data in raw:
        for start in range(0, len(data), _PIECE_BYTES):
            yield data[start : start + _PIECE_BYTES]


def _unpacked(raw: Iterable[bytes], where: str) -> Iterator[bytes]:
    """What gzip holds, one member after another."""
    member = zlib.decompressobj(_GZIP)
    begun = False
    try:
        for data in raw:
            while data:
                begun = True
                yield member.decompress(data, _PIECE_BYTES)
                data = member.unconsumed_tail
                if member.eof:
                    data, member, begun = member.unused_data, zlib.decompressobj(_GZIP), False
        # What the last piece had no room for.
        yield member.flush()
    except zlib.error as error:
        raise DataError(f"{where} answers with what is no gzip, though it says so") from error
    if begun and not member.eof:
        raise CutOff
