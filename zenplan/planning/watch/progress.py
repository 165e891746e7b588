"""Time that is left of a run, with its interval: what was predicted, and what the steps so far have shown.

A step's mean is known twice: by the prediction, whose interval is one of 80 %, and by the steps that were measured.
Both are taken as normal in ln, and weighed by their precision, so that the prediction leads at the beginning and the
run itself soon after. Steps of a machine are not independent (it warms up, others come and go): so many neighbours are
taken together as one (``_BLOCK``), and what blocks differ by says how well their mean is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Final

from zenplan.domain import checks
from zenplan.domain.range import EIGHTY, Range

# The mean of a whole run is never known better than that before its end: machines drift (assumed).
_LEAST_SPREAD: Final = 0.01
# Steps that are taken as one, at most; there are at least four blocks where there are eight steps.
_BLOCK: Final = 20
_BLOCKS: Final = 4
# The spread of a mean of a few steps, where there are too few to tell it (assumed).
_FEW_SPREAD: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a run still has to do beside its steps.

    Attributes:
        steps: that are left.
        evaluations, checkpoints: that are left, and the seconds of one; 0 where they are not known yet.
    """

    steps: int
    evaluations: int = 0
    evaluate_s: float = 0.0
    checkpoints: int = 0
    checkpoint_s: float = 0.0

    def __post_init__(self) -> None:
        checks.counts("what is left", steps=self.steps, evaluations=self.evaluations, checkpoints=self.checkpoints)
        checks.not_negative("what is left", evaluate_s=self.evaluate_s, checkpoint_s=self.checkpoint_s)

    @property
    def beside_s(self) -> float:
        """Seconds of evaluations and checkpoints."""
        return self.evaluations * self.evaluate_s + self.checkpoints * self.checkpoint_s


def mean_step_s(predicted: Range | None, measured: Sequence[float]) -> Range | None:
    """The mean step of what is left, an 80 % interval; None where nothing is known of it.

    Args:
        predicted: of a step, 80 %; None without a prediction.
        measured: seconds of steps of this run, the latest last.
    """
    known = [each for each in (_of_prediction(predicted), _of_steps(measured)) if each is not None]
    if not known:
        return None
    weights = [1.0 / (spread * spread) for _, spread in known]
    mid = sum(w * ln for w, (ln, _) in zip(weights, known, strict=True)) / sum(weights)
    spread = math.hypot(1.0 / math.sqrt(sum(weights)), _LEAST_SPREAD)
    return Range(low=math.exp(mid - EIGHTY * spread), mid=math.exp(mid), high=math.exp(mid + EIGHTY * spread))


def time_left(left: Left, predicted: Range | None, measured: Sequence[float]) -> Range | None:
    """Seconds until the end of the run, 80 %; None where nothing is known of a step.

    Args:
        left: what has to be done.
        predicted, measured: as of ``mean_step_s``.
    """
    step = mean_step_s(predicted, measured)
    return None if step is None else step * left.steps + left.beside_s


def _of_prediction(predicted: Range | None) -> tuple[float, float] | None:
    """Middle and standard deviation in ln."""
    if predicted is None or predicted.low <= 0.0:
        return None
    return math.log(predicted.mid), max(predicted.deviation, _LEAST_SPREAD)


def _of_steps(measured: Sequence[float]) -> tuple[float, float] | None:
    if not measured or (mean := fmean(measured)) <= 0.0:
        return None
    size = max(1, min(_BLOCK, len(measured) // (2 * _BLOCKS)))
    blocks = [fmean(measured[i : i + size]) for i in range(0, len(measured) - size + 1, size)]
    if len(blocks) < _BLOCKS:
        return math.log(mean), _FEW_SPREAD / math.sqrt(len(measured))
    return math.log(mean), max(stdev(blocks) / mean / math.sqrt(len(blocks)), 1e-6)
