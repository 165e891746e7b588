"""A table of measured runs that the user named, read row by row: it may be larger than the memory.

What is wrong with a row (bytes that are no UTF-8, a cell too many) stands in that row, and the others are read on.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TextIO

from zenplan.adapters.files.csv_file import Record, records
from zenplan.adapters.files.regular_file import open_regular
from zenplan.adapters.runs.cells import known
from zenplan.adapters.runs.dialects import KERAS, MLPERF
from zenplan.domain.answer.backtest import Kind
from zenplan.errors import InputFileError, printable

_WHAT: Final = "table of runs"
_HINT: Final = (
    "a table of runs is a CSV file in UTF-8, with commas, semicolons or tabs; it has the columns accelerator, devices and "
    "tokens_per_s_per_device or samples_per_s_per_device, or gpu_hours for whole runs, or op and fwd_ms for operators, or "
    "ms_per_step as Keras' benchmark page, or logged_throughput as MLPerf's results"
)
_HOURS: Final = "gpu_hours"
# Of each of these one is needed.
_NEEDED: Final = (
    ("accelerator", "gpu"),
    ("devices", "n_gpus"),
    ("tokens_per_s_per_device", "samples_per_s_per_device"),
)
_SPEEDS: Final = _NEEDED[-1]
_NEEDED_OF_WHOLE_RUNS: Final = (("accelerator", "gpu"), ("tokens",), ("params",))
_NEEDED_OF_OPERATORS: Final = (("accelerator", "gpu"), ("op",), ("fwd_ms",))
# Tables that have columns of their own, each by the one that tells it.
_NEEDED_OF_DIALECTS: Final = {
    KERAS: (("gpu",), ("model",), ("task",), ("batch",), ("backend",)),
    MLPERF: (("accelerator", "gpu"), ("n_gpus",), ("benchmark",), ("version",)),
}
# No line of a table is longer; a file without line ends would be one line that takes all the memory.
_MOST_LETTERS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of the file: where it starts, its cells by column, what is wrong with it as a row of a table, and what
    it measures."""

    line: int
    cells: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    kind: Kind = Kind.THROUGHPUT

    @property
    def id(self) -> str:
        """The row's own name, or its line."""
        return known("id", self.cells.get("id", "")) or f"line {self.line}"


@dataclass(frozen=True, slots=True)
class RunTable:
    """An open table: its rows, which can be read once."""

    rows: Iterator[TableRow]
    _file: TextIO

    def share_read(self) -> float:
        """Share of the file that has been read, 0 to 1."""
        descriptor = self._file.fileno()
        return min(1.0, os.lseek(descriptor, 0, os.SEEK_CUR) / max(os.fstat(descriptor).st_size, 1))


@contextmanager
def open_runs(path: Path) -> Iterator[RunTable]:
    """The table, open for as long as it is read.

    Raises:
        InputFileError: there is no such file, it cannot be read, is no regular file or no text, is empty, or its
            header lacks a column. Also while rows are read: the disk fails, a line is endless, there are no rows.
    """
    what = f"{_WHAT} {path}"
    descriptor = open_regular(path, what, math.inf, _HINT)
    # What is no UTF-8 stays visible, so that it can be said of the row that has it.
    with os.fdopen(descriptor, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        found = records(_lines(file, what))
        header = _header(next(found, None), what)
        _check_columns(header, what)
        yield RunTable(_rows(found, header, what), file)


def _lines(text: TextIO, what: str) -> Iterator[str]:
    """The lines, none of them endless."""
    number = 0
    while True:
        try:
            line = text.readline(_MOST_LETTERS)
        except OSError as error:
            raise InputFileError(f"{what} cannot be read: {error.strerror}", _HINT) from error
        if not line:
            return
        number += 1
        if len(line) == _MOST_LETTERS:
            raise InputFileError(f"{what}: line {number} has more than {_MOST_LETTERS:,} letters", _HINT)
        yield line


def _header(record: Record | None, what: str) -> list[str]:
    if record is None:
        raise InputFileError(f"{what} is empty", _HINT)
    if record.problem:
        raise InputFileError(f"{what}: the header is {record.problem}", _HINT)
    if not all(map(_is_text, record.cells)):
        raise InputFileError(f"{what} is not text in UTF-8", _HINT)
    if any("\0" in cell for cell in record.cells):
        raise InputFileError(f"{what} is a binary file", _HINT)
    return [cell.lower() for cell in record.cells]


def _check_columns(header: list[str], what: str) -> None:
    missing = _missing(header, _NEEDED)
    # A table of both kinds has the columns of one of them, and a row says which it is.
    if missing and _HOURS in header:
        missing = _missing(header, _NEEDED_OF_WHOLE_RUNS)
    if missing and "op" in header:
        missing = _missing(header, _NEEDED_OF_OPERATORS)
    for tells, needed in _NEEDED_OF_DIALECTS.items():
        if missing and tells in header:
            missing = _missing(header, needed)
    if missing:
        raise InputFileError(f"{what} has no column {', no column '.join(missing)}", _HINT)
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise InputFileError(f"{what} has the column {printable(twice[0])} twice", _HINT)


def _missing(header: list[str], needed: tuple[tuple[str, ...], ...]) -> list[str]:
    return [" or ".join(names) for names in needed if not set(names) & set(header)]


def _rows(found: Iterator[Record], header: list[str], what: str) -> Iterator[TableRow]:
    any_row = False
    for record in found:
        any_row = True
        yield _row(record, header)
    if not any_row:
        raise InputFileError(f"{what} has a header and no rows", _HINT)


def _row(record: Record, header: list[str]) -> TableRow:
    if record.problem:
        return TableRow(record.line, problem=record.problem)
    cells, problem = record.cells, ""
    if not all(map(_is_text, cells)):
        problem = "a cell is not text in UTF-8"
    elif len(cells) < len(header) or any(cells[len(header) :]):
        problem = f"{len(cells)} cells under {len(header)} columns"
    named = {name: printable(cell) for name, cell in zip(header, cells, strict=False)}
    return TableRow(record.line, named, problem, _kind(named))


def _kind(cells: Mapping[str, str]) -> Kind:
    """What a row measures; one that has both figures is a whole run, if it says of how many tokens."""
    has = {name for name, cell in cells.items() if known(name, cell)}
    if "op" in has:
        return Kind.OPERATOR
    speed = not has.isdisjoint(_SPEEDS)
    if _HOURS not in cells or (speed and not {_HOURS, "tokens"} <= has):
        return Kind.THROUGHPUT
    return Kind.WHOLE_RUN


def _is_text(cell: str) -> bool:
    # What could not be decoded stands there as half of a surrogate pair.
    return cell.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in cell)
