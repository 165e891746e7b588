"""What is counted of a run: its drifts, evaluations, checkpoints and start, predicted and actual."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from tests.commands.train.conftest import DRIVER
from zenplan.commands.train.beside import rows
from zenplan.commands.train.past import read_result


def test_a_drift_that_is_over_is_taken_back(trainer: Any) -> None:
    """Slow until that is seen, then as predicted: the last word is not that it is slow, and the card tells of the whole."""
    code, out, err = trainer.train(steps=1000, slow_from=30, slow_to=100, slow=0.05, until="slower than the predicted")
    assert code == 0, err
    assert 0 < err.index("slower than the predicted") < err.index("within the predicted")
    card = (trainer.folder / "run" / "card.md").read_text(encoding="utf-8")
    notes = [line for line in card.splitlines() if "slower than" in line]
    assert len(notes) == 1
    assert re.search(r"from step [\d,]+ to [\d,]+ .*slower", notes[0])
    step = next(row for row in rows(result_of(trainer)) if row.name == "a step")
    assert step.inside is False
    assert re.search(r"As a whole: .*a step .*, outside the predicted", card)
    assert "As a whole: " in " ".join(out.split())


def test_a_drift_that_goes_on_is_the_last_word(trainer: Any) -> None:
    code, _, err = trainer.train(steps=300, slow_from=30, slow=0.03)
    assert code == 0, err
    assert "within the predicted" not in err
    assert re.search(r"from step \d+ on ", (trainer.folder / "run" / "card.md").read_text(encoding="utf-8"))


def result_of(trainer: Any) -> Any:
    return read_result(trainer.folder / "run")


def test_evaluations_cost_little_where_nothing_says_how_many(trainer: Any) -> None:
    """Chosen by what was timed before the run, told to the worker, and kept for whoever goes on with it."""
    code, _, err = trainer.train(steps=400, evaluate=0.02)
    assert code == 0, err
    # 400 steps of 2 ms allow 80 ms: four evaluations, that of the test data among them.
    found = trainer.json("prediction.json")
    assert (found["evaluate_every"], found["evaluations"]) == (134, 4)
    assert trainer.json("job.json")["evaluate_every"] == 134
    made = [(line["step"], line["part"]) for line in trainer.metrics() if "part" in line]
    assert made == [(134, "validation"), (268, "validation"), (400, "validation"), (400, "test")]


@pytest.mark.parametrize(
    ("evaluate", "more", "every"), [(0.5, (), 0), (0.5, ("--evaluate-every", "8"), 8), (1e-5, (), 4)]
)
def test_evaluations_are_at_the_end_alone_as_given_or_ten(
    evaluate: float, more: tuple[str, ...], every: int, trainer: Any
) -> None:
    code, _, err = trainer.train(*more, "--dry-run", "--format", "json", evaluate=evaluate)
    assert code == 0, err
    code, out, err = trainer.train(*more, "--dry-run", evaluate=evaluate)
    assert (code, "evaluations" in out, "checkpoints" in out) == (0, True, True), err
    code, _, err = trainer.train(*more, evaluate=evaluate)
    assert code == 0, err
    assert trainer.json("job.json")["evaluate_every"] == trainer.json("prediction.json")["evaluate_every"] == every


def test_what_was_known_before_is_no_success_of_the_prediction(trainer: Any) -> None:
    assert trainer.train("--checkpoint-every", "10")[0] == 0
    found = {row.name: row for row in rows(result_of(trainer))}
    for name in ("setting up", "rehearsal"):
        assert (found[name].known, found[name].ratio) == (True, None)
        assert "known before" in found[name].cells()
    result = result_of(trainer)
    rest, whole = found["time, unknown before"], found["time"]
    assert rest.actual == pytest.approx(whole.actual - result.prediction.known_s)
    assert abs(rest.ratio - 1.0) > abs(whole.ratio - 1.0) > 0.0
    listed = json.loads(trainer("runs", "list", "--format", "json")[1])["runs"][0]["parts"]
    assert {part["name"] for part in listed if part["known"]} == {"setting up", "rehearsal"}


def test_checkpoints_are_counted_alike_before_and_after(trainer: Any) -> None:
    """That of the beginning is part of setting up: in neither count, and its time in no other part."""
    code, _, err = trainer.train("--checkpoint-every", "10", checkpoint=0.2)
    assert code == 0, err
    result = result_of(trainer)
    assert result.checkpoints == result.prediction.checkpoints == 4
    spent = result.status.spent
    assert spent.checkpoint_s == pytest.approx(0.8, abs=0.2)
    # A run that was stopped and goes on has all of them.
    assert trainer(*trainer.line("--out", "two", "--checkpoint-every", "10", "--max-hours", "1e-9"))[0] == 3
    assert trainer("train", "--resume", "two", "--max-hours", "1")[0] == 0
    assert read_result(trainer.folder / "two").checkpoints >= 4


def test_what_comes_before_the_worker_is_billed_and_predicted(trainer: Any) -> None:
    trainer.driver = "import time; time.sleep(2.0)" + DRIVER.format(worker=str(trainer.folder / "worker.py"))
    began = time.monotonic()
    code, _, err = trainer.train("--usd-per-hour", "3600", step=0.025)
    wall_s = time.monotonic() - began
    assert code == 0, err
    result = result_of(trainer)
    assert 2.0 < result.prediction.start_s < result.prediction.setup_s == result.status.spent.setup_s
    # All of the process but its last moments: what came before the worker, and 40 steps of 25 ms, which took no less.
    assert result.prediction.start_s + 1.0 < result.status.spent.total_s <= wall_s
    assert result.status.usd == pytest.approx(result.status.spent.total_s)
    # The next is predicted by it, also where nothing is timed before.
    assert trainer(*trainer.line("--out", "short", steps=10))[0] == 0
    short = json.loads((trainer.folder / "short" / "prediction.json").read_text(encoding="utf-8"))
    assert short["setup_s"] > short["start_s"] > 2.0
    assert not [fact for fact in short["facts"] if fact["name"] == "setting up"]


def test_the_first_setting_up_is_assumed_and_says_so(trainer: Any) -> None:
    assert trainer.train(steps=10)[0] == 0
    found = trainer.json("prediction.json")
    assert [fact["origin"] for fact in found["facts"] if fact["name"] == "setting up"] == ["assumed"]
    assert found["setup_s"] > found["start_s"] > 0.0
