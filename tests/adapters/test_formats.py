"""CSV for a spreadsheet: no text of it is a formula."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from zenplan.adapters.formats import to_csv
from zenplan.domain.report import Report


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
