"""``zenplan backtest`` as a user runs it."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from zenplan.commands.shared import progress

ROOT = Path(__file__).parents[3]
PUBLISHED = ROOT / "benchmarks" / "published"
SCHEMA = json.loads((ROOT / "zenplan/data/schemas/backtest-2.json").read_text(encoding="utf-8"))
HEADER = "id,source,family,params,seq_len,accelerator,devices,precision,framework,tokens_per_s_per_device"
LLAMA = "llama,paper,decoder,7e9,4096,A100-SXM4-80GB,8,bf16,Megatron-LM 2023,3000"
GPT = "gpt,blog,decoder,1e9,2048,H100-SXM5-80GB,8,bf16,Megatron-LM 2023,30000"

Called = Callable[..., Any]


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., str]:
    def write(*rows: str, header: str = HEADER) -> str:
        path = tmp_path / "runs.csv"
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return str(path)

    return write


def wrong(document: Any) -> list[str]:
    found = Draft202012Validator(SCHEMA).iter_errors(document)
    return [f"{list(e.absolute_path)}: {e.message}" for e in found]


def test_a_screen_has_scores_the_worst_rows_and_the_reasons(called: Called, table: Callable[..., str]) -> None:
    ended = called("backtest", table(LLAMA, GPT, "bad,paper,cnn,1e6,,T4,1,,,5"), "--by", "source,generation")
    assert (ended.code, ended.err) == (0, "")
    assert "2 rows scored, from 2 sources; 1 skipped" in ended.out
    assert "by source" in ended.out
    assert "by generation" in ended.out
    assert "Farthest off" in ended.out
    assert "family convnet: no built-in model has the name unnamed" in ended.out
    assert "no forecast" in ended.out
    assert [line for line in ended.lines if len(line) > 80] == []


@pytest.mark.parametrize("name", ["language_models.csv", "full_runs.csv"])
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_published_tables_fit_the_terminal(name: str, columns: int, called: Called, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    ended = called("backtest", str(PUBLISHED / name), "--by", "source,accelerator,framework")
    assert ended.code == 0
    assert [line for line in ended.lines if len(line) > columns] == []


def test_json_is_what_its_schema_says(called: Called, table: Callable[..., str]) -> None:
    ended = called("backtest", table(LLAMA, "x,,,,,,,,,", GPT), "--format", "json")
    document = json.loads(ended.out)
    assert list(document) == ["schema", "rows", "groups", "skipped"]
    assert document["schema"] == "zenplan.backtest/2"
    assert wrong(document) == []
    first, second = document["rows"]
    assert (first["id"], first["line"], second["line"]) == ("llama", 2, 4)
    assert first["measured_tokens_per_s_per_device"] == pytest.approx(3000)
    assert first["measured"] == pytest.approx(3000 / 4096)
    assert first["predicted_low"] < first["predicted"] < first["predicted_high"]
    assert first["predicted_tokens_per_s_per_device"] == pytest.approx(first["predicted"] * 4096)
    assert first["inside"] == (first["predicted_low"] <= first["measured"] <= first["predicted_high"])
    assert [(s["id"], s["line"]) for s in document["skipped"]] == [("x", 3)]
    assert {g["by"] for g in document["groups"]} == {"all", "accelerator"}


def test_json_of_whole_runs_is_what_its_schema_says(called: Called) -> None:
    document = json.loads(called("backtest", str(PUBLISHED / "full_runs.csv"), "--format", "json").out)
    assert wrong(document) == []
    assert {row["kind"] for row in document["rows"]} == {"whole run"}
    assert {row["unit"] for row in document["rows"]} == {"GPU-hours"}
    assert all(row["steady"] < row["predicted"] for row in document["rows"])
    assert document["groups"][0]["steady"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.update(extra=1),
        lambda d: d["rows"][0].update(measured=-1),
        lambda d: d["rows"][0].pop("line"),
        lambda d: d["rows"][0].update(assumed="nothing"),
        lambda d: d["groups"][0].update(within_10_percent=42),
        lambda d: d["groups"][0].update(by="weather"),
        lambda d: d["skipped"].append({"id": "x", "line": 2}),
    ],
)
def test_a_wrong_document_is_refused(spoil: Callable[[Any], Any], called: Called, table: Callable[..., str]) -> None:
    document = json.loads(called("backtest", table(LLAMA), "--format", "json").out)
    assert wrong(document) == []
    spoil(document)
    assert wrong(document) != []


def test_csv_has_a_line_for_each_row(called: Called, table: Callable[..., str]) -> None:
    path = table(LLAMA, GPT)
    rows = list(csv.DictReader(io.StringIO(called("backtest", path, "--format", "csv").out)))
    document = json.loads(called("backtest", path, "--format", "json").out)
    assert [row["id"] for row in rows] == ["llama", "gpt"]
    for row, record in zip(rows, document["rows"], strict=True):
        assert float(row["predicted"]) == record["predicted"]
        assert row["assumed"] == "; ".join(record["assumed"])


def test_markdown_has_a_table_for_each_key(called: Called, table: Callable[..., str]) -> None:
    ended = called("backtest", table(LLAMA), "--format", "markdown", "--by", "size,scale", "--worst", "0")
    assert [line for line in ended.lines if line.startswith("### ")] == [
        "### samples/s of a device: 1 row scored, from 1 source; 0 skipped",
        "### by size",
        "### by scale",
    ]


def test_the_worst_come_first_and_as_many_as_asked_for(called: Called, table: Callable[..., str]) -> None:
    rows = [
        LLAMA,
        LLAMA.replace("llama", "far").replace("3000", "300"),
        LLAMA.replace("llama", "farther", 1)[:-4] + "30",
    ]
    out = called("backtest", table(*rows), "--worst", "2").out
    worst = out.partition("Farthest off")[2]
    assert 0 < worst.index("farther ") < worst.index("far ")
    assert "llama " not in worst
    assert "Farthest" not in called("backtest", table(*rows), "--worst", "0").out


def test_cells_that_do_not_agree_are_noted(called: Called, table: Callable[..., str]) -> None:
    ended = called("backtest", table(f"{LLAMA},1.5", header=f"{HEADER},samples_per_s_per_device"))
    assert "1 row with something odd" in " ".join(ended.out.split())


def test_rows_that_should_not_fit_are_counted(called: Called, table: Callable[..., str]) -> None:
    large = "big,paper,decoder,70e9,4096,A100-SXM4-80GB,1,bf16,Megatron-LM 2023,100"
    ended = called("backtest", table(LLAMA, large))
    assert "1 of 2 rows are found not to fit memory; they ran; lines 3." in " ".join(ended.out.split())
    assert "not to fit" not in called("backtest", table(LLAMA)).out


def test_a_row_without_a_name_goes_by_its_model(called: Called, table: Callable[..., str]) -> None:
    header = "model," + HEADER.partition(",")[2]
    out = called("backtest", table(LLAMA, LLAMA.replace("llama", "", 1), header=header)).out
    worst = out.partition("Farthest off")[2]
    assert "llama" in worst
    assert "line 3" in worst


def test_no_row_is_an_error_that_still_says_why(called: Called, table: Callable[..., str]) -> None:
    path = table("bad,paper,cnn,1e6,,T4,1,,,5")
    ended = called("backtest", path, "--format", "json")
    assert ended.code == 1
    document = json.loads(ended.out)
    assert wrong(document) == []
    assert document["rows"] == document["groups"] == []
    assert ended.err == (
        f"error: no row of {path} could be scored\nhint: line 2: family convnet: no built-in model has the name "
        "unnamed, and flop_per_sample or params is empty\n"
    )
    assert "family convnet" in called("backtest", path).out


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (("none.csv",), 1, "does not exist"),
        ((".",), 1, "is a directory"),
        (("/dev/null",), 1, "not a regular file"),
        (("none.csv", "--by", "sauce"), 2, "unknown key of --by 'sauce'"),
        (("none.csv", "--worst", "-1"), 2, "--worst"),
        ((), 2, "TABLE"),
    ],
)
def test_a_usage_error_is_one_line_and_a_hint(called: Called, argv: tuple[str, ...], code: int, message: str) -> None:
    ended = called("backtest", *argv)
    assert (ended.code, ended.out) == (code, "")
    error, hint = ended.err.splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert hint.startswith("hint: ")


def test_a_header_without_the_columns_names_them(called: Called, table: Callable[..., str]) -> None:
    ended = called("backtest", table("a,b", header="name,speed"))
    assert ended.code == 1
    assert "no column accelerator or gpu, no column devices or n_gpus" in ended.err


def test_help_names_what_a_table_has(called: Called) -> None:
    ended = called("backtest", "--help")
    assert ended.code == 0
    for word in ("tokens_per_s_per_device", "gpu_hours", "--by", "--worst", "--format", "Exit code"):
        assert word in ended.out
    assert [line for line in ended.lines if len(line) > 80] == []


# --- progress


def test_nothing_is_shown_of_what_is_done_at_once(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr(progress, "_watched", lambda: True)
    with progress.progress("test") as done:
        done(1.0)
    assert capsys.readouterr().err == ""


def test_no_bar_where_nobody_watches(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr(progress, "_PATIENCE_S", 0.0)
    with progress.progress("test") as done:
        done(0.5)
    assert capsys.readouterr().err == ""


def test_a_bar_with_the_time_left_is_shown_on_a_terminal(monkeypatch: Any) -> None:
    monkeypatch.setattr(progress, "_PATIENCE_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    master, slave = os.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with progress.progress("backtest") as done:
            done(0.25)
            done(0.5)
        monkeypatch.undo()
        # A terminal hands over what is written piece by piece.
        shown = ""
        while "\x1b[?25h" not in shown:
            shown += os.read(master, 100_000).decode()
    os.close(master)
    assert "backtest" in shown
    assert " 25%" in shown
    assert "-:--:--" in shown or "0:00:" in shown
    # The line is cleared at the end.
    assert "\x1b[2K" in shown


def test_speeds_and_times_are_shown_in_their_own_unit(called: Called, tmp_path: Any) -> None:
    images = tmp_path / "images.csv"
    images.write_text(
        "id,family,model,accelerator,devices,global_batch,samples_per_s_per_device\n"
        "a,cnn,resnet50,V100-SXM2-16GB,8,1024,700\nb,cnn,vgg16,V100-SXM2-16GB,1,64,300\n",
        encoding="utf-8",
    )
    shown = called("backtest", str(images))
    assert shown.code == 0
    assert "measured images/s" in shown.out
    operators = tmp_path / "operators.csv"
    operators.write_text(
        "op,gpu,precision,m,n,k,fwd_ms\nGEMM,T4,fp32,1024,1024,1024,0.5\nGEMM,T4,fp32,1024,,1024,0.5\n",
        encoding="utf-8",
    )
    shown = called("backtest", str(operators), "--by", "family,task")
    assert "ms of a pass: 1 row scored, from 1 source; 1 skipped" in shown.out
    assert "measured ms" in shown.out
    assert "by task" in shown.out
    assert [line for line in shown.lines if len(line) > 80] == []
    document = json.loads(called("backtest", str(operators), "--format", "json").out)
    assert wrong(document) == []
    (row,) = document["rows"]
    assert (row["kind"], row["unit"], row["family"], row["task"]) == ("operator", "ms", "GEMM", "forward")
    assert document["skipped"] == [{"id": "line 3", "line": 3, "reason": "n is empty"}]


@pytest.mark.parametrize("lacks", ["op,fwd_ms\nGEMM,1\n", "op,gpu\nGEMM,T4\n"])
def test_a_table_of_operators_lacks_a_column(lacks: str, called: Called, tmp_path: Any) -> None:
    path = tmp_path / "t.csv"
    path.write_text(lacks, encoding="utf-8")
    ended = called("backtest", str(path))
    assert ended.code == 1
    assert "has no column" in ended.err
