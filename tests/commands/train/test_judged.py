"""What is held against the figures of a run that came to its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from zenplan.commands.runs.report import comparison_report, runs_report
from zenplan.commands.runs.use_case import Entry
from zenplan.commands.train.document import result_of, run_document
from zenplan.commands.train.ending import limits
from zenplan.commands.train.judged import warnings
from zenplan.commands.train.report import train_report
from zenplan.domain.measured.training_run import FINISHED, REHEARSED, RunPrediction, RunResult, RunStatus
from zenplan.domain.range import Range

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STATUS = RunStatus(
    id="abcdefgh", name="net", state=FINISHED, step=9, steps=9, pid=1, backend="jax", started_at=NOW, updated_at=NOW
)
GUESS = {"test": {"loss": 1.1, "accuracy": 0.4}}


def result(test: dict[str, float] | None = None, **more: Any) -> RunResult:
    return RunResult(status=STATUS, metrics={} if test is None else {"test": test}, **more)


@pytest.mark.parametrize(
    ("test", "names"),
    [
        ({"loss": 14.0, "accuracy": 0.3}, ("loss", "accuracy")),
        ({"loss": 0.9, "accuracy": 0.4}, ("accuracy",)),
        ({"loss": 1.2, "accuracy": 0.5}, ("loss",)),
        ({"loss": float("nan"), "accuracy": 0.5}, ("loss",)),
        ({"loss": 0.2, "accuracy": 0.9}, ()),
        ({"rmse": 7.0}, ()),
    ],
)
def test_a_run_is_held_to_its_baseline(test: dict[str, float], names: tuple[str, ...], tmp_path: Any) -> None:
    found = result(test, baselines=GUESS)
    assert found.no_better == names
    assert bool(list(warnings(found))) == bool(names)
    report = train_report(found, tmp_path)
    assert ("no better" in report.verdict) == bool(names)
    assert set(warnings(found)) <= set(report.notes) & set(limits(found))


def test_errors_of_numbers_are_better_when_lower() -> None:
    assert result({"loss": 4.0, "rmse": 2.0}, baselines={"test": {"loss": 9.0, "rmse": 3.0}}).no_better == ()
    assert result({"loss": 9.5, "rmse": 3.1}, baselines={"test": {"loss": 9.0, "rmse": 3.0}}).no_better == (
        "loss",
        "rmse",
    )


def test_without_test_data_it_is_judged_on_validation_data() -> None:
    found = RunResult(status=STATUS, metrics={"validation": {"loss": 2.0}}, baselines={"validation": {"loss": 1.0}})
    assert found.no_better == ("loss",)
    assert result().no_better == ()


def test_without_a_baseline_a_loss_that_rose_is_said() -> None:
    (line,) = warnings(result(first_loss=2.0, last_loss=9.0))
    assert "9" in line
    assert not list(warnings(result(first_loss=2.0, last_loss=1.0)))
    assert not list(warnings(result({"loss": 1.0}, first_loss=2.0, last_loss=9.0, baselines=GUESS)))


def test_a_last_evaluation_that_is_worse_than_the_best_is_said() -> None:
    def of(last: float) -> list[str]:
        return list(
            warnings(RunResult(status=STATUS, metrics={"validation": {"loss": last}}, best_loss=1.0, best_step=3))
        )

    assert "step 3" in of(1.5)[0]
    assert not of(1.01)


def test_an_accuracy_of_few_samples_has_an_interval_and_may_be_chance() -> None:
    few = result({"loss": 0.9, "accuracy": 0.5}, baselines=GUESS, scored={"test": 30})
    doubt = few.doubt("test", "accuracy")
    # Wilson's interval of 15 of 30: 0.3315 to 0.6685.
    assert doubt is not None
    assert (doubt.low, doubt.high) == (pytest.approx(0.3315, abs=1e-4), pytest.approx(0.6685, abs=1e-4))
    assert few.doubt("test", "loss") is None
    assert "chance" in next(warnings(few))
    assert not list(warnings(result({"loss": 0.9, "accuracy": 0.5}, baselines=GUESS, scored={"test": 3000})))
    assert result({"accuracy": 0.5}).doubt("test", "accuracy") is None


def test_an_interval_stays_within_0_and_1() -> None:
    # By Wilson, all of 10: 0.7225 to 1.
    assert Range.of_share(1.0, 10).low == pytest.approx(0.7225, abs=1e-4)
    assert Range.of_share(1.0, 10).high == 1.0
    assert Range.of_share(0.0, 10).low == 0.0


def test_what_was_said_while_it_ran_is_no_limit_of_the_model(tmp_path: Any) -> None:
    found = result({"loss": 0.9}, notes=("from step 9 on steps are slower than predicted",))
    assert not any("slower" in line for line in limits(found))
    assert any("slower" in line for line in train_report(found, tmp_path).notes)


@pytest.mark.parametrize(
    ("workers", "devices", "words"),
    [(2, 1, "2 workers"), (1, 4, "4 devices"), (2, 4, "2 workers of 4 devices each"), (1, 1, "")],
)
def test_how_many_trained_it_is_in_all_that_is_shown(workers: int, devices: int, words: str, tmp_path: Any) -> None:
    found = RunResult(status=replace(STATUS, workers=workers, devices=devices))
    entry = Entry(folder=tmp_path, result=found, alive=False)
    cells = [c for report in (runs_report([entry], ()), comparison_report([entry])) for c in report.tables[0].rows]
    assert STATUS.together == ""
    assert found.status.together == words
    assert words in train_report(found, tmp_path).verdict
    assert sum(words in cell for row in cells for cell in row) >= 2
    assert result_of(run_document(found, str(tmp_path))).status == found.status


def test_a_prediction_for_other_workers_is_not_held_against_the_run(tmp_path: Any) -> None:
    step = Range(low=0.9, mid=1.0, high=1.1)
    known = RunPrediction(origin=REHEARSED, why="", made_at=NOW, steps=9, step_s=step, workers=2, devices=1)
    two, one = replace(STATUS, workers=2), STATUS
    assert (known.step_for(two), known.step_for(one)) == (step, None)
    assert replace(known, workers=None).step_for(one) == step
    same, other = (
        train_report(RunResult(status=status, prediction=known, step_s=2.0), tmp_path) for status in (two, one)
    )
    assert not same.tables[-1].caption
    assert "2 workers" in other.tables[-1].caption
    assert "1 worker:" in other.tables[-1].caption
    assert [any(note.startswith("As a whole") for note in each.notes) for each in (same, other)] == [True, False]


def test_what_was_not_predicted_has_no_column(tmp_path: Any) -> None:
    table = next(each for each in train_report(result({"loss": 0.9}), tmp_path).tables if each.title == "what it took")
    assert [column.name for column in table.columns] == ["part", "actual"]
    assert all(len(row) == 2 and "–" not in row for row in table.rows)
