"""Time that is left of a run, with its interval: what was predicted, and what the steps so far have shown.

What is wanted is the mean of the steps to come. Steps of a machine are not independent: it warms up, others come and go,
it gets slower from the first hour to the last. So the logarithms of mean steps, block by block, are taken as normal with one
of several covariances: blocks that differ by chance alone; blocks that are like their neighbours, over one of several
lengths; either of them with a trend. Each says what is to come (linear prediction with the prediction before the run as the
prior of the mean; Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", section 2.7), and they are weighed
by how likely they make what was measured (there, section 5.2). So a quiet run is soon sure of its end, and one that wanders
is not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np

from zenplan.domain import checks
from zenplan.domain.range import EIGHTY, Range

# The mean of steps to come is never known better than that before the end: machines drift (assumed).
_LEAST_SPREAD: Final = 0.01
# Blocks that steps are taken together in, at most.
_MOST_BLOCKS: Final = 32
# Of the variance of a block, what it has in common with its neighbours, and over how many blocks that is lost; the first
# is chance alone.
_NEIGHBOURS: Final = ((0.0, 1.0), *product((0.5, 0.95), (2.0, 8.0, 32.0, 128.0)))
# A change from the first step to the last, one standard deviation in ln, and how likely such a run is (assumed).
_TRENDS: Final = ((0.0, 0.6), (0.1, 0.4))
# The spread of single steps before any was measured, which counts as one of them (assumed).
_FEW_SPREAD: Final = 0.1
# Of the mean where nothing was predicted, a standard deviation in ln that says nothing.
_ANY_SPREAD: Final = 2.0
# What is beside steps is known to that, until some of it was timed: an 80 % half width as a ratio (assumed).
BESIDE_SPREAD: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a run still has to do.

    Attributes:
        steps: that are left.
        evaluations, checkpoints: that are left, and the seconds of one; 0 where they are not known yet.
        ending_s: after all of it.
        beside_spread: of what is beside steps, an 80 % half width as a ratio.
    """

    steps: int
    evaluations: int = 0
    evaluate_s: float = 0.0
    checkpoints: int = 0
    checkpoint_s: float = 0.0
    ending_s: float = 0.0
    beside_spread: float = BESIDE_SPREAD

    def __post_init__(self) -> None:
        checks.counts("what is left", steps=self.steps, evaluations=self.evaluations, checkpoints=self.checkpoints)
        checks.not_negative(
            "what is left",
            evaluate_s=self.evaluate_s,
            checkpoint_s=self.checkpoint_s,
            ending_s=self.ending_s,
            beside_spread=self.beside_spread,
        )

    @property
    def beside_s(self) -> float:
        """Seconds of evaluations, checkpoints and the end."""
        return self.evaluations * self.evaluate_s + self.checkpoints * self.checkpoint_s + self.ending_s


