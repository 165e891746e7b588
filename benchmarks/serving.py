"""How far predicted serving is from published measurements, each publisher left out whole, and the fit of its coefficients.

python benchmarks/serving.py            fit, leave each publisher out in turn, print the table
python benchmarks/serving.py --write    also write zenplan/data/serving.json, and the table into docs/serving.md
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import readme
from tables import PUBLISHED

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.adapters.tables.serving import document_of
from zenplan.backtesting.serving import served_runs
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.serving.efficiency import ServingFit
from zenplan.fitting.serving import KINDS, LeftOutServing, Served, fitted, held, left_out, started

TARGET = Path(__file__).parents[1] / "zenplan" / "data" / "serving.json"
_NAMES = {
    "throughput": "output tokens a second",
    "tpot": "time per output token",
    "ttft": "time to first token, up to 8 in flight",
}


def scores(found: Sequence[LeftOutServing]) -> str:
    """A markdown table: each kind of measurement, then the throughput of each publisher."""
    rows = ["| | rows | publishers | median ln error | of all rows | bias of time | 80 % range holds |"]
    rows.append("|---|---:|---:|---:|---:|---:|---:|")
    for kind in KINDS:
        mine = [each for each in found if each.kind == kind]
        groups = _by_publisher(mine)
        inside = dict.fromkeys(groups, 0.0)
        for each, ok in held(mine):
            inside[each.run.publisher] += ok / len(groups[each.run.publisher])
        error = np.mean([np.median(np.abs(e)) for e in groups.values()])
        every = np.median([abs(each.error) for each in mine])
        bias = math.expm1(float(np.mean([np.median(e) for e in groups.values()])))
        covered = np.mean(list(inside.values()))
        rows.append(
            f"| {_NAMES[kind]} | {len(mine)} | {len(groups)} | {error:.3f} | {every:.3f} | {100 * bias:+.0f} % |"
            f" {100 * covered:.0f} % |"
        )
    rows += ["", "| throughput of | rows | median ln error | bias of time |", "|---|---:|---:|---:|"]
    for name, errors in sorted(_by_publisher([each for each in found if each.kind == "throughput"]).items()):
        bias = 100 * math.expm1(float(np.median(errors)))
        rows.append(f"| {name} | {len(errors)} | {np.median(np.abs(errors)):.3f} | {bias:+.0f} % |")
    return "\n".join(rows)


def _by_publisher(found: Sequence[LeftOutServing]) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = defaultdict(list)
    for each in found:
        groups[each.run.publisher].append(each.error)
    return groups


def show(found: ServingFit) -> None:
    """Print the coefficients."""
    for one in found.all.values():
        factors = "  ".join(f"{g} ×{f:.2f}" for g, f in sorted(one.factors.items()) if abs(math.log(f)) > 0.05)
        print(f"{one.name:10s} {one.value:.3g} {one.unit}   {factors}")


def main() -> None:
    """Fit, leave out, print, and write when asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="write zenplan/data/serving.json and docs/serving.md")
    arguments = parser.parse_args()
    link = read_coefficients().all
    runs = served_runs(PUBLISHED / "serving.csv", Catalogue(accelerators=read_accelerators()))
    served = Served(runs, link["link"].value, link["pcie"].value, link["link_hop_s"].value)
    # Each fit without a publisher begins where nothing of it has left a trace.
    found = left_out(served, started())
    text = scores(found)
    source = f"benchmarks/serving.py on benchmarks/published/serving.csv, {date.today().isoformat()}"
    result = fitted(served, found, source)
    show(result)
    errors = served.errors(result.all)
    print({kind: round(float(np.nanmedian(np.abs(e))), 3) for kind, e in errors.items()}, "fitted, all rows")
    print(text)
    if arguments.write:
        TARGET.write_text(json.dumps(document_of(result), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        readme.write("serving", text)


if __name__ == "__main__":
    main()
