"""Training runs of several workers: to the losses of one, through kills of random workers, and what watching them costs.

    python benchmarks/many.py [--exact] [--kills 50] [--zero] [--memory] [--overhead 3] [--backend jax] [--seed 0]
        [--show] [--readme]

The run is a small decoder. Each layout begins with the same weights, and its losses are compared with those of one worker,
step by step; a run that is stopped in the middle goes on with another number of workers.

Kills are SIGKILL of a random worker, of the command, or of all, at a random moment: while they start, while they train, or
while a checkpoint is written. The group begins again by itself, or ``zenplan train --resume`` goes on with it. Its losses,
evaluations and last checkpoint have to be those of a run that was not killed, bit for bit, and nothing temporary is left.
Workers are found among the children of the command that was started here, by their variable ``RANK``.

The cost of watching is processor time, which other programs on the machine move less than wall-clock time: of the command
beside its workers, and of a step of a worker against that of a bare loop (``many_bare.py``) under DistributedDataParallel.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import psutil
import readme
from kill import Victim, faults
from training_runs import HERE, WORK, Bench, Kept, Task, machine, parser, task_of, versions, zenplan

from zenplan.adapters.workers.process import worker_environment
from zenplan.adapters.workers.ranks import contract, environments_of, free_address
from zenplan.worker.protocol import Ranks

_STEPS: Final = 60
_FLAGS: Final = ("--threads", "1", "--checkpoint-every", "10", "--evaluate-every", "30", "--steps", str(_STEPS))
_PATIENCE_S: Final = 900.0
# Workers, devices of each, devices that a matrix is divided over, ZeRO stage.
Layout = tuple[int, int, int, int]
LAYOUTS: Final[Mapping[str, Sequence[Layout]]] = {
    "jax": (
        *((1, 1, 1, 0), (2, 1, 1, 0), (4, 1, 1, 0), (1, 2, 1, 0), (1, 4, 1, 0), (2, 2, 1, 0)),
        *((1, 2, 2, 0), (1, 4, 4, 0), (2, 1, 2, 0), (4, 1, 4, 0), (4, 1, 2, 0), (2, 2, 2, 0)),
    ),
    "torch": ((1, 1, 1, 0), (2, 1, 1, 0), (4, 1, 1, 0), (2, 1, 1, 3), (4, 1, 1, 3)),
    "tensorflow": ((1, 1, 1, 0), (1, 2, 1, 0), (1, 4, 1, 0)),
}
_ONE: Final[Layout] = (1, 1, 1, 0)
# Stopped in the middle of a run of so many workers with ZeRO, and gone on with on so many.
_RESHARDED: Final = (((2, 0), (1, 0)), ((1, 0), (2, 0)), ((2, 0), (4, 0)))
_DIVIDED_ANEW: Final = (((2, 3), (4, 3)), ((2, 3), (2, 0)), ((1, 0), (2, 3)))
# Losses have to be the same to so many digits.
_DIGITS: Final = 1e-6
# Those that train on several workers.
_KILLED: Final = ("jax", "torch")
_KILLED_WORKERS: Final = 2
# So that random numbers matter.
_DROPPED: Final = ("--option=dropout=0.1",)
_WHO: Final = ("rank", "rank", "rank", "rank", "command", "all")
_WHEN: Final = ("start", "steps", "steps", "checkpoint")
# Kills of one run at most, before it is let run to its end.
_A_RUN: Final = 5


def layout_flags(layout: Layout) -> list[str]:
    """As flags of a run."""
    names = ("--workers", "--devices", "--tensor-parallel", "--zero")
    return [word for name, value in zip(names, layout, strict=True) if value > 1 for word in (name, str(value))]


def layout_name(layout: Layout) -> str:
    """As a table has it."""
    workers, devices, divided, zero = layout
    more = (f", matrices over {divided}" if divided > 1 else "") + (f", ZeRO {zero}" if zero else "")
    return f"{workers} × {devices}{more}"


def _workers_name(workers: int, zero: int) -> str:
    return f"{workers} with ZeRO {zero}" if zero else str(workers)


@dataclass(slots=True, kw_only=True)
class Many(Victim):
    """A run of several workers, which may be killed.

    Attributes:
        flags: beside the usual ones.
    """

    flags: Sequence[str] = field(default_factory=tuple)

    def kill_one(self, when: str, who: str) -> dict[str, Any] | None:
        """Kill who is meant at such a moment, once all workers are there; None where the run came to its end before."""
        begin, before = time.monotonic(), self._lines()
        if not self._until(lambda: len(self._ranks()) == _KILLED_WORKERS, _PATIENCE_S):
            return None
        self.come_to(when, begin, before, 2.0)
        ranks = self._ranks()
        if self.process.poll() is not None or len(ranks) < _KILLED_WORKERS:
            return None
        rank = self.draw.randrange(_KILLED_WORKERS)
        writing = any((self.folder / "checkpoints").glob(".writing*"))
        killed = {"rank": [ranks[rank]], "command": [], "all": [*ranks.values()]}[who]
        for each in killed if who == "rank" else [psutil.Process(self.process.pid), *killed]:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        self.gone(killed)
        found = {"when": when, "who": who, "rank": rank if who == "rank" else None, "writing": writing}
        return {**found, "lines": self._lines()}

    def comes_to(self, step: int) -> bool:
        """Whether it does, before its end."""
        return self._until(lambda: self._lines() >= step, _PATIENCE_S)

    def gone(self, killed: Sequence[psutil.Process]) -> None:
        """Wait until they are, so that the next look sees who came after them."""
        psutil.wait_procs(killed, timeout=60.0)

    def _ranks(self) -> dict[int, psutil.Process]:
        """Workers of this run, by rank."""
        found = {}
        with suppress(psutil.Error):
            for each in psutil.Process(self.process.pid).children():
                with suppress(psutil.Error, KeyError):
                    if each.status() != psutil.STATUS_ZOMBIE:
                        found[int(each.environ()["RANK"])] = each
        return found

    def _command(self) -> list[str]:
        return [*self.bench.command(self.task, self.backend, self.folder), *_FLAGS, *self.flags]


def one(run: Many, truth: Mapping[str, Any], most: int) -> Iterator[dict[str, Any]]:
    """Kill workers of a run up to that many times and let it end; each kill, and what came of it at the end."""
    shutil.rmtree(run.folder, ignore_errors=True)
    kills: list[dict[str, Any]] = []
    run.begin()
    starts = 1
    while len(kills) < most:
        found = run.kill_one(run.draw.choice(_WHEN), run.draw.choice(_WHO))
        if found is None and run.process.poll() in (None, 0):
            break
        kills += [found] if found else []
        if found and found["who"] == "rank":
            # It begins again by itself, but for one that was lost before the first step.
            time.sleep(1.0)
        if found and found["who"] != "rank":
            run.process.wait(timeout=_PATIENCE_S)
        if run.process.poll() not in (None, 0):
            if starts > 3 * most:
                raise SystemExit(f"it does not begin: see {run.folder.with_suffix('.log')}")
            run.begin()
            starts += 1
    while (code := run.end()) and starts < 3 * most:
        run.begin()
        starts += 1
    wrong = []
    if code:
        text = run.folder.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
        wrong = [f"exit code {code}: {text[-300:]}"]
    else:
        left = [*run.left(), *(each.name for each in run.folder.glob(".ranks-*"))]
        wrong = [*faults(run.outcome(), truth), *(f"left: {name}" for name in left)]
    for kill in kills:
        yield {**kill, "starts": starts, "wrong": wrong}


# --- what is run


def key(name: str, backend: str) -> dict[str, Any]:
    """As of ``training_runs.key_of``."""
    return {"run": name, "size": "small", "backend": backend, "versions": versions(backend), "machine": machine()}


def many_of(bench: Bench, task: Task, backend: str, name: str, flags: Sequence[str], draw: Any = None) -> Many:
    """A run of that name."""
    folder = bench.folder(f"many-{name.replace(' ', '')}", backend)
    draw = draw or random.Random(0)  # noqa: S311 (no secret)
    return Many(bench=bench, task=task, backend=backend, folder=folder, draw=draw, flags=flags)


def whole(
    bench: Bench, task: Task, backend: str, layout: Layout, name: str = "exact", more: Sequence[str] = ()
) -> Many:
    """A run of that layout that nobody disturbs; it is made once."""
    name = f"{name}-{'-'.join(map(str, layout if layout[-1] else layout[:-1]))}"
    found = many_of(bench, task, backend, name, [*layout_flags(layout), *more])
    if not (found.folder / "model" / "model.keras").exists():
        shutil.rmtree(found.folder, ignore_errors=True)
        found.begin()
        if found.end():
            raise SystemExit(f"the run itself fails on {backend}: see {found.folder.with_suffix('.log')}")
    return found


def apart(losses: Sequence[float], truth: Sequence[float]) -> float:
    """The largest relative difference."""
    return max(abs(a - b) / abs(b) for a, b in zip(losses, truth, strict=True))


def exact(bench: Bench, task: Task, backends: Sequence[str], kept: Kept) -> None:
    """Each layout against one worker."""
    for backend in backends:
        for layout in LAYOUTS[backend]:
            row = {**key(f"exact {layout_name(layout)}", backend), "code": 0, "layout": layout}
            if kept.has(**row):
                continue
            truth = whole(bench, task, backend, _ONE).outcome()
            found = whole(bench, task, backend, layout).outcome()
            _keep(kept, {**row, **_compared(found, truth)})
        anew = (*_RESHARDED, *(_DIVIDED_ANEW if backend == "torch" else ()))
        for before, after in anew if backend in _KILLED else ():
            _resharded(bench, task, backend, (before, after), kept)


def _compared(found: Mapping[str, Any], truth: Mapping[str, Any]) -> dict[str, Any]:
    last = [each["evaluations"][-1]["values"]["loss"] for each in (found, truth)]
    return {
        "steps": len(found["losses"]),
        "apart": apart(found["losses"], truth["losses"]),
        "last_loss": found["losses"][-1],
        "evaluation_apart": abs(last[0] - last[1]) / abs(last[1]),
    }


def _resharded(
    bench: Bench, task: Task, backend: str, pair: tuple[tuple[int, int], tuple[int, int]], kept: Kept
) -> None:
    before, after = pair
    name = f"{_workers_name(*before)} then {_workers_name(*after)}"
    row = {**key(f"exact {name} workers", backend), "code": 0, "layout": [*before, *after]}
    if kept.has(**row):
        return
    run = many_of(bench, task, backend, f"reshard-{name}", layout_flags((before[0], 1, 1, before[1])))
    shutil.rmtree(run.folder, ignore_errors=True)
    run.begin()
    run.comes_to(1)
    run.process.send_signal(signal.SIGTERM)
    run.end()
    stopped = json.loads((run.folder / "status.json").read_text(encoding="utf-8"))["step"]
    with run.folder.with_suffix(".log").open("ab") as log:
        now = ["--workers", str(after[0]), *(["--zero", str(after[1])] if before[1] or after[1] else [])]
        command = zenplan(["train", "--resume", str(run.folder), *now, "--format", "json"])
        environment = bench.environment(run.folder.name)
        code = subprocess.run(command, env=environment, stdout=log, stderr=log, check=False).returncode
    if code:
        raise SystemExit(f"{name} workers fail on {backend}: see {run.folder.with_suffix('.log')}")
    truth = whole(bench, task, backend, _ONE).outcome()
    _keep(kept, {**row, "stopped": stopped, **_compared(run.outcome(), truth)})


def kills(bench: Bench, task: Task, backends: Sequence[str], count: int, seed: int, zero: int, kept: Kept) -> None:
    """Kill until there are so many kills over all the backends, with that ZeRO stage."""
    what, more = (f"kill ZeRO {zero}", f", ZeRO {zero}") if zero else ("kill", "")
    for place, backend in enumerate(backends):
        wanted = count // len(backends) + (place < count % len(backends))
        layout = (_KILLED_WORKERS, 1, 1, zero)
        while (done := sum(_killed(row) == backend + more for row in _of(kept, "kill", backend))) < wanted:
            truth = whole(bench, task, backend, layout, "killed-not", _DROPPED).outcome()
            draw = random.Random(f"{seed} {backend} {done}")  # noqa: S311 (no secret)
            flags = [*layout_flags(layout), *_DROPPED, "--max-restarts", "20"]
            run = many_of(bench, task, backend, f"killed-{zero}" if zero else "killed", flags, draw)
            for number, row in enumerate(one(run, truth, min(_A_RUN, wanted - done)), start=done):
                _keep(kept, {**key(f"{what} {seed}-{number}", backend), "code": 0, **row})


def _of(kept: Kept, what: str, backend: str) -> list[dict[str, Any]]:
    """Rows of this machine and these versions."""
    here = key(what, backend)
    return [
        row
        for row in kept.rows()
        if row["run"].startswith(what) and all(row[k] == here[k] for k in ("backend", "versions", "machine"))
    ]


def _keep(kept: Kept, row: Mapping[str, Any]) -> None:
    kept.add(row)
    print({name: value for name, value in row.items() if name not in ("versions", "machine", "size")}, flush=True)


# --- what watching costs

_MEASURED: Final = (50, 350)
# Larger than the others' batch: a step of some tens of milliseconds.
_BATCH: Final = 64


def overhead(bench: Bench, task: Task, count: int, kept: Kept) -> None:
    """Processor time of a step, with zenplan and in a bare loop, one after another."""
    for number in range(count):
        row = {**key(f"overhead {number}", "torch"), "code": 0}
        if kept.has(**row):
            continue
        _keep(kept, {**row, **_watched(bench, task), "bare_step_s": _bare(bench, task)})


def _watched(bench: Bench, task: Task) -> dict[str, Any]:
    flags = ["--batch", str(_BATCH), "--workers", "2", "--steps", str(_MEASURED[1] + 50), "--checkpoint-every", "0"]
    run = many_of(bench, task, "torch", "overhead", [*flags, "--evaluate-every", "0"])
    shutil.rmtree(run.folder, ignore_errors=True)
    run.begin()
    seen = []
    for step in _MEASURED:
        if not run.comes_to(step):
            raise SystemExit(f"it came to no step {step}: see {run.folder.with_suffix('.log')}")
        times = [psutil.Process(run.process.pid), *run._ranks().values()]
        seen.append((run._lines(), [sum(each.cpu_times()[:2]) for each in times]))
    run.end()
    (first, before), (last, after) = seen
    command, *workers = ((b - a) / (last - first) for a, b in zip(before, after, strict=True))
    return {"command_step_s": command, "worker_step_s": statistics.mean(workers), "steps": last - first}


def _bare(bench: Bench, task: Task) -> float:
    """Seconds of a step in the mean of the workers."""
    address, processes = free_address(), []
    told = json.dumps([str(bench.prepared(task)), bench.options(task), _BATCH, *_MEASURED])
    # As zenplan's workers have it: threads, network interface, and what the C library does with memory that is free.
    environments = environments_of("cpu", 1, 2, 1, os.environ)
    for rank in range(2):
        environment = {
            **bench.environment("bare"),
            **contract(Ranks(rank=rank, size=2, local=rank, address=address)),
            **worker_environment("torch", str(bench.work / "keras")),
            **environments[rank],
        }
        command = [sys.executable, str(HERE / "many_bare.py"), told]
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    said = [process.communicate(timeout=_PATIENCE_S)[0] for process in processes]
    return statistics.mean(float(each.split()[-1]) for each in said)


# --- what a worker holds

_NOTHING_ELSE: Final = ("--warmup-steps", "0", "--evaluate-every", "0", "--checkpoint-every", "0")
_WIDE: Final = ("width=768", "heads=8", "layers=4", "length=32", "dropout=0.0")


def memory(bench: Bench, task: Task, kept: Kept) -> None:
    """Peak of a worker of a larger decoder, above what the process had before it built the model."""
    for layout in ((2, 1, 1, 0), (2, 1, 1, 3), (4, 1, 1, 3)):
        row = {**key(f"memory {layout_name(layout)}", "torch"), "code": 0}
        if kept.has(**row):
            continue
        folder = bench.folder(f"many-memory-{'-'.join(map(str, layout))}", "torch")
        shutil.rmtree(folder, ignore_errors=True)
        words = ["train", str(task.file), "--backend", "torch", "--out", str(folder), "--format", "json"]
        words += ["--data", str(bench.prepared(task)), *layout_flags(layout), "--threads", "1", "--steps", "8"]
        words += [*_NOTHING_ELSE, *(f"--option={each}" for each in _WIDE)]
        done = subprocess.run(
            zenplan(words), env=bench.environment(folder.name), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{layout_name(layout)}: {done.stderr[-500:]}")
        found = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        _keep(kept, {**row, "peak_bytes": found["peak_bytes"], "parameters": found["parameters"]})


# --- what came of it


def report(rows: Sequence[Mapping[str, Any]]) -> str:
    """The tables of all that is kept."""
    parts = [_exact_table(rows), _kills_table(rows), _memory_table(rows), _overhead_text(rows)]
    return "\n\n".join(part for part in parts if part)


def _exact_table(rows: Sequence[Mapping[str, Any]]) -> str:
    some = [row for row in rows if row["run"].startswith("exact ")]
    if not some:
        return ""
    lines = [
        "| backend | workers × devices | steps | training loss from that of one worker, at most | last loss | "
        "evaluation from that of one worker |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for row in some:
        name = row["run"].removeprefix("exact ")
        name += f" (stopped at step {row['stopped']})" if "stopped" in row else ""
        lines.append(
            f"| {row['backend']} | {name} | {row['steps']} | {row['apart']:.1e} | {row['last_loss']:.6f} | "
            f"{row['evaluation_apart']:.1e} |"
        )
    well = sum(row["apart"] <= _DIGITS for row in some)
    return "\n".join([*lines, "", f"Within {_DIGITS:g} of one worker at every step: {well} of {len(some)}."])


def _kills_table(rows: Sequence[Mapping[str, Any]]) -> str:
    every = [row for row in rows if row["run"].startswith("kill ")]
    if not every:
        return ""
    lines = [
        "| backend | kills | of rank 0 / rank 1 / the command / all | while they start / train / write a checkpoint | "
        "the curve of a run that was not killed, bit for bit, nothing left |",
        "|---|---:|---:|---:|---:|",
    ]
    for backend in (*dict.fromkeys(map(_killed, every)), "**all**"):
        some = [row for row in every if backend in (_killed(row), "**all**")]
        who = Counter(f"rank {row['rank']}" if row["who"] == "rank" else row["who"] for row in some)
        when = Counter("checkpoint" if row["writing"] else row["when"] for row in some)
        well = sum(not row["wrong"] for row in some)
        lines.append(
            f"| {backend} | {len(some)} | {who['rank 0']} / {who['rank 1']} / {who['command']} / {who['all']} | "
            f"{when['start']} / {when['steps']} / {when['checkpoint']} | {well} |"
        )
    wrong = [f"{row['backend']}, {row['run']}: {', '.join(row['wrong'])}" for row in every if row["wrong"]]
    return "\n".join([*lines, *(["", *wrong] if wrong else [])])


def _killed(row: Mapping[str, Any]) -> str:
    """Backend of a kill, with its ZeRO stage."""
    parts = row["run"].split()
    return f"{row['backend']}, {' '.join(parts[1:-1])}" if len(parts) > 2 else str(row["backend"])


def _memory_table(rows: Sequence[Mapping[str, Any]]) -> str:
    some = [row for row in rows if row["run"].startswith("memory ")]
    if not some:
        return ""
    lines = ["| workers × devices | parameters | peak memory of rank 0 | bytes a parameter |", "|---|---:|---:|---:|"]
    for row in some:
        name, count, peak = row["run"].removeprefix("memory "), row["parameters"], row["peak_bytes"]
        lines.append(f"| {name} | {count:,} | {peak / 1e6:,.0f} MB | {peak / count:.1f} |")
    return "\n".join(lines)


def _overhead_text(rows: Sequence[Mapping[str, Any]]) -> str:
    some = [row for row in rows if row["run"].startswith("overhead ")]
    if not some:
        return ""
    command = [row["command_step_s"] / (2 * row["worker_step_s"]) for row in some]
    step = [row["worker_step_s"] / row["bare_step_s"] - 1.0 for row in some]
    bare = statistics.median(row["bare_step_s"] for row in some)
    return (
        f"Processor time, two workers on PyTorch, in the median of {len(some)} pairs of runs: the command that watches "
        f"takes {statistics.median(command):.1%} of what its workers take ({min(command):.1%} to {max(command):.1%}); "
        f"a worker's step differs from that of a bare loop under DistributedDataParallel, {bare * 1e3:.0f} ms, by "
        f"{statistics.median(step):+.1%} ({min(step):+.1%} to {max(step):+.1%})."
    )


def main() -> None:
    """Run what is asked for, and print the tables."""
    flags = parser(__doc__)
    flags.add_argument("--exact", action="store_true", help="compare layouts")
    flags.add_argument("--kills", type=int, default=0, help="over all backends")
    flags.add_argument("--zero", action="store_true", help="kills with ZeRO 3, on PyTorch")
    flags.add_argument("--memory", action="store_true", help="what a worker on PyTorch holds, with ZeRO 3 and without")
    flags.add_argument("--overhead", type=int, default=0, help="pairs of runs")
    flags.add_argument("--seed", type=int, default=0, help="of the moments")
    flags.add_argument("--show", action="store_true", help="the tables of what is kept")
    flags.add_argument("--readme", action="store_true", help="also write them into docs/many.md")
    given = flags.parse_args()
    bench, task = Bench(work=given.work.absolute(), small=True), task_of("language-model")
    backends = given.backend or [*LAYOUTS]
    kept = Kept((HERE / "measured" if bench.work == WORK else bench.work) / "many.jsonl")
    if not given.show:
        if given.exact:
            exact(bench, task, backends, kept)
        killed = [each for each in backends if each in (_KILLED if not given.zero else ("torch",))]
        kills(bench, task, killed, given.kills, given.seed, 3 if given.zero else 0, kept)
        overhead(bench, task, given.overhead, kept)
        if given.memory:
            memory(bench, task, kept)
    text = report(kept.rows())
    print(text)
    if given.readme:
        readme.write("many workers", text)


if __name__ == "__main__":
    main()
