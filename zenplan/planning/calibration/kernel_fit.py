"""The fit of a sweep: seconds for each kind of work, from short steps of small models and of single operators.

    t = Σ coefficient · feature,    each coefficient ≥ 0, errors relative

What a feature is says ``planning.calibration.features``. A feature stays where the points that were left out are met
better with
it than without, so that a few are left. Few points tell no coefficients apart: where those that were left out are met
better so, each is drawn to what it usually is beside the others (ridge regression: Hoerl & Kennard 1970), and all stay.
What the sweep never ran, it does not know.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from zenplan.domain.measured.calibration import Calibration, Measured
from zenplan.domain.measured.prediction import StepPrediction
from zenplan.domain.range import Range
from zenplan.errors import DataError
from zenplan.planning.calibration.counted_fit import USUAL_S, kind_of
from zenplan.planning.calibration.features import FEATURES
from zenplan.planning.calibration.nnls import nonnegative
from zenplan.planning.physics.columns import Array

# Fewer say nothing of what was left out.
_LEAST_POINTS: Final = 6
# Going without a feature must not make the left-out error larger than by this share.
_WORSE: Final = 0.02
# Work of a kind that the sweep has not seen may be that share of a model's before its answer is refused.
_MOST_UNSEEN: Final = 0.05
# Kinds of work that a device has whatever the model: without them no model is answered for.
_ALWAYS: Final = ("steps",)
_EIGHTY: Final = 0.8
# A point may be off by that share of what a coefficient may be off from its usual: assumed, 0.2 of 0.8.
_AS_USUAL: Final = 0.25
# With fewer points for each feature, coefficients that are drawn to nothing must be better by that.
_MANY, _CLEARLY = 3, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepFit:
    """Coefficients, and how far points lay from a fit without them.

    Attributes:
        seconds: feature to seconds for one of it; those without one cost nothing that could be seen.
        seen: features that any point had.
        left_out: ln(measured / predicted) of each point, fitted without its builder's points of that size.
    """

    seconds: Mapping[str, float]
    seen: frozenset[str]
    left_out: tuple[float, ...]

    def step_s(self, features: Mapping[str, float]) -> float:
        """The step that has these features."""
        return sum(self.seconds.get(name, 0.0) * amount for name, amount in features.items())

    @property
    def width(self) -> float:
        """In ln: four of five left-out points were nearer than that."""
        return float(np.quantile(np.abs(self.left_out), _EIGHTY))


def too_few(measured: Sequence[Measured]) -> str:
    """Why the points of a sweep cannot be fitted; empty where there are enough."""
    found = len(_fitted(measured))
    return f"{found} points of a sweep are too few to fit: {_LEAST_POINTS} are needed" if found < _LEAST_POINTS else ""


def _fitted(measured: Sequence[Measured]) -> list[Measured]:
    return [m for m in measured if m.samples and m.point.features]


def fit_sweep(measured: Sequence[Measured], clock: str, kind: str = "") -> SweepFit:
    """The fit to the points of one sweep.

    Args:
        measured: its points.
        clock: of the samples.
        kind: the backend on a processor, or ``gpu``, whose usual seconds help; empty for none.

    Raises:
        DataError: there are too few.
    """
    points = _fitted(measured)
    if reason := too_few(measured):
        raise DataError(reason)
    names = [name for name in FEATURES if any(m.point.features.get(name) for m in points)]
    terms = np.array([[m.point.features.get(name, 0.0) for name in names] for m in points])
    seconds = np.array([m.step_s(clock) for m in points])
    groups = [m.point.variant for m in points]
    every = np.array([USUAL_S.get(kind, {}).get(name, 0.0) for name in names])
    always = [names.index(n) for n in _ALWAYS if n in names]
    ways: list[tuple[list[int], Array | None]] = [(_chosen(terms, seconds, groups, always), None)]
    if (usual := [int(place) for place in np.flatnonzero(every)]) and (terms[:, usual] @ every[usual] > 0).all():
        ways.append((usual, every[usual]))
    fits = [(_left_out(terms[:, kept], seconds, groups, drawn), kept, drawn) for kept, drawn in ways]
    # Few points may be met better by chance.
    fewer = _CLEARLY if len(points) < _MANY * len(names) else 1.0
    left_out, kept, drawn = min(
        fits, key=lambda fit: float(np.mean(np.abs(fit[0]))) * (fewer if fit[2] is not None else 1.0)
    )
    found = _solved(terms[:, kept], seconds, drawn)
    return SweepFit(
        seconds={names[index]: float(value) for index, value in zip(kept, found, strict=True) if value > 0},
        seen=frozenset(names),
        left_out=tuple(left_out),
    )


def predicted_by_sweep(sweep: Calibration, features: Mapping[str, float]) -> StepPrediction:
    """The step of a model that the device has not been calibrated for.

    Raises:
        DataError: the sweep is too small, or the model has work of a kind that it never ran.
    """
    fit = fit_sweep(sweep.measured, sweep.fingerprint.clock, kind_of(sweep.fingerprint))
    unseen = [name for name in features if name not in fit.seen and name.endswith("_flop")]
    every = sum(v for n, v in features.items() if n.endswith("_flop"))
    if every and sum(features[name] for name in unseen) > _MOST_UNSEEN * every:
        raise DataError(f"the sweep never ran {FEATURES[unseen[0]]}: calibrate for the model itself")
    mid, width = fit.step_s(features), math.exp(fit.width)
    return StepPrediction(
        step_s=Range(low=mid / width, mid=mid, high=mid * width),
        method=f"a sweep of {len(fit.left_out)} points, none of this model",
    )


def _solved(terms: Array, seconds: Array, usual: Array | None = None) -> Array:
    """Coefficients; each drawn to its usual one, times how much slower the device is, where these are given."""
    if usual is None:
        return nonnegative(terms, seconds, 1.0 / seconds)
    drawn = usual * float(np.median(seconds / (terms @ usual)))
    rows = np.vstack([terms, np.diag(1.0 / drawn)])
    weights = np.concatenate([1.0 / seconds, np.full(len(drawn), _AS_USUAL)])
    return nonnegative(rows, np.concatenate([seconds, np.ones(len(drawn))]), weights)


def _left_out(terms: Array, seconds: Array, groups: Sequence[str], usual: Array | None = None) -> list[float]:
    """ln(measured / predicted) of each point; the points of its group are left out of the fit together."""
    errors = [0.0] * len(seconds)
    for group in dict.fromkeys(groups):
        rows = np.array([each == group for each in groups])
        answers = terms[rows] @ _solved(terms[~rows], seconds[~rows], usual)
        # A point that nothing else is like is answered with next to nothing: off by e at most, not by infinity.
        answers = np.maximum(answers, seconds[rows] / math.e)
        for row, answer in zip(np.flatnonzero(rows), answers, strict=True):
            errors[row] = float(np.log(seconds[row] / answer))
    return errors


def _chosen(terms: Array, seconds: Array, groups: Sequence[str], always: Sequence[int]) -> list[int]:
    """Places of the features that are kept: the least telling goes first, as long as that costs nothing."""

    def error(places: Sequence[int]) -> float:
        return float(np.mean(np.abs(_left_out(terms[:, list(places)], seconds, groups))))

    kept = list(range(terms.shape[1]))
    now = error(kept)
    while len(kept) > 1:
        tried = {out: error([k for k in kept if k != out]) for out in kept if out not in always}
        if not tried or min(tried.values()) > now * (1 + _WORSE):
            break
        least = min(tried, key=lambda out: tried[out])
        now = min(now, tried[least])
        kept.remove(least)
    return kept
