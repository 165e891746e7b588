"""What a format has to keep, as tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import pytest

from zenplan.domain.report import Column, Report, Table
from zenplan.protocols import Exporter
from zenplan.testing.border import taken

_LONG: Final = 20_000
_ROWS: Final[Mapping[str, Sequence[Mapping[str, Any]]]] = {
    "plain": (
        {"name": "one", "usd": 1.5, "devices": 8, "spot": True},
        {"name": "two", "usd": 2.0, "devices": 1, "spot": False},
    ),
    "empty": (),
    "with gaps": ({"name": "one", "usd": None}, {"name": "", "usd": 0.0}),
    "of other alphabets": ({"name": "价格 €/ч  ‏שלום 🚀 é", "usd": 1e-9},),
    "with marks": ({"name": 'a,b;c"d|e\tf<g>&h\\i=1', "usd": -1e30},),
    "long": tuple({"name": f"row {number} {'x' * 40}", "usd": float(number)} for number in range(_LONG)),
}


def reports() -> dict[str, Report]:
    """Reports that a format may meet, by what is special about them."""
    return {what: _report(what, rows) for what, rows in _ROWS.items()}


def _report(what: str, rows: Sequence[Mapping[str, Any]]) -> Report:
    names = tuple(rows[0]) if rows else ("name", "usd")
    cells = tuple(tuple("–" if row[name] is None else str(row[name]) for name in names) for row in rows)
    columns = tuple(Column(name=name, numeric=name != "name") for name in names)
    return Report(
        make_document=lambda: {"schema": "zenplan.testing/1", "rows": [dict(row) for row in rows]},
        make_records=lambda: rows,
        verdict="" if what == "empty" else f"A report, {what}.",
        tables=(Table(title=what, columns=columns, rows=cells),) if rows else (),
        notes=() if what == "empty" else ("a note",),
    )


class ExporterContract:
    """The tests. Derive a class of a name that begins with ``Test``, and give it a format.

    Attributes:
        exporter: that is tested.
        parse: a static method that reads the text back into records, texts by column; None where nobody reads it.
    """

    exporter: ClassVar[Exporter]
    parse: ClassVar[Any] = None

    def test_it_is_a_format(self) -> None:
        """It has the members, and passes the border."""
        assert isinstance(self.exporter, Exporter)
        found = taken("zenplan_exporters", self.exporter)
        assert found.problems == ()
        assert [each.name for each in found.items] == [self.exporter.name]

    @pytest.mark.parametrize("what", _ROWS)
    def test_a_report_becomes_a_text(self, what: str) -> None:
        """A text that ends in a newline, that any terminal takes, and that is the same each time."""
        report = reports()[what]
        text = self.exporter.export(report)
        assert type(text) is str
        # Of no rows there may be nothing to say.
        assert text.endswith("\n") or (what == "empty" and not text), f"it ends in {text[-20:]!r}, not in a newline"
        text.encode("utf-8")
        odd = {c for c in text if not c.isprintable() and c not in "\n\r\t" and not c.isspace()} - {"\u200f"}
        assert odd == set()
        assert self.exporter.export(report) == text

    @pytest.mark.parametrize("what", _ROWS)
    def test_the_report_stays_as_it_was(self, what: str) -> None:
        """Nothing in it is changed."""
        report, untouched = reports()[what], reports()[what]
        self.exporter.export(report)
        assert report.document == untouched.document
        assert report.records == untouched.records
        assert report.tables == untouched.tables

    @pytest.mark.parametrize("what", [what for what in _ROWS if _ROWS[what]])
    def test_what_is_read_back_is_what_was_written(self, what: str) -> None:
        """Each record, its columns in order; what is unknown is an empty text."""
        parse = type(self).parse
        if parse is None:
            pytest.skip("it has no parse")
        wanted = [{name: "" if value is None else str(value) for name, value in row.items()} for row in _ROWS[what]]
        found = [dict(row) for row in parse(self.exporter.export(reports()[what]))]
        assert found == wanted
