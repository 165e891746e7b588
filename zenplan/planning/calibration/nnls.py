"""Least squares with coefficients that are not negative: each is a time of something, and none takes less than none."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zenplan.planning.physics.columns import Array

# Of the largest gradient at the start: what is smaller is rounding.
_TOLERANCE = 1e-10
# Each round lets one term in; a term seldom comes in twice.
_ROUNDS_OF_A_TERM = 5


def nonnegative(terms: Array, wanted: Array, weights: Array) -> Array:
    """The coefficients ≥ 0 with the least weighted sum of squares, by active sets (Lawson & Hanson 1974, chapter 23).

    Args:
        terms: shape (n, k), a row for each measurement.
        wanted: shape (n,).
        weights: of the residuals, shape (n,).

    Returns:
        Shape (k,).
    """
    rows, aims = terms * weights[:, None], wanted * weights
    # Terms differ by orders of magnitude: FLOP and seconds.
    scale = np.maximum(np.linalg.norm(rows, axis=0), np.finfo(float).tiny)
    rows = rows / scale
    found, free = np.zeros(rows.shape[1]), np.zeros(rows.shape[1], dtype=bool)
    least = _TOLERANCE * float(np.abs(rows.T @ aims).max(initial=0.0))
    for _ in range(_ROUNDS_OF_A_TERM * rows.shape[1]):
        gradient = np.where(free, -np.inf, rows.T @ (aims - rows @ found))
        if free.all() or gradient.max() <= least:
            break
        free[int(gradient.argmax())] = True
        found = _within(rows, aims, found, free)
    return np.asarray(found / scale)


def _within(rows: Array, aims: Array, found: Array, free: npt.NDArray[np.bool_]) -> Array:
    """The best with the free terms alone; one that would be negative is stopped at zero and taken out of ``free``."""
    while True:
        best = np.zeros_like(found)
        best[free] = np.linalg.lstsq(rows[:, free], aims, rcond=None)[0]
        below = free & (best <= 0)
        if not below.any():
            return best
        step = (found[below] / (found[below] - best[below])).min()
        found = found + step * (best - found)
        free &= found > 1e-15 * max(float(found.max()), 1.0)
        found = np.where(free, found, 0.0)
