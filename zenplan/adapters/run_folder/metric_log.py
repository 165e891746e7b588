"""A log of a metric by the day: CSV with the columns ``date`` and ``metric``, or JSON lines with those keys."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from zenplan.adapters.files.csv_file import MAX_BYTES, NotCsv, rows_of
from zenplan.adapters.files.regular_file import read_text
from zenplan.errors import InputFileError

DATE, METRIC = "date", "metric"
_HINT: Final = "a line each of date,metric, as in 2026-11-30,0.91"


def read_metric_log(path: Path) -> tuple[tuple[date, float], ...]:
    """Each day with the metric on it, in the order of days.

    Raises:
        InputFileError: it cannot be read, or a line is not a day and a number.
    """
    text = read_text(path, str(path), MAX_BYTES, _HINT)
    found = []
    for line, row in _rows(path, text):
        try:
            when = datetime.fromisoformat(str(row[DATE])).date()
            value = row[METRIC]
            number = math.nan if isinstance(value, bool) else float(value)
        except (KeyError, TypeError, ValueError) as error:
            raise InputFileError(f"{path}, line {line}: no date and metric", _HINT) from error
        if not math.isfinite(number):
            raise InputFileError(f"{path}, line {line}: the metric is no number", _HINT)
        found.append((when, number))
    if not found:
        raise InputFileError(f"{path} has no measurement in it", _HINT)
    return tuple(sorted(found))


def _rows(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    if not text.lstrip().startswith("{"):
        try:
            yield from rows_of(text)
        except NotCsv as error:
            raise InputFileError(f"{path}, {error.message}", _HINT) from error
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputFileError(f"{path}, line {number}: not JSON", _HINT) from error
