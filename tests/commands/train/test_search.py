"""``[search]`` as its user sees it: what it costs is said first, trials are given up, the best is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

TRAIN = """
[step]
batch = 4
seq_len = 8
[data]
data = "data"
[train]
model = "decoder"
steps = 40
backend = "jax"
device = "cpu"
evaluate_every = 10
"""


def asked(trainer: Any, text: str) -> str:
    path: Path = trainer.folder / "search.toml"
    path.write_text(TRAIN + text, encoding="utf-8")
    return str(path)


def search(trainer: Any, text: str, *argv: str) -> tuple[int, str, str]:
    trainer.wish = {"rates": True, "step": 0.001}
    found: tuple[int, str, str] = trainer("train", asked(trainer, text), "--out", "run", *argv)
    return found


GRID = """
[search]
early_stopping = false
[search.fields]
learning_rate = [1e-2, 1e-3, 1e-5]
"""


def test_the_best_of_a_grid_is_kept_and_of_the_others_their_curves(trainer: Any) -> None:
    code, out, err = search(trainer, GRID, "--usd-per-hour", "36")
    assert code == 0, err
    assert "predicted: 3 trials" in err
    assert "Trial 2 is the best" in out
    found = trainer.json("search.json")
    assert (found["schema"], found["best"]) == ("zenplan.search/1", 2)
    assert [trial["values"]["learning_rate"] for trial in found["trials"]] == [1e-2, 1e-3, 1e-5]
    assert found["predicted_usd"]["mid"] == pytest.approx(sum(t["predicted_usd"]["mid"] for t in found["trials"]))
    trials = trainer.folder / "run" / "trials"
    assert [(trials / f"{n:03d}" / "model" / "model.keras").exists() for n in (1, 2, 3)] == [False, True, False]
    assert [(trials / f"{n:03d}" / "checkpoints").exists() for n in (1, 2, 3)] == [False, True, False]
    assert all((trials / f"{n:03d}" / "metrics.jsonl").exists() for n in (1, 2, 3))


def test_the_same_command_goes_on_and_does_nothing_twice(trainer: Any) -> None:
    assert search(trainer, GRID)[0] == 0
    before = {path: path.stat().st_mtime_ns for path in (trainer.folder / "run").rglob("status.json")}
    best = trainer.json("search.json")["best"]
    code, _, err = search(trainer, GRID)
    assert (code, trainer.json("search.json")["best"]) == (0, best), err
    assert len(before) == 3
    assert {path: path.stat().st_mtime_ns for path in before} == before
    code, _, err = search(trainer, GRID.replace("1e-5", "1e-4"))
    assert code == 2
    assert "of another search" in err


def test_a_trial_that_others_leave_behind_is_given_up(trainer: Any) -> None:
    text = "[search.fields]\nlearning_rate = [1e-3, 2e-3, 3e-3, 1e-9]\n"
    code, _, err = search(trainer, text)
    assert (code, err.count("given up")) == (0, 1)
    found = trainer.json("search.json")["trials"]
    assert [trial["reason"] for trial in found] == ["finished", "finished", "finished", "behind"]
    assert found[3]["step"] < 40
    assert trainer.json("search.json")["best"] == 1


def test_trials_are_left_out_where_money_ends(trainer: Any) -> None:
    text = GRID.replace("[search.fields]", "max_usd = {}\n[search.fields]")
    code, out, err = search(trainer, text.format("0.0001"), "--usd-per-hour", "36")
    assert (code, out) == (3, "")
    assert "more than the" in err
    assert not (trainer.folder / "run").exists()
    code, _, err = search(trainer, text.format("1"))
    assert code == 2
    assert "nothing says what an hour costs" in err


def test_what_it_costs_is_said_without_doing_it(trainer: Any) -> None:
    code, out, err = search(trainer, GRID, "--usd-per-hour", "36", "--dry-run", "--format", "csv")
    assert code == 0, err
    assert out.count("\n") == 4
    assert not (trainer.folder / "run").exists()


def test_random_trials_are_as_many_as_asked_for(trainer: Any) -> None:
    text = """
[search]
trials = 4
[search.fields]
learning_rate = { low = 1e-4, high = 1e-2, log = true }
[search.fields.options]
width = [8, 16]
"""
    code, out, err = search(trainer, text, "--dry-run", "--format", "csv")
    assert code == 0, err
    assert out.count("\n") == 5
    assert "options.width" in out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[search]\ntrial = 3\n[search.fields]\nlearning_rate = [1]", "line 14: unknown key 'trial'"),
        ("[search]\ntrials = 3", "nothing says what is to be tried"),
        ("[search.fields]\nlearning_rat = [1]", "line 14: unknown key 'learning_rat'"),
        ("[search.fields]\nlearning_rate = [1, 'much']", "line 14: learning_rate is not a number: 'much'"),
        ("[search.fields]\nlearning_rate = []", "must be a list of values, or low and high"),
        ("[search.fields]\nlearning_rate = [1e-3, 1e-3]", "has a value twice"),
        ("[search.fields]\nlearning_rate = { low = 1e-3, high = 1e-4 }", "has nothing in between"),
        ("[search.fields]\nlearning_rate = { low = 1e-4, high = 1e-3 }", "nothing says how many"),
        ("[search.fields]\nmax_usd = [1]", "unknown key 'max_usd'"),
        ("[search]\ntrials = 0\n[search.fields]\nlearning_rate = [1]", "line 14: trials must be a whole number from 1"),
        ("[search]\nearly_stopping = 1\n[search.fields]\nlearning_rate = [1]", "must be true or false"),
        ("search = 1", "must be a table"),
    ],
)
def test_a_search_that_cannot_be_is_told_with_its_line(trainer: Any, text: str, said: str) -> None:
    path = trainer.folder / "search.toml"
    path.write_text(text + TRAIN if text == "search = 1" else TRAIN + text, encoding="utf-8")
    code, out, err = trainer("train", str(path), "--out", "run")
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("error:") == 1
    assert not (trainer.folder / "run").exists()


def test_from_python_it_is_the_same_as_the_command(trainer: Any) -> None:
    """The same trials with the same best, kept in the same way; the document is the command's."""
    assert search(trainer, GRID)[0] == 0
    command = trainer.json("search.json")
    code = f"""
import json, zenplan
told = []
run = zenplan.train({json.dumps(asked(trainer, GRID))}, out="again", progress=lambda share, text: told.append(share))
assert told == sorted(told) and told[0] == 0.0 and told[-1] == 1.0, told
assert [trial.result.status.state for trial in run.trials] == ["finished"] * 3
assert run.status.state == "finished" and run.folder.parent.parent == run.search_folder
assert "Trial 2 is the best" in str(run)
print(json.dumps(run.to_dict()))
"""
    done = trainer.python(code)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads((trainer.folder / "again" / "search.json").read_text(encoding="utf-8"))
    assert (found["schema"], found["best"]) == (command["schema"], command["best"])
    assert [trial["values"] for trial in found["trials"]] == [trial["values"] for trial in command["trials"]]
    trials = trainer.folder / "again" / "trials"
    assert [(trials / f"{n:03d}" / "model" / "model.keras").exists() for n in (1, 2, 3)] == [False, True, False]
    # A single run that is gone on with is none of it.
    done = trainer.python("import zenplan; zenplan.train(resume='again/trials/002')")
    assert "is finished" in done.stderr
