"""``zenplan train`` as its user sees it: what is written, how it ends, how it goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import psutil
import pytest

from zenplan.commands.main import run
from zenplan.commands.train.kinds import KINDS

FILES = {"run.toml", "job.json", "prediction.json", "metrics.jsonl", "status.json", "result.json", "card.md"}


def test_a_run_is_predicted_done_and_compared(trainer: Any) -> None:
    code, out, err = trainer.train("--usd-per-hour", "3.60")
    assert (code, "error" in err) == (0, False), err
    run = trainer.folder / "run"
    assert {each.name for each in run.iterdir()} >= {*FILES, "curve.svg", "curve.png", "checkpoints", "model"}
    assert not list(run.glob(".zenplan-*"))
    status, result = trainer.json("status.json"), trainer.json("result.json")
    assert (status["state"], status["exit_code"], status["step"], status["reason"]) == ("finished", 0, 40, "finished")
    assert [step for step, _ in trainer.losses()] == list(range(1, 41))
    assert result["prediction"]["origin"] == "rehearsed"
    assert result["prediction"]["step_s"]["mid"] == pytest.approx(0.002)
    # To the cent: what an hour costs times the time that it took.
    assert result["status"]["usd"] == pytest.approx(result["status"]["spent"]["total_s"] * 3.60 / 3600.0)
    assert sorted(result["metrics"]) == ["test", "validation"]
    assert "predicted and actual" in out
    assert (run / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_the_prediction_is_written_before_the_first_step(trainer: Any) -> None:
    trainer.wish = {"step": 0.05}
    process = trainer.start(*trainer.line())
    path = trainer.folder / "run" / "prediction.json"
    trainer.wait(path.exists, process)
    before = path.stat().st_mtime_ns
    process.communicate(timeout=60)
    first = next(line for line in trainer.metrics() if line.get("step") == 1)
    assert first["loss"] == 2.0
    assert before <= (trainer.folder / "run" / "metrics.jsonl").stat().st_mtime_ns
    assert path.stat().st_mtime_ns == before


def test_a_dry_run_predicts_and_leaves_nothing(trainer: Any) -> None:
    code, out, err = trainer.train("--dry-run", "--format", "json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["schema"], found["origin"], found["steps"]) == ("zenplan.prediction/1", "rehearsed", 40)
    assert not (trainer.folder / "run").exists()


def test_a_run_too_short_to_rehearse_says_that_nothing_is_known(trainer: Any) -> None:
    code, _, err = trainer.train(steps=10)
    assert code == 0, err
    assert trainer.json("prediction.json")["origin"] == "not known"
    assert trainer.json("prediction.json")["run_s"] is None


@pytest.mark.parametrize(
    ("number", "code", "reason"), [(signal.SIGINT, 130, "sigint"), (signal.SIGTERM, 143, "sigterm")]
)
def test_a_signal_ends_it_with_a_checkpoint_and_it_goes_on(
    number: signal.Signals, code: int, reason: str, trainer: Any
) -> None:
    trainer.wish = {"step": 0.02}
    process = trainer.start(*trainer.line("--checkpoint-every", "100"))
    trainer.wait(lambda: trainer.reached(5), process)
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    status = trainer.json("status.json")
    assert (status["state"], status["reason"], status["exit_code"]) == ("stopped", reason, code)
    assert 5 <= status["checkpoint"] == status["step"] < 40
    assert "zenplan train --resume" in err or "--resume" in trainer.json("status.json")["message"] or code == 143
    trainer.wish = {}
    again, _, err = trainer("train", "--resume", "run")
    assert again == 0, err
    assert trainer.losses() == [(step, 2.0 / step**0.5) for step in range(1, 41)]
    assert trainer.json("status.json")["starts"] == 2


@pytest.mark.parametrize(
    ("how", "code", "reason"), [("signal", 143, "sigterm"), ("order", 3, "zenplan stop"), ("worker", 143, "terminated")]
)
def test_one_that_is_stopped_before_a_step_is_timed_is_stopped(how: str, code: int, reason: str, trainer: Any) -> None:
    trainer.wish = {"stopped_early": True}
    process = trainer.start(*trainer.line())
    trainer.wait((trainer.folder / "run" / "checkpoints" / "step-00000000").exists, process)
    if how == "order":
        assert trainer("stop", "run", "--no-wait")[0] == 0
    else:
        found = psutil.Process(process.pid)
        trainer.wait(lambda: bool(found.children()), process)
        os.kill(process.pid if how == "signal" else found.children()[0].pid, signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "error:" not in err
    status = trainer.json("status.json")
    assert (status["state"], status["reason"], status["step"], status["exit_code"]) == ("stopped", reason, 0, code)
    trainer.wish = {}
    again, _, err = trainer("train", "--resume", "run")
    assert again == 0, err
    assert len(trainer.losses()) == 40


@pytest.mark.parametrize("which", ["parent", "worker"])
def test_a_killed_run_goes_on_with_the_same_curve(which: str, trainer: Any) -> None:
    """Kill -9 of either: no step is missing, none is there twice."""
    trainer.wish = {"step": 0.01, **({"die": 33} if which == "worker" else {})}
    process = trainer.start(*trainer.line("--checkpoint-every", "10"))
    if which == "parent":
        trainer.wait(lambda: trainer.reached(15), process)
        process.kill()
    _, err = process.communicate(timeout=60)
    status = trainer.json("status.json")
    if which == "worker":
        assert (process.returncode, status["state"]) == (1, "failed")
        assert "hint: zenplan train --resume" in err
    else:
        assert status["state"] == "running"
        code, out, _ = trainer("runs", "list")
        assert (code, "killed" in out or "running" in out) == (0, True)
    trainer.wish = {}
    code, _, err = trainer("train", "--resume", "run")
    assert code == 0, err
    assert trainer.losses() == [(step, 2.0 / step**0.5) for step in range(1, 41)]
    evaluations = [(line["step"], line["part"]) for line in trainer.metrics() if "part" in line]
    assert len(evaluations) == len(set(evaluations)) == 11
    assert not list((trainer.folder / "run").glob(".zenplan-*"))


def test_money_and_hours_end_it_in_time(trainer: Any) -> None:
    # A fifth of a dollar a second: it lasts seven and a half, more than a busy machine takes to begin.
    code, _, err = trainer.train("--usd-per-hour", "720", "--max-usd", "1.5", "--checkpoint-every", "10", steps=40_000)
    assert code == 3, err
    status = trainer.json("status.json")
    assert (status["state"], status["reason"], status["exit_code"]) == ("stopped", "max_usd", 3)
    assert status["checkpoint"] == status["step"] > 0
    # A worker that takes no time to leave: it is over before the money is gone, give or take the end of processes.
    assert trainer.json("result.json")["status"]["usd"] <= 1.9
    code, _, err = trainer("train", "--resume", "run", "--max-usd", "0.01")
    assert (code, trainer.json("status.json")["reason"]) == (3, "max_usd")


def test_one_command_begins_a_run_and_goes_on_with_it(trainer: Any) -> None:
    """As launchers give it, each time the same: killed before its first status, stopped, finished."""
    line = trainer.line("--checkpoint-every", "10", "--autoresume")
    run = trainer.folder / "run"
    run.mkdir()
    (run / "run.toml").write_text("# left by a process that was killed\n", encoding="utf-8")
    trainer.wish = {"step": 0.02}
    process = trainer.start(*line)
    trainer.wait(lambda: trainer.reached(5), process)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 143
    trainer.wish = {}
    code, _, err = trainer(*line)
    assert code == 0, err
    assert trainer.losses() == [(step, 2.0 / step**0.5) for step in range(1, 41)]
    assert trainer.json("status.json")["starts"] == 2
    before = (run / "status.json").read_bytes()
    code, out, err = trainer(*line)
    assert (code, "is finished" in out) == (0, True), err
    assert (run / "status.json").read_bytes() == before


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--learning-rate", "0.5"), "learning-rate"),
        (("--steps", "80"), "steps"),
        (("--option", "layers=2"), "options"),
        (("--batch", "8"), "batch"),
        (("--eager",), "compiled"),
        (("--tensor-parallel", "2"), "tensor-parallel"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_command_that_was_changed_since_does_not_go_on_silently(
    more: tuple[str, ...], said: str, trained: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """It goes on with a run as it was begun: who asks for something else is told that this is not done."""
    before = (trained.folder / "run" / "status.json").read_bytes()
    assert run(trained.line("--autoresume", *more)) == 2
    error, hint = capsys.readouterr().err.splitlines()[-2:]
    assert said in error
    assert hint.startswith("hint: ")
    assert (trained.folder / "run" / "status.json").read_bytes() == before


@pytest.mark.parametrize("more", [(), ("--max-hours", "2"), ("--workers", "2")])
def test_what_may_be_changed_of_a_run_may_be_given_anew(
    more: tuple[str, ...], trained: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(trained.line("--autoresume", *more)) == 0
    assert "is finished" in capsys.readouterr().out


def test_autoresume_needs_a_folder_and_takes_no_other_persons(trainer: Any) -> None:
    assert trainer("train", "--autoresume")[0] == 2
    (trainer.folder / "run").mkdir()
    (trainer.folder / "run" / "notes.txt").write_text("mine", encoding="utf-8")
    code, _, err = trainer(*trainer.line("--autoresume"))
    assert (code, "is not empty" in err) == (2, True)
    assert (trainer.folder / "run" / "notes.txt").read_text(encoding="utf-8") == "mine"


class Metadata(BaseHTTPRequestHandler):
    """AWS's metadata service, with a notice."""

    def do_PUT(self) -> None:
        """A token."""
        self._say("a-token")

    def do_GET(self) -> None:
        """The notice, for whoever has the token."""
        right = self.headers.get("X-aws-ec2-metadata-token") == "a-token" and self.path.endswith("/instance-action")
        self._say('{"action": "terminate", "time": "2026-11-30T05:00:00Z"}' if right else "")

    def _say(self, text: str) -> None:
        self.send_response(200 if text else 404)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def metadata() -> Iterator[str]:
    """Its address."""
    server = HTTPServer(("127.0.0.1", 0), Metadata)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_notice_of_the_cloud_ends_it_resumable(trainer: Any, metadata: str) -> None:
    trainer.environ["ZENPLAN_AWS_METADATA"] = metadata
    code, _, err = trainer.train(steps=4000)
    assert code == 75, err
    status = trainer.json("status.json")
    assert (status["state"], status["reason"], status["exit_code"]) == ("preempted", "preempted", 75)
    assert "AWS: terminate at 2026-11-30" in err
    del trainer.environ["ZENPLAN_AWS_METADATA"]
    code, _, err = trainer("train", "--resume", "run")
    assert code == 0, err


