"""``zenplan train`` with a worker of the tests' own, which trains nothing and speaks the protocol in milliseconds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.session import ENVIRONMENT, once

# What a test may ask of it, in the variable: a step's seconds, the step that it dies, runs out of memory or diverges at.
VARIABLE = "STAND_IN"
WORKER = """
import json, math, os, signal, sys, threading, time
from pathlib import Path

wish = json.loads(os.environ.get("STAND_IN", "{}"))
job = json.loads(sys.stdin.readline())
lines, ended = [], []
def listen():
    for line in sys.stdin:
        lines.append(json.loads(line))
    ended.append(True)
threading.Thread(target=listen, daemon=True).start()
terminated = []
signal.signal(signal.SIGTERM, lambda *_: terminated.append(True))

def send(**event):
    try:
        os.write(job["events"], (json.dumps(event) + "\\n").encode())
    except BrokenPipeError:
        ended.append(True)

if job["job"] == "count":
    send(event="error", message="the stand-in does not count")
    time.sleep(60)
folder = Path(job["folder"])
rank = job["ranks"]["rank"] if job["ranks"] else 0
def lose(stage):
    # Once, at that stage, rank 1 is gone, and the others wait for it.
    mark = folder / f".{stage}-{rank}"
    if wish.get("lose") == stage and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), 9) if rank == 1 else time.sleep(60)
def checkpoint(step):
    start = time.perf_counter()
    path = folder / "checkpoints" / f"step-{step:08}"
    path.mkdir(parents=True, exist_ok=True)
    (path / "state.json").write_text(json.dumps({"step": step, "told": told}))
    time.sleep(wish.get("checkpoint", 0.001))
    send(event="checkpoint", step=step, path=str(path), bytes=2, wall_s=time.perf_counter() - start)
    return step
told = []
first = 0
send(event="stage", stage="build")
lose("build")
if rank:
    lose("rehearsal")
    send(event="ended", reason="finished", step=0, diverged_at=None, peak_bytes=None, how="", model="")
    sys.exit()
if job["resume"]:
    newest = sorted((folder / "checkpoints").glob("step-*"))[-1]
    state = json.loads((newest / "state.json").read_text())
    first, told = state["step"], state["told"]
if not job["resume"] and (folder / "checkpoints").exists() and any((folder / "checkpoints").iterdir()):
    send(event="error", message="there is a run already")
    sys.exit()
saved = first if job["resume"] else checkpoint(0)
versions = wish.get("versions", {"keras": "1"})
send(event="machine", device="a processor", kind="cpu", threads=1, versions=versions, compiled=True)
micro = job["micro_batch"]
sizes = dict(parameters=10, trainable=10, samples=100, tokens_per_sample=8)
send(event="ready", setup_s=0.01, step=first, micro_batch=micro, **sizes)
for each in told:
    send(**each)
step_s = wish.get("step", 0.002)
if job["rehearsal"]:
    lose("rehearsal")
    memory = dict(peak_bytes=1e6, how="resident set", checkpoint_bytes=2)
    # Told to end before a step is timed.
    while wish.get("stopped_early") and not lines and not ended and not terminated:
        time.sleep(0.001)
    steps = [] if wish.get("stopped_early") else [step_s] * 5
    times = dict(evaluate_s=wish.get("evaluate", 0.001), checkpoint_s=0.001)
    send(event="rehearsed", step_wall_s=steps, step_cpu_s=steps, **times, **memory)
    while job["rehearsal"]["waits"] and not lines and not ended and not terminated:
        time.sleep(0.001)
send(event="stage", stage="train")
# The farther from 0.001 it is, the worse.
off = 1.0 + abs(math.log10(job["optimizer"]["learning_rate"] / 1e-3)) if wish.get("rates") else 1.0
loss = lambda step: off * 2.0 / math.sqrt(step)
every, evaluate, reason, step, diverged = job["checkpoint_every"], job["evaluate_every"], "", first, None
while step < job["steps"] and not reason:
    while lines:
        order = lines.pop(0)
        if order.get("checkpoint_every") is not None:
            every = order["checkpoint_every"]
        if order.get("evaluate_every") is not None:
            evaluate = order["evaluate_every"]
        if order.get("checkpoint_every") is None and order.get("evaluate_every") is None:
            reason = order["reason"]
    reason = reason or ("terminated" if terminated else "") or ("parent gone" if ended else "")
    if reason:
        break
    step += 1
    if wish.get("die") == step:
        os.kill(os.getpid(), 9)
    if wish.get("raise") == step:
        send(event="raised", stage="train", type="ValueError", text="bad batch")
        time.sleep(60)
    if wish.get("nan") == step:
        reason, diverged, step = "diverged", step, saved
        break
    if wish.get("memory") == step:
        del wish["memory"]
        send(event="changed", step=saved, what="micro_batch", value=2, why="memory ran out with a micro-batch of 4")
        step = saved
        continue
    if wish.get("slow_to") == step and "until" in wish:
        # Slow for as long as it takes the other side to see it, however busy the machine is.
        notices, end = folder / "notices.jsonl", time.monotonic() + 120
        while not (notices.exists() and wish["until"] in notices.read_text()) and time.monotonic() < end and not ended:
            time.sleep(0.01)
    slow = wish.get("slow_from", 10**9) <= step <= wish.get("slow_to", 10**9)
    now = wish["slow"] if slow else step_s
    time.sleep(now)
    times = dict(wall_s=[now], wait_s=[wish.get("wait", 0.0) * now], cpu_s=now)
    event = dict(event="step", first=step, losses=[loss(step)], **times)
    told = [*told, event][-20:]
    send(**event)
    if evaluate and step % evaluate == 0:
        event = dict(event="metric", step=step, part="validation", values={"loss": loss(step) + 0.1}, wall_s=0.001)
        told = [*told, event][-20:]
        send(**event)
    if every and step % every == 0:
        saved = checkpoint(step)
