"""A run that others watch and stop: through its folder, and through its endpoint."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest


def beside(trainer: Any, *argv: str, out: Path | None = None, **environ: str) -> subprocess.Popen[str]:
    """A command line of another process, while the run goes on; ``out`` is a file for what it writes."""
    with nullcontext(subprocess.PIPE) if out is None else out.open("w", encoding="utf-8") as stdout:
        return subprocess.Popen(
            [sys.executable, "-m", "zenplan", *argv],
            env={**trainer.environ, **environ},
            cwd=trainer.folder,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )


def test_a_run_is_watched_over_http_stopped_by_its_folder_and_goes_on(trainer: Any) -> None:
    pytest.importorskip("uvicorn")
    pytest.importorskip("httpx")
    trainer.wish = {"step": 0.02}
    more = ("--endpoint", "0", "--usd-per-hour", "3.60", "--evaluate-every", "10", "--checkpoint-every", "1000")
    run = trainer.start(*trainer.line(*more, steps=1000))
    trainer.wait(lambda: trainer.reached(5), run)
    place = trainer.json("endpoint.json")
    seen = trainer.folder / "seen.jsonl"
    watching = beside(trainer, "watch", place["url"], "--format", "json", out=seen, ZENPLAN_TOKEN=place["token"])
    trainer.wait(lambda: '"progress"' in seen.read_text(encoding="utf-8"), watching)
    stopped = beside(trainer, "stop", "run")
    out, err = stopped.communicate(timeout=60)
    assert (stopped.returncode, err) == (0, "")
    _, err = run.communicate(timeout=60)
    assert run.returncode == 3, err
    assert place["token"] not in err
    status = trainer.json("status.json")
    assert (status["state"], status["reason"]) == ("stopped", "zenplan stop")
    assert 5 <= status["checkpoint"] == status["step"] < 1000
    assert f"checkpoint is of step {status['step']}" in out
    assert f"zenplan train --resume {status['id']}" in out
    # Whoever watched has heard of all of it, its end among that.
    _, err = watching.communicate(timeout=60)
    assert (watching.returncode, err) == (3, "")
    events = [json.loads(line) for line in seen.read_text(encoding="utf-8").splitlines()]
    assert {"prediction", "progress", "zenplan stop", "checkpoint"} <= {each["event"] for each in events}
    assert events[-1]["result"]["status"]["reason"] == "zenplan stop"
    assert not {"endpoint.json", "stop.json"} & {each.name for each in (trainer.folder / "run").iterdir()}
    again = beside(trainer, "stop", "run")
    assert "nothing to stop" in again.communicate(timeout=60)[0]
    assert again.returncode == 0
    # An order of before is none to the next start, nor is a killed one's token kept.
    (trainer.folder / "run" / "stop.json").write_text("{}", encoding="utf-8")
    trainer.wish = {}
    code, _, err = trainer("train", "--resume", "run", "--endpoint", "0")
    assert code == 0, err
    assert [step for step, _ in trainer.losses()] == list(range(1, 1001))


def test_a_run_that_was_killed_is_said_to_be(trainer: Any) -> None:
    trainer.wish = {"step": 0.02}
    run = trainer.start(*trainer.line("--checkpoint-every", "10", steps=4000))
    trainer.wait(lambda: trainer.reached(15), run)
    watching = beside(trainer, "watch", "run")
    status = trainer.json("status.json")
    shown = json.loads((trainer.folder / "run" / "live.json").read_text(encoding="utf-8"))
    assert (shown["steps"], shown["prediction"]) == (status["steps"], None)
    run.kill()
    run.communicate(timeout=60)
    # The worker holds on until its checkpoint is written.
    _, err = watching.communicate(timeout=60)
    assert watching.returncode == 1
    assert f"run {status['id']} on {socket.gethostname()} was killed" in err
    assert f"hint: zenplan train --resume {status['id']}" in err


def test_an_endpoint_that_cannot_be_is_said_before_the_run(trainer: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for given, what in (
            (("--endpoint", port), "nothing can be served"),
            (("--endpoint", "0.0.0.0:0"), "in the clear"),
            (("--endpoint-key", "data"), "no --endpoint"),
            (("--endpoint", "nowhere"), "--endpoint is 'nowhere'"),
        ):
            code, out, err = trainer(*trainer.line(*given))
            assert (code, out) == (2, ""), err
            assert what in err
            assert not (trainer.folder / "run").exists()
