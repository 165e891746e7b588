"""A long price table of random rows, and what ``zenplan estimate`` takes over it: processor seconds and peak megabytes.

    python benchmarks/many_offers.py [--rows 100000] [--runs 5] [--seed 0] [--write big.csv]

Rows are bundled ones whose region and prices, and of half of them the provider, are drawn anew, each of another instance:
as a table of many providers would be, with offers of accelerators that cannot train and prices on spot alone. ``python -c
'import typer'`` and an estimate without the table run beside it in turn, so that a busy machine slows them all.
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
import tempfile
from pathlib import Path

from speed import Taken, once

from zenplan.adapters.files.csv_file import rows_of
from zenplan.adapters.files.data import DATA

PROVIDERS = 40
REGIONS = 25
ESTIMATE = [sys.executable, "-m", "zenplan", "estimate", "--params", "1e9"]


def write(path: Path, count: int, seed: int) -> None:
    """Write so many random rows."""
    draw = random.Random(seed)  # noqa: S311 (no secret)
    rows = [row for _, row in rows_of((DATA / "prices.csv").read_text(encoding="utf-8"))]
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, rows[0])
        out.writeheader()
        for number in range(count):
            row = dict(draw.choice(rows))
            row["provider"] = draw.choice((row["provider"], f"cloud-{draw.randrange(PROVIDERS)}"))
            row["region"] = f"place-{draw.randrange(REGIONS)}"
            row["instance"] += f"-{number}"
            for billing in ("on_demand", "spot"):
                if price := row[f"{billing}_usd_per_h"]:
                    row[f"{billing}_usd_per_h"] = f"{float(price) * draw.uniform(0.7, 1.6):.4f}"
            out.writerow(row)


def main() -> None:
    """Write the table, and time what is done with it."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--rows", type=int, default=100_000)
    flags.add_argument("--runs", type=int, default=5)
    flags.add_argument("--seed", type=int, default=0)
    flags.add_argument("--write", type=Path, help="write the table there, and time nothing")
    given = flags.parse_args()
    if given.write:
        write(given.write, given.rows, given.seed)
        return
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "prices.csv"
        write(table, given.rows, given.seed)
        commands = {
            "python -c 'import typer'": [sys.executable, "-c", "import typer"],
            "zenplan estimate --params 1e9": ESTIMATE,
            f"the same over {given.rows:,} offers": [*ESTIMATE, "--prices", str(table)],
        }
        taken: dict[str, list[Taken]] = {name: [] for name in commands}
        for _ in range(given.runs):
            for name, command in commands.items():
                taken[name].append(once(command))
    print("| command | processor s, the least | peak MB |\n|---|---:|---:|")
    for name, runs in taken.items():
        print(f"| {name} | {min(each.cpu_s for each in runs):.2f} | {max(each.peak_mb for each in runs):.0f} |")


if __name__ == "__main__":
    main()
