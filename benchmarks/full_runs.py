"""How far predicted GPU-hours are from what whole published runs took.

    python benchmarks/full_runs.py              the table, and the scores by group of sources
    python benchmarks/full_runs.py TABLE.csv    the same for another table in these columns
    python benchmarks/full_runs.py --readme     also write the scores into README.md

Steady is the steps alone; the calendar has start-up, evaluation, checkpoints, failures and the work they lose, and
``Operations.production``: what whole runs took over all of that. Its three figures are fitted in
``zenplan/fitting/production.py``, each publisher as heavy as another, and scored on publishers left out of the fit.
"""

from __future__ import annotations

import argparse
import hashlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import readme
from tables import PUBLISHED

from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.domain.range import Range
from zenplan.fitting.production import Pair, fit_production, left_out_calendars, pairs_of
from zenplan.fitting.published import rows_of

TABLE = PUBLISHED / "full_runs.csv"


def is_locked(publisher: str) -> bool:
    """Whether a publisher is set aside, by the rule of the locked box: a third of them, by the hash of the name."""
    return int(hashlib.sha256(publisher.encode()).hexdigest(), 16) % 3 == 0


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


def scores(pairs: Sequence[Pair]) -> str:
    """The table of scores, and by group."""
    lines = ["| prediction | runs | median ln error | bias | in its range |", "|---|---:|---:|---:|---:|"]
    measured = [p.run.measured_gpu_hours for p in pairs]
    lines.append(summary("the steps alone", measured, [p.run.steady_gpu_hours for p in pairs]))
    lines.append(summary("the calendar", measured, [p.run.calendar_gpu_hours for p in pairs]))
    out = left_out_calendars(pairs)
    lines.append(summary("**the calendar, each group of sources left out of the fit**", measured, out))
    kinds: list[tuple[str, list[bool]]] = [
        ("large runs, left out", [not p.small for p in pairs]),
        ("small runs (8 devices or fewer, or a day or less), left out", [p.small for p in pairs]),
    ]
    kinds += [(f"{group}, left out", [p.group == group for p in pairs]) for group in sorted({p.group for p in pairs})]
    for name, has in kinds:
        mine = [(m, r) for m, r, mine in zip(measured, out, has, strict=True) if mine]
        if mine:
            lines.append(summary(name, *zip(*mine, strict=True)))
    lines.append(by_publisher(pairs, out))
    return "\n".join(lines)


def by_publisher(pairs: Sequence[Pair], out: Sequence[Range]) -> str:
    """A row with each publisher as heavy as another: their medians and shares, averaged."""
    groups: dict[str, list[tuple[float, bool]]] = {}
    for pair, found in zip(pairs, out, strict=True):
        hours = pair.run.measured_gpu_hours
        groups.setdefault(pair.group, []).append((math.log(found.mid / hours), found.low <= hours <= found.high))
    medians = [np.median([abs(error) for error, _ in each]) for each in groups.values()]
    biases = [np.median([error for error, _ in each]) for each in groups.values()]
    inside = [np.mean([within for _, within in each]) for each in groups.values()]
    return (
        f"| mean over {len(groups)} publishers | {len(pairs)} | {np.mean(medians):.3f} "
        f"| {math.expm1(float(np.mean(biases))):+.0%} | {np.mean(inside):.0%} |"
    )


def main() -> None:
    """Print the runs, the scores, and the figures that ``Operations.production`` should have."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", nargs="?", type=Path, default=TABLE, help="a table of whole runs")
    parser.add_argument("--closed", action="store_true", help="leave the publishers of the locked box out")
    parser.add_argument("--readme", action="store_true", help="also write the scores into README.md")
    arguments = parser.parse_args()
    rows = [row for row in rows_of(arguments.table) if not (arguments.closed and is_locked(row.get("group", "")))]
    pairs, skipped = pairs_of(rows, read_coefficients())
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
    low, mid, high = fit_production(pairs)
    print(f"\n{text}\n\nOperations.production fitted to these runs: {low:.2f}, {mid:.2f}, {high:.2f}")
    print("\n".join(f"left out: {name}: {why}" for name, why in skipped))
    if arguments.readme:
        readme.write("whole runs", text)


if __name__ == "__main__":
    main()
