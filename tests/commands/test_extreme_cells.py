"""Cells of every numeric column of every table that is read: a number beyond all is a row set aside, never the end."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PUBLISHED, DATA = ROOT / "benchmarks" / "published", ROOT / "zenplan" / "data"
Call = Callable[..., Any]

EXTREME = ("1e-320", "1e308", "nan", "inf", "-inf", "-0", "0", "", "1e400", "1e-400", "-1e-320", "1.1e-9", "9e23")
# Tables of runs, of whole runs, of operators, of bills.
TABLES = ("language_models.csv", "other_models.csv", "full_runs.csv", "operators.csv")


def numeric(rows: list[dict[str, str]]) -> list[str]:
    """Columns that hold nothing but numbers."""

    def is_number(text: str) -> bool:
        return text.replace(".", "", 1).replace("e+", "").replace("e", "", 1).isdigit()

    return [c for c in rows[0] if any(r[c] for r in rows) and all(is_number(r[c]) for r in rows if r[c])]


def extreme(source: Path, path: Path) -> int:
    """A table in which each of those columns has each extreme once, in a row that has it. Returns its rows."""
    rows = list(csv.DictReader(source.read_text(encoding="utf-8").splitlines()))
    made = []
    for column in numeric(rows):
        row = next(r for r in rows if r[column])
        made += [{**row, column: cell} for cell in EXTREME]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(made)
    assert len(made) > 3 * len(EXTREME)
    return len(made)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_table_of_runs(name: str, called: Call, tmp_path: Path) -> None:
    rows = extreme(PUBLISHED / name, tmp_path / "runs.csv")
    ended = called("backtest", str(tmp_path / "runs.csv"), "--format", "json")
    assert (ended.code, ended.err) == (0, "")
    found = json.loads(ended.out)
    # A row of operators may have several times.
    assert {row["line"] for kind in ("rows", "skipped") for row in found[kind]} == set(range(2, rows + 2))


@pytest.mark.parametrize("command", ["prices", "estimate --params 1e9 --tokens 1e9"])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_table_of_prices(command: str, called: Call, tmp_path: Path) -> None:
    extreme(DATA / "prices.csv", tmp_path / "prices.csv")
    ended = called(*command.split(), "--prices", str(tmp_path / "prices.csv"), "--format", "json")
    assert ended.code == 0
    assert "fault" not in ended.err
    assert json.loads(ended.out)


@pytest.mark.parametrize("cell", EXTREME)
def test_data_to_learn_from(cell: str, called: Call, tmp_path: Path) -> None:
    rows = "".join(f"{n / 7},{n % 2}\n" for n in range(200))
    (tmp_path / "data.csv").write_text(f"x,label\n{rows}{cell},1\n", encoding="utf-8")
    ended = called("data", "prepare", str(tmp_path / "data.csv"), "--label", "label", "--out", str(tmp_path / "out"))
    assert ended.code in (0, 1)
    assert "fault" not in ended.err
    if ended.code:
        error, hint = ended.err.splitlines()[-2:]
        assert error.startswith("error: ")
        assert hint.startswith("hint: ")