def test_a_loss_that_is_no_number_ends_it_at_the_last_good_checkpoint(trainer: Any) -> None:
    code, _, err = trainer.train("--checkpoint-every", "10", nan=25)
    assert code == 1
    assert "error: the loss is no number any more from step 25 on" in err
    status = trainer.json("status.json")
    assert (status["state"], status["reason"], status["checkpoint"]) == ("failed", "diverged", 20)


def test_an_exception_of_the_model_is_one_line(trainer: Any) -> None:
    code, out, err = trainer.train("--checkpoint-every", "10", **{"raise": 15})
    assert (code, out) == (1, "")
    assert "error: training it with jax, decoder raised ValueError: bad batch\nhint: zenplan train --resume" in err
    assert trainer.json("status.json")["message"].endswith("ValueError: bad batch")


def test_a_smaller_micro_batch_is_said(trainer: Any) -> None:
    code, out, err = trainer.train("--checkpoint-every", "10", memory=27)
    assert code == 0, err
    # It went back to its checkpoint: what it did again stands there once.
    assert [step for step, _ in trainer.losses()] == list(range(1, 41))
    assert "memory ran out with a micro-batch of 4" in err
    assert "memory ran out with a micro-batch of 4" in out


def test_drift_is_said_with_its_cause(trainer: Any) -> None:
    code, _, err = trainer.train(steps=700, slow_from=30, slow=0.02, wait=0.95)
    assert code == 0, err
    assert "steps take 20.0 ms, slower than the predicted" in err
    assert "input-bound" in err


