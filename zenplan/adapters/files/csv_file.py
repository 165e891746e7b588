"""CSV files: whole texts, strictly, where one broken line makes the table useless; and long tables of somebody else's,
record by record, where it costs that line alone.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from zenplan import units
from zenplan.adapters.files.data import data_text
from zenplan.adapters.files.regular_file import read_text
from zenplan.errors import DataError, InputFileError

MAX_BYTES = int(50 * units.MB)
# A cell in quotes may go over so many lines; a quote that is still open then was a slip.
_MOST_LINES = 50
_OPEN = "a quote is not closed"
# Characters of a long text that are split into lines at a time.
_PART = 100_000

Row = dict[str, str]


# --- a whole text


class NotCsv(DataError):
    """A text that cannot be split into cells; ``line`` is the line, ``reason`` what is wrong with it."""

    def __init__(self, line: int, reason: object) -> None:
        super().__init__(f"line {line}: not valid CSV: {reason}")
        self.line, self.reason = line, reason


def lines_of(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each line's number and its cells, stripped; blank lines are left out. The first is the header.

    Raises:
        NotCsv: a quote is not closed, or something follows one that is.
    """
    lines = csv.reader(_split(text), strict=True)
    try:
        for cells in lines:
            if any(cells):
                yield lines.line_num, list(map(str.strip, cells))
    except csv.Error as error:
        raise NotCsv(lines.line_num, error) from error


