"""``zenplan calibrate`` as a user runs it, on whatever backend is installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from zenplan.commands.shared import progress

SCHEMA = Path(__file__).parents[3] / "zenplan" / "data" / "schemas" / "calibrate-1.json"
BACKEND = next((b for b in ("jax", "torch", "tensorflow") if find_spec("keras") and find_spec(b)), "")
needs_keras = pytest.mark.skipif(not BACKEND, reason="Keras and a backend are not installed")

MODELS = """
import os, signal, time
import keras
from keras import layers

def net(depth=6, width=32):
    x = keras.Input((16,))
    y = x
    for _ in range(depth):
        y = layers.Dense(width, activation="relu")(y)
    return keras.Model(x, layers.Dense(4)(y))

def dies(depth=6):
    # Counted it is first, in a worker that measures nothing.
    if depth == 6 and "TF_NUM_INTEROP_THREADS" in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)
    return net(depth)

def slow():
    open("started", "w").close()
    time.sleep(600)
"""
VARY = ("--vary", "depth=1,2,4", "--depth", "6", "--batch", "8", "--threads", "1")


@pytest.fixture
def project(zenplan: Any) -> Any:
    """zenplan in a folder with models."""
    (zenplan.cwd / "models.py").write_text(MODELS, encoding="utf-8")
    return zenplan


def measured(project: Any, *argv: str) -> Any:
    return project("calibrate", "--backend", BACKEND, *argv, timeout=300)


@pytest.mark.slow
@needs_keras
def test_a_model_is_measured_and_the_whole_predicted(project: Any) -> None:
    ended = measured(
        project, "--keras", "models:net", *VARY, "--samples", "1M", "--usd-per-hour", "2", "--format", "json"
    )
    assert ended.code == 0, ended.err
    document = json.loads(ended.out)
    assert list(Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).iter_errors(document)) == []
    found = document["calibrations"][0]
    steps = [p for p in found["points"] if p["role"] == "step"]
    # The whole takes milliseconds: it is run.
    assert [p["depth"] for p in steps] == [1, 6]
    assert all(p["rounds"] >= 2 and p["step_s"] > 0 for p in steps)
    # Five products of 32×32 weights, one of 16×32, one of 32×4, with their biases.
    assert found["parameters"] == 5 * (32 * 32 + 32) + (16 * 32 + 32) + (32 * 4 + 4)
    assert found["target"] == {"depth": 6, "batch": 8, "predicted_bytes": found["target"]["predicted_bytes"]}
    low, mid, high = (found["prediction"]["step_s"][end] for end in ("low", "mid", "high"))
    assert low < mid < high
    assert found["run"]["seconds"]["mid"] == pytest.approx(1e6 / 8 * mid)
    assert found["run"]["usd"]["mid"] == pytest.approx(1e6 / 8 * mid * 2 / 3600)
    listed = json.loads(project("calibrations", "list", "--format", "json").out)
    assert found["id"] in json.dumps(listed)


@pytest.mark.slow
@pytest.mark.skipif(
    not (find_spec("keras") and find_spec("torch")) or len(os.sched_getaffinity(0)) < 2,
    reason="torch or a second core is missing",
)
def test_the_step_of_two_workers_stands_below_that_of_one(project: Any) -> None:
    vary = [each for each in VARY if each not in ("--threads", "1")]
    ended = project("calibrate", "--keras", "models:net", *vary, "--workers", "2", timeout=300)
    assert ended.code == 0, ended.err
    assert max(map(len, ended.lines)) <= 80
    rows = [line.split("  ")[0].strip() for line in ended.lines]
    one, two = rows.index("step of 8, 6 deep"), rows.index("step of 2 × 8")
    assert one < two < rows.index("all-reduce") < rows.index("speed-up")
    gradients = 4 * (5 * (32 * 32 + 32) + (16 * 32 + 32) + (32 * 4 + 4))
    assert f"{gradients / 1e3:.1f} kB" in " ".join(ended.out.split())


@pytest.mark.slow
@needs_keras
def test_the_answer_fits_80_columns_and_says_where_numbers_are_from(project: Any) -> None:
    ended = measured(project, "--keras", "models:net", "--batch", "8", "--threads", "1")
    assert ended.code == 0, ended.err
    assert max(map(len, ended.lines)) <= 80
    assert "whole" in ended.out
    assert "a step of the whole model" in ended.out
    assert "measured here" in ended.out


@pytest.mark.slow
@needs_keras
def test_a_killed_worker_is_a_failed_point(project: Any) -> None:
    ended = measured(project, "--keras", "models:dies", *VARY, "--eager", "--format", "json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)["calibrations"][0]
    failures = {p["depth"]: p["failure"] for p in found["points"] if p["role"] == "step"}
    assert failures[1] == ""
    assert "killed by SIGKILL" in failures[6]
    assert any("depth=6" in doubt for doubt in found["prediction"]["doubts"])


@pytest.mark.slow
@needs_keras
def test_ctrl_c_keeps_what_is_there_and_says_so(project: Any) -> None:
    argv = [*project.module, "calibrate", "--keras", "models:slow", "--backend", BACKEND]
    process = subprocess.Popen(
        argv, cwd=project.cwd, env=project.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        until = time.monotonic() + 60
        while not (project.cwd / "started").exists() and time.monotonic() < until:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        # Or its pipes stay open, and a test after this one fails.
        ended = process.poll()
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    assert ended == 130
    assert "run it again to go on" in err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--model", "gpt2", "--keras", "models:net"), "--model and --keras contradict"),
        (("--model", "gpt2", "--family", "convnet"), "--family does not go with --model"),
        (("--batch", "8"), "--batch is of a model"),
        (("--seq-len", "128"), "--seq-len is of a model"),
        (("--usd-per-hour", "2"), "--usd-per-hour is of a model"),
        (("--workers", "2"), "--workers is of a model"),
        (("--model", "gpt2", "--workers", "1"), "--workers 1 are not several"),
        (("--model", "gpt2", "--workers", "two"), "--workers"),
        (("--model", "gpt2", "--workers", "2", "--compare"), "--workers does not go with --compare"),
        (("--model", "gpt2", "--workers", "2", "--backend", "tensorflow"), "--workers runs on torch or jax, not on"),
        (("--model", "gpt2", "--workers", "2", "--backend", "jax", "--eager"), "--workers does not go with --eager"),
        (("--model", "gpt2", "--workers", "2", "--compiled"), "--workers does not go with --compiled"),
        (("--model", "gpt2", "--workers", "10000"), "10000 workers need a core each"),
        (("--model", "gpt2", "--depth", "4"), "--depth is for --keras"),
        (("--model", "gpt2", "--compare", "--eager"), "--eager does not go with --compare"),
        (("--keras", "models.py:net"), "'models.py:net' is a path, not a module"),
        (("--compare",), "nothing says which model to compare"),
        (("--keras", "m:f", "--vary", "depth"), "--vary must be an argument and its values"),
        (("--keras", "m:f", "--vary", "depth=2"), "--vary needs two depths"),
        (("--model", "gpt2", "--vary", "depth=1,2"), "--vary is for --keras"),
        (("--minutes", "0"), "--minutes must be more than 0"),
        (("--threads", "many"), "--threads"),
        (("--precision", "fp8"), "Keras does not train in fp8"),
        (("--device", "tpu"), "unknown device 'tpu'"),
        (("--backend", "flax"), "unknown backend 'flax'"),
        (("--model", "gpt2", "--usd-per-hour", "cheap"), "--usd-per-hour"),
        (("--family", "gnn"), "unknown family 'gnn'"),
    ],
)
def test_what_is_not_possible_is_one_line_and_exit_code_2(
    argv: tuple[str, ...], said: str, called: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    if not BACKEND and said not in ("--minutes must be more than 0", "--threads"):
        pytest.skip("Keras and a backend are not installed")
    ended = called("calibrate", *argv)
    assert ended.code == 2, ended.err
    errors = [line for line in ended.err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert said in errors[0]


def test_what_is_done_stands_beside_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_watched", lambda: True)
    monkeypatch.setattr(progress, "_PATIENCE_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    master, slave = os.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with progress.staged("calibrate") as show:
            show(0.5, "jax: compile depth=2 batch=8")
        monkeypatch.undo()
        shown = ""
        while "\x1b[?25h" not in shown:
            shown += os.read(master, 100_000).decode()
    os.close(master)
    assert "compile depth=2" in shown
    assert " 50%" in shown
