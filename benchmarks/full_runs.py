"""How far predicted GPU-hours are from what whole published runs took.

    python benchmarks/full_runs.py              the table, and the scores by group of sources
    python benchmarks/full_runs.py TABLE.csv    the same for another table in these columns
    python benchmarks/full_runs.py --readme     also write the scores into README.md

Steady is the steps alone; the calendar has start-up, evaluation, checkpoints, failures and the work they lose, and
``Operations.production``: what whole runs took over all of that. Its three figures are fitted here, each group of
sources as heavy as another, and scored on groups left out of the fit.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import readme

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.backtesting.whole_runs import OPERATIONS, PredictedWholeRun, whole_runs_of
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.range import Range
from zenplan.domain.training.operations import Operations
from zenplan.errors import ZenplanError

TABLE = Path(__file__).parent / "published" / "full_runs.csv"
_QUANTILES = (0.1, 0.5, 0.9)
_BOUNDS = (0.5, 3.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A run, and what the calendar model has for it without ``production``: what the factor is fitted to."""

    run: PredictedWholeRun
    bare: PredictedWholeRun
    publisher: str = ""

    @property
    def group(self) -> str:
        """Whose run it is: a publisher, or a collection of many."""
        return self.publisher or self.run.measured.written_family or "all"

    @property
    def share(self) -> float:
        """How much of ``production`` a run of that size has."""
        return min(1.0, self.bare.steady_gpu_hours.mid * 3600 / Operations().production_ramp_device_s)


def triple(pairs: Sequence[Pair]) -> tuple[float, float, float]:
    """Low, middle and high of measured over bare time, of the runs that have all of it; groups weigh alike."""
    long = [p for p in pairs if p.share == 1.0]
    sizes = Counter(p.group for p in long)
    ratios = np.array([p.run.measured_gpu_hours / p.bare.calendar_gpu_hours.mid for p in long])
    order = np.argsort(ratios)
    weights = np.array([1.0 / sizes[p.group] for p in long])[order]
    place = (np.cumsum(weights) - 0.5 * weights) / weights.sum()
    low, mid, high = (float(np.interp(q, place, ratios[order])) for q in _QUANTILES)
    return max(low, _BOUNDS[0]), max(mid, 1.0), min(max(high, mid, 1.0), _BOUNDS[1])


def calendar(pair: Pair, production: tuple[float, float, float]) -> Range:
    """The run's calendar under other figures of ``production``; as ``planning.money.run`` applies them."""
    low, mid, high = (1.0 + (p - 1.0) * pair.share for p in production)
    bare = pair.bare.calendar_gpu_hours
    return Range(
        low=max(bare.low, min(bare.low * mid, bare.mid * low)),
        mid=bare.mid * mid,
        high=max(bare.high * mid, bare.mid * high),
    )


def left_out(pairs: Sequence[Pair]) -> list[Range]:
    """Each run's calendar under ``production`` fitted to the other groups."""
    fitted = {g: triple([p for p in pairs if p.group != g]) for g in {p.group for p in pairs}}
    return [calendar(p, fitted[p.group]) for p in pairs]


def summary(name: str, measured: Iterable[float], predicted: Iterable[Range]) -> str:
    """A row: runs, median |ln error|, bias, and how many lie in their range."""
    pairs = list(zip(measured, predicted, strict=True))
    errors = np.array([math.log(r.mid / m) for m, r in pairs])
    inside = sum(r.low <= m <= r.high for m, r in pairs) / len(pairs)
    return (
        f"| {name} | {len(pairs)} | {np.median(np.abs(errors)):.3f} | {math.expm1(np.median(errors)):+.0%} "
        f"| {inside:.0%} |"
    )


def line(pair: Pair) -> str:
    """A run: measured hours, and measured over predicted, steady and calendar."""
    run = pair.run
    hours = run.measured_gpu_hours
    calendar_ = run.calendar_gpu_hours
    within = "yes" if calendar_.low <= hours <= calendar_.high else "no"
    devices = f"{run.devices:,}" if run.devices_known else f"({run.devices:,})"
    return (
        f"| {run.measured.model[:30]} | {pair.group} | {devices} | {hours:,.4g} | {run.steady_gpu_hours.mid:,.4g} "
        f"| {hours / run.steady_gpu_hours.mid:.2f} | {calendar_.mid:,.4g} | {hours / calendar_.mid:.2f} "
        f"| {within} |"
    )


def pairs_of(rows: Sequence[dict[str, str]]) -> tuple[list[Pair], list[tuple[str, str]]]:
    """Each row's two predictions, and the rows without one with their reasons."""
    catalogue, coefficients = Catalogue(accelerators=read_accelerators()), read_coefficients()
    bare = replace(Operations(), startup_s=0.0, production=(1.0, 1.0, 1.0))
    run_of, bare_of = (whole_runs_of(rows, catalogue, coefficients, o) for o in (OPERATIONS, bare))
    both = zip(rows, run_of, bare_of, strict=True)
    found, skipped = [], []
    for row, run, plain in both:
        if isinstance(run, PredictedWholeRun) and isinstance(plain, PredictedWholeRun):
            found.append(Pair(run=run, bare=plain, publisher=row.get("group", "")))
        elif isinstance(run, ZenplanError):
            skipped.append((row.get("id", "?"), run.message))
    return found, skipped


def scores(pairs: Sequence[Pair]) -> str:
    """The table of scores, and by group."""
    lines = ["| prediction | runs | median ln error | bias | in its range |", "|---|---:|---:|---:|---:|"]
    measured = [p.run.measured_gpu_hours for p in pairs]
    lines.append(summary("the steps alone", measured, [p.run.steady_gpu_hours for p in pairs]))
    lines.append(summary("the calendar", measured, [p.run.calendar_gpu_hours for p in pairs]))
    out = left_out(pairs)
    lines.append(summary("**the calendar, each group of sources left out of the fit**", measured, out))
    for group in sorted({p.group for p in pairs}):
        mine = [(m, r) for m, r, p in zip(measured, out, pairs, strict=True) if p.group == group]
        lines.append(summary(f"{group}, left out", *zip(*mine, strict=True)))
    return "\n".join(lines)


def main() -> None:
    """Print the runs, the scores, and the figures that ``Operations.production`` should have."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", nargs="?", type=Path, default=TABLE, help="a table of whole runs")
    parser.add_argument("--readme", action="store_true", help="also write the scores into README.md")
    arguments = parser.parse_args()
    with arguments.table.open(newline="", encoding="utf-8") as file:
        pairs, skipped = pairs_of(list(csv.DictReader(file)))
    heads = (
        "run",
        "group",
        "devices",
        "GPU-hours",
        "steady",
        "measured / steady",
        "calendar",
        "measured / calendar",
        "in range",
    )
    print("| " + " | ".join(heads) + " |\n|---|---|" + "---:|" * 6 + "---|")
    print("\n".join(line(p) for p in pairs))
    text = scores(pairs)
    low, mid, high = triple(pairs)
    print(f"\n{text}\n\nOperations.production fitted to these runs: {low:.2f}, {mid:.2f}, {high:.2f}")
    print("\n".join(f"left out: {name}: {why}" for name, why in skipped))
    if arguments.readme:
        readme.write("whole runs", text)


if __name__ == "__main__":
    main()
