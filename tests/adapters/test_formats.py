"""CSV for a spreadsheet: no text of it is a formula. Tables: no line of a cell is empty."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from zenplan.adapters.formats import height, markdown, table, to_csv
from zenplan.domain.report import Column, Report, Table


def cell(value: Any) -> str:
    text = to_csv(Report(make_document=dict, make_records=lambda: [{"a": value, "b": 1}], tables=()))
    (row,) = csv.DictReader(io.StringIO(text), strict=True)
    assert row["b"] == "1"
    return row["a"]


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@SUM(A1)", "\t=1", '=HYPERLINK("a,b")'])
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(-1.5, "-1.5"), (-3, "-3"), (1e-9, "1e-09"), (None, ""), ("", ""), ("H100", "H100"), ("a=b", "a=b"), ("–", "–")],
)
def test_numbers_and_other_texts_stay_as_they_are(value: Any, shown: str) -> None:
    assert cell(value) == shown


def test_a_word_that_fills_whole_lines_leaves_none_empty() -> None:
    machine = "4 × nebius gpu-b200-sxm_8gpu-160vcpu-1792gb, us-central1"
    columns = (Column(name="quote"), *(Column(name=f"{n}" * 12, numeric=True) for n in range(4)))
    rows = Table(columns=columns, rows=((machine, *("9" * 12,) * 4),))
    report = Report(make_document=dict, make_records=tuple, tables=(rows,))
    for width in range(70, 110):
        assert all(line.strip() for line in table(report, width=width).splitlines())


def test_a_whole_cell_is_never_broken() -> None:
    columns = (Column(name="input"), Column(name="less", whole=True), Column(name="more", whole=True))
    row = ("tokens of a sample: 1.00K (chat), assumed", "570: $0.65, 1.6 h", "compiled: $0.68, 1.7 h")
    report = Report(make_document=dict, make_records=tuple, tables=(Table(columns=columns, rows=(row,)),))
    for width in range(60, 110):
        told = table(report, width=width)
        assert row[1] in told
        assert row[2] in told


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_the_height_of_a_table_is_known_before_it_is_drawn(width: int) -> None:
    words = (
        "2 min: $0.0049, 5.9 min",
        "tokens of a sample: 700 (documents), assumed",
        "64 × H100-SXM5-80GB",
        "",
        "a\nb",
    )
    columns = (Column(name="what moves it most"), Column(name="dollars", numeric=True), Column(name="on"))
    for first in words:
        for second in words:
            rows = ((first, "$1,234\n$900–2,000", second), (second, "$5", first))
            for caption in ("", "* price: cheapest 189 days old, fastest of no date, and one more " * 2):
                each = Table(title="a title", columns=columns, rows=rows, caption=caption)
                report = Report(make_document=dict, make_records=tuple, tables=(each,))
                assert height(each, width) == len(table(report, width=width).splitlines())


def test_markdown_shows_texts_as_they_are() -> None:
    text = r"<b>a\|b</b> & c"
    report = Report(
        make_document=dict,
        make_records=tuple,
        verdict=text,
        tables=(Table(title=text, columns=(Column(name=text),), rows=((text,),), caption=text),),
        notes=(text,),
    )
    found = markdown(report)
    assert "<b>" not in found
    assert found.count(r"&lt;b&gt;a\\\|b&lt;/b&gt; &amp; c") == 6


def test_csv_without_rows_has_its_header() -> None:
    report = Report(make_document=dict, make_records=tuple, make_header=lambda: ("a", "b"), tables=())
    assert to_csv(report) == "a,b\n"
