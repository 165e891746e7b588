"""``zenplan retrain-plan`` of a run of the stand-in worker."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

import zenplan
from zenplan.adapters.run_folder.folder import STATUS
from zenplan.commands.main import run

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def asked(trainer: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """The command, in the folder of a finished run."""
    code, _, err = trainer.train("--usd-per-hour", "2")
    assert code == 0, err
    monkeypatch.chdir(trainer.folder)
    monkeypatch.setenv("ZENPLAN_TODAY", "2099-12-31")
    for name, value in trainer.environ.items():
        monkeypatch.setenv(name, value)
    capsys.readouterr()

    def call(*argv: str) -> tuple[int, str, str]:
        code = run(["retrain-plan", "run", *argv])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def ended() -> date:
    return date.fromisoformat(json.loads(Path("run", STATUS).read_text())["updated_at"][:10])


def log(rate: float = 0.002, start: float = 0.9, suffix: str = "csv") -> Path:
    """A metric that falls evenly, by the week."""
    rows = [(ended() + timedelta(days=7 * n), start - rate * 7 * n) for n in range(6)]
    path = Path(f"accuracy.{suffix}")
    if suffix == "csv":
        path.write_text("date,accuracy\n" + "".join(f"{day},{value}\n" for day, value in rows))
    else:
        path.write_text("".join(json.dumps({"date": f"{day}", "accuracy": value}) + "\n" for day, value in rows))
    return path


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_the_best_interval_of_a_log(asked: Call, suffix: str) -> None:
    code, out, err = asked(
        "--drift", str(log(suffix=suffix)), "--usd-per-point-day", "5", "--run-usd", "100", "--format", "json"
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["decay"]["form"] == "linear"
    # A point is 0.01: the metric is worth $500 a day.
    days = math.sqrt(2.0 * 100.0 / (0.002 * 500.0))
    assert found["interval"]["mid"] == pytest.approx(days, rel=1e-4)
    assert found["run_usd_per_day"] == pytest.approx(found["lost_usd_per_day"], rel=1e-4)
    assert found["retrain_on"] == str(ended() + timedelta(days=math.floor(days)))


def test_the_run_is_paid_as_it_was(asked: Call) -> None:
    code, out, _ = asked("--decay", "0.5%:1%:2%/week", "--usd-per-point-day", "5", "--format", "json")
    assert code == 0
    found = json.loads(out)
    assert found["run_usd"] == pytest.approx(found["run_s"] * 2.0 / 3600.0, rel=0.05)
    assert found["interval"]["low"] < found["interval"]["mid"] < found["interval"]["high"]
    assert found["decay"]["rises"] is True
    assert found["decay"]["mid"] == pytest.approx(math.log(1.01) / 7.0)


def test_without_a_value_it_is_the_day_of_the_limit(asked: Call) -> None:
    code, out, _ = asked("--drift", str(log()), "--min-metric", "0.8", "--format", "json")
    found = json.loads(out)
    assert code == 0
    assert found["interval"] is None
    assert found["reached"]["mid"] == pytest.approx(50.0, rel=1e-3)
    assert found["retrain_on"] == str(ended() + timedelta(days=math.floor(found["reached"]["mid"])))


def test_the_table_and_python_say_the_same(asked: Call) -> None:
    flags = ("--drift", str(log()), "--min-metric", "0.8", "--usd-per-point-day", "0.001", "--run-usd", "1")
    code, out, _ = asked(*flags)
    assert code == 0
    assert out.startswith("Train again by ")
    assert max(map(len, out.splitlines())) <= 80
    found = zenplan.retrain_plan("run", drift="accuracy.csv", min_metric=0.8, usd_per_point_day=0.001, run_usd=1)
    assert str(found) == out.rstrip("\n")
    assert found.reached is not None
    assert found.interval is not None
    assert found.days == min(found.reached.mid or math.inf, found.interval.mid or math.inf)


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("--decay", "1%/week"),
        ("--usd-per-point-day", "5"),
        ("--decay", "1%", "--min-metric", "0.8"),
        ("--decay", "1%/", "--min-metric", "0.8"),
        ("--decay", "1%/blue", "--min-metric", "0.8"),
        ("--decay", "100%/week", "--min-metric", "0.8"),
        ("--decay", "2%:1%:3%/week", "--min-metric", "0.8"),
        ("--decay", "1%:2%/week", "--min-metric", "0.8"),
        ("--decay", "1%/week", "--min-metric", "nan"),
        ("--decay", "1%/week", "--min-metric", "0.8", "--max-metric", "0.9"),
        ("--decay", "1%/week", "--usd-per-point-day", "0"),
        ("--decay", "1%/week", "--usd-per-point-day", "5", "--run-usd", "-1"),
        ("--decay", "1%/week", "--usd-per-point-day", "5", "--metric", "accuracy"),
        ("--decay", "1%/week", "--drift", "x.csv", "--min-metric", "0.8"),
    ],
)
def test_what_cannot_be_asked_is_one_line(asked: Call, argv: tuple[str, ...]) -> None:
    code, _, err = asked(*argv)
    assert code == 2
    error, hint = err.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "date,metric\n",
        "date,metric\nyesterday,0.9\n",
        "date,metric\n2099-01-01,nan\n2099-01-02,0.9\n2099-01-03,0.8\n",
        "date,value\n2099-01-01,0.9\n",
        '{"date": "2099-01-01", "metric": true}\n',
        '{"date": "2099-01-01", "metric"\n',
        "date,metric\n2099-01-01,0.7\n2099-01-02,0.8\n2099-01-03,0.9\n",
        "date,metric\n2001-01-01,0.9\n2001-01-02,0.8\n2001-01-03,0.7\n",
        'date,metric\n"2099-01-01,0.9\n',
        "date,accuracy,loss\n2099-01-01,0.9,1\n2099-01-02,0.8,2\n2099-01-03,0.7,3\n",
        "date\n2099-01-01\n2099-01-02\n2099-01-03\n",
        "date,accuracy\n2099-12-30,0.9\n2099-12-31,0.8\n2100-01-02,0.7\n",
    ],
)
def test_a_log_that_says_nothing_is_one_line(asked: Call, text: str) -> None:
    Path("log.csv").write_text(text)
    code, _, err = asked("--drift", "log.csv", "--min-metric", "0.5")
    assert code == 1
    error, hint = err.splitlines()
    assert error.startswith("error: log.csv")
    assert hint.startswith("hint: ")


@pytest.mark.parametrize(
    "argv",
    [
        # The stand-in's loss on test data is above 0.5, and a loss is worse the higher it is.
        ("--decay", "1%/week", "--max-metric", "0.1"),
        ("--decay", "1%/week", "--max-metric", "0.1", "--usd-per-point-day", "5"),
        ("--drift", "accuracy.csv", "--min-metric", "0.95"),
    ],
)
def test_a_limit_that_the_run_never_met_is_the_answer_no(asked: Call, argv: tuple[str, ...]) -> None:
    log()
    code, out, err = asked(*argv)
    assert (code, out) == (3, "")
    error, hint = err.splitlines()
    assert "never met" in error
    assert hint.startswith("hint: ")


def test_a_log_is_of_the_metric_that_its_column_names_and_not_its_file(asked: Call) -> None:
    log().rename("drift-log.csv")
    flags = ("--drift", "drift-log.csv", "--usd-per-point-day", "5", "--run-usd", "1", "--format", "json")
    found = json.loads(asked(*flags)[1])["decay"]
    assert (found["metric"], found["rises"]) == ("accuracy", False)
    text = Path("drift-log.csv").read_text()
    Path("drift-log.csv").write_text(text.replace("accuracy", "metric"))
    # Of the run's own metric, which here is a loss, it cannot be.
    assert asked(*flags)[0] == 1
    found = json.loads(asked(*flags, "--metric", "accuracy")[1])["decay"]
    assert (found["metric"], found["rises"]) == ("accuracy", False)
