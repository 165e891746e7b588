"""The fit of the serving coefficients, by reweighted least squares, and their intervals from left-out publishers.

As in ``fit.py``: least absolute error in ln(time), by Gauss-Newton steps on reweighted squares; a coefficient may differ by
groups, each by a factor that is drawn to 1. Slopes are differences, as the model is cheap. A publisher of 200 rows weighs
little more than one of 5.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from zenplan.backtesting.serving import ServedRun
from zenplan.domain.fit.coefficients import Coefficient
from zenplan.domain.fit.efficiency import Interval
from zenplan.domain.serving.efficiency import NAMES, ServingEfficiency, ServingFit
from zenplan.fitting.fit import robust_loss, robust_weights
from zenplan.fitting.intervals import ASKED, pooled_scores
from zenplan.planning.serving.groups import COMPUTED, GENERATION, LINK, SOFTWARE, WEIGHTS, groups_of
from zenplan.planning.serving.steady import (
    Loaded,
    all_at_once_s,
    batch_at,
    capacity,
    life_s,
    longest_tail_s,
    tpot_s,
    ttft_s,
)
from zenplan.planning.serving.step import most_requests
from zenplan.planning.serving.work import Work, work

Array = npt.NDArray[np.float64]

THROUGHPUT, TPOT, TTFT = "throughput", "tpot", "ttft"
KINDS: Final = (THROUGHPUT, TPOT, TTFT)
# What an error of each kind weighs: dollars follow the throughput.
_WEIGHS: Final = {THROUGHPUT: 1.0, TPOT: 0.5, TTFT: 0.3}
# Above so many in flight a time to the first token is mostly the queue of the load that was made, not the server's.
_FEW: Final = 8.0
# Of a publisher's rows, what each weighs: the count to that power.
_CROWD: Final = 0.75
# What a deviation from what is believed weighs beside errors.
_PULL: Final = 0.06
_STEPS, _INNER, _HALVED, _FAR, _ARRIVED, _DIFFERENCE = 25, 5, 4, 0.5, 0.004, 1e-3

# Where each begins, its unit, bounds, how sure that is (a deviation in ln), what it means.
_PRIOR: Final[Mapping[str, tuple[float, str, float, float, float, str]]] = {
    "memory": (0.80, "of the bandwidth", 0.2, 1.0, 0.3, "reads of weights"),
    "cache": (0.70, "of the bandwidth", 0.1, 1.0, 0.5, "reads of keys and values"),
    "decode": (0.50, "of the dense peak", 0.05, 1.0, 0.7, "products of a step"),
    "prompt": (0.45, "of the dense peak", 0.05, 1.0, 0.7, "products over a prompt"),
    "layer_s": (4e-5, "s", 1e-6, 1e-3, 1.0, "fixed time of a layer in a pass"),
    "step_s": (1e-3, "s", 1e-5, 2e-2, 1.0, "fixed time of a pass on the host"),
    "request_s": (2e-5, "s", 1e-7, 1e-3, 1.0, "what each request adds to a pass"),
    "arrival_s": (1e-2, "s", 1e-4, 0.2, 1.0, "of a request before its first pass"),
    "reduction": (0.50, "of the link model's time", 0.05, 3.0, 0.7, "tensor-parallel all-reduces"),
}
# By which groups each may differ, and how far that is believed: a deviation in ln.
_GROUPS: Final[Mapping[str, Mapping[str, float]]] = {
    "memory": {GENERATION: 0.2, WEIGHTS: 0.25},
    "decode": {GENERATION: 0.3, SOFTWARE: 0.3, COMPUTED: 0.3},
    "prompt": {GENERATION: 0.4, SOFTWARE: 0.4, COMPUTED: 0.4},
    "layer_s": {SOFTWARE: 0.4},
    "step_s": {SOFTWARE: 0.4},
    "request_s": {SOFTWARE: 0.6},
    "arrival_s": {SOFTWARE: 0.5},
    "reduction": {LINK: 0.4},
}


def started() -> dict[str, Coefficient]:
    """The coefficients before any fit."""
    return {
        name: Coefficient(name=name, value=value, unit=unit, meaning=meaning, least=least, most=most)
        for name, (value, unit, least, most, _, meaning) in _PRIOR.items()
    }


class Served:
    """Measurements in columns, with what is predicted of them.

    Args:
        runs: measured.
        link_share, pcie_share, hop_s: of the link model of training.
    """

    def __init__(self, runs: Sequence[ServedRun], link_share: float, pcie_share: float, hop_s: float) -> None:
        self.runs = runs
        self.groups = [groups_of(r.on, r.version) for r in runs]
        self.work = Work.joined([work(r.model, r.on, link_share, pcie_share, hop_s) for r in runs])
        self._inputs = np.array([r.traffic.input_tokens for r in runs])
        self._outputs = np.array([r.traffic.output_tokens for r in runs])
        self._load = np.array([r.load for r in runs])
        self._varied = np.array([r.varied for r in runs])
        self._flight = np.array([r.in_flight or math.nan for r in runs])
        self._rate = np.array([r.rate_per_s or math.nan for r in runs])
        self._fits = most_requests(self.work, self._inputs + self._outputs) >= 1.0
        few = (self._load == "rate") | ((self._load != "all") & (self._flight <= _FEW))
        measured = {
            THROUGHPUT: [r.token_s for r in runs],
            TPOT: [r.tpot_s if r.load != "all" else None for r in runs],
            TTFT: [r.ttft_s if ok else None for r, ok in zip(runs, few, strict=True)],
        }
        self.measured = {kind: np.array([x or math.nan for x in found]) for kind, found in measured.items()}
        counts = Counter(r.publisher for r in runs)
        self.shares = np.array([counts[r.publisher] ** -_CROWD for r in runs])

    def part(self, index: npt.NDArray[np.intp]) -> Served:
        """Those of that index."""
        some = object.__new__(Served)
        some.runs = [self.runs[i] for i in index]
        some.groups = [self.groups[i] for i in index]
        some.work = _take(self.work, index)
        for name in ("_inputs", "_outputs", "_load", "_varied", "_flight", "_rate", "_fits", "shares"):
            setattr(some, name, getattr(self, name)[index])
        some.measured = {kind: found[index] for kind, found in self.measured.items()}
        return some

    def efficiencies(self, c: Mapping[str, Coefficient]) -> ServingEfficiency:
        """Of each run, in columns."""
        return ServingEfficiency(**{n: np.array([c[n].of(*g.values()) for g in self.groups]) for n in NAMES})

    def predicted(self, e: ServingEfficiency) -> dict[str, Array]:
        """Seconds, by kind, of each run."""
        of = Loaded(work=self.work, efficiency=e, inputs=self._inputs, outputs=self._outputs)
        flight, outputs = np.nan_to_num(self._flight, nan=1.0), self._outputs
        # A batch that was run did fit.
        batch = np.where(self._load == "batch", flight, np.minimum(flight, np.maximum(capacity(of), 1.0)))
        rated = np.flatnonzero(self._load == "rate")
        if len(rated):
            at = batch_at(_take(of, rated), self._rate[rated])
            batch[rated] = np.where(np.isnan(at), self.work.batch_limit[rated], at)
        tail = np.where(self._varied, longest_tail_s(of, flight), 0.0)
        together = (all_at_once_s(of, flight) + tail) / (flight * outputs)
        return {
            THROUGHPUT: np.where(self._load == "all", together, life_s(of, batch) / (batch * outputs)),
            TPOT: tpot_s(of, batch),
            TTFT: ttft_s(of, np.where(self._load == "batch", 1.0, batch)),
        }

    def errors(self, c: Mapping[str, Coefficient]) -> dict[str, Array]:
        """ln(predicted / measured) seconds, by kind; NaN where nothing was measured."""
        predicted = self.predicted(self.efficiencies(c))
        found = {kind: np.log(predicted[kind] / self.measured[kind]) for kind in KINDS}
        return {kind: np.where(self._fits, each, math.nan) for kind, each in found.items()}


def _take(columns: Any, index: npt.NDArray[np.intp]) -> Any:
    """Those entries of a noun of columns, and of the nouns of columns in it."""

    def some(value: Any) -> Any:
        return _take(value, index) if is_dataclass(value) else value[..., index]

    return type(columns)(**{f.name: some(getattr(columns, f.name)) for f in fields(columns)})


def fit(served: Served, begin: Mapping[str, Coefficient]) -> dict[str, Coefficient]:
    """The coefficients that fit the measurements, from ``begin`` on."""
    parameters = _parameters(served)
    parts = {group: _part(served, group) for group in {g for _, g, _ in parameters}}
    c = dict(begin)
    for _ in range(_STEPS):
        errors = _stacked(served, c)
        at = _values(c, parameters)
        slopes = _slopes(served, c, parameters, parts, errors)
        shares = _shares(served)
        move = _move(errors, slopes, shares, at, parameters)
        before = _objective(errors, shares, at, parameters)
        for _ in range(_HALVED):
            moved = _moved(c, parameters, at + move)
            if _objective(_stacked(served, moved), shares, _values(moved, parameters), parameters) < before:
                break
            move = move / 2.0
        else:
            break
        c = moved
        if np.abs(move).max() < _ARRIVED:
            break
    return c


_Parameters = Sequence[tuple[str, str, float]]
# Which measurements a group has: their index, and they alone.
_Part = tuple[npt.NDArray[np.intp], "Served"]


def _part(served: Served, group: str) -> _Part:
    index = np.flatnonzero([not group or group in g.values() for g in served.groups])
    return index, served.part(index)


def _slopes(
    served: Served,
    c: Mapping[str, Coefficient],
    parameters: _Parameters,
    parts: Mapping[str, _Part],
    errors: Array,
) -> Array:
    """d error / d ln(parameter), shape (errors, parameters): only those that are in its group move."""
    slopes = np.zeros((len(errors), len(parameters)))
    at, runs = _values(c, parameters), len(served.runs)
    for k, (_, group, _) in enumerate(parameters):
        step = np.zeros(len(parameters))
        step[k] = _DIFFERENCE
        index, some = parts[group]
        rows = np.concatenate([index + kind * runs for kind in range(len(KINDS))])
        slopes[rows, k] = (_stacked(some, _moved(c, parameters, at + step)) - errors[rows]) / _DIFFERENCE
    return slopes


def _parameters(served: Served) -> list[tuple[str, str, float]]:
    """(coefficient, group, deviation) of all that is fitted; the group of a common value is empty."""
    found = [(name, "", prior[4]) for name, prior in _PRIOR.items()]
    for name, kinds in _GROUPS.items():
        for kind, deviation in kinds.items():
            there = sorted({g[kind] for g in served.groups if kind in g})
            found += [(name, group, deviation) for group in there]
    return found


def _values(c: Mapping[str, Coefficient], parameters: _Parameters) -> Array:
    return np.array([math.log(c[n].factors.get(g, 1.0) if g else c[n].value) for n, g, _ in parameters])


def _moved(c: Mapping[str, Coefficient], parameters: _Parameters, values: Array) -> dict[str, Coefficient]:
    fresh = dict(c)
    for (name, group, _), value in zip(parameters, np.exp(values), strict=True):
        one = fresh[name]
        if group:
            fresh[name] = replace(one, factors={**one.factors, group: float(value)})
        else:
            fresh[name] = replace(one, value=float(min(one.most, max(one.least, value))))
    return fresh


def _stacked(served: Served, c: Mapping[str, Coefficient]) -> Array:
    errors = served.errors(c)
    stacked: Array = np.nan_to_num(np.concatenate([errors[kind] for kind in KINDS]), nan=0.0)
    return stacked


def _shares(served: Served) -> Array:
    known = [np.where(np.isnan(served.measured[kind]), 0.0, _WEIGHS[kind]) * served.shares for kind in KINDS]
    return np.concatenate(known)


def _drawn(at: Array, parameters: _Parameters) -> tuple[Array, Array]:
    means = np.array([0.0 if group else math.log(_PRIOR[name][0]) for name, group, _ in parameters])
    tight = np.array([deviation**-2.0 for _, _, deviation in parameters]) * _PULL
    return means - at, tight


def _objective(errors: Array, shares: Array, at: Array, parameters: _Parameters) -> float:
    off, tight = _drawn(at, parameters)
    return float(shares @ robust_loss(errors) + tight @ off**2 / 2.0)


def _move(errors: Array, slopes: Array, shares: Array, at: Array, parameters: _Parameters) -> Array:
    off, tight = _drawn(at, parameters)
    move = np.zeros(len(parameters))
    for _ in range(_INNER):
        weights = shares * robust_weights(errors + slopes @ move)
        left = (slopes.T * weights) @ slopes + np.diag(tight)
        move = np.clip(np.linalg.solve(left, tight * off - (slopes.T * weights) @ errors), -_FAR, _FAR)
    return move


# --- what is left out


@dataclass(frozen=True, slots=True)
class LeftOutServing:
    """A measurement's ln(predicted / measured) seconds of one kind under a fit that did not know its publisher."""

    run: ServedRun
    kind: str
    error: float


