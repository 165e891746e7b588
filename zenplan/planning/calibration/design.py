"""What to measure: depths of a model, and the points of a sweep that say the most for their time.

A sweep's points are chosen by D-optimality: the next one is that which adds the most to the determinant of the
information matrix of the fit, for rows of relative features (Fedorov 1972; greedily, as in Wynn 1970).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Final

import numpy as np

from zenplan.domain.measured.calibration import SweepPoint
from zenplan.planning.physics.columns import Array

_USUAL_DEPTHS: Final = (1, 2, 4)
# Of a model of four: three points say whether they lie on a line.
_SHALLOW: Final = (1, 2, 3)
# Of the target's depth: where the cost of a layer grows with the depth, one deeper point is needed.
_DEEPER: Final = 0.6
# What a first look at a device is taken to mean: the share of a product's speed that whole steps reach, the FLOP that a
# moved element costs as much time as, a recurrent step, and a step of next to nothing. Rough, and only for a choice.
_SHARE: Final = 0.8
_FLOP_AN_ELEMENT: Final = 100.0
_STEP_S: Final = 5e-5
_AT_LEAST_S: Final = 5e-3
# Seconds to build and compile a model, and for each of its operators and gradients; on one core (measured 2026-11).
_SETUP_S: Final = {"torch": (0.3, 0.002), "jax": (1.0, 0.02), "tensorflow": (0.5, 0.01)}
# Of the time of a sweep no point has more.
_EACH: Final = 0.12
# Of a point with no information at all the determinant would be zero.
_RIDGE: Final = 1e-6


def depths_for(depth: int, superlinear: bool = False) -> tuple[int, ...]:
    """How deep to run a model that is ``depth`` deep: always less deep than the whole, where it has more than one.

    Args:
        superlinear: whether its compiled program grows faster than its depth.
    """
    if depth <= 2:
        return (1,) if depth == 2 else (depth,)
    usual = _USUAL_DEPTHS if depth > max(_USUAL_DEPTHS) else _SHALLOW
    deeper = (round(_DEEPER * depth),) if superlinear else ()
    return tuple(sorted(d for d in {*usual, *deeper} if d < depth))


def expected_s(points: Iterable[SweepPoint], flop_per_s: float) -> dict[str, float]:
    """Key to what a step may take, before anything is known of the device but what one product reached there.

    Only for a choice of what fits into the time: nothing is predicted from it.
    """
    return {
        p.key: _AT_LEAST_S
        + _STEP_S * p.features.get("recurrent_steps", 0.0)
        + (p.flop / _SHARE + _FLOP_AN_ELEMENT * p.features.get("stream_elements", 0.0)) / flop_per_s
        for p in points
    }


def setup_s(point: SweepPoint, backend: str) -> float:
    """What building and compiling it may take: each operator is compiled, where something is."""
    base, each = _SETUP_S.get(backend, _SETUP_S["jax"])
    return base + each * point.features.get("operators", 0.0)


def sweep_points(
    candidates: Iterable[SweepPoint], backend: str, flop_per_s: float, budget_s: float, rounds: int
) -> tuple[SweepPoint, ...]:
    """What a sweep runs, in the order in which it does: of each kind the most telling first, the kinds in turns, so that
    each has been run where the time ends early.

    Args:
        candidates: of the families that are wanted.
        backend: of Keras, which decides how long it takes to set one up.
        flop_per_s: that a product may reach on the device.
        budget_s: for all, set up and all.
        rounds: steps of each, its warm-up counted.
    """
    every = list(candidates)
    step_s = expected_s(every, flop_per_s)
    cost_s = {p.key: setup_s(p, backend) + rounds * step_s[p.key] for p in every}
    # None takes more than its part, so that several of each kind are run.
    affordable = [p for p in every if cost_s[p.key] <= _EACH * budget_s]
    kinds = dict.fromkeys(p.family for p in affordable)
    turns = zip_longest(
        *(chosen([p for p in affordable if p.family == kind], step_s, cost_s, budget_s / len(kinds)) for kind in kinds)
    )
    return tuple(p for turn in turns for p in turn if p is not None)


def chosen(
    candidates: Iterable[SweepPoint], step_s: Mapping[str, float], cost_s: Mapping[str, float], budget_s: float
) -> tuple[SweepPoint, ...]:
    """Points of a sweep, the most telling first, as many as the budget allows; of two that tell as much the cheaper.

    Args:
        candidates: of the families that are wanted.
        step_s: key to the seconds that a step of it is expected to take.
        cost_s: key to what measuring it costs, set up and all.
        budget_s: for all of them.
    """
    left = [c for c in candidates if cost_s[c.key] <= budget_s]
    names = sorted({name for c in left for name in c.features})
    rows = _rows(left, names, step_s)
    information = _RIDGE * np.eye(len(names))
    taken: list[SweepPoint] = []
    while left:
        best = max(left, key=lambda c: (round(math.log1p(_gain(information, rows[c.key])), 3), -cost_s[c.key]))
        information += np.outer(rows[best.key], rows[best.key])
        budget_s -= cost_s[best.key]
        taken.append(best)
        left = [c for c in left if c is not best and cost_s[c.key] <= budget_s]
    return tuple(taken)


def _rows(points: Sequence[SweepPoint], names: Sequence[str], step_s: Mapping[str, float]) -> dict[str, Array]:
    """Key to a point's features over its time, as a fit of relative errors has them; each at most 1."""
    found = {p.key: np.array([p.features.get(name, 0.0) for name in names]) / step_s[p.key] for p in points}
    largest = np.max(list(found.values()), axis=0, initial=np.finfo(float).tiny) if found else 1.0
    return {key: row / largest for key, row in found.items()}


def _gain(information: Array, row: Array) -> float:
    """What the row multiplies the determinant by, less one (the matrix determinant lemma)."""
    return float(row @ np.linalg.solve(information, row))
