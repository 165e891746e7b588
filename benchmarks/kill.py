"""Training runs that are killed at random moments: each goes on, to the same losses as one that was left alone.

    python benchmarks/kill.py [--count 200] [--backend jax] [--seed 0] [--show] [--readme]

The run is a small text classifier with dropout, so that its random numbers matter, and a checkpoint every five steps. It is
killed with SIGKILL (the command, its worker, or both) while it starts, while it trains, or while a checkpoint is being
written, and gone on with by ``zenplan train --resume``, some times in a row; then it runs to its end. Its losses, its
evaluations and its last checkpoint have to be those of a run that was not killed, bit for bit, and nothing temporary may be
left. Kills are kept as they come; those that are there count.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import readme
from training_runs import HERE, WORK, Bench, Kept, Task, chosen, curve, machine, parser, task_of, versions, zenplan

COUNT: Final = 200
# Kills of one run at most, before it is let run to its end.
_A_RUN: Final = 8
_WHO: Final = ("both", "command", "worker")
_WHEN: Final = ("start", "steps", "steps", "checkpoint", "checkpoint")
_FLAGS: Final = (
    *("--steps", "120", "--threads", "1"),
    *("--checkpoint-every", "5", "--evaluate-every", "40", "--evaluate-batches", "4"),
)
_OPTIONS: Final = {"dropout": 0.2}
# Waiting longer than this for a run to come to what it is to be killed at, in seconds, is a fault.
_PATIENCE_S: Final = 1800.0
_LOOK_S: Final = 0.0005
_TEMPORARY: Final = (".writing", ".zenplan-")


@dataclass(slots=True, kw_only=True)
class Victim:
    """A run that is killed.

    Attributes:
        bench, task, backend: what it is.
        folder: that it is in.
        draw: its chances.
        start_s: that its starts took so far, the longest.
    """

    bench: Bench
    task: Task
    backend: str
    folder: Path
    draw: random.Random
    start_s: float = 5.0
    process: subprocess.Popen[bytes] = field(init=False)

    def begin(self) -> str:
        """Start it, or go on with it; which of both, in a word."""
        resumed = (self.folder / "status.json").exists()
        if not resumed:
            shutil.rmtree(self.folder, ignore_errors=True)
        command = zenplan(["train", "--resume", str(self.folder), "--format", "json"]) if resumed else self._command()
        log = self.folder.with_suffix(".log")
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            environment = self.bench.environment(self.folder.name)
            self.process = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)
        return "resumed" if resumed else "begun"

    def end(self) -> int:
        """Let it run to its end; its exit code."""
        try:
            return self.process.wait(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._kill("both")
            raise

    def kill(self, when: str, who: str) -> dict[str, Any] | None:
        """Kill it at such a moment; None where it came to its end before."""
        self.come_to(when, time.monotonic(), self._lines(), 1.5)
        if self.process.poll() is not None:
            return None
        writing = any((self.folder / "checkpoints").glob(".writing*"))
        code = self._kill(who)
        return {"when": when, "who": who, "exit": code, "lines": self._lines(), "writing": writing}

    def come_to(self, when: str, begin: float, before: int, most_s: float) -> None:
        """Wait for a moment: while it starts, makes steps, or writes a checkpoint.

        Args:
            when: which.
            begin: since when it starts, by the monotonic clock; before: lines of its metrics then.
            most_s: into its steps, at most.
        """
        if when == "start":
            self._until(lambda: False, self.draw.uniform(0.0, self.start_s))
        elif self._until(lambda: self._lines() > before, _PATIENCE_S):
            self.start_s = max(self.start_s, time.monotonic() - begin)
            if when == "checkpoint":
                self._until(lambda: any((self.folder / "checkpoints").glob(".writing*")), _PATIENCE_S)
                time.sleep(self.draw.uniform(0.0, 0.004))
            else:
                self._until(lambda: False, self.draw.uniform(0.0, most_s))

    def _kill(self, who: str) -> int:
        """Kill it now; the command's exit code."""
        for pid in self._pids(who):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return self.process.wait(timeout=_PATIENCE_S)

    def left(self) -> list[str]:
        """Temporary files that are in its folder."""
        found = self.folder.rglob("*")
        return sorted(str(each.relative_to(self.folder)) for each in found if each.name.startswith(_TEMPORARY))

    def outcome(self) -> dict[str, Any]:
        """What has to be the same: losses, evaluations, and the last checkpoint's arrays."""
        losses, evaluations = curve(self.folder / "metrics.jsonl")
        last = max((self.folder / "checkpoints").glob("step-*"))
        arrays = hashlib.sha256((last / "arrays.safetensors").read_bytes()).hexdigest()
        return {"losses": losses, "evaluations": evaluations, "last": last.name, "arrays": arrays}

    def _command(self) -> list[str]:
        found = self.bench.command(self.task, self.backend, self.folder)
        return [*found, *_FLAGS, *(f"--option={name}={value}" for name, value in _OPTIONS.items())]

    def _pids(self, who: str) -> list[int]:
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        workers = [int(each) for each in children]
        return workers if who == "worker" and workers else [pid] if who == "command" else [*workers, pid]

    def _lines(self) -> int:
        try:
            return (self.folder / "metrics.jsonl").read_bytes().count(b"\n")
        except FileNotFoundError:
            return 0

    def _until(self, there: Callable[[], bool], wait_s: float) -> bool:
        end = time.monotonic() + wait_s
        while time.monotonic() < end and self.process.poll() is None:
            if there():
                return True
            time.sleep(_LOOK_S)
        return False


