"""Reading: the samples in files of records, one after another from any place on: pieces of text, or rows of a table."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any, Final

from zenplan.adapters.corpus.asked import FOLDER, Asked
from zenplan.adapters.corpus.given import NOT_GIVEN, Given
from zenplan.adapters.corpus.values import is_number
from zenplan.adapters.data.columns import TextColumns, find_columns
from zenplan.adapters.data.encoding import UTF8
from zenplan.adapters.data.readers import reading
from zenplan.adapters.data.records import BadFile, Reader, Record
from zenplan.adapters.data.walk import DataFile
from zenplan.errors import DataError, UsageError

# Records of a file that are looked at to find its columns.
_LOOKED_AT: Final = 64
# Of the values of a column of numbers; a record in which it is none is broken.
_NEARLY_ALL: Final = 0.9
# Whole numbers that rise by one in fewer rows may be a measure. Names of columns whose numbers name their row.
_FEW_ROWS: Final = 8
_IDENTIFIER: Final = re.compile(r"(?i:(?:^|[_\W])(?:id|index|uid|uuid|guid|key))$|[a-z]I[dD]$|^(?:Unnamed: 0)?$")
# A longer text file comes in pieces, ended where a paragraph or a line ends: memory stays bounded, and one book can be
# split into parts. A source of one file is cut into about so many.
_PIECE: Final = 65_536
_LEAST_PIECE: Final = 2_048
_PIECES: Final = 100
# A text file up to here is read whole before anything of it is used: if a byte of it is no UTF-8, none of it is.
_WHOLE: Final = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A record, or a piece of a text.

    Attributes:
        place: of it, for people: a file, and where in it.
        group: a hash of the file or folder that it may not be parted from; 0 where it may be from all.
        part: of the split that the data come with; 0 without one.
        document: a hash of the text that this is a piece of; 0 where it is whole.
        text: None of a row of a table.
        row: its values by column; empty of a text without a label.
        label: as it stands there; None without one.
        problem: why it cannot be used; empty where it can.
        encoding: of its file.
    """

    place: str
    group: int = 0
    part: int = 0
    document: int = 0
    text: str | None = None
    row: Mapping[str, Any] = field(default_factory=dict)
    label: Any = None
    problem: str = ""
    encoding: str = UTF8.name