model = ""
if not reason:
    reason = "finished"
    if not evaluate or step % evaluate:
        send(event="metric", step=step, part="validation", values={"loss": loss(step) + 0.1}, wall_s=0.001)
    send(event="metric", step=step, part="test", values={"loss": loss(step) + 0.2}, wall_s=0.001)
    (folder / "model").mkdir(exist_ok=True)
    model = str(folder / "model" / "model.keras")
    Path(model).write_text("a model")
if diverged is None and saved != step:
    saved = checkpoint(step)
send(event="ended", reason=reason, step=saved, diverged_at=diverged, peak_bytes=2e6, how="resident set", model=model)
"""
# zenplan as it is, but for the worker.
DRIVER = """
import sys
from zenplan.adapters.machine import state
from zenplan.adapters.workers import engines, process
state.crowded_now.__defaults__ = (lambda seconds: None,)
engines.own_worker = process.own_worker = lambda: (sys.executable, {worker!r})
engines.is_installed = lambda name: True
process.find_spec = lambda name: True
from zenplan.commands.main import main
main()
"""


@dataclass
class Trainer:
    """Runs ``zenplan train`` with the stand-in, in a home and a folder of its own."""

    folder: Path
    environ: dict[str, str]
    wish: dict[str, Any] = field(default_factory=dict)
    driver: str = ""

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """A command line, while it goes on."""
        code = self.driver or DRIVER.format(worker=str(self.folder / "worker.py"))
        return subprocess.Popen(
            [sys.executable, "-c", code, *argv],
            env={**self.environ, VARIABLE: json.dumps(self.wish)},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        """A program that uses zenplan, to its end."""
        driver = DRIVER.format(worker=str(self.folder / "worker.py")).partition("from zenplan.commands.main")[0]
        return subprocess.run(
            [sys.executable, "-c", driver + code],
            env={**self.environ, VARIABLE: json.dumps(self.wish)},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def __call__(self, *argv: str) -> tuple[int, str, str]:
        """A command line, to its end."""
        process = self.start(*argv)
        out, err = process.communicate(timeout=240)
        return process.returncode, out, err

    def train(self, *argv: str, steps: int = 40, **wish: Any) -> tuple[int, str, str]:
        """A run in ``run``."""
        self.wish = wish
        return self(*self.line(*argv, steps=steps))

    def line(self, *argv: str, steps: int = 40) -> tuple[str, ...]:
        """Its command line."""
        usual = ("--model", "decoder", "--data", "data", "--steps", str(steps), "--batch", "4", "--seq-len", "8")
        return ("train", *usual, "--backend", "jax", "--device", "cpu", "--out", "run", *argv)

    def wait(self, true: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 30.0) -> None:
        """Until it is so, and the process is still there."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, "it never was"
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)

    def reached(self, step: int) -> bool:
        """Whether the run has told of that step."""
        path = self.folder / "run" / "metrics.jsonl"
        return path.exists() and f'"step": {step},' in path.read_text(encoding="utf-8")

    def json(self, name: str) -> Any:
        """A file of the run's folder."""
        return json.loads((self.folder / "run" / name).read_text(encoding="utf-8"))

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of its metrics."""
        text = (self.folder / "run" / "metrics.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def losses(self) -> list[tuple[int, float]]:
        """Its loss curve."""
        return [(line["step"], line["loss"]) for line in self.metrics() if "part" not in line]


def prepared(folder: Path, tokens: int = 4000) -> Path:
    """A small folder of prepared data."""
    folder.mkdir()
    parts: dict[str, Any] = {}
    for name, count in (("train", tokens), ("validation", tokens // 10), ("test", tokens // 10)):
        np.save(folder / f"{name}-tokens.npy", np.arange(count, dtype=np.uint16) % 50)
        parts[name] = {"tokens": count, "files": {"tokens": f"{name}-tokens.npy"}}
    data = {"schema": "zenplan.prepared/1", "kind": "tokens", "fingerprint": "0" * 64, "vocabulary": 50, "end": 0}
    (folder / "data.json").write_text(json.dumps({**data, "parts": parts}), encoding="utf-8")
    return folder


def run_in(folder: Path) -> None:
    """A finished run ``run``."""
    code, _, err = trainer_in(folder).train()
    assert code == 0, err


@pytest.fixture
def trained(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    """It, in whose folder the test works, with a finished run ``run`` there: a copy of one, as if it had been done there."""
    done = once("trained", run_in)
    for name in ("run", "home"):
        shutil.copytree(done / name, trainer.folder / name)
    for name in ("run.toml", "job.json", "result.json"):
        file = trainer.folder / "run" / name
        file.write_text(file.read_text("utf-8").replace(str(done), str(trainer.folder)), encoding="utf-8")
    monkeypatch.chdir(trainer.folder)
    monkeypatch.setenv("HOME", str(trainer.folder / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(trainer.folder / "home" / "data"))
    monkeypatch.setenv("ZENPLAN_PLUGINS", "")
    return trainer


def trainer_in(folder: Path) -> Trainer:
    """It, with data beside it."""
    (folder / "worker.py").write_text(WORKER, encoding="utf-8")
    prepared(folder / "data")
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "COLUMNS": "80", "ZENPLAN_PLUGINS": ""}
    return Trainer(folder, {**environ, **ENVIRONMENT})


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    """It, in a folder of the test's own."""
    return trainer_in(tmp_path)
