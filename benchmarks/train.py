"""Seven training runs on real data, each on three backends, from the same weights and batches, against their baselines.

    python benchmarks/train.py [--small] [--only convnet] [--backend jax] [--show] [--readme]

Each run is a request file of ``train/`` that ``zenplan train`` runs. Results are kept as they come, in
``measured/training_full.jsonl``, by run, backend, versions and machine, and those that are there are not made again: the
benchmark goes on where it was cut. The whole takes some two hours of two quiet cores. ``training_data.py`` says what
is to be installed for it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import readme
from training_bars import Bar, bars
from training_runs import CONTENDED_CORES, Bench, Kept, Task, all_made, chosen, kept_of, made, parser, task_of

# How far losses of the same step may be apart on three backends, as a share: float32 is added in another order on each,
# and training makes differences grow. Those of the first steps, and the last validation loss.
EARLY: Final = 10
EARLY_BOUND, LAST_BOUND = 2e-3, 0.03
# Of a run without chance or minima: at every step.
CONVEX: Final = "softmax-regression"
CONVEX_BOUND: Final = 1e-4
BEFORE: Final = "-before"


def apart(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float, float]:
    """How far the backends' losses are apart: at the first step, within the first ones, and over all that are kept."""
    curves = list(zip(*(row["losses"] for row in rows), strict=True))
    shares = [(max(each) - min(each)) / abs(sum(each) / len(each)) for each in curves]
    return shares[0], max(shares[:EARLY]), max(shares)


def apart_at_end(rows: Sequence[Mapping[str, Any]]) -> float:
    """Of the last validation losses."""
    losses = [row["result"]["metrics"]["validation"]["loss"] for row in rows]
    return float((max(losses) - min(losses)) / (sum(losses) / len(losses)))


def agreement(task: Task, rows: Sequence[Mapping[str, Any]]) -> list[Bar]:
    """What is held of three curves."""
    first, early, whole = apart(rows)
    found = [Bar(what=f"the first {EARLY} losses apart", reached=early, bar=EARLY_BOUND)]
    if task.name == CONVEX:
        found = [Bar(what="losses apart", reached=whole, bar=CONVEX_BOUND)]
    last = Bar(what="the last validation loss apart", reached=apart_at_end(rows), bar=LAST_BOUND)
    return [Bar(what="the first loss apart", reached=first, bar=1e-5), *found, last]


def newest(kept: Kept) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Of each run, what came of it last on each backend."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in kept.rows():
        if row["code"] == 0:
            found.setdefault(row["run"], {})[row["backend"]] = row
    return found


def report(bench: Bench, tasks: Sequence[Task]) -> str:
    """What each run reached, and whether three curves are one."""
    rows = newest(kept_of(bench))
    lines = ["| run | backend | held to | CPU min | wall min |", "|---|---|---|---:|---:|"]
    for task in tasks:
        for backend, row in rows.get(task.name, {}).items():
            found = bars(bench, task, row, rows.get(task.name + BEFORE, {}).get(backend))
            busy = " (contended)" if row["others_cores"] > CONTENDED_CORES else ""
            told = "; ".join(map(str, found))
            met = "" if bench.small or all(each.passes for each in found) else "**not met** "
            lines.append(
                f"| {task.name} | {backend} | {met}{told} | {row['cpu_s'] / 60:.1f} | {row['wall_s'] / 60:.1f}{busy} |"
            )
    return "\n".join([*lines, "", *_agreements(tasks, rows)])


def _agreements(tasks: Sequence[Task], rows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[str]:
    yield f"| run | backends | first loss apart | first {EARLY} | all | last validation loss | held |"
    yield "|---|---:|---:|---:|---:|---:|---|"
    for task in tasks:
        some = list(rows.get(task.name, {}).values())
        if len(some) > 1:
            first, early, whole = apart(some)
            held = "yes" if all(bar.passes for bar in agreement(task, some)) else "**no**"
            shares = " | ".join(f"{share:.1e}" for share in (first, early, whole, apart_at_end(some)))
            yield f"| {task.name} | {len(some)} | {shares} | {held} |"


def curves(tasks: Sequence[Task], rows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[str]:
    """Validation losses by step."""
    for task in tasks:
        for backend, row in rows.get(task.name, {}).items():
            told = [e for e in row["evaluations"] if e["part"] == "validation"]
            yield f"{task.name} on {backend}: " + ", ".join(f"{e['step']}: {e['values']['loss']:.4f}" for e in told)


def run(bench: Bench, tasks: Sequence[Task], backends: Sequence[str], again: bool = False) -> None:
    """Make what is not there; a model that is adapted is first looked at as it is."""
    kept = kept_of(bench)
    for row in all_made(bench, tasks, backends, again):
        task = task_of(row["run"])
        if task.of and row["code"] == 0:
            kept.add(
                made(
                    bench,
                    task,
                    row["backend"],
                    ("--steps", "1", "--learning-rate", "1e-12", "--warmup-steps", "0"),
                    BEFORE,
                )
            )
        print(told(row), flush=True)


def told(row: Mapping[str, Any]) -> str:
    """A run in a line."""
    if row["code"]:
        return f"{row['run']} on {row['backend']}: exit code {row['code']}: {row['said']}"
    metrics = {part: {n: round(v, 4) for n, v in values.items()} for part, values in row["result"]["metrics"].items()}
    return f"{row['run']} on {row['backend']}: {metrics}, {row['cpu_s']:.0f} CPU s, {row['wall_s']:.0f} s"


def main() -> None:
    """Make the runs, and print the tables."""
    flags: argparse.ArgumentParser = parser(__doc__)
    flags.add_argument("--show", action="store_true", help="the tables of what is kept")
    flags.add_argument("--readme", action="store_true", help="also write them into docs/train.md")
    given = flags.parse_args()
    bench, tasks, backends = chosen(given)
    if not given.show:
        run(bench, tasks, backends, given.again)
    text = report(bench, tasks)
    print(text)
    print("\n".join(["", *curves(tasks, newest(kept_of(bench)))]))
    if given.readme:
        readme.write("training-runs", text)


if __name__ == "__main__":
    main()
