"""CSV files: cells under a header, parted by commas, semicolons, tabs or bars; one in quotes may go over lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from zenplan.adapters.data.encoding import Encoding
from zenplan.adapters.data.records import MOST_RECORD_BYTES, BadFile, Record
from zenplan.adapters.data.source import Source
from zenplan.adapters.data.walk import DataFile

# To find where a row starts: so many lines are tried, each with the rows that follow it.
_STARTS: Final = 64
_TRIED_ROWS: Final = 8
_TRIED_BYTES: Final = 1 << 18


class CsvReader:
    """The rows of a CSV file.

    Where it is entered in the middle, a row starts at the first line from which the next rows are all as wide as the
    header: a line within quotes is none, but for chance. gzip cannot go back to try that, and is read in order.
    """

    count: int | None = None

    def __init__(self, file: DataFile) -> None:
        csv.field_size_limit(MOST_RECORD_BYTES)
        self._source = Source(file)
        self.size, self.sequential = self._source.size, file.gzip
        try:
            self._header()
        except BadFile:
            self.close()
            raise

    def _header(self) -> None:
        _, line = next(self._source.lines(0, float("inf")), (0, b""))
        try:
            text = line.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadFile("not text in UTF-8") from error
        self._between = max(",;\t|", key=text.count)
        # The quotes are tried first: nothing is taken back.
        cell = rf'(?:"(?:[^"]|"")*+"|[^"{re.escape(self._between)}\r\n]*+)'
        self._written = re.compile(rf"{cell}(?:{re.escape(self._between)}{cell})*+\r?\n?")
        _, size, cells, _ = next(self._rows(0, float("inf")), (0, 0, [], ""))
        self.columns = tuple(cell.strip() or f"column {place}" for place, cell in enumerate(cells, start=1))
        self._body = size

    def records(self, low: float = 0.0, high: float | None = None) -> Iterator[Record]:
        """The rows that start from ``low`` to below ``high``; the header is none."""
        most = float("inf") if high is None else high
        start = self._body if low <= self._body else self._start(int(low), most)
        for number, (place, size, cells, problem) in enumerate(self._rows(start, most), start=1):
            where = f"byte {place}" if low else f"row {number}"
            if not problem and len(cells) != len(self.columns):
                problem = f"not as many cells as the header has, which is {len(self.columns)}"
            row = {} if problem else dict(zip(self.columns, cells, strict=True))
            yield Record(place=where, size=float(size), row=row, problem=problem)

    def _start(self, low: int, high: float) -> int:
        """Where the first row starts from there on; ``high`` where none does before."""
        # All of them first: trying one moves the file.
        for place, _ in [*islice(self._source.lines(low, high), _STARTS)]:
            lines = _Lines(self._source, place)
            tried = [*islice(self._of_lines(lines, place + _TRIED_BYTES), _TRIED_ROWS)]
            if tried and all(self._is_row(cells, raw) for _, cells, raw, _ in tried):
                return place
        return int(min(high, self.size or high))

    def _is_row(self, cells: list[str], raw: str) -> bool:
        """Whether this was written as a row: as wide as the header, and with quotes only around cells."""
        return len(cells) == len(self.columns) and bool(self._written.fullmatch(raw))

    def _rows(self, start: int, high: float) -> Iterator[tuple[int, int, list[str], str]]:
        """Place, size and cells of each row from a place where one starts, or what is wrong with it."""
        lines = _Lines(self._source, start)
        for place, cells, _, problem in self._of_lines(lines, high):
            yield place, lines.place - place, cells, problem

    def _of_lines(self, lines: _Lines, high: float) -> Iterator[tuple[int, list[str], str, str]]:
        """Place, cells, text and problem of each row."""
        while lines.place < high:
            place, lines.problem, lines.text = lines.place, "", ""
            try:
                cells = next(csv.reader(lines, delimiter=self._between), None)
            except csv.Error:
                cells, lines.problem = [], "not a row of a CSV file: a quote is not closed"
            if cells is None:
                return
            if any(cells) or lines.problem:
                yield place, cells, lines.text, lines.problem

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


class _Lines:
    """Lines as texts from a place where one starts; ``place`` is that of the next, ``text`` all since that was
    last emptied, ``problem`` what is wrong in it."""

    def __init__(self, source: Source, start: int) -> None:
        # The byte before it ends a line.
        self._lines = source.lines(start, float("inf"))
        self.place, self.problem, self.text = start, "", ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        place, line = next(self._lines)
        self.place = place + len(line)
        try:
            text = line.decode("utf-8-sig" if not place else "utf-8")
        except UnicodeDecodeError:
            text, self.problem = line.decode("utf-8", "replace"), "not UTF-8"
        text = text.replace("\0", "")
        self.text += text
        return text
