"""The fit of a stage: coefficients that published runs come out with, by reweighted least squares.

Least absolute error in ln(time), by Gauss-Newton steps on reweighted squares. A coefficient may differ by groups of
runs, each by a factor that is drawn towards 1: a group with few runs borrows from the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from zenplan.backtesting.runs import Run
from zenplan.domain.fit.coefficients import (
    FAMILY,
    GENERATION,
    OTHERS,
    PRECISION,
    SOFTWARE,
    Coefficients,
    precision_class,
    software_group,
)
from zenplan.domain.model.workload import LANGUAGE as LANGUAGE_FAMILIES
from zenplan.fitting.model import Model
from zenplan.fitting.prior import MEANS, START, WIDTH, Stage
from zenplan.fitting.published import by_group, publisher, source, thinned

Array = npt.NDArray[np.float64]

# 16-bit formats are what the common value is of.
_REFERENCE = f"{PRECISION}/16-bit"
# Below this |ln error| squares, above it absolute values; errors above the cap say no more.
_SQUARE, _CAP = 0.06, 0.7


def groups_of(run: Run) -> dict[str, str]:
    """The groups a run is in, by kind."""
    return {
        GENERATION: f"{GENERATION}/{run.cluster.accelerator.architecture}",
        SOFTWARE: software_group(run.plan.software, run.plan.workload.family),
        PRECISION: f"{PRECISION}/{precision_class(run.plan.precision.matmul_dtype)}",
        FAMILY: f"{FAMILY}/{run.plan.workload.family}",
    }


def _parameters(all_runs: Sequence[Run], stage: Stage, begin: Coefficients) -> list[tuple[str, str]]:
    """(coefficient, group) of everything that the stage fits; the group of a common value is empty."""
    found = [(name, "") for name in stage.common]
    for name, kinds in stage.groups.items():
        for kind in kinds:
            fitted_before = begin.all[name].factors.keys() - START[name].factors.keys()
            there = sorted({groups_of(r)[kind] for r in all_runs} - {"", _REFERENCE} - fitted_before)
            found += [(name, group) for group in there]
    return found


def _design(
    all_runs: Sequence[Run], parameters: Sequence[tuple[str, str]], fields: Sequence[str], slopes: Array
) -> Array:
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
    """Of squares that stand for absolute errors, shape (runs,). Each source has the same in all, for a family; those of
    one publisher together have more than one source, and less than as many."""
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


def fit(model: Model, stage: Stage, begin: Coefficients, start: Coefficients, steps: int = 14) -> Coefficients:
    """The coefficients that fit a model's runs.

    Args:
        model: of the runs that are fitted to.
        stage: which coefficients and groups may change, and how strongly they are drawn to where the fit begins.
        begin: what earlier stages fitted; a group that has a factor there keeps it.
        start: from where the steps go.
        steps: of Gauss and Newton; each moves a coefficient by a factor of at most exp(0.2).
    """
    all_runs = model.runs
    parameters = _parameters(all_runs, stage, begin)
    fields = [*dict.fromkeys(_field(name) for name, _ in parameters), "wide_matmul"]
    c = start
    for _ in range(steps):
        errors, slopes = model.slopes(model.efficiencies(c), fields)
        design = _design(all_runs, parameters, fields, slopes)
        weights = _weights(all_runs, errors)
        at = np.array([_log_value(c, name, group) for name, group in parameters])
        # A factor is drawn to what is believed of it, a common value to where it starts.
        mean = np.array([_mean(name, group) for name, group in parameters])
        tight = np.array([_precision(stage, name, group) for name, group in parameters]) * stage.pull
        left = (design.T * weights) @ design + np.diag(tight)
        right = -(design.T * weights) @ errors + tight * (mean - at)
        c = _moved(c, parameters, at + np.clip(np.linalg.solve(left, right), -0.25, 0.25) * 0.8)
    return c


def _mean(name: str, group: str) -> float:
    """Where a value is drawn to: a common one to where it starts, a group's factor to what is believed of it."""
    if not group:
        return math.log(START[name].value)
    return math.log(MEANS.get((name, group), START[name].factors.get(group, 1.0)))


def _precision(stage: Stage, name: str, group: str) -> float:
    deviation = stage.groups[name][group.split("/")[0]] if group else stage.sure.get(name, WIDTH)
    return 1.0 / deviation**2


def _log_value(c: Coefficients, name: str, group: str) -> float:
    return math.log(c.all[name].factors.get(group, 1.0) if group else c.all[name].value)


def _moved(c: Coefficients, parameters: Sequence[tuple[str, str]], values: Array) -> Coefficients:
    fresh = dict(c.all)
    for (name, group), value in zip(parameters, np.exp(values), strict=True):
        one = fresh[name]
        if group:
            # Beyond what takes the common value to its bounds a factor changes nothing, and would run away.
            bounded = min(one.most / one.value, max(one.least / one.value, float(value)))
            fresh[name] = replace(one, factors={**one.factors, group: bounded})
        else:
            fresh[name] = replace(one, value=float(min(one.most, max(one.least, value))))
    return replace(c, all=fresh)


def fitted_to(all_runs: Sequence[Run], stage: Stage, begin: Coefficients) -> Coefficients:
    """The fit of a stage to runs: twice, as under other coefficients other layouts may be the fastest.

    Args:
        all_runs: those of the stage's tables.
        stage: what is fitted.
        begin: what earlier stages fitted.
    """
    some = thinned(all_runs)
    first = fit(Model(some, begin), stage, begin, begin)
    return fit(Model(some, first), stage, begin, first, steps=6)


def errors_of(all_runs: Sequence[Run], c: Coefficients) -> list[tuple[Run, float]]:
    """Each run with ln(predicted / measured) of its speed."""
    model = Model(all_runs, c)
    return list(zip(all_runs, map(float, model.errors(model.efficiencies(c))), strict=True))
