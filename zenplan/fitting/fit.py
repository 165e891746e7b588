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
_SQUARE, _CAP, _FAINT = 0.06, 0.7, 0.2
# The most that a step moves the logarithm of a coefficient, and what moves less than the last has arrived.
_FAR, _ARRIVED = 0.5, 0.003
# Reweighted squares for each evaluation of the model, and how often a step that made it worse is halved.
_INNER, _HALVED = 6, 3


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
    makers = _makers(all_runs)
    for name, kinds in stage.groups.items():
        for kind in kinds:
            fitted_before = begin.all[name].factors.keys() - START[name].factors.keys()
            there = sorted({groups_of(r)[kind] for r in all_runs} - {"", _REFERENCE} - fitted_before)
            found += [(name, group) for group in there if kind != FAMILY or len(makers[group]) > 1]
    return found


def _makers(all_runs: Sequence[Run]) -> dict[str, set[str]]:
    """Who measured runs of each group. What one publisher alone has measured of a family says how that publisher measures,
    as much as how the family runs: it keeps the common value."""
    found: dict[str, set[str]] = {}
    for run in all_runs:
        for group in groups_of(run).values():
            found.setdefault(group, set()).add(publisher(run))
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


def _shares(all_runs: Sequence[Run]) -> Array:
    """What each run weighs, shape (runs,). Each source has the same in all, for a family; those of one publisher together
    have more than one source, and less than as many."""
    shares: Array = np.sqrt(_share(all_runs, source) * _share(all_runs, publisher))
    return shares


def robust_weights(errors: Array) -> Array:
    """Of squares that stand for absolute errors, shape (runs,)."""
    steep = 1.0 / np.maximum(np.abs(errors), _SQUARE)
    return np.where(np.abs(errors) > _CAP, _FAINT * steep, steep)


def robust_loss(errors: Array) -> Array:
    """What those weights are the slopes of: squares, then absolute values, then a fifth of them; shape (runs,)."""
    size = np.abs(errors)
    near = np.where(size < _SQUARE, size**2 / (2.0 * _SQUARE), size - _SQUARE / 2.0)
    return np.where(size > _CAP, _CAP - _SQUARE / 2.0 + _FAINT * (size - _CAP), near)


def _share(all_runs: Sequence[Run], key: Callable[[Run], Hashable]) -> Array:
    """One over the runs of a family that each run has its key in common with."""

    def alike(run: Run) -> Hashable:
        family = run.plan.workload.family
        return key(run), "" if family in LANGUAGE_FAMILIES else family

    counts = by_group([(r, 0.0) for r in all_runs], alike)
    return np.array([1.0 / len(counts[alike(r)]) for r in all_runs])


def fit(model: Model, stage: Stage, begin: Coefficients, start: Coefficients, steps: int = 12) -> Coefficients:
    """The coefficients that fit a model's runs.

    Args:
        model: of the runs that are fitted to.
        stage: which coefficients and groups may change, and how strongly they are drawn to where the fit begins.
        begin: what earlier stages fitted; a group that has a factor there keeps it.
        start: from where the steps go.
        steps: of Gauss and Newton at most; it ends where a step changes nothing.
    """
    fitted = _Fitted(model, stage, _parameters(model.runs, stage, begin))
    c = start
    for _ in range(steps):
        errors, slopes = model.slopes(model.efficiencies(c), fitted.fields)
        at, move = fitted.values(c), fitted.move(c, errors, slopes)
        before = fitted.objective(c, errors)
        for _ in range(_HALVED):
            moved = _moved(c, fitted.parameters, at + move)
            if fitted.objective(moved, model.errors(model.efficiencies(moved))) < before:
                break
            move = move / 2.0
        else:
            break
        c = moved
        if np.abs(move).max() < _ARRIVED:
            break
    return c


class _Fitted:
    """What a stage fits to a model's runs: its parameters, where they are drawn to, and how good some are."""

    def __init__(self, model: Model, stage: Stage, parameters: Sequence[tuple[str, str]]) -> None:
        self.parameters = parameters
        self.fields = [*dict.fromkeys(_field(name) for name, _ in parameters), "wide_matmul"]
        self._runs, self._shares = model.runs, _shares(model.runs)
        self._mean = np.array([_mean(name, group) for name, group in parameters])
        self._tight = np.array([_precision(stage, name, group) for name, group in parameters]) * stage.pull

    def values(self, c: Coefficients) -> Array:
        """Logarithms of the parameters, shape (parameters,)."""
        return np.array([_log_value(c, name, group) for name, group in self.parameters])

    def objective(self, c: Coefficients, errors: Array) -> float:
        """What is made least: absolute errors, and how far values are from where they are drawn to."""
        drawn = self._tight @ (self.values(c) - self._mean) ** 2 / 2.0
        return float(self._shares @ robust_loss(errors) + drawn)

    def move(self, c: Coefficients, errors: Array, slopes: Array) -> Array:
        """Where the least is if errors go on in a line: reweighted squares, from where they are now."""
        design = _design(self._runs, self.parameters, self.fields, slopes)
        off = self._mean - self.values(c)
        move = np.zeros(len(self.parameters))
        for _ in range(_INNER):
            weights = self._shares * robust_weights(errors + design @ move)
            left = (design.T * weights) @ design + np.diag(self._tight)
            move = np.clip(np.linalg.solve(left, self._tight * off - (design.T * weights) @ errors), -_FAR, _FAR)
        return move


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
    return fit(Model(some, first), stage, begin, first)


def errors_of(all_runs: Sequence[Run], c: Coefficients) -> list[tuple[Run, float]]:
    """Each run with ln(predicted / measured) of its speed."""
    model = Model(all_runs, c)
    return list(zip(all_runs, map(float, model.errors(model.efficiencies(c))), strict=True))
