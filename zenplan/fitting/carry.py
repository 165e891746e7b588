"""How far a step that was measured carries: to other batches, to several devices, to other accelerators and models.

Pairs of published runs of one publisher, in one software and precision. The first, on one device, says how many times
as long as predicted the device's own work takes; the second is predicted again with that factor to a power. The power
is the one with the least mean error on the pairs of all other publishers; where the mean does not fall by more than
its standard error between publishers, a measurement is not carried over. Widths are shares of the 80 % interval that
the second run has without the first.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zenplan.backtesting.runs import Run
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.fit.efficiency import BATCH, KINDS, CarriedOver
from zenplan.fitting.intervals import quantile
from zenplan.fitting.model import FIELDS, Model
from zenplan.fitting.published import publisher, setting, spread_evenly, trained_model
from zenplan.planning.calibration.correction import kind_of
from zenplan.planning.physics.interval import spread_of

Array = npt.NDArray[np.float64]

# First runs that a second one is paired with, of each kind.
_MAX_FIRST = 10
# ln of the factors at which runs on several devices are predicted; in between, a line.
_GRID = np.linspace(-1.5, 1.5, 13)
_POWERS = np.linspace(0.0, 1.0, 11)
# Errors above it say no more.
_CAP = 0.7
# With fewer publishers nothing can be said of how far they differ.
_LEAST_PUBLISHERS = 3
_RATES = ("matmul", "wide_matmul", "attention", "convolution", "feed", "memory")
_TIMES = ("operator_s", "launch_s", "host_s")


@dataclass(frozen=True, slots=True)
class Measured:
    """A published run.

    Attributes:
        errors: ln(measured / predicted) time where the device's own work takes exp(``_GRID``) times as long; shape
            (grid,).
        down, up: of its 80 % interval, in ln.
    """

    run: Run
    errors: Array
    down: float
    up: float

    @property
    def prior(self) -> float:
        """ln(measured / predicted) time without a factor."""
        return float(np.interp(0.0, _GRID, self.errors))

    def after(self, first: Measured, power: float) -> float:
        """ln(measured / predicted) time with the factor of another run to a power."""
        return float(np.interp(first.prior * power, _GRID, self.errors))


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of one kind.

    Attributes:
        errors: ln(measured / predicted) of the second run under each of ``_POWERS``, shape (pairs, powers).
        publishers: of each pair.
        weights: each publisher has the same, each second run of one too; shape (pairs,).
        widths: of the second runs' intervals, shape (pairs, 2): down and up.
    """

    errors: Array
    publishers: Sequence[str]
    weights: Array
    widths: Array

    def best(self, rows: npt.NDArray[np.bool_]) -> int:
        """The index of the power with the least mean error on some pairs, given as a mask; 0 if there are none."""
        if not rows.any():
            return 0
        return int(np.argmin(self._means(self.errors[rows], self.weights[rows])))

    @staticmethod
    def _means(errors: Array, weights: Array) -> Array:
        means: Array = np.average(np.minimum(np.abs(errors), _CAP), axis=0, weights=weights)
        return means

    def left_out(self) -> Array:
        """The errors, each under the power of the other publishers' pairs; shape (pairs,)."""
        names, found = np.array(self.publishers), np.zeros(len(self.publishers))
        for name in dict.fromkeys(self.publishers):
            own = names == name
            found[own] = self.errors[own, self.best(~own)]
        return found

    def summary(self, errors: Array) -> tuple[float, float, float]:
        """Mean, median and 80 % of absolute errors."""
        size = np.abs(errors)
        mean = float(self._means(errors[:, None], self.weights)[0])
        return mean, quantile(size, self.weights, 0.5), quantile(size, self.weights, 0.8)

    @property
    def power(self) -> float:
        """That a factor is carried over with; 0 where carrying over does not help."""
        names, of_pair = np.unique(self.publishers, return_inverse=True)
        if len(names) < _LEAST_PUBLISHERS:
            return 0.0
        gained = np.minimum(np.abs(self.errors[:, 0]), _CAP) - np.minimum(np.abs(self.left_out()), _CAP)
        each = [of_pair == index for index in range(len(names))]
        of_each = [np.average(gained[own], weights=self.weights[own]) for own in each]
        if np.mean(of_each) <= np.std(of_each, ddof=1) / np.sqrt(len(names)):
            return 0.0
        return float(_POWERS[self.best(np.ones(len(of_pair), dtype=bool))])

    def shares(self, without: str = "") -> tuple[float, float]:
        """Of an interval's width, what is left of it: down and up; from the pairs of all publishers but one."""
        some = np.array(self.publishers) != without
        scaled, weights = self._scaled()[some], self.weights[some]
        return max(-quantile(scaled, weights, 0.1), 0.01), max(quantile(scaled, weights, 0.9), 0.01)

    def _scaled(self) -> Array:
        """Left-out errors over the widths of the intervals on their side."""
        errors = self.left_out()
        scaled: Array = errors / np.where(errors < 0, self.widths[:, 0], self.widths[:, 1])
        return scaled

    def holds(self) -> float:
        """The share of pairs inside of what is left of their intervals, by the other publishers' pairs."""
        names, scaled = np.array(self.publishers), self._scaled()
        inside = np.zeros(len(scaled))
        for name in dict.fromkeys(self.publishers):
            down, up = self.shares(without=name)
            own = names == name
            inside[own] = (scaled[own] >= -down) & (scaled[own] <= up)
        return float(np.average(inside, weights=self.weights))