def test_two_runs_in_one_folder_are_refused(trainer: Any) -> None:
    trainer.wish = {"step": 0.05}
    process = trainer.start(*trainer.line(steps=400))
    trainer.wait(lambda: trainer.reached(1), process)
    for line in (trainer.line(), ("train", "--resume", "run"), ("runs", "rm", "run")):
        code, _, err = trainer(*line)
        assert code == 2, err
        assert "another run is at run" in err or "a process is at run" in err
    process.kill()
    process.communicate()


def test_a_folder_that_is_not_empty_is_refused(trainer: Any) -> None:
    (trainer.folder / "run").mkdir()
    (trainer.folder / "run" / "thesis.txt").write_text("years of work", encoding="utf-8")
    code, _, err = trainer.train()
    assert (code, "run is not empty" in err) == (2, True)
    assert (trainer.folder / "run" / "thesis.txt").read_text(encoding="utf-8") == "years of work"
    # Nor is it a run by an id.
    assert json.loads(trainer("runs", "list", "--format", "json")[1])["runs"] == []


def test_two_runs_in_one_folder_are_one_in_the_list(trainer: Any) -> None:
    assert trainer.train()[0] == 0
    assert trainer.train()[0] == 2
    assert len(json.loads(trainer("runs", "list", "--format", "json")[1])["runs"]) == 1