def left_out(served: Served, begin: Mapping[str, Coefficient]) -> list[LeftOutServing]:
    """Every measurement, predicted without its publisher.

    Args:
        served: all of them.
        begin: where each fit begins.
    """
    publishers = np.array([r.publisher for r in served.runs])
    found = []
    for name in sorted(set(publishers)):
        kept, out = np.flatnonzero(publishers != name), np.flatnonzero(publishers == name)
        errors = served.part(out).errors(fit(served.part(kept), begin))
        for kind in KINDS:
            each = zip(out, errors[kind], strict=True)
            found += [LeftOutServing(served.runs[int(i)], kind, float(e)) for i, e in each if not math.isnan(e)]
    return found


def interval_of(found: Sequence[LeftOutServing], basis: str) -> Interval:
    """Around a publisher that no fit has seen, pooled as those of training are."""
    width = pooled_scores([(each.run.publisher, abs(each.error)) for each in found], ASKED)
    return Interval(new=width, known=width, basis=basis)


def held(found: Sequence[LeftOutServing]) -> list[tuple[LeftOutServing, bool]]:
    """Whether each lies in the interval of all other publishers."""
    judged = []
    for name in sorted({each.run.publisher for each in found}):
        others = [each for each in found if each.run.publisher != name]
        width = interval_of(others, "others").new
        judged += [(each, abs(each.error) <= width) for each in found if each.run.publisher == name]
    return judged


def fitted(served: Served, found: Sequence[LeftOutServing], source: str) -> ServingFit:
    """The fit to all, with intervals from what was left out."""

    def of(kind: str) -> Interval:
        mine = [each for each in found if each.kind == kind]
        publishers = len({each.run.publisher for each in mine})
        return interval_of(mine, f"{len(mine)} published measurements of {publishers} publishers, each left out whole")

    return ServingFit(
        all=fit(served, started()), throughput=of(THROUGHPUT), ttft=of(TTFT), tpot=of(TPOT), source=source
    )
