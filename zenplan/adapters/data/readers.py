"""The reader of each format, by its name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from zenplan.adapters.data.records import Reader
from zenplan.adapters.data.walk import DataFile


@contextmanager
def reading(file: DataFile, every_column: bool = False) -> Iterator[Reader]:
    """The reader of a file, which is closed at the end.

    Args:
        file: what is read.
        every_column: read also columns without text, which a Parquet file has apart.

    Raises:
        BadFile: it is not what its suffix says, or cannot be read.
        UsageError: what reads it is not installed.
    """
    reader = _reader(file, every_column)
    try:
        yield reader
    finally:
        reader.close()


def _reader(file: DataFile, every_column: bool) -> Reader:
    """Each reader is imported for what it reads."""
    if file.format == "text":
        from zenplan.adapters.data.text import TextReader

        return TextReader(file)
    if file.format == "JSONL":
        from zenplan.adapters.data.json_lines import JsonLinesReader

        return JsonLinesReader(file)
    if file.format == "JSON":
        from zenplan.adapters.data.json_array import json_reader

        return json_reader(file)
    if file.format == "CSV":
        from zenplan.adapters.data.delimited import CsvReader

        return CsvReader(file)
    from zenplan.adapters.data.parquet import ParquetReader

    return ParquetReader(file, every_column)
