"""Tables of runs on disk: good ones, broken ones, and what is no table at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zenplan.adapters.files.csv_file import records
from zenplan.adapters.runs.table import TableRow, open_runs
from zenplan.domain.answer.backtest import Kind
from zenplan.errors import InputFileError

HEADER = "id,accelerator,devices,tokens_per_s_per_device"
GOOD = "a,T4,1,100"


def read(tmp_path: Path, content: str | bytes) -> list[TableRow]:
    path = tmp_path / "runs.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with open_runs(path) as table:
        rows = list(table.rows)
        assert table.share_read() == 1.0
    return rows


def test_rows_come_with_their_lines(tmp_path: Path) -> None:
    rows = read(tmp_path, f"{HEADER}\n{GOOD}\n\n,,,\n b , T4,2 ,50\n")
    assert [(r.line, r.id, r.problem) for r in rows] == [(2, "a", ""), (5, "b", "")]
    assert rows[1].cells == {"id": "b", "accelerator": "T4", "devices": "2", "tokens_per_s_per_device": "50"}


def test_spreadsheets_write_a_mark_capitals_and_other_line_ends(tmp_path: Path) -> None:
    rows = read(tmp_path, f"\ufeff{HEADER.upper()}\r\n{GOOD}\r\nb,T4,1,1\r".encode())
    assert [(r.line, r.id, r.cells["devices"]) for r in rows] == [(2, "a", "1"), (3, "b", "1")]


def test_a_cell_may_go_over_lines(tmp_path: Path) -> None:
    rows = read(tmp_path, f'{HEADER},notes\n{GOOD},"one\ntwo, three"\nb,T4,1,1,\n')
    assert [(r.line, r.id, r.problem) for r in rows] == [(2, "a", ""), (4, "b", "")]
    assert rows[0].cells["notes"] == "one\N{REPLACEMENT CHARACTER}two, three"


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (b"x,T4", "2 cells under 4 columns"),
        (b"x,T4,1,2,surplus", "5 cells under 4 columns"),
        (b"x,T4,1,\xe9", "not text in UTF-8"),
        (b'x,"T4,1,2', "a quote is not closed"),
        (b'x,"T4"y,1,2', "expected after"),
    ],
)
def test_a_broken_line_costs_no_other(tmp_path: Path, bad: bytes, problem: str) -> None:
    # The quotes further down could close the one that is open.
    good = [b"a,T4,1,1", b'b,"T4",1,1', b"c,T4,1,1"]
    rows = read(tmp_path, b"\n".join([HEADER.encode(), good[0], bad, good[1], good[2]]))
    assert [(r.line, r.problem) for r in rows if not r.problem] == [(2, ""), (4, ""), (5, "")]
    (broken,) = [r for r in rows if r.problem]
    assert broken.line == 3
    assert problem in broken.problem


def test_more_cells_than_columns_do_no_harm_if_empty(tmp_path: Path) -> None:
    assert [r.problem for r in read(tmp_path, f"{HEADER}\n{GOOD},,\n")] == [""]


def test_what_a_terminal_would_obey_is_not_kept(tmp_path: Path) -> None:
    (row,) = read(tmp_path, f"{HEADER}\n\x1b[31ma,T4,1,1\n")
    assert row.id == "\N{REPLACEMENT CHARACTER}[31ma"


def test_gpu_hours_make_it_a_table_of_whole_runs(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("id,gpu,tokens,params,gpu_hours\na,T4,1e9,1e9,10\n", encoding="utf-8")
    with open_runs(path) as table:
        (row,) = table.rows
    assert row.kind is Kind.WHOLE_RUN
    assert row.cells["gpu"] == "T4"


def test_a_row_of_a_mixed_table_says_what_it_measures(tmp_path: Path) -> None:
    rows = read(
        tmp_path,
        f"{HEADER},tokens,params,gpu_hours\na,T4,1,100,,1e9,\nb,T4,1,,1e9,1e9,10\n"
        "c,T4,1,100,,1e9,10\nd,T4,1,100,1e9,1e9,10\ne,T4,1,100,1e9,1e9,n/a\nf,T4,1,,1e9,1e9,\n",
    )
    whole = [row.id for row in rows if row.kind is Kind.WHOLE_RUN]
    assert whole == ["b", "d", "f"]


@pytest.mark.parametrize("between", [";", "\t"])
def test_semicolons_or_tabs_may_part_the_cells(tmp_path: Path, between: str) -> None:
    content = f"{HEADER},notes\n{GOOD},x\n\nb,T4,1,7,y\n".replace(",", between)
    rows = read(tmp_path, content + between.join(["c", "T4", "1", "8", '"one, two' + between + '"']))
    assert [(r.line, r.id, r.problem) for r in rows] == [(2, "a", ""), (4, "b", ""), (5, "c", "")]
    assert rows[1].cells["tokens_per_s_per_device"] == "7"
    assert rows[2].cells["notes"].startswith("one, two")


def test_an_empty_word_is_no_name(tmp_path: Path) -> None:
    assert [r.id for r in read(tmp_path, f"{HEADER}\n-,T4,1,100\n")] == ["line 2"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n\n \n", "is empty"),
        (HEADER, "has a header and no rows"),
        (f"{HEADER}\n,,,\n", "has a header and no rows"),
        ("id,devices\na,1\n", "no column accelerator or gpu, no column tokens_per_s_per_device or samples_per_s"),
        ("accelerator;devices\nT4;1\n", "no column tokens_per_s_per_device"),
        ("accelerator,tokens_per_s_per_device\nT4,1\n", "no column devices or n_gpus"),
        ("gpu,gpu_hours\nT4,1\n", "no column tokens, no column params"),
        ("gpu,model,ms_per_step\nT4,BERT,9\n", "no column task, no column batch, no column backend"),
        ("gpu,n_gpus,logged_throughput\nT4,8,9\n", "no column benchmark, no column version"),
        (f"{HEADER},devices\n{GOOD},2\n", "has the column devices twice"),
        ("\x00\x01\x02", "binary"),
        (HEADER.encode("utf-16"), "not text in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00", "not text in UTF-8"),
        (b"accelerator,m\xe9thode\n", "not text in UTF-8"),
        (f'{HEADER},"open\n', "the header is not a row of a CSV file"),
        ("x" * 1_000_000, "line 1 has more than 1,000,000 letters"),
        (f"{HEADER}\n{'x' * 1_000_000}", "line 2 has more than 1,000,000 letters"),
    ],
)
def test_no_table(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(InputFileError) as caught:
        read(tmp_path, content)
    assert message in caught.value.message
    assert "accelerator, devices" in caught.value.hint


def test_what_is_no_file(tmp_path: Path) -> None:
    fifo, locked = tmp_path / "fifo", tmp_path / "locked.csv"
    os.mkfifo(fifo)
    locked.write_text(f"{HEADER}\n{GOOD}\n", encoding="utf-8")
    locked.chmod(0)
    cases = [
        (tmp_path / "none.csv", "does not exist"),
        (tmp_path, "is a directory"),
        (fifo, "not a regular file"),
        (tmp_path / ("n" * 300), "cannot be read"),
        (Path("a\0b"), "cannot be read"),
    ]
    if os.geteuid() != 0:
        cases.append((locked, "cannot be read"))
    for path, message in cases:
        with pytest.raises(InputFileError, match=message), open_runs(path):
            pass


def test_no_more_than_a_row_is_in_memory() -> None:
    """A table without an end is read as far as it is asked for."""

    def endless() -> object:
        yield f"{HEADER}\n"
        while True:
            yield f"{GOOD}\n"

    found = records(endless())  # type: ignore[arg-type]
    assert [next(found).line for _ in range(1000)][-1] == 1000


def test_lines_of_open_quotes_are_each_their_own_fault() -> None:
    found = list(records(iter(["a,b\n", *['"x,1\n'] * 200, "y,2\n"])))
    assert len(found) == 202
    assert [r.line for r in found] == list(range(1, 203))
    assert found[-1].cells == ["y", "2"]