def _split(text: str) -> Iterator[str]:
    """``str.splitlines``, of a part of the text at a time: all the lines of a long one would be a second copy of it."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + _PART) + 1 or len(text)
        yield from text[start:end].splitlines(keepends=True)
        start = end


def rows_of(text: str) -> Iterator[tuple[int, Row]]:
    """The rows below the header, each with its line number, by column in small letters.

    A missing cell is the empty text; cells beyond the header are kept under the empty column name.
    """
    lines = lines_of(text)
    header = _header(lines)
    width = len(header)
    for number, cells in lines:
        row = dict(zip(header, cells, strict=False))
        if len(cells) != width:
            row.update(dict.fromkeys(header[len(cells) :], ""))
            row.update({"": "".join(cells[width:])} if cells[width:] else {})
        yield number, row


def _header(lines: Iterator[tuple[int, list[str]]]) -> list[str]:
    return [cell.lower() for cell in next(lines, (1, []))[1]]


def read_rows(
    path: Path, required: Collection[str], what: str, one_of: Collection[str] = ()
) -> Iterator[tuple[int, Row]]:
    """Every row of the file, with its line number, one after another.

    Args:
        path: the file the user named.
        required: columns that must be in the header.
        what: what the file should be, for the messages: ``price table``.
        one_of: columns of which at least one must be in the header; none of them matters if empty.

    Raises:
        InputFileError: the file cannot be read, is no CSV in UTF-8, is empty, or lacks a column.
    """
    either = " or ".join(one_of)
    columns = ", ".join(required) + (f" and {either}" if either else "")
    hint = f"a {what} is a CSV file in UTF-8, with commas, and has the columns {columns}"
    text = _text(path, what, hint)
    try:
        header = _header(lines_of(text))
        missing = [name for name in required if name not in header]
        if one_of and not any(name in header for name in one_of):
            missing.append(either)
        if missing:
            raise InputFileError(f"{what} {path} has no column {', '.join(missing)}", hint)
        row = None
        for row in rows_of(text):
            yield row
    except NotCsv as error:
        raise InputFileError(f"{what} {path} is not a CSV file: {error.reason}", hint) from error
    if row is None:
        raise InputFileError(f"{what} {path} has a header and no rows", hint)


def _text(path: Path, what: str, hint: str) -> str:
    text = read_text(path, f"{what} {path}", MAX_BYTES, hint)
    if "\0" in text:
        raise InputFileError(f"{what} {path} is a binary file", hint)
    if text.isspace() or not text:
        raise InputFileError(f"{what} {path} is empty", hint)
    return text


# --- a table that ships with zenplan


class DataRow(NamedTuple):
    """A row of a shipped table, and where it stands. Each reader raises DataError with the file, line and column."""

    file: str
    line: int
    cells: Row

    def wrong(self, column: str, what: str) -> DataError:
        """The error for a cell that is not what its column holds."""
        return DataError(f"{self.file}, line {self.line}, column {column}: {what}")

    def invalid(self, error: DataError) -> DataError:
        """The error for cells that do not go together."""
        return DataError(f"{self.file}, line {self.line}: {error.message}")

    def several(self, column: str) -> tuple[str, ...]:
        """Texts with semicolons between."""
        return tuple(part.strip() for part in self.cells[column].split(";") if part.strip())

    def number(self, column: str) -> float:
        """A finite number above zero."""
        value = units.number_of(self.cells[column])
        if value is None or not units.is_amount(value):
            raise self.wrong(column, f"'{self.cells[column]}' is not a number above zero")
        return value

    def whole(self, column: str) -> int:
        """A whole number above zero."""
        value = self.number(column)
        if not value.is_integer():
            raise self.wrong(column, f"'{self.cells[column]}' is not a whole number")
        return int(value)

    def whole_or_zero(self, column: str) -> int:
        """A whole number, zero among them."""
        return 0 if self.cells[column] == "0" else self.whole(column)

    def number_or_none(self, column: str) -> float | None:
        """A number; None where the cell is empty."""
        text = self.cells[column]
        value = units.number_of(text)
        if text and value is None:
            raise self.wrong(column, f"'{text}' is not a number")
        return value

    def switch(self, column: str) -> bool:
        """``yes`` or ``no``."""
        if self.cells[column] not in ("yes", "no"):
            raise self.wrong(column, f"'{self.cells[column]}' is neither yes nor no")
        return self.cells[column] == "yes"


def data_rows(file: str, columns: Collection[str], text: str | None = None) -> Iterator[DataRow]:
    """The rows of a table in ``data/``, or of another text under its name.

    Raises:
        DataError: it is no CSV, lacks a column or has another one, or a row has more or fewer cells than the header.
    """
    lines = lines_of(data_text(file) if text is None else text)
    try:
        header = next(lines, (1, []))[1]
        if missing := set(columns) - set(header):
            raise DataError(f"{file}, line 1: no column {sorted(missing)[0]}")
        if strange := set(header) - set(columns):
            raise DataError(f"{file}, line 1: {sorted(strange)[0]} is no column of it")
        for number, cells in lines:
            row = DataRow(file, number, dict(zip(header, cells, strict=False)))
            if len(cells) != len(header):
                column = header[min(len(cells), len(header) - 1)]
                raise row.wrong(column, f"the row has {len(cells)} cells, not {len(header)}")
            yield row
    except NotCsv as error:
        raise DataError(f"{file}, {error.message}") from error


# --- a long table of somebody else's, record by record


@dataclass(frozen=True, slots=True)
class Record:
    """The cells that start on a line, stripped, or what is wrong with that line."""

    line: int
    cells: list[str] = field(default_factory=list)
    problem: str = ""


def records(lines: Iterator[str]) -> Iterator[Record]:
    """The first is the header, which shows what parts the cells: a comma, or where it has none a semicolon or a tab.

    Blank lines are left out; a record may have too few or too many cells.
    """
    source, width, between = _Lines(lines), 0, ""
    while True:
        between = between or _between(source)
        record = _record(source, width, between or ",")
        if record is None:
            return
        if record.problem or any(record.cells):
            width = width or len(record.cells)
            yield record


def _between(lines: _Lines) -> str:
    """What parts the cells of the header, which comes next; empty where a blank line does."""
    taken = lines.take()
    if taken is None:
        return ""
    lines.put_back([taken])
    if not taken[1].strip():
        return ""
    return next((letter for letter in ",;\t" if letter in taken[1]), ",")


class _Lines:
    """Lines with their numbers, which can be put back."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = enumerate(lines, start=1)
        self._again: deque[tuple[int, str]] = deque()

    def take(self) -> tuple[int, str] | None:
        """The next line; None at the end."""
        return self._again.popleft() if self._again else next(self._lines, None)

    def put_back(self, taken: list[tuple[int, str]]) -> None:
        """Lines that come next, in their order."""
        self._again.extendleft(reversed(taken))


def _record(lines: _Lines, width: int, between: str) -> Record | None:
    first = lines.take()
    if first is None:
        return None
    number, text = first
    cells, problem = _cells(text, between)
    more: list[tuple[int, str]] = []
    while problem == _OPEN and len(more) < _MOST_LINES and (following := lines.take()) is not None:
        more.append(following)
        text += following[1]
        if '"' in following[1]:
            cells, problem = _cells(text, between)
    # What goes over several lines and does not become a row was never meant to.
    if problem or (more and len(cells) != width):
        lines.put_back(more)
        return Record(number, problem=f"not a row of a CSV file: {_OPEN if more else problem}")
    return Record(number, cells)


def _cells(text: str, between: str) -> tuple[list[str], str]:
    """The cells of one record, or what is wrong with it."""
    try:
        return [cell.strip() for row in csv.reader([text], strict=True, delimiter=between) for cell in row], ""
    except csv.Error as error:
        return [], _OPEN if "unexpected end" in str(error) else str(error)
