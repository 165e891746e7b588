"""Records of a large CSV file, one after the other; a broken one costs its own line and none of the others."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

# A cell in quotes may go over so many lines; a quote that is still open then was a slip.
_MOST_LINES = 50
_OPEN = "a quote is not closed"


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