def faults(found: Mapping[str, Any], truth: Mapping[str, Any]) -> list[str]:
    """What is not as it is of the run that was not killed."""
    wrong = [name for name in truth if found[name] != truth[name]]
    if "losses" in wrong:
        pairs = zip(found["losses"], truth["losses"], strict=False)
        first = next((n for n, (a, b) in enumerate(pairs, 1) if a != b), 0)
        wrong.append(f"from step {first} on, {len(found['losses'])} of {len(truth['losses'])} steps")
    return wrong


def truth_of(bench: Bench, task: Task, backend: str) -> dict[str, Any]:
    """Of the run that is not killed; it is made once."""
    draw = random.Random(0)  # noqa: S311 (no secret)
    whole = Victim(bench=bench, task=task, backend=backend, folder=bench.folder("killed-not", backend), draw=draw)
    if not (whole.folder / "model" / "model.keras").exists():
        shutil.rmtree(whole.folder, ignore_errors=True)
        whole.begin()
        if whole.end():
            raise SystemExit(f"the run itself fails on {backend}: see {whole.folder.with_suffix('.log')}")
    return whole.outcome()


def one(victim: Victim, truth: Mapping[str, Any], most: int) -> Iterator[dict[str, Any]]:
    """Kill a run up to that many times and let it end; each kill, and what came of it at the end."""
    shutil.rmtree(victim.folder, ignore_errors=True)
    kills: list[dict[str, Any]] = []
    while len(kills) < most:
        how = victim.begin()
        found = victim.kill(victim.draw.choice(_WHEN), victim.draw.choice(_WHO))
        if found is None:
            break
        kills.append({**found, "how": how})
        if found["exit"] == 0:
            # What was killed was not needed: a worker that counts the model before the run.
            break
    if victim.process.poll() != 0:
        victim.begin()
    code, wrong = victim.end(), []
    if code:
        text = victim.folder.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
        wrong = [f"exit code {code}: {text[-300:]}"]
    else:
        wrong = [*faults(victim.outcome(), truth), *(f"left: {name}" for name in victim.left())]
    for kill in kills:
        yield {**kill, "wrong": wrong}


def row_key(backend: str, seed: int, number: int) -> dict[str, Any]:
    """Of a kill, as of ``training_runs.key_of``."""
    name = f"kill {seed}-{number}"
    return {"run": name, "size": "small", "backend": backend, "versions": versions(backend), "machine": machine()}


def known(kept: Kept, backend: str) -> list[dict[str, Any]]:
    """Kills that are kept, of this machine and these versions."""
    here = row_key(backend, 0, 0)
    return [row for row in kept.rows() if all(row[k] == here[k] for k in ("backend", "versions", "machine"))]


def run(bench: Bench, backends: Sequence[str], count: int, seed: int) -> None:
    """Kill until there are so many kills over all the backends."""
    kept, task = kept_kills(bench), task_of("text-classifier")
    for place, backend in enumerate(backends):
        wanted = count // len(backends) + (place < count % len(backends))
        truth = truth_of(bench, task, backend) if len(known(kept, backend)) < wanted else {}
        while (done := len(known(kept, backend))) < wanted:
            draw = random.Random(f"{seed} {backend} {done}")  # noqa: S311 (no secret)
            folder = bench.folder("killed", backend)
            victim = Victim(bench=bench, task=task, backend=backend, folder=folder, draw=draw)
            for number, kill in enumerate(one(victim, truth, min(_A_RUN, wanted - done)), start=done):
                kept.add({**row_key(backend, seed, number), "code": 0, **kill})
                print(backend, kill, flush=True)


def kept_kills(bench: Bench) -> Kept:
    """Where they are kept."""
    return Kept((HERE / "measured" if bench.work == WORK else bench.work) / "kill.jsonl")


def report(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many were survived, by backend."""
    lines = [
        "| backend | kills | while it starts | trains | writes a checkpoint | command / worker / both | went on bit for "
        "bit, nothing left |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for backend in (*dict.fromkeys(row["backend"] for row in rows), "**all**"):
        some = [row for row in rows if backend in (row["backend"], "**all**")]
        when = Counter("checkpoint" if row["writing"] else row["when"] for row in some)
        who = Counter(row["who"] for row in some)
        well = sum(not row["wrong"] for row in some)
        lines.append(
            f"| {backend} | {len(some)} | {when['start']} | {when['steps']} | {when['checkpoint']} | "
            f"{who['command']} / {who['worker']} / {who['both']} | {well} |"
        )
    wrong = [f"{row['backend']}, {row['run']}: {', '.join(row['wrong'])}" for row in rows if row["wrong"]]
    return "\n".join([*lines, "", *wrong]).rstrip()


def main() -> None:
    """Kill, and print the table."""
    flags = parser(__doc__)
    flags.add_argument("--count", type=int, default=COUNT, help="kills over all backends")
    flags.add_argument("--seed", type=int, default=0, help="of the moments")
    flags.add_argument("--show", action="store_true", help="the table of what is kept")
    flags.add_argument("--readme", action="store_true", help="also write it into docs/train.md")
    given = flags.parse_args()
    bench, _, backends = chosen(given)
    bench = Bench(work=bench.work, small=True)
    if not given.show:
        run(bench, backends, given.count, given.seed)
    text = report(kept_kills(bench).rows())
    print(text)
    if given.readme:
        readme.write("kills", text)


if __name__ == "__main__":
    main()
