"""Fit the few coefficients of the step-time model to published runs, and say how well they carry over.

    python benchmarks/fit.py                    print the fit and its error on what was left out of it
    python benchmarks/fit.py --write            also write zenplan/data/coefficients.json
    python benchmarks/fit.py --write --readme   and the figures of accuracy.py into README.md, in the same run

Each coefficient has a unit, a meaning and bounds. A group of runs (a generation of accelerators, a kind of
software, a precision) may differ from the whole by a factor, which is drawn towards 1: a group with few runs
borrows from the others. Least absolute error in ln(time), by Gauss-Newton steps on reweighted squares; a
source of 200 rows weighs as much as one of 5.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import readme
from intervals import LeftOut, fit_interval, left_out_traits
from model import Model
from prior import STAGES, START, WIDTH, Stage, start
from scoring import by_group, macro, published, source

from zenplan.adapters.accelerator_table import read_accelerators
from zenplan.adapters.coefficient_table import coefficients_of, document_of
from zenplan.adapters.run_shapes import BY_NAME
from zenplan.app.measured.runs import Run, runs
from zenplan.domain.catalogue import Catalogue
from zenplan.domain.coefficients import (
    FAMILY,
    GENERATION,
    OTHERS,
    PRECISION,
    SOFTWARE,
    Coefficients,
    precision_class,
)
from zenplan.domain.interval import Interval
from zenplan.domain.workload import LANGUAGE as LANGUAGE_FAMILIES

Array = npt.NDArray[np.float64]

TARGET = Path(__file__).parents[1] / "zenplan" / "data" / "coefficients.json"


# Runs on more devices than this are left out together, to see how the fit carries to a larger scale.
LARGE = 128
# 16-bit formats are what the common value is of.
_REFERENCE = f"{PRECISION}/16-bit"
# Below this |ln error| squares, above it absolute values; errors above the cap say no more.
_SQUARE, _CAP = 0.06, 0.7
# Rows of one source that a fit sees.
_ENOUGH = 200


def groups_of(run: Run) -> dict[str, str]:
    """The groups a run is in, by kind."""
    software = run.plan.software
    return {
        GENERATION: f"{GENERATION}/{run.cluster.accelerator.architecture}",
        SOFTWARE: f"{SOFTWARE}/{software}" if software else "",
        PRECISION: f"{PRECISION}/{precision_class(run.plan.precision.matmul_dtype)}",
        FAMILY: f"{FAMILY}/{run.plan.workload.family}",
    }


def _parameters(all_runs: Sequence[Run], stage: Stage, begin: Coefficients) -> list[tuple[str, str]]:
    """(coefficient, group) of everything that the stage fits; the group of a common value is empty."""
    found = [(name, "") for name in stage.common]
    for name, kinds in stage.groups.items():
        for kind in kinds:
            there = sorted(
                {groups_of(r)[kind] for r in all_runs} - {"", _REFERENCE} - begin.all[name].factors.keys()
            )
            found += [(name, group) for group in there]
    return found


def _design(all_runs: Sequence[Run], parameters: Sequence[tuple[str, str]], fields: Sequence[str], slopes: Array
            ) -> Array:  # fmt: skip
    """d ln(speed) / d parameter; shape (runs, parameters). ``slopes`` are those by the fields."""
    groups = [set(groups_of(r).values()) for r in all_runs]
    wide = np.array([r.plan.precision.matmul_dtype != r.plan.precision.other_dtype for r in all_runs])
    columns = []
    for name, group in parameters:
        column = slopes[:, fields.index(_field(name))].copy()
        if name == "matmul":
            # What stays wide under fp8 moves with every group but fp8's own.
            follows = ~wide if group.startswith(PRECISION) else np.ones(len(wide), dtype=bool)
            column += slopes[:, fields.index("wide_matmul")] * follows
        columns.append(column * [not group or group in g for g in groups])
    return np.array(columns).T


def _field(name: str) -> str:
    """The field of ``Efficiency`` that a coefficient is, in the runs of its stage."""
    return OTHERS.get(name, name)


def _weights(all_runs: Sequence[Run], errors: Array) -> Array:
    """Of squares that stand for absolute errors; each source has the same in all, for
    a family; those of one publisher together have more than one source, and less than as many."""
    share = np.sqrt(_share(all_runs, source) * _share(all_runs, publisher))
    steep = 1.0 / np.maximum(np.abs(errors), _SQUARE)
    return share * np.where(np.abs(errors) > _CAP, 0.2 * steep, steep)


def _share(all_runs: Sequence[Run], key: Callable[[Run], Hashable]) -> Array:
    """One over the runs of a family that each run has its key in common with."""

    def alike(run: Run) -> Hashable:
        family = run.plan.workload.family
        return key(run), "" if family in LANGUAGE_FAMILIES else family

    counts = by_group([(r, 0.0) for r in all_runs], alike)
    return np.array([1.0 / len(counts[alike(r)]) for r in all_runs])


def fit(
    model: Model, stage: Stage, begin: Coefficients, start: Coefficients, steps: int = 14
) -> Coefficients:
    """The coefficients that fit a model's runs: what the stage may change of ``begin``, from ``start`` on."""
    all_runs = model.runs
    parameters = _parameters(all_runs, stage, begin)
    fields = [*dict.fromkeys(_field(name) for name, _ in parameters), "wide_matmul"]
    c = start
    for _ in range(steps):
        errors, slopes = model.slopes(model.efficiencies(c), fields)
        design = _design(all_runs, parameters, fields, slopes)
        weights = _weights(all_runs, errors)
        at = np.array([_log_value(c, name, group) for name, group in parameters])
        # A factor is drawn to 1, a common value to where it starts.
        mean = np.array([0.0 if group else math.log(START[name].value) for name, group in parameters])
        tight = np.array([_precision(stage, name, group) for name, group in parameters]) * stage.pull
        left = (design.T * weights) @ design + np.diag(tight)
        right = -(design.T * weights) @ errors + tight * (mean - at)
        c = _moved(c, parameters, at + np.clip(np.linalg.solve(left, right), -0.25, 0.25) * 0.8)
    return c