def test_a_file_that_is_not_there_is_told_with_how_to_get_one(trainer: Any) -> None:
    code, _, err = trainer("train", "nowhere.toml")
    assert (code, len(err.splitlines())) == (1, 2)
    assert "train init" in err.splitlines()[1]


def test_a_finished_run_is_not_gone_on_with(trainer: Any) -> None:
    assert trainer.train()[0] == 0
    code, _, err = trainer("train", "--resume", "run")
    assert (code, "is finished" in err) == (2, True)
    code, _, err = trainer("train", "--resume", "run", "--batch", "8")
    assert (code, "--batch" in err) == (2, True)


def test_a_full_disk_is_said(trainer: Any) -> None:
    """A file system that takes no more: the run folder's metrics are a device that is always full."""
    trainer.wish = {"step": 0.01}
    process = trainer.start(*trainer.line("--checkpoint-every", "10", steps=4000))
    trainer.wait(lambda: trainer.reached(20), process)
    process.kill()
    process.communicate()
    path = trainer.folder / "run" / "notices.jsonl"
    path.unlink()
    path.symlink_to("/dev/full")
    code, _, err = trainer("train", "--resume", "run")
    assert code == 1
    assert "notices.jsonl cannot be written: the disk is full" in err


def test_json_lines_end_with_the_result(trainer: Any) -> None:
    code, out, err = trainer.train("--format", "json")
    assert code == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert {"prediction", "evaluation", "checkpoint"} <= {line["event"] for line in lines}
    assert lines[-1]["event"] == "result"
    assert lines[-1]["result"]["schema"] == "zenplan.run/1"


