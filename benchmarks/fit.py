"""Fit the few coefficients of the step-time model to published runs, and say how well they carry over.

    python benchmarks/fit.py                    print the fit and its error on what was left out of it
    python benchmarks/fit.py --write            also write zenplan/data/coefficients.json
    python benchmarks/fit.py --write --readme   and the figures of accuracy.py into README.md, in the same run
    python benchmarks/fit.py --write --quick    without what is left out; the intervals stay as they are
    python benchmarks/fit.py --box open         to all runs: without it those of locked_box.csv are left out

Each coefficient has a unit, a meaning and bounds. A group of runs (a generation of accelerators, a kind of software,
a precision) may differ from the whole by a factor, which is drawn towards 1: a group with few runs borrows from the
others, and a family that one publisher alone measured keeps the common value. A source of 200 rows weighs as much as
one of 5; of one publisher's, each weighs less. The fit itself is in ``zenplan/fitting/``.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import accuracy
import readme
from tables import PUBLISHED, macro

from zenplan.adapters.tables.coefficients import coefficients_of, document_of, read_coefficients
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.fitting.fit import errors_of
from zenplan.fitting.intervals import plain
from zenplan.fitting.left_out import StageFit, fitted_stages, with_intervals
from zenplan.fitting.published import Box, by_group, publisher, source

TARGET = Path(__file__).parents[1] / "zenplan" / "data" / "coefficients.json"


def show(c: Coefficients, stage: StageFit) -> None:
    """Print the coefficients, and the errors on a stage's runs: fitted, and left out."""
    for one in c.all.values():
        factors = "  ".join(f"{g} ×{f:.2f}" for g, f in sorted(one.factors.items()))
        bound = "  AT ITS BOUND" if one.least < one.most and one.value in (one.least, one.most) else ""
        print(f"{one.name:14s} {one.value:.4g} {one.unit}{bound}   {factors}")
    rows = {"fitted": errors_of(stage.runs, c), **{name: plain(found) for name, found in stage.observed.items()}}
    for name, errors in rows.items():
        s = macro(by_group(errors, publisher))
        print(f"{name}: {s.rows} runs, macro median |ln error| {s.median:.3f}, within 25 % {s.within_25:.2f}")
    print(c.interval)


def main() -> None:
    """Fit, cross-validate, print, and write when asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="write zenplan/data/coefficients.json")
    parser.add_argument("--readme", action="store_true", help="write the figures into README.md")
    parser.add_argument("--quick", action="store_true", help="leave nothing out, and keep the intervals as they are")
    parser.add_argument("--box", type=Box, choices=list(Box), default=Box.CLOSED, help="which publishers are fitted to")
    arguments = parser.parse_args()
    if arguments.quick and arguments.readme:
        parser.error("--quick has no figures on what was left out, which the README is about")
    language, other = fits = fitted_stages(PUBLISHED, box=arguments.box, validated=not arguments.quick)
    if arguments.quick:
        kept = read_coefficients()
        c = replace(other.fitted, interval=kept.interval, other_interval=kept.other_interval)
    else:
        c = with_intervals(language, other)
    for each in fits:
        show(c, each)
    together = [run for each in fits for run in each.runs]
    tables = [name for each in fits for name in each.stage.tables]
    document = document_of(
        c,
        {
            "by": "benchmarks/fit.py",
            "on": " and ".join(f"benchmarks/published/{name}" for name in tables),
            "runs": len(together),
            "sources": sorted({source(r) for r in together}),
            "date": date.today().isoformat(),
        },
    )
    if arguments.write:
        TARGET.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if arguments.readme:
        # What is shipped is rounded, and it is that whose figures are printed.
        text = accuracy.report(coefficients_of(document), language.observed, other.observed, arguments.box)
        readme.write("accuracy", text)


if __name__ == "__main__":
    main()
