"""A log of a metric by the day: CSV with the columns ``date`` and ``metric`` or its name, or JSON lines with those keys."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from zenplan.adapters.files.csv_file import MAX_BYTES, NotCsv, rows_of
from zenplan.adapters.files.regular_file import read_text
from zenplan.domain.checks import one_line
from zenplan.errors import InputFileError

DATE, METRIC = "date", "metric"
_HINT: Final = "a first line of date,accuracy or date,metric, then one a day, as in 2026-11-30,0.91"


def read_metric_log(path: Path) -> tuple[str, tuple[tuple[date, float], ...]]:
    """The metric's name, empty where the log has none, and each day with the metric on it, in the order of days.

    Raises:
        InputFileError: it cannot be read, or a line is not a day and a number.
    """
    text = read_text(path, str(path), MAX_BYTES, _HINT)
    found, column = [], ""
    for line, row in _rows(path, text):
        try:
            column = column or _column(row)
            when = datetime.fromisoformat(str(row[DATE])).date()
            value = row[column]
            number = math.nan if isinstance(value, bool) else float(value)
        except (KeyError, TypeError, ValueError) as error:
            raise InputFileError(f"{path}, line {line}: no date and metric", _HINT) from error
        if not math.isfinite(number):
            raise InputFileError(f"{path}, line {line}: the metric is no number", _HINT)
        found.append((when, number))
    if not found:
        raise InputFileError(f"{path} has no measurement in it", _HINT)
    return "" if column == METRIC else one_line(column), tuple(sorted(found))


def _column(row: Any) -> str:
    """Of the metric: ``metric``, or the only one beside the date. Raises KeyError: there is none, or several."""
    if METRIC in row:
        return METRIC
    name, *more = (str(name) for name in row if name != DATE)
    if more:
        raise KeyError(METRIC)
    return name


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