def test_a_file_asks_for_it(trainer: Any) -> None:
    text = '[data]\ndata = "data"\n[step]\nbatch = 4\n[train]\nmodel = "decoder"\nsteps = 40\nbackend = "jax"\n'
    (trainer.folder / "mine.toml").write_text(text + "[train.options]\nlength = 8\n", encoding="utf-8")
    code, _, err = trainer("train", "mine.toml", "--out", "run", "--device", "cpu")
    assert code == 0, err
    assert trainer.json("job.json")["model"]["options"]["length"] == 8
    # What is kept asks for the same again.
    code, _, err = trainer("train", "run/run.toml", "--out", "again")
    assert code == 0, err
    one, two = (json.loads((trainer.folder / name / "job.json").read_text()) for name in ("run", "again"))
    # How far evaluations and checkpoints are apart is chosen by the times of each run.
    same = {"folder": "", "checkpoint_every": 0, "evaluate_every": 0}
    assert {**one, **same} == {**two, **same}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("learning_rat = 1", "line 3: unknown key 'learning_rat'"),
        ("steps = 'many'", "line 3: steps is not a number"),
        ("batch = 4", "line 3: batch belongs in [step]"),
        ("compiled = 3", "line 3: compiled must be true or false"),
        ("schedule = 'round'", "line 3: schedule is 'round'"),
        ("options = 4", "line 3: options must be a table"),
    ],
)
def test_a_wrong_key_is_said_with_its_line(line: str, says: str, trainer: Any) -> None:
    (trainer.folder / "mine.toml").write_text(f"[train]\nmodel = 'decoder'\n{line}\n", encoding="utf-8")
    code, out, err = trainer("train", "mine.toml")
    assert (code, out) == (2, "")
    assert says in err, err


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--batch", "900"), "a batch of 900 is more than the 499 samples to train on"),
        (("--micro-batch", "3"), "--batch 4 is no multiple of --micro-batch 3"),
        (("--model", "decodr"), "did you mean decoder"),
        (("--model", "convnet"), "convnet is trained on arrays, and the data are tokens"),
        (("--epochs", "2"), "--steps and --epochs contradict"),
        (("--optimizer", "adamw-8bit"), "unknown optimizer 'adamw-8bit'"),
        (("--warmup-steps", "90"), "are more than the 40 steps"),
    ],
)
def test_what_does_not_go_together_is_refused(more: tuple[str, ...], says: str, trainer: Any) -> None:
    code, out, err = trainer.train(*more)
    assert (code, out) == (2, ""), err
    assert says in err
    assert err.splitlines()[-1].startswith("hint: ")
    assert not (trainer.folder / "run").exists()


@pytest.mark.parametrize("option", ["--dry-run", "--demo", "--out=other", "--option=layers=2", "--steps=9"])
def test_what_does_not_go_with_resume_is_named(option: str, trained: Any) -> None:
    code, _, err = trained("train", "--resume", "run", option)
    assert code == 2
    assert option.split("=")[0] in err.splitlines()[0]


def test_runs_are_listed_shown_compared_and_removed(trainer: Any) -> None:
    assert trainer.train()[0] == 0
    id = trainer.json("status.json")["id"]
    assert id in trainer("runs", "list")[1]
    found = json.loads(trainer("runs", "list", "--format", "json")[1])
    assert [each["status"]["id"] for each in found["runs"]] == [id]
    assert {"time", "a step", "steps"} <= {part["name"] for part in found["runs"][0]["parts"]}
    assert json.loads(trainer("runs", "show", id[:4], "--format", "json")[1])["schema"] == "zenplan.run/1"
    assert trainer("runs", "compare", id, "run")[0] == 0
    (trainer.folder / "run" / "mine.txt").write_text("stays", encoding="utf-8")
    code, out, err = trainer("runs", "rm", id)
    assert (code, out) == (0, f"removed: {id}\n"), err
    assert [each.name for each in (trainer.folder / "run").iterdir()] == ["mine.txt"]
    assert json.loads(trainer("runs", "list", "--format", "json")[1])["runs"] == []
    assert trainer("runs", "show", id)[0] == 2


