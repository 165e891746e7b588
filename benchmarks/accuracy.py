"""How far predictions are from published, measured training runs.

    python benchmarks/accuracy.py               the table: every source left out of the fit in turn
    python benchmarks/accuracy.py --quick       the shipped coefficients only (fitted to these rows)
    python benchmarks/accuracy.py --readme      also write the figures into README.md

Scored on tokens a second and device, never on a printed MFU: sources count FLOP differently. A summary is
taken for each source and averaged, so that a source of 200 rows weighs as much as one of 5.
"""

from __future__ import annotations

import argparse
import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

from fit import coverage, cross_validate, start_of
from published_rows import Run, read_rows, runs
from scoring import Summary, by_group, macro, score, six_nd, source

from zenplan.adapters.accelerator_table import read_accelerators
from zenplan.adapters.efficiency_table import efficiency_of, read_efficiencies
from zenplan.domain.catalogue import Catalogue

README = Path(__file__).parents[1] / "README.md"
_MARKS = re.compile(r"(<!-- accuracy -->\n).*?(<!-- /accuracy -->)", re.DOTALL)
_HEAD = ("runs", "median ln error", "MAPE", "within 10 %", "within 25 %", "bias")

Errors = Sequence[tuple[Run, float]]


def generation(run: Run) -> str:
    """The accelerator's architecture."""
    return run.cluster.accelerator.architecture


def scale(run: Run) -> str:
    """One node or more."""
    return "one node" if run.cluster.nodes == 1 else "several nodes"


def size(run: Run) -> str:
    """Parameters, in three classes."""
    count = float(run.row["params"])
    return "up to 1B" if count <= 1e9 else "1B to 20B" if count <= 20e9 else "above 20B"


def cells(name: str, s: Summary) -> list[str]:
    """A row of the table."""
    return [name, str(s.rows), f"{s.median:.3f}", f"{100 * s.mape:.1f} %", f"{100 * s.within_10:.0f} %",
            f"{100 * s.within_25:.0f} %", f"{100 * math.expm1(s.bias):+.0f} %"]  # fmt: skip


def table(title: str, rows: Sequence[Sequence[str]]) -> str:
    """Rows under the head, as a markdown table."""
    lines = [f"| {title} | " + " | ".join(_HEAD) + " |", "|---|" + "---:|" * len(_HEAD)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def grouped(errors: Errors, key: Callable[[Run], Hashable]) -> list[list[str]]:
    """A row for each group, each averaged over its sources."""
    groups = by_group(errors, key)
    rows = []
    for name in sorted(groups, key=str):
        mine = [(run, e) for run, e in errors if key(run) == name]
        rows.append(cells(str(name), macro(by_group(mine, source))))
    return rows


def main() -> None:
    """Score, print, and write into the README when asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="do not refit with sources left out")
    parser.add_argument("--readme", action="store_true", help="write the figures into README.md")
    arguments = parser.parse_args()
    catalogue, table_of = Catalogue(accelerators=read_accelerators()), read_efficiencies()
    outcomes = list(runs(read_rows(), catalogue.by_name, lambda sheet: efficiency_of(sheet, table_of)))
    all_runs = [r for r in outcomes if isinstance(r, Run)]
    skipped = Counter(reason for r in outcomes if not isinstance(r, Run) for reason in [r[1]])
    fitted: Errors = [(s.run, s.error) for s in score(all_runs)]
    rule: Errors = [(r, six_nd(r)) for r in all_runs]
    best = fitted
    rows = [cells("6·N·D at 40 % of peak", macro(by_group(rule, source)))]
    rows.append(cells("zenplan, fitted to these runs", macro(by_group(fitted, source))))
    if not arguments.quick:
        best = cross_validate(all_runs, start_of(table_of))
        rows.append(cells("**zenplan, each source left out of the fit**", macro(by_group(best, source))))
    parts = [table("language models", rows)]
    how = "sources left out" if best is not fitted else "fitted"
    for title, key in (("generation", generation), ("scale", scale), ("size", size)):
        parts.append(table(f"{title} ({how})", grouped(best, key)))
    notes = [
        f"{len(all_runs)} runs from {len(by_group(fitted, source))} sources; {sum(skipped.values())} rows are not "
        "scored: " + "; ".join(f"{n} × {why}" for why, n in sorted(skipped.items())) + ".",
        f"The low–high range that the other sources alone would give holds {100 * coverage(best):.0f} % of a source's "
        f"runs (asked: 80 %). {100 * sum(r.fits for r in all_runs) / len(all_runs):.0f} % of these runs are found to fit "
        "memory; all did.",
    ]  # fmt: skip
    text = "\n\n".join([*parts, *notes])
    print(text)
    print("\n" + table(f"source ({how})", [cells(str(k)[-60:], Summary.of(v)) for k, v in
                                           sorted(by_group(best, source).items(), key=str)]))  # fmt: skip
    if arguments.readme:
        old = README.read_text(encoding="utf-8")
        README.write_text(_MARKS.sub(lambda m: f"{m[1]}{text}\n{m[2]}", old), encoding="utf-8")


if __name__ == "__main__":
    main()
