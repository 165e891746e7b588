"""Text files: a file is one document, read in pieces."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Final

from zenplan.adapters.data.encoding import Encoding
from zenplan.adapters.data.records import BadFile, Record
from zenplan.adapters.data.source import Source
from zenplan.adapters.data.walk import DataFile

_PIECE: Final = 1 << 17
# A character of UTF-8 goes on with up to three such bytes.
_MOST_MORE: Final = 3


class TextReader:
    """The document in a text file, in pieces of 128 kB; its records are pieces, of which the first begins it."""

    sequential = False
    columns: tuple[str, ...] = ("text",)
    count: int | None = 1

    def __init__(self, file: DataFile) -> None:
        self._source = Source(file, html=True)
        self.size = self._source.size

    def records(self, low: float = 0.0, high: float | None = None) -> Iterator[Record]:
        """Pieces that together are the text from ``low`` to ``high``, to whole characters."""
        most = float("inf") if high is None else high
        start = int(low)
        self._source.seek(start)
        decode = codecs.getincrementaldecoder("utf-8")()
        first = True
        while (place := self._source.at) < most:
            part = self._source.read(int(min(_PIECE, most - place)))
            if not part:
                break
            size = float(len(part))
            if first and start:
                part = part.lstrip(bytes(range(0x80, 0xC0))) if part[0] < 0xC0 and part[0] >= 0x80 else part
            text = self._decoded(decode, part, place)
            if first and not start:
                text = text.removeprefix("\ufeff")
            yield Record(place=f"byte {place}", size=size, row={"text": text}, begins=first and not start)
            first = False
        # What is cut in the middle of a character is well only where the text goes on.
        if decode.getstate()[0] and not self._source.read(_MOST_MORE):
            raise BadFile("text that ends within a character")

    def _decoded(self, decode: codecs.IncrementalDecoder, part: bytes, place: int) -> str:
        if b"\0" in part:
            raise BadFile(f"a binary file (byte {place + part.index(0)})")
        try:
            return decode.decode(part)
        except UnicodeDecodeError as error:
            what = "text in UTF-8 and in another encoding" if self.encoding.mixed else "not text in UTF-8"
            raise BadFile(f"{what} (byte {place + error.start})") from error

    @property
    def encoding(self) -> Encoding:
        """That the file is in."""
        return self._source.encoding

    @property
    def at(self) -> float:
        """Up to where it was read, in bytes."""
        return float(self._source.at)

    @property
    def on_disk(self) -> float:
        """The same in bytes on the disk."""
        return self._source.on_disk

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()
