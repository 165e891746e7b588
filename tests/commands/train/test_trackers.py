"""Trackers follow a run from beside: what they get, and that nothing they do changes it."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.commands.train.conftest import DRIVER

HEAD = "import json, time\nfrom zenplan import hookimpl\n"
GOOD = """
class Kept:
    def __init__(self, run):
        self.file = open(f"{run.folder}/kept.jsonl", "a")
        self.say(start=run.id, name=run.name, batch=run.settings["batch"], resumed=run.resumed)

    def say(self, **values):
        self.file.write(json.dumps(values) + "\\n")
        self.file.flush()

    def log(self, step, values):
        print("printed by mine")
        self.say(step=step, values=dict(values))

    def finish(self, state):
        self.say(finish=state)

class Tracker:
    name = "mine"

    def start(self, run):
        return Kept(run)

@hookimpl
def zenplan_trackers():
    return [Tracker()]
"""
# What goes wrong, and what is then said of it.
BAD = {
    "raises at the start": ("return Kept(run)", "raise ValueError('no such host')", "no such host"),
    "exits at a step": ('print("printed by mine")', "raise SystemExit(4)", "SystemExit"),
    "raises at the end": ("self.say(finish=state)", "raise OSError('no room')", "no room"),
    "hangs at the start": ("return Kept(run)", "time.sleep(1000)", "within"),
    "hangs at a step": ('print("printed by mine")', "time.sleep(1000)", "within"),
    "returns nothing": ("return Kept(run)", "return None", "NoneType"),
}


def install(trainer: Any, body: str) -> None:
    """A plugin of that body, for the runs of the trainer."""
    folder = trainer.folder / "plugins"
    info = folder / "dist_mine-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "mine_plugin.py").write_text(HEAD + textwrap.dedent(body), encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dist-mine\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[zenplan]\nmine = mine_plugin\n", encoding="utf-8")
    trainer.environ |= {"PYTHONPATH": str(folder), "ZENPLAN_PLUGINS": "mine"}
    before, main, after = DRIVER.format(worker=str(trainer.folder / "worker.py")).partition(
        "from zenplan.commands.main"
    )
    trainer.driver = f"{before}from zenplan.commands.train import tracking\ntracking.LAST_S = 2.0\n{main}{after}"


def kept(trainer: Any) -> list[dict[str, Any]]:
    text = (trainer.folder / "run" / "kept.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_a_tracker_gets_every_step_and_evaluation(trainer: Any) -> None:
    install(trainer, GOOD)
    code, out, err = trainer.train("--tracker", "mine", "--evaluate-every", "10")
    assert code == 0, err
    first, *steps, last = kept(trainer)
    assert first == {"start": trainer.json("status.json")["id"], "name": "decoder", "batch": 4, "resumed": False}
    assert last == {"finish": "finished"}
    losses = [(line["step"], line["values"]["loss"]) for line in steps if "loss" in line["values"]]
    assert losses == trainer.losses()
    parts = [(line["step"], sorted(line["values"])) for line in steps if "loss" not in line["values"]]
    assert parts == [*((step, ["validation/loss"]) for step in (10, 20, 30, 40)), (40, ["test/loss"])]
    # What a plugin prints is no part of the answer.
    assert "printed by mine" not in out
    assert "printed by mine" in err


def test_a_resumed_run_is_the_same_one(trainer: Any) -> None:
    install(trainer, GOOD)
    trainer.train("--tracker", "mine", "--checkpoint-every", "5", die=23)
    trainer.wish = {}
    code, _, err = trainer("train", "--resume", str(trainer.folder / "run"))
    assert code == 0, err
    starts = [line for line in kept(trainer) if "start" in line]
    assert [line["resumed"] for line in starts] == [False, True]
    assert len({line["start"] for line in starts}) == 1
    assert kept(trainer)[-1] == {"finish": "finished"}
    logged = {line["step"] for line in kept(trainer) if "values" in line}
    assert logged == set(range(1, 41))


@pytest.mark.parametrize("what", BAD)
def test_a_bad_tracker_hurts_nothing(what: str, trainer: Any) -> None:
    """The run is what it would be without, and it is said once."""
    before, after, said = BAD[what]
    assert before in GOOD
    install(trainer, GOOD.replace(before, after))
    code, out, err = trainer.train("--tracker", "mine")
    assert code == 0, err
    assert [step for step, _ in trainer.losses()] == list(range(1, 41))
    assert trainer.json("status.json")["state"] == "finished"
    lines = [line for line in err.splitlines() if line.startswith("tracker mine is left out")]
    assert len(lines) == 1, err
    assert said in lines[0]
    assert "predicted and actual" in out
    notices = (trainer.folder / "run" / "notices.jsonl").read_text(encoding="utf-8")
    assert notices.count('"event": "tracker"') == 1


def test_an_unknown_tracker_is_refused_before_the_run(trainer: Any) -> None:
    code, _, err = trainer.train("--tracker", "tensorbord")
    assert code == 2, err
    assert "tensorboard" in err
    assert not (trainer.folder / "run").exists()


def test_a_library_that_is_missing_says_what_to_install(trainer: Any) -> None:
    """And TensorBoard, beside it, goes on."""
    code, _, err = trainer.train("--tracker", "trackio,tensorboard")
    assert code == 0, err
    if "tracker trackio is left out" in err:
        assert "pip install trackio" in err
    files = list(Path(trainer.folder / "run" / "tensorboard").iterdir())
    assert len(files) == 1
    assert files[0].stat().st_size > 1000
