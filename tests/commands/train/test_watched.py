"""What is counted of a run: its drifts, evaluations, checkpoints and start, predicted and actual."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from tests.commands.train.conftest import DRIVER
from zenplan.adapters.run_folder.folder import is_held
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


# --- the command itself goes


def test_a_command_at_fault_leaves_no_run_that_says_it_goes_on(trainer: Any) -> None:
    """An exception that is none of zenplan's errors, in the middle of the run."""
    fault = "from zenplan.commands.train import supervise\n"
    fault += "def wrong(self, event): raise RuntimeError('a fault of the command')\n"
    fault += "supervise.Supervisor._steps = wrong\n"
    before, main, after = DRIVER.format(worker=str(trainer.folder / "worker.py")).partition(
        "from zenplan.commands.main"
    )
    trainer.driver = before + fault + main + after
    assert trainer.train()[0] != 0
    status = trainer.json("status.json")
    assert (status["state"], status["exit_code"]) == ("failed", 1)
    assert status["message"] == "RuntimeError: a fault of the command"
    trainer.driver = ""
    assert "failed" in trainer("runs", "list")[1]
    assert trainer("watch", "run", "--once")[0] == 1
    code, _, err = trainer("train", "--resume", "run")
    assert code == 0, err


def test_of_a_run_that_was_killed_all_say_the_same(trainer: Any) -> None:
    trainer.wish = {"step": 0.02}
    process = trainer.start(*trainer.line(steps=2000))
    trainer.wait(lambda: trainer.reached(5), process)
    process.kill()
    process.communicate()
    end = time.monotonic() + 30
    while is_held(trainer.folder / "run") and time.monotonic() < end:
        # Its worker writes a checkpoint, and leaves.
        time.sleep(0.05)
    assert trainer.json("status.json")["state"] == "running"
    listed = json.loads(trainer("runs", "list", "--format", "json")[1])["runs"][0]
    assert (listed["status"]["state"], listed["alive"]) == ("killed", False)
    assert json.loads(trainer("runs", "show", "run", "--format", "json")[1])["status"]["state"] == "killed"
    for command in (("runs", "list"), ("runs", "show", "run"), ("stop", "run")):
        assert "killed" in trainer(*command)[1]
    for command in (("watch", "run", "--once"), ("watch", "run"), ("explain", "run")):
        code, _, err = trainer(*command)
        assert code != 0
        assert "killed" in err


def test_what_others_are_shown_is_a_second_old_at_most(trainer: Any) -> None:
    trainer.wish = {"step": 0.01}
    process = trainer.start(*trainer.line(steps=4000))
    trainer.wait(lambda: trainer.reached(5), process)
    seen = set()
    end = time.monotonic() + 3.5
    while time.monotonic() < end:
        seen.add(trainer.json("live.json")["elapsed_s"])
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert len(seen) >= 3
