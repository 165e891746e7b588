"""Fit the few coefficients of the step-time model to published runs, and say how well they carry over.

    python benchmarks/fit.py                    print the fit and its error on what was left out of it
    python benchmarks/fit.py --write            also write zenplan/data/coefficients.json
    python benchmarks/fit.py --write --readme   and the figures of accuracy.py into README.md, in the same run

Each coefficient has a unit, a meaning and bounds. A group of runs (a generation of accelerators, a kind of
software, a precision) may differ from the whole by a factor, which is drawn towards 1: a group with few runs
borrows from the others. A source of 200 rows weighs as much as one of 5; of one publisher's, each weighs less
(``fitting.py``).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import readme
from fitting import all_published, errors_of, fit, fitted_to, publisher, thinned
from intervals import LeftOut, fit_interval, left_out_traits
from model import Model
from prior import STAGES, Stage, start
from scoring import by_group, macro, source

from zenplan.adapters.tables.coefficients import coefficients_of, document_of
from zenplan.backtesting.runs import Run
from zenplan.domain.fit.coefficients import GENERATION, Coefficients
from zenplan.domain.fit.interval import Interval

TARGET = Path(__file__).parents[1] / "zenplan" / "data" / "coefficients.json"
# Runs on more devices than this are left out together, to see how the fit carries to a larger scale.
LARGE = 128


def left_out(
    all_runs: Sequence[Run], key: Callable[[Run], Hashable], stage: Stage, begin: Coefficients
) -> list[tuple[Run, float]]:
    """Errors on each group of runs, under coefficients fitted to all the others; one process for each core."""
    names = sorted({key(r) for r in all_runs}, key=str)
    parts = [[i for i, r in enumerate(all_runs) if key(r) == name] for name in names]
    # Forked processes inherit what data sheets' read-only mappings keep from being sent to them.
    _INHERITED[:] = [all_runs, stage, begin]
    with ProcessPoolExecutor(mp_context=get_context("fork")) as pool:
        found = list(pool.map(_errors_without, parts))
    return [
        (all_runs[i], e) for part, errors in zip(parts, found, strict=True) for i, e in zip(part, errors, strict=True)
    ]


_INHERITED: list[Any] = []


def _errors_without(part: Sequence[int]) -> list[float]:
    """Errors on some runs, under coefficients fitted to the others."""
    all_runs, stage, begin = _INHERITED
    out = set(part)
    kept = thinned([r for i, r in enumerate(all_runs) if i not in out])
    # From where the whole fit began: nothing of what is left out may have left a trace.
    fitted = fit(Model(kept, begin), stage, begin, begin, steps=12)
    model = Model([all_runs[i] for i in part], fitted)
    return [float(e) for e in model.errors(model.efficiencies(fitted))]


def accelerator(run: Run) -> str:
    """The product a run was made on."""
    return run.cluster.accelerator.name


def generation(run: Run) -> str:
    """The accelerator's architecture."""
    return run.cluster.accelerator.architecture


def large(run: Run) -> bool:
    """Whether a run is above the scale that is left out as a whole."""
    return run.devices > LARGE


def observed_errors(all_runs: Sequence[Run], stage: Stage, begin: Coefficients) -> dict[str, list[LeftOut]]:
    """Errors on sources left out in turn, on publishers where they have several, on accelerators, on whole generations,
    and on all runs above a scale."""
    found = {
        "source": left_out_traits(left_out(all_runs, source, stage, begin)),
        "accelerator": left_out_traits(left_out(all_runs, accelerator, stage, begin)),
        "generation": left_out_traits(left_out(all_runs, generation, stage, begin), unknown=GENERATION),
    }
    if len({publisher(r) for r in all_runs}) < len({source(r) for r in all_runs}):
        found["publisher"] = left_out_traits(left_out(all_runs, publisher, stage, begin))
    if any(map(large, all_runs)):
        beyond = left_out_traits(left_out(all_runs, large, stage, begin), beyond=LARGE)
        found["scale"] = [o for o in beyond if large(o.run)]
    return found


def interval_of(observed: Mapping[str, Sequence[LeftOut]]) -> Interval:
    """The interval that goes with the coefficients: from what was left out by source, generation and scale."""
    together = [o for name in observed if name != "accelerator" for o in observed[name]]
    runs_, sources = len(observed["source"]), len({source(o.run) for o in observed["source"]})
    return fit_interval(together, f"80 % of {runs_} published runs of {sources} sources, each left out of the fit")


def _print(c: Coefficients, all_runs: Sequence[Run], observed: Mapping[str, Sequence[LeftOut]]) -> None:
    for one in c.all.values():
        factors = "  ".join(f"{g} ×{f:.2f}" for g, f in sorted(one.factors.items()))
        bound = "  AT ITS BOUND" if one.least < one.most and one.value in (one.least, one.most) else ""
        print(f"{one.name:14s} {one.value:.4g} {one.unit}{bound}   {factors}")
    keys = {
        "source": source,
        "publisher": publisher,
        "accelerator": accelerator,
        "generation": generation,
        "scale": source,
    }
    rows = {"fitted": by_group(errors_of(all_runs, c), source)}
    rows |= {f"{n} left out": by_group([(o.run, o.error) for o in observed[n]], keys[n]) for n in observed}
    for name, groups in rows.items():
        s = macro(groups)
        print(f"{name}: {s.rows} runs, macro median |ln error| {s.median:.3f}, within 25 % {s.within_25:.2f}")
    print(c.interval)


def main() -> None:
    """Fit, cross-validate, print, and write when asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="write zenplan/data/coefficients.json")
    parser.add_argument("--readme", action="store_true", help="write the figures into README.md")
    arguments = parser.parse_args()
    c, observed, made = start(), [], []
    for stage in STAGES:
        all_runs = all_published(stage, c)
        begin, c = c, fitted_to(all_runs, stage, c)
        observed.append(observed_errors(all_runs, stage, begin))
        made.append(all_runs)
    language, other = map(interval_of, observed)
    c = replace(c, interval=language, other_interval=other)
    for all_runs, errors in zip(made, observed, strict=True):
        _print(c, all_runs, errors)
    together = [run for all_runs in made for run in all_runs]
    tables = [name for stage in STAGES for name in stage.tables]
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
        from accuracy import report

        # What is shipped is rounded, and it is that whose figures are printed.
        readme.write("accuracy", report(coefficients_of(document), *observed))


if __name__ == "__main__":
    main()