def mean_step_s(
    predicted: Range | None, measured: Sequence[float], ahead: int | None = None, of: int = 1
) -> Range | None:
    """The mean of the steps to come, an 80 % interval; None where nothing is known of it.

    Args:
        predicted: of a step, 80 %; None without a prediction.
        measured: seconds of steps of this run, the latest last; or means of several.
        ahead: steps that are to come; None for as many as were measured.
        of: how many steps each of ``measured`` is the mean of.
    """
    prior = None
    if predicted is not None and predicted.low > 0.0:
        prior = math.log(predicted.mid), max(predicted.deviation, _LEAST_SPREAD)
    seconds = np.array([each for each in measured if each > 0.0])
    if not len(seconds):
        if prior is None:
            return None
        mid, spread = prior[0], math.hypot(prior[1], _LEAST_SPREAD)
    else:
        size = -(-len(seconds) // _MOST_BLOCKS)
        count = len(seconds) // size
        blocks = np.log(seconds[len(seconds) - count * size :].reshape(count, size).mean(axis=1))
        steps = len(seconds) * of if ahead is None else max(1, ahead)
        mid, spread = _to_come(blocks, size * of, steps / (size * of), prior or (float(blocks.mean()), _ANY_SPREAD))
    return Range(low=math.exp(mid - EIGHTY * spread), mid=math.exp(mid), high=math.exp(mid + EIGHTY * spread))


def time_left(left: Left, predicted: Range | None, measured: Sequence[float], of: int = 1) -> Range | None:
    """Seconds until the end of the run, 80 %; None where nothing is known of a step.

    Args:
        left: what has to be done.
        predicted, measured, of: as of ``mean_step_s``.
    """
    step = mean_step_s(predicted, measured, left.steps, of)
    if step is None:
        return None
    return (step * left.steps).with_beside((left.beside_s, left.beside_spread * left.beside_s))


def _to_come(blocks: Any, size: int, ahead: float, prior: tuple[float, float]) -> tuple[float, float]:
    """Middle and standard deviation of the mean to come, in ln, of all models together.

    Args:
        blocks: ln of mean steps; size: steps of a block.
        ahead: blocks to come.
        prior: middle and standard deviation of the mean, in ln.
    """
    found = np.array(list(_models(blocks, size, ahead, prior)))
    weights = np.exp(found[:, 0] - found[:, 0].max())
    weights /= weights.sum()
    mid = float(weights @ found[:, 1])
    variance = float(weights @ (found[:, 2] + (found[:, 1] - mid) ** 2))
    return mid, math.hypot(math.sqrt(variance), _LEAST_SPREAD)


def _models(blocks: Any, size: int, ahead: float, prior: tuple[float, float]) -> Iterator[tuple[float, float, float]]:
    """Of each model: ln of how likely it makes the blocks, up to a constant; middle and variance of the mean to come."""
    count = len(blocks)
    number = np.arange(count)
    # When a block is, as a share of the run, from the middle of those that were measured.
    at = (number - (count - 1) / 2.0) / (count + ahead)
    later = (count + ahead) / 2.0 / (count + ahead)
    few = _FEW_SPREAD**2 / size
    for common, length in _NEIGHBOURS:
        alike, between, within = _covariances(number, common, length, ahead, size)
        inverse = np.linalg.inv(alike)
        for trend, likely in _TRENDS:
            shapes = np.stack([np.ones(count), at], axis=1)[:, : 2 if trend and count > 3 else 1]
            fitted = shapes.T @ inverse
            rest = blocks - shapes @ np.linalg.solve(fitted @ shapes, fitted @ blocks)
            degrees = 1 + max(0, count - shapes.shape[1])
            variance = (few + float(rest @ inverse @ rest)) / degrees
            shape = variance * alike + trend**2 * np.outer(at, at)
            # How likely its shape is, whatever its mean: a prediction that was wrong is no sign of a trend.
            root = np.linalg.cholesky(shape + _ANY_SPREAD**2)
            off = np.linalg.solve(root, blocks - blocks.mean())
            evidence = math.log(likely) - 0.5 * float(off @ off) - float(np.log(np.diag(root)).sum())
            mean = prior[1] ** 2
            root = np.linalg.cholesky(shape + mean)
            off = np.linalg.solve(root, blocks - prior[0])
            seen = np.linalg.solve(root, variance * between + mean + trend**2 * at * later)
            left = max(0.0, variance * within + mean + (trend * later) ** 2 - float(seen @ seen))
            # The variance itself is an estimate: the 80 % of Student's t are so much wider (to the first order).
            wider = 1.0 + (EIGHTY**2 + 1.0) / (4.0 * degrees)
            yield evidence, prior[0] + float(seen @ off), left * wider**2


def _covariances(number: Any, common: float, length: float, ahead: float, size: int) -> tuple[Any, Any, float]:
    """Of blocks with each other, of each with the mean to come, and of that with itself, as shares of a block's variance.

    Args:
        number: of the blocks.
        common, length: what neighbours have in common, and over how many blocks that is lost.
        ahead: blocks to come; size: steps of a block.
    """
    alike = (1.0 - common) * np.eye(len(number)) + common * np.exp(-np.abs(number[:, None] - number[None, :]) / length)
    lost = -math.expm1(-ahead / length) * length / ahead
    between = common * lost * np.exp(-(len(number) - 0.5 - number) / length)
    # The mean of exp(-|a - b| / length) over all pairs of moments to come.
    within = common * 2.0 * length / ahead * (1.0 - lost) + (1.0 - common) / max(ahead, 1.0 / size)
    return alike, between, within
