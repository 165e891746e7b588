"""A CSV file that the user named: opened, decoded and split, or one clear error."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from pathlib import Path

from zenplan import units
from zenplan.adapters.files.regular_file import read_text
from zenplan.errors import InputFileError

MAX_BYTES = int(50 * units.MB)

Row = dict[str, str]


def rows_of(text: str) -> Iterator[tuple[int, Row]]:
    """The rows below the header, each with its line number. Cells are stripped; blank lines are skipped.

    A missing cell is the empty text; cells beyond the header are kept under the empty column name.
    """
    lines = csv.reader(text.splitlines(keepends=True), strict=True)
    header = [cell.strip().lower() for cell in next(lines, [])]
    width = len(header)
    for cells in lines:
        if not any(cells):
            continue
        row = {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
        if len(cells) != width:
            row.update(dict.fromkeys(header[len(cells) :], ""))
            row.update({"": "".join(cells[width:])} if cells[width:] else {})
        yield lines.line_num, row


def read_rows(path: Path, required: Collection[str], what: str, one_of: Collection[str] = ()) -> list[tuple[int, Row]]:
    """Every row of the file, with its line number.

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
        header = [cell.strip().lower() for cell in next(csv.reader(text.splitlines()), [])]
        missing = [name for name in required if name not in header]
        if one_of and not any(name in header for name in one_of):
            missing.append(either)
        if missing:
            raise InputFileError(f"{what} {path} has no column {', '.join(missing)}", hint)
        rows = list(rows_of(text))
    except csv.Error as error:
        raise InputFileError(f"{what} {path} is not a CSV file: {error}", hint) from error
    if not rows:
        raise InputFileError(f"{what} {path} has a header and no rows", hint)
    return rows


def _text(path: Path, what: str, hint: str) -> str:
    text = read_text(path, f"{what} {path}", MAX_BYTES, hint)
    if "\0" in text:
        raise InputFileError(f"{what} {path} is a binary file", hint)
    if not text.strip():
        raise InputFileError(f"{what} {path} is empty", hint)
    return text
