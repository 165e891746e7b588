"""How far a step that was measured carries: to other batches, to several devices, to other accelerators and models.

    python benchmarks/carried_over.py                 the table
    python benchmarks/carried_over.py --write         and ``zenplan/data/carried_over.csv``, which estimate reads

Pairs of published runs of one publisher, in one software and precision (``zenplan/fitting/carry.py``). The coefficients
are those that are shipped, so that what is to be beaten was fitted to these very runs.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from tables import paths

from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.domain.fit.efficiency import KINDS
from zenplan.fitting.carry import Pairs, carried_over, carried_pairs, measured_runs
from zenplan.fitting.prior import STAGES
from zenplan.fitting.published import published_runs

TABLE = Path(__file__).parents[1] / "zenplan" / "data" / "carried_over.csv"
COLUMNS = ("kind", "power", "down", "up", "pairs", "publishers", "median", "source", "date")


def table(found: Mapping[str, Pairs]) -> str:
    """What each kind of pair comes out with, as markdown."""
    lines = [
        "| carried over to | pairs | publishers | without: median, 80 % | with | power | of the interval | holds |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for kind, pairs in found.items():
        each = carried_over(kind, pairs)
        _, before, before_80 = pairs.summary(pairs.errors[:, 0])
        _, after, after_80 = pairs.summary(pairs.left_out())
        used = f"{each.power:.1f} | {each.down:.0%} down, {each.up:.0%} up | {pairs.holds():.0%}"
        lines.append(
            f"| {KINDS[kind]} | {each.pairs:,} | {each.publishers} | "
            f"{before:.3f}, {before_80:.3f} | {after:.3f}, {after_80:.3f} | {used if each.power else 'not used | |'} |"
        )
    return "\n".join(lines)


def write(found: Mapping[str, Pairs]) -> None:
    """The table that estimate reads."""
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for kind, pairs in found.items():
            each, median = carried_over(kind, pairs), pairs.summary(pairs.left_out())[1]
            figures = (f"{each.power:.1f}", f"{each.down:.3f}", f"{each.up:.3f}", each.pairs, each.publishers)
            origin = ("benchmarks/carried_over.py", date.today().isoformat())
            writer.writerow((kind, *figures, f"{median:.3f}", *origin))


def main() -> None:
    """Pair, print, and write when asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="write zenplan/data/carried_over.csv")
    arguments = parser.parse_args()
    coefficients = read_coefficients()
    stages = [published_runs(paths(stage.tables), coefficients) for stage in STAGES]
    found = carried_pairs([run for runs in stages for run in measured_runs(runs, coefficients)])
    print(table(found))
    if arguments.write:
        write(found)


if __name__ == "__main__":
    main()
