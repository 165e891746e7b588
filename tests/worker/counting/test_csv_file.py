"""CSV: whole texts, and tables that ship with zenplan. Long tables of somebody else's are in ``runs/test_table.py``."""

from __future__ import annotations

import pytest

from zenplan.adapters.files.csv_file import DataRow, NotCsv, data_rows, lines_of, rows_of
from zenplan.errors import DataError


def test_cells_are_stripped_and_blank_lines_left_out() -> None:
    assert list(lines_of("A, b\r\n\r\n 1 ,2\n")) == [(1, ["A", "b"]), (3, ["1", "2"])]
    assert list(rows_of("A,b\n1\n1,2,3,4\n")) == [(2, {"a": "1", "b": ""}), (3, {"a": "1", "b": "2", "": "34"})]
    assert list(rows_of("")) == []


def test_what_is_no_csv_says_where() -> None:
    with pytest.raises(NotCsv) as caught:
        list(lines_of('a,b\n1,2\n1,"2\n'))
    assert caught.value.line == 3
    assert caught.value.message.startswith("line 3: not valid CSV: unexpected end")


def test_a_shipped_table_has_its_columns_and_no_others() -> None:
    (row,) = data_rows("t.csv", ("a", "b"), "a,b\n1,yes\n")
    assert (row.whole("a"), row.switch("b"), row.line) == (1, True, 2)
    for text, message in (
        ("a\n1\n", "t.csv, line 1: no column b"),
        ("a,b,c\n1,2,3\n", "t.csv, line 1: c is no column of it"),
        ("a,b\n1\n", "t.csv, line 2, column b: the row has 1 cells, not 2"),
        ('a,b\n1,"2\n', "t.csv, line 2: not valid CSV"),
    ):
        with pytest.raises(DataError) as caught:
            list(data_rows("t.csv", ("a", "b"), text))
        assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("reader", "text", "answer"),
    [
        ("number", "2.5", 2.5),
        ("number", "0", "'0' is not a number above zero"),
        ("number", "nan", "'nan' is not a number above zero"),
        ("number", "many", "'many' is not a number above zero"),
        ("whole", "8.0", 8),
        ("whole", "8.5", "'8.5' is not a whole number"),
        ("whole", "0", "'0' is not a number above zero"),
        ("whole_or_zero", "0", 0),
        ("whole_or_zero", "-1", "'-1' is not a number above zero"),
        ("number_or_none", "", None),
        ("number_or_none", "0", 0.0),
        ("number_or_none", "x", "'x' is not a number"),
        ("switch", "no", False),
        ("switch", "maybe", "'maybe' is neither yes nor no"),
    ],
)
def test_cells_of_a_shipped_table(reader: str, text: str, answer: object) -> None:
    row = DataRow("t.csv", 7, {"c": text})
    if isinstance(answer, str):
        with pytest.raises(DataError) as caught:
            getattr(row, reader)("c")
        assert caught.value.message == f"t.csv, line 7, column c: {answer}"
    else:
        assert getattr(row, reader)("c") == answer