def test_earlier_runs_correct_the_next_prediction(trainer: Any) -> None:
    """Steps took twice as long as rehearsed, three times: the fourth prediction knows, and says so."""
    for number in range(3):
        trainer.wish = {"slow_from": 1, "slow": 0.004}
        code, _, err = trainer(*trainer.line("--out", f"run{number}"))
        assert code == 0, err
    code, _, err = trainer.train(slow_from=1, slow=0.004)
    assert code == 0, err
    found = trainer.json("prediction.json")
    assert "corrected by 3 earlier runs" in found["why"]
    assert 0.0025 < found["step_s"]["mid"] < 0.004
    assert found["step_s"]["high"] > 0.004


@pytest.mark.parametrize("kind", [*KINDS])
def test_the_file_of_each_kind_is_read_as_it_is_written(kind: str, trainer: Any) -> None:
    """And every default that it shows can be taken."""
    code, out, err = trainer("train", "init", kind)
    assert (code, out) == (0, "written: run.toml\n"), err
    path = trainer.folder / "run.toml"
    assert trainer("train", "init", kind)[0] == 2
    text = path.read_text(encoding="utf-8")
    for each in (text, re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)):
        path.write_text(each, encoding="utf-8")
        code, _, err = trainer("train", "run.toml", "--data", "nowhere")
        assert (code, "data 'nowhere' does not exist" in err) == (1, True), err


def test_from_python_it_is_the_same(trainer: Any) -> None:
    code = "import zenplan; told = []\n"
    code += (
        "run = zenplan.train(data='data', model='decoder', seq_len=8, batch=4, steps=40, backend='jax', device='cpu', "
    )
    code += "out='run', usd_per_hour=3.6, progress=lambda share, text: told.append(share))\n"
    code += "assert told[-1] == 1.0 and sorted(told) == told, told\n"
    code += "assert run.status.state == 'finished' and run.to_dict()['schema'] == 'zenplan.run/1'\n"
    code += "assert 'predicted and actual' in str(run) and run.folder.name == 'run'\n"
    code += "try: zenplan.train(resume='run')\nexcept zenplan.UsageError as error: assert 'finished' in error.message\n"
    code += "else: raise AssertionError"
    done = trainer.python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "flying"}', '{"schema": "zenplan.run/1"}', "\x00"])
def test_a_run_whose_files_are_spoiled_costs_no_other(text: str, trainer: Any) -> None:
    assert trainer.train()[0] == 0
    assert trainer(*trainer.line("--out", "other"))[0] == 0
    id = trainer.json("status.json")["id"]
    (trainer.folder / "run" / "status.json").write_text(text, encoding="utf-8")
    code, out, err = trainer("runs", "list")
    assert (code, f"run {id} cannot be read" in " ".join(out.split())) == (0, True), err
    assert "decoder" in out
    code, _, err = trainer("runs", "show", id)
    assert (code, err.startswith("error: ")) == (1, True)


def test_what_of_the_data_is_not_learned_from_is_said(trainer: Any) -> None:
    card = {"schema": "zenplan.data_card/1", "source": "t.csv", "kind": "arrays", "what": "rows", "files": 1}
    counts = {"read_bytes": 9, "records": 40, "seed": 0, "cpu_s": 0.0, "wall_s": 0.0}
    more = {"split_by": "record", "version": "1", "fingerprint": "0", "parts": [], "unused": ["income"]}
    dropped = [{"what": "records", "why": "without a label", "count": 3, "example": "line 7"}]
    card_file = trainer.folder / "data" / "card.json"
    card_file.write_text(json.dumps({**card, **counts, **more, "unused_numbers": ["income"], "dropped": dropped}))
    code, out, err = trainer.train(steps=10)
    assert code == 0
    for said in (out, err):
        assert "income" in said
        assert "3 records" in " ".join(said.split())
    assert any("income" in note for note in trainer.json("result.json")["notes"])
