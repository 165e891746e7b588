"""Report: what a command answers, before it becomes a table, JSON, CSV or markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from zenplan.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes:
        numeric: it aligns right, and no cell of it is broken.
        optional: it goes first when it is narrow.
        whole: no cell of it is broken.
    """

    name: str
    numeric: bool = False
    optional: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of texts under columns, for people.

    Attributes:
        drawing: its cells make a picture, in letters of one width.
        folded: markdown hides it behind its title.
        emphasis: the row that stands out where there is colour; None for none.
    """

    title: str = ""
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    drawing: bool = False
    folded: bool = False
    emphasis: int | None = None

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise DataError(f"table {self.title!r}: {len(row)} cells under {len(self.columns)} columns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An answer in both shapes: tables and notes for people; a document and records for programs.

    Attributes:
        make_document: makes the whole answer as it is published, its schema first; only where it is asked for.
        make_records: makes the rows that CSV shows, mappings or objects of the document, all with the same keys in the
            same order.
        make_header: makes the keys of those rows, for CSV where there is none of them.
        verdict: the answer in a sentence or two, above all else; empty where the tables are the answer.
        tables: what a person reads, in order.
        notes: lines under the tables: where the numbers come from, what was left out.
    """

    make_document: Callable[[], Any]
    make_records: Callable[[], Iterable[Any]]
    make_header: Callable[[], Iterable[str]] = tuple
    verdict: str = ""
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def document(self) -> dict[str, Any]:
        """The whole answer in JSON types, with the name and version of its schema under ``schema``.

        Raises:
            DataError: a number that must be known is not finite.
        """
        from zenplan.documents import published

        return published(self.make_document())

    @property
    def records(self) -> tuple[Mapping[str, Any], ...]:
        """The rows that CSV shows; None is unknown."""
        return tuple(each if isinstance(each, Mapping) else _plain(each) for each in self.make_records())


def _plain(document: Any) -> Mapping[str, Any]:
    from zenplan.documents import plain

    return cast(Mapping[str, Any], plain(document))
