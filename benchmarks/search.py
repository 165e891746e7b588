"""How fast layouts are compared, and how long the commands take that compare them.

    python benchmarks/search.py [RUNS]

For each line the search is run so many times, and the median is shown. A layout is compared when its memory and
the time of its step are known. Lines without a rate are whole processes, from the start to the last letter.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from zenplan.adapters.clock import today
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.commands.estimate.offers import matching, select
from zenplan.commands.layouts.use_case import cluster_of
from zenplan.commands.shared.tables import catalogue, price_tables
from zenplan.commands.shared.training_plan import training_plan
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.request import Request
from zenplan.planning.physics.columns import Hardware
from zenplan.planning.physics.memory import peak_memory
from zenplan.planning.physics.step import step_time
from zenplan.planning.search.candidates import candidates
from zenplan.planning.search.search import near_of, search, survey
from zenplan.plugins import load_plugins

# The comparison: Calculon (Isaev et al. 2023) on the same model and devices takes 69 layouts a second, and does not
# finish its 666,368 candidates in 200 s. Its candidates also differ in options that are not a layout here.
CALCULON = ("Calculon, 175B on 64 devices", 666_368, 69.0)
ONE_CLUSTER = (
    ("175B on 64 × H100", {"params": 175e9}, 64),
    ("175B on 1,024 × H100", {"params": 175e9}, 1024),
    ("DeepSeek-V3 on 2,048 × H100", {"model": "deepseek-v3"}, 2048),
)
COMMANDS = (
    ("layouts", "--params", "175e9", "--gpu", "H100-SXM5-80GB", "--gpus", "1024"),
    ("estimate", "--params", "70e9"),
)
_COLUMNS = 100_000  # of the evaluation alone
_PART = 4_096  # as the search takes them


def median_s(work: Callable[[], object], runs: int) -> float:
    """Seconds of one run; the first warms the caches and does not count."""
    taken = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def line(name: str, layouts: int | None, seconds: float) -> str:
    """A row of the table."""
    told = (f"{layouts:,}", f"{layouts / seconds:,.0f}") if layouts else ("", "")
    return f"| {name} | {told[0]} | {seconds:,.4f} | {told[1]} |"


def of_one_cluster(runs: int) -> None:
    """Every layout of one cluster: made, its memory, its time; and memory and time alone, of many at once."""
    plugins, coefficients = load_plugins({"ZENPLAN_PLUGINS": ""}), read_coefficients()
    sheet = catalogue(plugins).by_name("H100-SXM5-80GB")
    for name, what, devices in ONE_CLUSTER:
        plan = training_plan(Request(**what), plugins.workloads())
        cluster = cluster_of(plan, sheet, devices, coefficients)
        seconds = median_s(partial(survey, plan, cluster), runs)
        print(line(name, survey(plan, cluster).considered, seconds))
        seconds = median_s(partial(evaluate, plan, cluster), max(1, runs // 4))
        print(line(f"{name}, repeated", _COLUMNS, seconds))


def evaluate(plan: TrainingPlan, cluster: Cluster) -> None:
    """Memory and time of so many layouts, those of the cluster again and again."""
    every = candidates(plan, cluster.devices, [near_of(cluster)])
    hardware = Hardware.of([cluster], plan.precision)
    for start in range(0, _COLUMNS, _PART):
        part = every.take(np.arange(start, min(start + _PART, _COLUMNS)) % len(every.dp))
        step_time(plan, part, hardware.take(np.zeros(len(part.dp), dtype=int)))
        peak_memory(plan, part)


def of_all_offers(runs: int) -> None:
    """The fastest layout for every size of every bundled offer, in one search."""
    plugins, request = load_plugins({"ZENPLAN_PLUGINS": ""}), Request(params=70e9, max_gpus=1024)
    sheets = catalogue(plugins)
    plan = training_plan(request, plugins.workloads())
    tables = matching(request, price_tables(plugins, sheets, None), sheets, today())
    clusters = select(request, tables, sheets, plan, read_coefficients()).clusters
    found = search(plan, clusters)
    print(
        line(
            f"70B on {len(clusters):,} clusters of the bundled offers",
            found.considered,
            median_s(partial(search, plan, clusters), runs),
        )
    )


def of_commands(runs: int) -> None:
    """Whole processes."""
    for command in COMMANDS:
        argv = [sys.executable, "-m", "zenplan", *command]
        taken = median_s(partial(subprocess.run, argv, check=True, stdout=subprocess.DEVNULL), runs)
        print(line(f"`zenplan {' '.join(command)}`", None, taken))


def main() -> None:
    """Print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    print("| what is searched | layouts | s | layouts/s |\n|---|---:|---:|---:|")
    of_one_cluster(runs)
    of_all_offers(runs)
    of_commands(runs)
    name, layouts, rate = CALCULON
    print(f"| {name} | {layouts:,} | > 200 | {rate:.0f} |")


if __name__ == "__main__":
    main()
