"""JSON Lines: an object on each line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from zenplan.adapters.data.encoding import Encoding
from zenplan.adapters.data.records import MOST_RECORD_BYTES, Record
from zenplan.adapters.data.source import Source
from zenplan.adapters.data.walk import DataFile


class JsonLinesReader:
    """The objects of a JSONL file. A line that is none is a record with a problem; blank lines are none at all."""

    sequential = False
    columns: tuple[str, ...] = ()
    count: int | None = None

    def __init__(self, file: DataFile) -> None:
        self._source = Source(file)
        self.size = self._source.size

    def records(self, low: float = 0.0, high: float | None = None) -> Iterator[Record]:
        """Those whose lines start from ``low`` to below ``high``."""
        lines = self._source.lines(int(low), float("inf") if high is None else high)
        for number, (place, line) in enumerate(lines, start=1):
            if not line.isspace():
                yield _record(f"byte {place}" if low else f"line {number}", line)

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


def _record(place: str, line: bytes) -> Record:
    size = float(len(line))
    if len(line) > MOST_RECORD_BYTES:
        return Record(place=place, size=size, problem=f"longer than {MOST_RECORD_BYTES / 1e6:.0f} MB")
    found, problem = decoded(line)
    return Record(place=place, size=size, problem=problem) if problem else Record(place=place, size=size, row=found)


def decoded(line: bytes) -> tuple[dict[str, Any], str]:
    """The object on a line, or what is wrong with it."""
    try:
        found = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return {}, "not UTF-8"
    except RecursionError:
        return {}, "nested too deeply"
    except ValueError:
        return {}, "not JSON"
    return (found, "") if isinstance(found, dict) else ({}, "no JSON object")
