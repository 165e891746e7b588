"""A JSON file: an array of objects, read one by one; or what is called JSON and has an object on each line."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any, Final

from zenplan.adapters.data.encoding import Encoding
from zenplan.adapters.data.json_lines import JsonLinesReader, decoded
from zenplan.adapters.data.records import MOST_RECORD_BYTES, BadFile, Reader, Record
from zenplan.adapters.data.source import Source
from zenplan.adapters.data.walk import DataFile

_PIECE: Final = 1 << 18
_SPACE: Final = " \t\r\n"


def json_reader(file: DataFile) -> Reader:
    """The reader of a file whose suffix is ``.json``."""
    source = Source(file)
    try:
        first = next((line for _, line in source.lines(0, float("inf")) if not line.isspace()), b"")
    finally:
        source.close()
    start = first.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start == b"{" and not decoded(first)[1]:
        return JsonLinesReader(file)
    if start not in (b"{", b"["):
        raise BadFile("not JSON")
    return JsonArrayReader(file)


class JsonArrayReader:
    """The objects of an array, in order: it cannot be entered in the middle. One object that has an array is that array."""

    sequential = True
    columns: tuple[str, ...] = ()
    count: int | None = None

    def __init__(self, file: DataFile) -> None:
        self._source = Source(file)
        self.size = self._source.size

    def records(self, low: float = 0.0, high: float | None = None) -> Iterator[Record]:
        """All of them; ``low`` has to be 0."""
        self._source.seek(int(low))
        buffer = _Buffer(self._source)
        start = buffer.next_letter()
        if start == "{":
            yield from self._of_object(buffer)
            return
        buffer.skip(1)
        number, most = 0, float("inf") if high is None else high
        while (letter := buffer.next_letter()) != "]" and self._source.at - buffer.unread < most:
            if letter == "," and number:
                buffer.skip(1)
                buffer.next_letter()
            elif number:
                raise BadFile(f"not JSON: no comma behind an element (element {number})")
            value, size = buffer.value()
            number += 1
            problem = "" if isinstance(value, dict) else "no JSON object"
            yield Record(place=f"element {number}", size=float(size + 1), row={} if problem else value, problem=problem)

    def _of_object(self, buffer: _Buffer) -> Iterator[Record]:
        value, size = buffer.value()
        lists = [each for each in value.values() if isinstance(each, list) and any(isinstance(o, dict) for o in each)]
        rows = max(lists, key=len) if lists else [value]
        for number, row in enumerate(rows, start=1):
            problem = "" if isinstance(row, dict) else "no JSON object"
            each = float(size) / len(rows)
            yield Record(place=f"element {number}", size=each, row={} if problem else row, problem=problem)

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


class _Buffer:
    """Text that is read as far as it is needed."""

    def __init__(self, source: Source) -> None:
        self._source, self._decode = source, codecs.getincrementaldecoder("utf-8-sig")()
        self._json, self._ended, self._from = json.JSONDecoder(), False, 0
        self._read = ""

    @property
    def unread(self) -> int:
        """Letters that were read and not used."""
        return len(self._read) - self._from

    def more(self) -> None:
        """Read on."""
        part = self._source.read(max(_PIECE, len(self._read) - self._from))
        self._ended = not part
        try:
            self._read = self._read[self._from :] + self._decode.decode(part, final=self._ended)
        except UnicodeDecodeError as error:
            raise BadFile("not text in UTF-8") from error
        self._from = 0

    def next_letter(self) -> str:
        """The next that is no space, which stays."""
        while True:
            while self._from < len(self._read):
                if self._read[self._from] not in _SPACE:
                    return self._read[self._from]
                self._from += 1
            if self._ended:
                raise BadFile("JSON that ends too early")
            self.more()

    def skip(self, letters: int) -> None:
        """Pass over so many."""
        self._from += letters

    def value(self) -> tuple[Any, int]:
        """The value that starts here, and its bytes."""
        while True:
            try:
                found, end = self._json.raw_decode(self._read, self._from)
            except RecursionError as error:
                raise BadFile("JSON that is nested too deeply") from error
            except ValueError as error:
                if self._ended:
                    raise BadFile("JSON that is broken, or ends too early") from error
                if len(self._read) - self._from > MOST_RECORD_BYTES:
                    raise BadFile(f"JSON with an element of more than {MOST_RECORD_BYTES / 1e6:.0f} MB") from error
                self.more()
                continue
            used, self._from = self._read[self._from : end], end
            return found, len(used) if used.isascii() else len(used.encode("utf-8", "replace"))
