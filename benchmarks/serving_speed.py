"""What ``zenplan serve`` costs over calling the model in a bare loop: ``python benchmarks/serving_speed.py``.

A text classifier and a small table are trained for a few steps, then served on one core while the load comes from another,
with a bound on time. Bare loops of the same model, threads and batch take turns with it, on the server's core. Shares are
of the bare loop's throughput, by the wall clock; and, for a machine that others use, by the processor's time: what the
model's worker takes of what worker and server take together.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import readme

from zenplan.adapters.serving.load import Load, put_on
from zenplan.adapters.workers.process import Limits, measuring_environment, run_job
from zenplan.commands.train.finished import FinishedRun, finished_run
from zenplan.worker.protocol import Event, Score, Scored

MODULE = (sys.executable, "-m", "zenplan")
BAR = 0.85
WORDS = (
    "the",
    "film",
    "was",
    "a",
    "story",
    "of",
    "two",
    "people",
    "it",
    "had",
    "music",
    "fine",
    "great",
    "dull",
    "poor",
)


@dataclass(frozen=True)
class Case:
    """A way of asking.

    Attributes:
        run: that is served; batch: of the model.
        clients: at once; samples: of each request.
    """

    name: str
    run: str
    batch: int
    clients: int
    samples: int


CASES = (
    Case("a sample a request", "texts", 16, 32, 1),
    Case("a batch a request", "texts", 16, 2, 16),
    Case("a sample a request, one client", "rows", 32, 1, 1),
    Case("a sample a request, 64 clients", "rows", 32, 64, 1),
)


@dataclass
class Loads:
    """What came of asking.

    Attributes:
        latency_s: of each request.
        wall_s: of all; server_cpu_s, worker_cpu_s: of the processor, meanwhile.
    """

    latency_s: list[float] = field(default_factory=list)
    wall_s: float = 0.0
    server_cpu_s: float = 0.0
    worker_cpu_s: float = 0.0


def runs_in(folder: Path, backend: str) -> dict[str, Path]:
    """Two runs of a few steps."""
    draw = np.random.default_rng(0)
    lines = [json.dumps({"text": " ".join(draw.choice(WORDS, 60)), "label": ("yes", "no")[i % 2]}) for i in range(600)]
    (folder / "texts.jsonl").write_text("\n".join(lines), encoding="utf-8")
    names = [f"column{i}" for i in range(8)]
    rows = [",".join([*(f"{v:.3f}" for v in row), "yes" if row[0] > 0 else "no"]) for row in draw.normal(size=(600, 8))]
    (folder / "rows.csv").write_text("\n".join([",".join([*names, "label"]), *rows]), encoding="utf-8")
    shape = ["--option", "layers=2", "--option", "width=192", "--option", "heads=4"]
    flags = {
        "texts": ["--seq-len", "64", "--vocabulary", "400", "--model", "text-classifier", *shape],
        "rows": ["--model", "softmax-regression"],
    }
    for name, file in (("texts", "texts.jsonl"), ("rows", "rows.csv")):
        common = ["--data", file, "--label", "label", "--steps", "4", "--batch", "16"]
        where = ["--backend", backend, "--threads", "1", "--out", str(folder / name)]
        line = [*MODULE, "train", *common, *flags[name], *where]
        subprocess.run(line, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return {name: folder / name for name in flags}


def bare_s(run: FinishedRun, batch: int, core: int, times: int) -> float:
    """Seconds of a call with a batch, in a loop that does nothing else: the mean."""
    os.sched_setaffinity(0, {core})
    heard: list[Event] = []
    job = Score(what="bare loop", model=run.trained(), most=batch, batch=batch, times=times, threads=1)
    environment = measuring_environment("cpu", 1, {})
    run_job(job, run.backend, Limits(time_s=300.0), lambda *_: None, hear=heard.append, environment=environment)
    return statistics.fmean(next(each for each in heard if isinstance(each, Scored)).batch_s)


@contextmanager
def served(run: Path, batch: int, core: int) -> Iterator[tuple[int, int]]:
    """A server on that core: its port, and its process."""
    line = [*MODULE, "serve", str(run), "--port", "0", "--max-batch", str(batch), "--threads", "1", "--format", "json"]
    os.sched_setaffinity(0, {core})
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101 (it was asked for)
            yield int(json.loads(process.stdout.readline())["url"].rpartition(":")[2]), process.pid
        finally:
            process.terminate()


def cpu_s(pid: int) -> float:
    """Processor time of a process, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def worker_of(pid: int) -> int:
    """Its child with the model."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()[0])


def asked(port: int, pid: int, case: Case, example: Any, seconds: float, core: int) -> Loads:
    """A load from that core."""
    os.sched_setaffinity(0, {core})
    value = {"sample": example} if case.samples == 1 else {"samples": [example] * case.samples}
    load = Load(port=port, path="/predict", body=json.dumps(value), clients=case.clients, seconds=seconds)
    put_on(replace(load, seconds=1.0, most=1000))
    worker = worker_of(pid)
    before = (cpu_s(pid), cpu_s(worker))
    found = put_on(load)
    if found.refused:
        raise SystemExit(found.refused)
    return Loads(found.latency_s, found.wall_s, cpu_s(pid) - before[0], cpu_s(worker) - before[1])


def measured(cases: list[Case], folder: Path, asked_for: argparse.Namespace) -> list[str]:
    """Rows of the table, of one run: each round has a bare loop, then each way of asking."""
    run, batch = finished_run(str(folder)), cases[0].batch
    example, bare = example_for(run)["sample"], list[float]()
    loads: dict[str, list[Loads]] = {case.name: [] for case in cases}
    with served(folder, batch, asked_for.cores[0]) as (port, pid):
        for _ in range(asked_for.rounds):
            bare.append(bare_s(run, batch, asked_for.cores[0], asked_for.times))
            for case in cases:
                loads[case.name].append(asked(port, pid, case, example, asked_for.seconds, asked_for.cores[1]))
        bare.append(bare_s(run, batch, asked_for.cores[0], asked_for.times))
    return [row(case, loads[case.name], bare) for case in cases]


def row(case: Case, loads: list[Loads], bare: list[float]) -> str:
    """Of one way; a load's share is of the bare loops before and after it."""
    rates = [len(each.latency_s) * case.samples / each.wall_s for each in loads]
    around = [(before + after) / 2 for before, after in pairwise(bare)]
    shares = [rate * batch_s / case.batch for rate, batch_s in zip(rates, around, strict=True)]
    every = sorted(each for load in loads for each in load.latency_s)
    server, worker = (sum(getattr(each, name) for each in loads) for name in ("server_cpu_s", "worker_cpu_s"))
    cells = [
        f"{case.run}: {case.name}",
        f"{1e3 * statistics.median(bare):.3g} of {case.batch}",
        f"{statistics.median(rates):.4g}",
        f"{statistics.median(shares):.0%}",
        f"{worker / (server + worker):.0%}",
        f"{1e3 * server / len(every):.2g}",
        f"{1e3 * every[len(every) // 2]:.3g}",
        f"{1e3 * every[int(0.99 * len(every))]:.3g}",
    ]
    return f"| {' | '.join(cells)} |"


def example_for(run: FinishedRun) -> dict[str, Any]:
    """A request that its server answers."""
    from zenplan.adapters.corpus.preprocessing import Preprocessor
    from zenplan.adapters.serving.schema import example_of

    reader = Preprocessor.of(Path(run.job.data))
    return example_of(reader)


def main() -> None:
    """Print a table; a row is a way of asking."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0, help="of a load")
    parser.add_argument("--times", type=int, default=40, help="calls of a bare loop")
    parser.add_argument("--cores", type=int, nargs=2, default=[0, 1], help="of the server, and of the load")
    parser.add_argument("--readme", action="store_true", help="also write the table into docs/after.md")
    asked_for = parser.parse_args()
    lines = [
        "| served | ms a batch, bare | samples/s | of the bare loop | by processor time | server's ms a request "
        "| p50, ms | p99, ms |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    print("\n".join(lines))
    with tempfile.TemporaryDirectory() as folder:
        runs = runs_in(Path(folder), asked_for.backend)
        for name, run in runs.items():
            found = measured([case for case in CASES if case.run == name], run, asked_for)
            lines += found
            print("\n".join(found), flush=True)
    if asked_for.readme:
        readme.write("serving speed", "\n".join(lines))


if __name__ == "__main__":
    main()