def measured_runs(runs: Sequence[Run], coefficients: Coefficients) -> list[Measured]:
    """Published runs with their errors under these coefficients."""
    found = []
    for run, errors in zip(runs, _errors(runs, coefficients), strict=True):
        spread = spread_of(run.plan, run.cluster, layout_known=not run.guessed)
        found.append(Measured(run, errors, -float(np.log(spread.low)), float(np.log(spread.high))))
    return found


def _errors(runs: Sequence[Run], coefficients: Coefficients) -> Array:
    """As in ``Measured``, shape (runs, grid). Of one device it is a line: all is the device's own work."""
    model = Model(runs, coefficients)
    errors: Array = model.errors(model.efficiencies(coefficients))[:, None] - _GRID
    several = [i for i, run in enumerate(runs) if run.devices > 1]
    if not several:
        return errors
    model = Model([runs[i] for i in several], coefficients)
    plain: Array = model.efficiencies(coefficients)
    for column, factor in enumerate(np.exp(_GRID)):
        moved = plain.copy()
        moved[:, [FIELDS.index(name) for name in _RATES]] /= factor
        moved[:, [FIELDS.index(name) for name in _TIMES]] *= factor
        errors[several, column] = model.errors(moved)
    return errors


def carried_pairs(runs: Sequence[Measured]) -> dict[str, Pairs]:
    """The pairs of each kind of which there are any, in the order of ``KINDS``."""
    by_kind: dict[str, list[tuple[Measured, Measured]]] = defaultdict(list)
    for kind, first, second in _paired(runs):
        by_kind[kind].append((first, second))
    return {kind: _gathered(by_kind[kind]) for kind in KINDS if kind in by_kind}


def carried_over(kind: str, pairs: Pairs) -> CarriedOver:
    """What the pairs of a kind come out with."""
    down, up = pairs.shares()
    publishers = len(set(pairs.publishers))
    return CarriedOver(
        kind=kind, power=pairs.power, down=down, up=up, pairs=len(pairs.publishers), publishers=publishers
    )


def _paired(runs: Sequence[Measured]) -> Iterator[tuple[str, Measured, Measured]]:
    """Kind, the run that was measured first, and the one it is carried over to."""
    settings: dict[Hashable, list[Measured]] = defaultdict(list)
    for each in runs:
        settings[setting(each.run)].append(each)
    for together in settings.values():
        alone = [each for each in together if each.run.devices == 1]
        for second in together:
            by_kind: dict[str, list[Measured]] = defaultdict(list)
            for first in alone:
                if first is not second and (kind := _kind(first, second)):
                    by_kind[kind].append(first)
            for kind, all_first in by_kind.items():
                yield from ((kind, all_first[i], second) for i in spread_evenly(len(all_first), _MAX_FIRST))


def _kind(first: Measured, second: Measured) -> str:
    same = trained_model(first.run) == trained_model(second.run)
    if not same and first.run.plan.workload.family != second.run.plan.workload.family:
        return ""
    found = kind_of(first.run.cluster.accelerator, second.run.cluster, same_model=same)
    alike = first.run.plan.global_batch == second.run.plan.global_batch
    return "" if found == BATCH and alike else found


def _gathered(pairs: Sequence[tuple[Measured, Measured]]) -> Pairs:
    """Pairs of one kind as columns."""
    names = [publisher(second.run) for _, second in pairs]
    of_second = Counter(id(second) for _, second in pairs)
    of_publisher = Counter(
        {name: len({id(s) for (_, s), n in zip(pairs, names, strict=True) if n == name}) for name in set(names)}
    )
    return Pairs(
        errors=np.array([[second.after(first, power) for power in _POWERS] for first, second in pairs]),
        publishers=names,
        weights=np.array([1.0 / of_second[id(s)] / of_publisher[n] for (_, s), n in zip(pairs, names, strict=True)]),
        widths=np.array([[second.down, second.up] for _, second in pairs]),
    )