def _precision(stage: Stage, name: str, group: str) -> float:
    deviation = stage.groups[name][group.split("/")[0]] if group else WIDTH
    return 1.0 / deviation**2


def _log_value(c: Coefficients, name: str, group: str) -> float:
    return math.log(c.all[name].factors.get(group, 1.0) if group else c.all[name].value)


def _moved(c: Coefficients, parameters: Sequence[tuple[str, str]], values: Array) -> Coefficients:
    fresh = dict(c.all)
    for (name, group), value in zip(parameters, np.exp(values), strict=True):
        one = fresh[name]
        if group:
            fresh[name] = replace(one, factors={**one.factors, group: float(value)})
        else:
            fresh[name] = replace(one, value=float(min(one.most, max(one.least, value))))
    return replace(c, all=fresh)


def left_out(all_runs: Sequence[Run], key: Callable[[Run], Hashable], stage: Stage, begin: Coefficients
             ) -> list[tuple[Run, float]]:  # fmt: skip
    """Errors on each group of runs, under coefficients fitted to all the others; one process for each core."""
    names = sorted({key(r) for r in all_runs}, key=str)
    parts = [[i for i, r in enumerate(all_runs) if key(r) == name] for name in names]
    # Forked processes inherit what data sheets' read-only mappings keep from being sent to them.
    _INHERITED[:] = [all_runs, stage, begin]
    with ProcessPoolExecutor(mp_context=get_context("fork")) as pool:
        found = list(pool.map(_errors_without, parts))
    return [(all_runs[i], e) for part, errors in zip(parts, found, strict=True)
            for i, e in zip(part, errors, strict=True)]  # fmt: skip


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


def publisher(run: Run) -> str:
    """Who published a run: of other models, a repository and the model's folder in it. Twenty logs of one benchmark
    script on as many machines are one source when it is left out."""
    if run.row["family"] not in BY_NAME:
        return source(run)
    repository, _, path = source(run).partition(":")
    return f"{repository}:{path.rpartition('/')[0]}"


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
    return fit_interval(
        together, f"80 % of {runs_} published runs of {sources} sources, each left out of the fit"
    )


def all_published(stage: Stage, c: Coefficients) -> list[Run]:
    """The published runs of a stage that can be predicted."""
    catalogue = Catalogue(accelerators=read_accelerators())
    rows = [row for name in stage.tables for row in published(name)]
    return [r for r in runs(rows, catalogue, c) if isinstance(r, Run)]


def thinned(all_runs: Sequence[Run]) -> list[Run]:
    """The runs without every one of a source beyond ``_ENOUGH`` models: a source of a thousand teaches no more than
    one of some hundreds, and weighs as much. Those that stay are evenly spread over its table."""
    groups = by_group([(r, float(place)) for place, r in enumerate(all_runs) if _teaches(r)], source)
    kept = [places[i] for places in groups.values() for i in _spread(len(places))]
    return [all_runs[int(place)] for place in sorted(kept)]


def _teaches(run: Run) -> bool:
    """Whether a fit sees it. Small models over a network that nobody named say nothing but how slow that was."""
    named = run.row["network_gbit_per_s_per_device"] or run.row["family"] not in BY_NAME
    return bool(named) or run.cluster.nodes == 1


def _spread(count: int) -> list[int]:
    few = min(count, _ENOUGH)
    return [i * count // few for i in range(few)]


def fitted_to(all_runs: Sequence[Run], stage: Stage, begin: Coefficients) -> Coefficients:
    """The fit of a stage: twice, as under other coefficients other layouts may be the fastest."""
    some = thinned(all_runs)
    first = fit(Model(some, begin), stage, begin, begin)
    return fit(Model(some, first), stage, begin, first, steps=6)


def errors_of(all_runs: Sequence[Run], c: Coefficients) -> list[tuple[Run, float]]:
    """ln(predicted / measured) speed of each run."""
    model = Model(all_runs, c)
    return list(zip(all_runs, map(float, model.errors(model.efficiencies(c))), strict=True))


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
    document = document_of(c, {
        "by": "benchmarks/fit.py", "on": " and ".join(f"benchmarks/published/{name}" for name in tables),
        "runs": len(together), "sources": sorted({source(r) for r in together}), "date": date.today().isoformat(),
    })  # fmt: skip
    if arguments.write:
        TARGET.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if arguments.readme:
        from accuracy import report

        # What is shipped is rounded, and it is that whose figures are printed.
        readme.write("accuracy", report(coefficients_of(document), *observed))


if __name__ == "__main__":
    main()