def number_of(*parts: str) -> int:
    """A 64-bit hash of texts, the same on every machine; never 0."""
    found = blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(found, "little") or 1


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of files.

    Attributes:
        asked: how they are read.
        root: the folder that the files are in.
        files: in their order.
        split_by: folder, file or record.
        rows: whether they are rows of a table, and no texts.
        given: the split that they come with.
    """

    asked: Asked
    root: Path
    files: Sequence[DataFile]
    split_by: str
    rows: bool
    given: Given = NOT_GIVEN

    def of(self, file: DataFile) -> Iterator[Sample]:
        """Those of one file, in order.

        Raises:
            BadFile: it cannot be read on.
        """
        name = os.path.relpath(file.path, self.root)
        group = 0 if self.split_by == "record" else number_of(self.split_by, _group(name, self.split_by))
        part = self.given.part(name)
        with reading(file, every_column=self.rows or self.asked.label is not None) as reader:
            if file.format == "text":
                if self.rows:
                    raise BadFile("text, beside rows of a table")
                found = pieces(reader, self._piece_bytes)
                texts = list(found) if file.size_bytes <= _WHOLE and not file.gzip else found
                document = number_of("document", name)
                label = self.given.label(name) or None
                for number, text in enumerate(texts, start=1):
                    place = name if number == 1 else f"{name}, piece {number}"
                    yield Sample(
                        place=place,
                        group=group,
                        part=part,
                        document=document,
                        text=text,
                        label=label,
                        encoding=reader.encoding.name,
                    )
            else:
                yield from self._records(reader, name, group, part)

    @property
    def _piece_bytes(self) -> int:
        if len(self.files) > 1:
            return _PIECE
        return max(_LEAST_PIECE, min(_PIECE, self.files[0].size_bytes // _PIECES))

    def _records(self, reader: Reader, name: str, group: int, part: int) -> Iterator[Sample]:
        records = reader.records()
        first = list(islice(records, _LOOKED_AT))
        columns = None if self.rows else text_columns(first, self.asked)
        for record in chain(first, records):
            place = f"{name}, {record.place}"
            if record.problem:
                yield Sample(place=place, problem=record.problem, encoding=reader.encoding.name)
                continue
            row, label = self._label(record.row, name)
            text = None if columns is None else columns.text(row)
            problem = "" if columns is None or text is not None else "without text"
            yield Sample(
                place=place,
                group=group,
                part=part,
                text=text,
                row=row,
                label=label,
                problem=problem,
                encoding=reader.encoding.name,
            )

    def _label(self, row: Mapping[str, Any], name: str) -> tuple[Mapping[str, Any], Any]:
        """The row without its label, and that."""
        wanted = self.asked.label
        if wanted is None:
            return row, None
        if wanted in row:
            return _without(wanted, row), row[wanted]
        return row, (self.given.label(name) or None) if wanted == FOLDER else None


def _without(label: str | None, row: Mapping[str, Any]) -> dict[str, Any]:
    return {column: value for column, value in row.items() if column != label}


def text_columns(records: Sequence[Record], asked: Asked) -> TextColumns:
    """The columns of text in records like these.

    Raises:
        BadFile: they have none.
    """
    rows = [_without(asked.label, r.row) for r in records if not r.problem]
    try:
        found = find_columns(rows, asked.text_column)
    except UsageError as error:
        raise BadFile(f"no column '{asked.text_column}'") from error
    if not found.needed and rows:
        raise BadFile("without text")
    return found


def holds_rows(files: Sequence[DataFile], asked: Asked) -> tuple[bool, tuple[str, ...]]:
    """Whether the files are tables to learn from, not texts, and the columns of the first that can be read.

    Raises:
        DataError: none can be read, or none has the column of the label.
    """
    reason = ""
    for file in files:
        if file.format == "text":
            return False, ()
        try:
            rows = _first_rows(file)
        except BadFile as error:
            reason = reason or f"{file.path}: {error}"
            continue
        names = tuple(dict.fromkeys(name for row in rows for name in row))
        if not names:
            reason = reason or f"{file.path}: no record"
            continue
        if asked.label not in (None, FOLDER, *names):
            raise DataError(f"the data have no column '{asked.label}'", f"they have {', '.join(names[:12])}")
        if asked.table:
            return True, names
        without = [_without(asked.label, row) for row in rows]
        return (asked.label is not None and not find_columns(without, asked.text_column).needed), names
    raise DataError(f"no record in the data '{asked.source}' can be used: {reason}", "give text, JSONL, Parquet or CSV")


def numeric_columns(files: Sequence[DataFile], asked: Asked) -> tuple[str, ...]:
    """The columns of the first table that can be read which are numbers in nearly all of the rows that are looked at."""
    rows = _first_table(files)
    names = dict.fromkeys(name for row in rows for name in row if name != asked.label)
    return tuple(name for name in names if _numeric([row.get(name) for row in rows]))


def numbering_columns(files: Sequence[DataFile], columns: Sequence[str]) -> tuple[str, ...]:
    """Of columns of numbers those that only number the rows, in the first table that can be read, as far as it is looked at:
    whole numbers that rise by one from 0 or 1, or are all different in a column named as an identifier is."""
    rows = _first_table(files)
    return tuple(name for name in columns if _numbers_rows(name, [row.get(name) for row in rows]))


def _numbers_rows(name: str, values: Sequence[Any]) -> bool:
    if len(values) < _FEW_ROWS or not all(value not in (None, "") and is_number(value) for value in values):
        return False
    found = [float(value) for value in values]
    if len(set(found)) < len(found) or not all(value.is_integer() for value in found):
        return False
    rising = found[0] in (0.0, 1.0) and all(b - a == 1.0 for a, b in pairwise(found))
    return rising or bool(_IDENTIFIER.search(name))


def _first_table(files: Sequence[DataFile]) -> list[Mapping[str, Any]]:
    """The first rows of the first table that can be read and has any; none where there is no such table."""
    for file in files:
        try:
            rows = _first_rows(file)
        except BadFile:
            continue
        if rows:
            return rows
    return []


def _first_rows(file: DataFile) -> list[Mapping[str, Any]]:
    with reading(file, every_column=True) as reader:
        return [r.row for r in islice(reader.records(), _LOOKED_AT) if not r.problem]


def _numeric(values: Sequence[Any]) -> bool:
    there = [value for value in values if value not in (None, "")]
    return bool(there) and sum(map(is_number, there)) >= _NEARLY_ALL * len(there)


def pieces(reader: Reader, most_bytes: int) -> Iterator[str]:
    """The text in a file, in pieces of at most so many bytes, each ended where a paragraph or else a line ends."""
    rest = ""
    for record in reader.records():
        rest += record.row["text"]
        # A character is at least one byte: more than so many characters are more than so many bytes.
        while len(rest) > most_bytes or (len(rest) * 4 > most_bytes and len(rest.encode("utf-8")) > most_bytes):
            end = _end(rest, most_bytes)
            yield rest[:end]
            rest = rest[end:]
    if rest:
        yield rest


def _end(text: str, most_bytes: int) -> int:
    """Where the piece at the beginning of a text ends."""
    first = text[:most_bytes].encode("utf-8")[:most_bytes]
    letters = len(first.decode("utf-8", "ignore"))
    for mark in ("\n\n", "\n", " "):
        place = text.rfind(mark, letters // 2, letters)
        if place >= 0:
            return place + len(mark)
    return max(letters, 1)


def _group(name: str, split_by: str) -> str:
    """What a file is not parted from: itself, or all in the first folder on the way to it."""
    return Path(name).parts[0] if split_by == "folder" else name
