"""Report: what a command answers, before it becomes a table, JSON, CSV or markdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zenplan.domain import checks
from zenplan.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table. ``numeric`` columns align right; ``optional`` ones go first when it is narrow."""

    name: str
    numeric: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of texts under columns, for people.

    Attributes:
        drawing: its cells make a picture, in letters of one width.
    """

    title: str = ""
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    drawing: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise DataError(f"table {self.title!r}: {len(row)} cells under {len(self.columns)} columns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An answer in both shapes: tables and notes for people, records for programs.

    Attributes:
        schema: name and version of the JSON document, as in ``zenplan.estimate/1``.
        document: the whole answer, of JSON types only; ``schema`` is put in front of it.
        records: the rows that CSV shows, all with the same keys in the same order.
        tables: what a person reads, in order.
        notes: lines under the tables: where the numbers come from, what was left out.
    """

    schema: str
    document: Mapping[str, Any]
    records: tuple[Mapping[str, Any], ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        checks.named("report", schema=self.schema)
