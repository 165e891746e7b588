"""Fit the few coefficients of the step-time model to published runs, and say how well they carry over.

    python benchmarks/fit.py                    print the fit and its error on sources left out
    python benchmarks/fit.py --write            also write zenplan/data/efficiency.csv

Each coefficient has a physical meaning and a bound (``zenplan/domain/efficiency.py``). Those of a generation
are drawn towards the common value, so that a generation with few runs borrows from the others. Coordinate
descent on the mean |ln error|, averaged over sources: a source of 200 rows weighs as much as one of 5.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
from published_rows import Run, read_rows, runs
from scoring import by_group, macro, score, source

from zenplan.adapters.accelerator_table import read_accelerators
from zenplan.domain.accelerator import Accelerator
from zenplan.domain.catalogue import Catalogue
from zenplan.domain.efficiency import Efficiency, Spread

TARGET = Path(__file__).parents[1] / "zenplan" / "data" / "efficiency.csv"

# name: (start, lowest, highest). The first two are fitted by generation, the others for all.
COMMON = {
    "matmul": (0.62, 0.30, 0.90),
    "attention": (0.35, 0.25, 0.80),
    "memory": (0.70, 0.30, 0.95),
    "link": (0.60, 0.30, 0.85),
    "network": (0.60, 0.20, 0.90),
    "operator_s": (12e-6, 2e-6, 40e-6),
}
FIXED = {"pcie": 0.50, "link_hop_s": 8e-6, "network_hop_s": 15e-6}
BY_GENERATION = ("matmul", "attention")
# How strongly a generation is drawn to the common value: each |ln ratio| of 1 costs as much as that error.
PULL = 0.01
_LEAST_SOURCES = 3

# "matmul" is the common value, "matmul/Hopper" what a generation's own is times that.
Coefficients = dict[str, float]


def efficiency(c: Mapping[str, float], architecture: str) -> Efficiency:
    """The coefficients of one generation; of one that was not measured, the common ones."""
    values = {n: min(most, max(least, c[n] * c.get(f"{n}/{architecture}", 1.0)))
              for n, (_, least, most) in COMMON.items()}  # fmt: skip
    return Efficiency(architecture=architecture, **values, **FIXED,
                      spread=Spread(low=1.0, high=1.0, basis="none"), source="fit")  # fmt: skip


def start_of(table: Mapping[str, Efficiency]) -> Coefficients:
    """The coefficients of a written table, to start from."""
    common = table["*"]
    c = {n: getattr(common, n) for n in COMMON}
    for architecture, mine in table.items():
        if architecture != "*":
            c |= {f"{n}/{architecture}": getattr(mine, n) / getattr(common, n) for n in BY_GENERATION}
    return c


def with_coefficients(all_runs: Sequence[Run], c: Mapping[str, float]) -> list[Run]:
    """The same runs under other coefficients."""
    cache: dict[str, Efficiency] = {}
    fresh = []
    for run in all_runs:
        architecture = run.cluster.accelerator.architecture
        if architecture not in cache:
            cache[architecture] = efficiency(c, architecture)
        fresh.append(replace(run, cluster=replace(run.cluster, efficiency=cache[architecture])))
    return fresh


def loss(all_runs: Sequence[Run], c: Mapping[str, float]) -> float:
    """Mean |ln error| over sources, large errors counted as 1, plus the pull towards the common value."""
    errors = [(s.run, min(abs(s.error), 1.0)) for s in score(with_coefficients(all_runs, c))]
    fit = float(np.mean([np.mean(e) for e in by_group(errors, source).values()]))
    pull = sum(abs(math.log(ratio)) for name, ratio in c.items() if "/" in name)
    return fit + PULL * pull


def fit(all_runs: Sequence[Run], start: Coefficients | None = None, rounds: int = 7) -> Coefficients:
    """Coordinate descent: each coefficient a step up or down while that lowers the loss, steps halving."""
    generations = sorted({r.cluster.accelerator.architecture for r in all_runs})
    c = dict(start) if start else {n: v[0] for n, v in COMMON.items()}
    for name in BY_GENERATION:
        for generation in generations:
            c.setdefault(f"{name}/{generation}", 1.0)
    best = loss(all_runs, c)
    step = 1.3 if start is None else 1.12
    for _ in range(rounds):
        for name in sorted(c):
            lowest, highest = (0.2, 5.0) if "/" in name else COMMON[name][1:]
            for factor in (step, 1 / step):
                while True:
                    tried = {**c, name: min(highest, max(lowest, c[name] * factor))}
                    value = loss(all_runs, tried)
                    if value >= best - 1e-5:
                        break
                    c, best = tried, value
        step = max(step**0.6, 1.01)
    return c


def cross_validate(all_runs: Sequence[Run], c: Coefficients) -> list[tuple[Run, float]]:
    """Errors on each source, under coefficients fitted to all the others. Starts near the whole fit."""
    errors = []
    for left_out in sorted({source(r) for r in all_runs}):
        rest = [r for r in all_runs if source(r) != left_out]
        known = {r.cluster.accelerator.architecture for r in rest}
        start = {n: v for n, v in c.items() if "/" not in n or n.split("/")[1] in known}
        fitted = fit(rest, start, rounds=3)
        mine = [r for r in all_runs if source(r) == left_out]
        errors += [(s.run, s.error) for s in score(with_coefficients(mine, fitted))]
    return errors


def spread(errors: Sequence[tuple[Run, float]], architecture: str) -> tuple[float, float, str]:
    """10th and 90th percentile of measured / predicted time over runs of left-out sources, and whose they are.

    Each source weighs the same. A generation has its own where it has three sources: with fewer that would be
    luck, and it takes that of all.
    """
    mine = [e for e in errors if e[0].cluster.accelerator.architecture == architecture]
    own = len({source(r) for r, _ in mine}) >= _LEAST_SOURCES
    groups = by_group(mine if own else errors, source)
    values = np.array([e for g in groups.values() for e in g])
    weights = np.array([1 / len(g) for g in groups.values() for _ in g])
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    # Speed too high by e means time longer by e.
    low, high = (
        float(np.exp(values[order][min(np.searchsorted(share, q), len(order) - 1)])) for q in (0.1, 0.9)
    )
    whose = architecture if own else "all generations"
    basis = f"{whose}: {len(values)} published runs from {len(groups)} sources, each left out of the fit"
    return min(low, 1.0), max(high, 1.0), basis


def coverage(errors: Sequence[tuple[Run, float]]) -> float:
    """Share of runs inside the range that the other sources alone would have given, averaged over sources."""
    shares = []
    for left_out in {source(r) for r, _ in errors}:
        others = [e for e in errors if source(e[0]) != left_out]
        mine = [e for e in errors if source(e[0]) == left_out]
        ranges = {a: spread(others, a) for a in {r.cluster.accelerator.architecture for r, _ in mine}}
        inside = 0
        for run, error in mine:
            low, high, _ = ranges[run.cluster.accelerator.architecture]
            inside += low <= math.exp(error) <= high
        shares.append(inside / len(mine))
    return sum(shares) / len(shares)


def rows(c: Coefficients, errors: Sequence[tuple[Run, float]]) -> list[dict[str, str]]:
    """Rows of efficiency.csv: a generation each, and ``*`` for those that were not measured."""
    table = []
    for architecture in ["*", *sorted({n.split("/")[1] for n in c if "/" in n})]:
        low, high, basis = spread(errors, architecture)
        e = efficiency(c, architecture)
        table.append({
            "architecture": architecture,
            **{n: f"{getattr(e, n):.4g}" for n in (*COMMON, *FIXED)},
            "spread_low": f"{low:.3f}", "spread_high": f"{high:.3f}", "spread_basis": basis,
            "source": "benchmarks/fit.py on benchmarks/published/language_models.csv",
            "date": date.today().isoformat(),
        })  # fmt: skip
    return table


def main() -> None:
    """Fit, cross-validate, print, and write when asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="write zenplan/data/efficiency.csv")
    arguments = parser.parse_args()
    catalogue = Catalogue(accelerators=read_accelerators())
    start = {n: v[0] for n, v in COMMON.items()}

    def provisional(sheet: Accelerator) -> Efficiency:
        return efficiency(start, sheet.architecture)

    all_runs = [r for r in runs(read_rows(), catalogue.by_name, provisional) if isinstance(r, Run)]
    c = fit(all_runs)
    for name, value in sorted(c.items()):
        print(f"{name:28s} {value:.4g}")
    fitted = macro(by_group([(s.run, s.error) for s in score(with_coefficients(all_runs, c))], source))
    errors = cross_validate(all_runs, c)
    left_out = macro(by_group(errors, source))
    print(
        f"{fitted.rows} runs; macro median |ln error| {fitted.median:.3f} fitted, {left_out.median:.3f} left out"
    )
    table = rows(c, errors)
    for row in table:
        print(row["architecture"], row["spread_low"], row["spread_high"], row["spread_basis"])
    if arguments.write:
        with TARGET.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, table[0].keys(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(table)


if __name__ == "__main__":
    main()
