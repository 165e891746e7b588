"""What to measure: depths of a model, and the points of a sweep that say the most for their time.

A sweep's points are chosen by D-optimality: the next one is that which adds the most to the determinant of the
information matrix of the fit, for rows of relative features (Fedorov 1972; greedily, as in Wynn 1970).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from zenplan.planning.arrays import Array

_USUAL_DEPTHS: Final = (1, 2, 4)
# Of a model of four: three points say whether they lie on a line.
_SHALLOW: Final = (1, 2, 3)
# Of the target's depth: where the cost of a layer grows with the depth, one deeper point is needed.
_DEEPER: Final = 0.6
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPoint:
    """A candidate of a sweep.

    Attributes:
        builder: a function of ``zenplan.worker.samples``.
        arguments: of the builder.
        family: ``transformer``, ``convnet``, ``recurrent``; ``operator`` for a single one.
        flop: of a training step of ``batch`` samples.
        features: of that step, as in ``planning.features``.
    """

    builder: str
    arguments: Mapping[str, Any]
    family: str
    batch: int
    flop: float
    features: Mapping[str, float]

    @property
    def key(self) -> str:
        """Its name: ``transformer depth=2 width=256 batch=8``."""
        told = " ".join(f"{name}={value}" for name, value in self.arguments.items())
        return f"{self.builder} {told} batch={self.batch}"


def chosen(
    candidates: Iterable[SweepPoint], expected_s: Mapping[str, float], budget_s: float, rounds: int
) -> tuple[SweepPoint, ...]:
    """The points of a sweep, the most telling first, as many as the budget allows.

    Args:
        candidates: of the families that are wanted.
        expected_s: key to the seconds that a step of it is expected to take, setting up left out.
        budget_s: of stepping in all.
        rounds: steps of each point, its warm-up counted.
    """
    left = [c for c in candidates if expected_s[c.key] * rounds <= budget_s]
    names = sorted({name for c in left for name in c.features})
    rows = {c.key: _relative(c, names, expected_s[c.key]) for c in left}
    information = _RIDGE * np.eye(len(names))
    taken: list[SweepPoint] = []
    while left:
        best = max(left, key=lambda c: _gain(information, rows[c.key]))
        left.remove(best)
        if expected_s[best.key] * rounds > budget_s:
            continue
        budget_s -= expected_s[best.key] * rounds
        information += np.outer(rows[best.key], rows[best.key])
        taken.append(best)
    return tuple(taken)


def _relative(point: SweepPoint, names: Sequence[str], seconds: float) -> Array:
    """Its features over its time, as a fit of relative errors has them; in units in which each is about 1."""
    return np.array([point.features.get(name, 0.0) / seconds for name in names])


def _gain(information: Array, row: Array) -> float:
    """What the row multiplies the determinant by, less one (the matrix determinant lemma)."""
    return float(row @ np.linalg.solve(information, row))
