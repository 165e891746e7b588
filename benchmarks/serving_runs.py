"""How far ``zenplan serve-cost RUN`` is from ``zenplan serve`` under load: ``python benchmarks/serving_runs.py [--readme]``.

Models of several kinds and backends, none of which the method was made on, are trained for a few steps. Each is measured as
a user does, then served on one core while requests come from another: some clients at once, and at random at shares of what
it is predicted to answer at its limit. What comes out is kept in ``measured/serving_runs.jsonl``, a line each load.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import readme
from serving_speed import MODULE, WORDS, example_for, served
from training_runs import busy_s

from zenplan.adapters.run_folder.lines import Lines, read_lines
from zenplan.adapters.serving.load import Load, put_on
from zenplan.commands.train.finished import finished_run
from zenplan.domain.answer.run_serving import ServerTimes
from zenplan.planning.serving.replay import limit_per_s, predicted, written

FILE: Final = Path(__file__).parent / "measured" / "serving_runs.jsonl"
BAR: Final = 0.15
# Of the predicted limit, and clients at once; tokens of a text.
SHARES, CLIENTS, TOKENS = (0.15, 0.3, 0.6), (1, 4, 32), 32
# Of a limit above this one, for more the core of the load would be the limit.
MOST_PER_S: Final = 1500.0
# Name, backend, data and flags.
RUNS: Final = (
    ("convnet", "jax", "images", ("--model", "convnet", "--option", "width=32")),
    ("vision transformer", "torch", "images", ("--model", "vision-transformer", "--option", "layers=3")),
    ("lstm", "tensorflow", "rows", ("--model", "lstm", "--option", "width=96")),
    ("text classifier", "jax", "texts", ("--model", "text-classifier", "--seq-len", "96", "--option", "width=96")),
    ("softmax regression", "tensorflow", "images", ("--model", "softmax-regression")),
    ("decoder", "torch", "words", ("--model", "decoder", "--option", "layers=2", "--option", "width=96")),
)


def data_in(folder: Path) -> dict[str, list[str]]:
    """Sets of noise, and the flags that read them: what a model says is of no matter here."""
    draw = np.random.default_rng(0)
    np.savez(folder / "images.npz", x=draw.integers(0, 256, (400, 24, 24, 3), np.uint8), y=np.arange(400) % 4)
    np.savez(folder / "rows.npz", x=draw.normal(size=(400, 40, 12)).astype(np.float32), y=np.arange(400) % 4)
    texts = [" ".join(draw.choice(WORDS, 60)) for _ in range(600)]
    labelled = [json.dumps({"text": text, "label": ("yes", "no")[i % 2]}) for i, text in enumerate(texts)]
    (folder / "texts.jsonl").write_text("\n".join(labelled), encoding="utf-8")
    (folder / "words.txt").write_text("\n".join(texts * 4), encoding="utf-8")
    more = ["--vocabulary", "400"]
    flags = {"images": ["images.npz"], "rows": ["rows.npz"], "texts": ["texts.jsonl", "--label", "label", *more]}
    return {**flags, "words": ["words.txt", "--option", "length=64", *more]}


def trained(folder: Path, name: str, backend: str, data: list[str], flags: tuple[str, ...]) -> Path:
    """A run of a few steps."""
    out = folder / name.replace(" ", "-")
    if out.exists():
        return out
    line = [*MODULE, "train", "--data", *data, *flags, "--steps", "4", "--batch", "16", "--backend", backend]
    subprocess.run([*line, "--threads", "1", "--out", str(out)], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return out


def times_of(run: Path, core: int) -> tuple[ServerTimes, bool]:
    """What ``zenplan serve-cost`` measures of it on that core; and whether it writes texts."""
    line = [*MODULE, "serve-cost", str(run), "--concurrency", "1", "--format", "json"]
    os.sched_setaffinity(0, {core})
    done = subprocess.run(line, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    return ServerTimes(
        calls_s={each["samples"]: each["median_s"] for each in found["calls"]},
        padded=found["backend"] != "torch",
        wait_s=found["max_wait_s"],
        shared=True,
        **{name: found[name] for name in ("request_s", "batch_s", "apart_s")},
    ), found["output_tokens"] is not None


def loads(limit: float) -> Iterator[dict[str, Any]]:
    """What is put on a server."""
    for clients in CLIENTS:
        yield {"clients": clients}
    for share in SHARES:
        yield {"rate_per_s": share * min(limit, MOST_PER_S)}


def rows_of(name: str, backend: str, run: Path, seconds: float, cores: tuple[int, int]) -> Iterator[dict[str, Any]]:
    """Each load: predicted, and measured."""
    times, writes = times_of(run, cores[0])
    limit = limit_per_s(times, TOKENS if writes else None)
    with served(run, 32, cores[0]) as (port, pid):
        if os.sched_getscheduler(0) != os.SCHED_OTHER:
            # Ones that are equal take turns of 100 ms: a server is woken while its model works.
            os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(2))
        os.sched_setaffinity(0, {cores[1]})
        example = example_for(finished_run(str(run)))
        body = json.dumps({**example, "max_tokens": TOKENS, "temperature": 0.0} if writes else example)
        for each in loads(limit):
            found = written(times, TOKENS, **each) if writes else predicted(times, **each)
            load = Load(port=port, path="/generate" if writes else "/predict", body=body, seconds=seconds, **each)
            put_on(replace(load, seconds=0.5))
            begin, busy, own = time.monotonic(), busy_s(), os.times()
            came = put_on(load)
            wall_s = time.monotonic() - begin
            if came.refused or len(came.latency_s) < 3:
                raise SystemExit(f"{name}: {came.refused or 'too few answers'}")
            p50, p99 = np.quantile(came.latency_s, [0.5, 0.99])
            yield {
                "model": name,
                "backend": backend,
                **each,
                "limit_per_s": limit,
                "answers": len(came.latency_s),
                "predicted_p50_s": found.p50_s,
                "p50_s": float(p50),
                "predicted_p99_s": found.p99_s,
                "p99_s": float(p99),
                "predicted_per_s": found.rate_per_s,
                "per_s": len(came.latency_s) / wall_s,
                "busy_cores": (busy_s() - busy) / wall_s,
                "own_cores": (os.times().user - own.user) / wall_s,
                "call_1_s": times.call_s(1),
            }


def report(rows: list[dict[str, Any]]) -> str:
    """A row a model, then the whole."""
    lines = [
        "| model | backend | 1 client | 4 | 32 | at 15 % | 30 % | 60 % |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    loads = (*CLIENTS, *SHARES)
    for name, backend in dict.fromkeys((row["model"], row["backend"]) for row in rows):
        mine = {asked_of(row): row for row in rows if row["model"] == name}
        lines.append(f"| {name} | {backend} | {' | '.join(_cell(mine.get(load)) for load in loads)} |")
    off = [abs(math.log(row["p50_s"] / row["predicted_p50_s"])) for row in rows]
    full = [abs(math.log(row["per_s"] / row["predicted_per_s"])) for row in rows if row.get("clients") == CLIENTS[-1]]
    within = sorted(off)[math.ceil(0.8 * len(off)) - 1]
    return "\n".join(
        [
            *lines,
            "",
            f"Of {len(rows)} loads the median time was off by {statistics.median(off):.0%} in the median, by {within:.0%}"
            f" at most in 80 % of them; requests a second of {CLIENTS[-1]} clients by {statistics.median(full):.0%}.",
        ]
    )


def asked_of(row: dict[str, Any]) -> float:
    """The clients of a load, or its share of the limit."""
    return float(row.get("clients") or round(row["rate_per_s"] / min(row["limit_per_s"], MOST_PER_S), 2))


def _cell(row: dict[str, Any] | None) -> str:
    return f"{1e3 * row['predicted_p50_s']:.3g} / {1e3 * row['p50_s']:.3g} ({_off(row):+.0%})" if row else ""


def _off(row: dict[str, Any]) -> float:
    return float(row["predicted_p50_s"] / row["p50_s"] - 1.0)


def main() -> None:
    """Measure what is asked, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", action="append", help="a model; may be repeated")
    parser.add_argument("--seconds", type=float, default=5.0, help="of a load")
    parser.add_argument("--cores", type=int, nargs=2, default=(0, 1), help="of the server, and of the load")
    parser.add_argument("--realtime", action="store_true", help="before all other programs of the machine, as root")
    parser.add_argument("--runs", type=Path, help="a folder to keep the runs in, or that has them")
    parser.add_argument("--show", action="store_true", help="the table of what is kept")
    parser.add_argument("--readme", action="store_true", help="also write the table into docs/serving.md")
    given = parser.parse_args()
    if given.realtime:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    if not given.show:
        with tempfile.TemporaryDirectory() as name:
            folder = given.runs or Path(name)
            data = data_in(folder)
            for model, backend, what, flags in RUNS:
                if given.only and model not in given.only:
                    continue
                run, out = trained(folder, model, backend, data[what], flags), Lines(FILE)
                for row in rows_of(model, backend, run, given.seconds, tuple(given.cores)):
                    out.add(row)
                    print(json.dumps(row), flush=True)
                out.close()
    newest = {(row["model"], asked_of(row)): row for row in read_lines(FILE)}
    text = report(list(newest.values()))
    print(text)
    if given.readme:
        readme.write("serving runs", text)


if __name__ == "__main__":
    main()
