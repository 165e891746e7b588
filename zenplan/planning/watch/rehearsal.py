"""The step of a run from a few that were timed before it, and what earlier runs say of such predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median, stdev
from typing import Final

from zenplan.domain.measured.calibration import HELD_UP
from zenplan.domain.range import EIGHTY, Range
from zenplan.errors import DataError

# A step that took so many times the median was disturbed once, and says nothing of the others.
_DISTURBED: Final = 3.0
# What the steps of a run differ from its first ones by beyond their own noise (assumed: clocks, heat, neighbours).
_FIRST_AND_REST: Final = 0.05
# The same where other programs were busy before the run: they go, and others come (assumed).
_BUSY: Final = 0.25
# The noise of single steps, where there are too few to tell it (assumed).
_FEW, _FEW_SPREAD = 4, 0.1
# Predictions of earlier runs that the correction is shrunk by: as if so many had been exactly right.
_PRIOR_RUNS: Final = 1.0
# Runs beyond which older ones say nothing of the machine as it is now.
MOST_RUNS: Final = 20


def step_of(walls: Sequence[float], busy: bool = False) -> Range:
    """The mean step of the run, 80 %, from steps that were timed before it.

    Args:
        walls: seconds of each.
        busy: whether other programs took processors that the run was to have.

    Raises:
        DataError: there is none.
    """
    if not walls or min(walls) <= 0.0:
        raise DataError("no step was timed before the run")
    known = [each for each in walls if each <= _DISTURBED * median(walls)]
    mean = fmean(known)
    noise = stdev(known) / mean if len(known) >= _FEW else _FEW_SPREAD
    return _around(mean, math.hypot(noise / math.sqrt(len(known)), _BUSY if busy else _FIRST_AND_REST))


def held_up(walls: Sequence[float], cpus: Sequence[float]) -> bool:
    """Whether steps waited for processors that other programs had: they took longer than their threads computed.

    Args:
        walls, cpus: seconds of each by the clock, and those of all its threads together.
    """
    shares = [wall / cpu for wall, cpu in zip(walls, cpus, strict=False) if cpu > 0.0]
    return bool(shares) and median(shares) > HELD_UP


def at_least_crowded(step: Range) -> Range:
    """A step that is predicted where other programs are busy: what quiet runs before it came to says nothing of these."""
    return step if step.low > 0.0 and step.deviation >= _BUSY else _around(step.mid, _BUSY)


def in_a_crowd(step: Range) -> Range:
    """A step that was measured on a quiet machine, where other programs are busy now."""
    own = step.deviation if step.low > 0.0 else 0.0
    return _around(step.mid, math.hypot(own, _BUSY))


def corrected(step: Range, ratios: Sequence[float]) -> Range:
    """A prediction, corrected by what came of earlier ones of its kind on this device.

    The middle is moved by their mean error in ln, shrunk towards none; the interval becomes as wide as errors were
    about that mean, weighed in the same way against the interval as it was.

    Args:
        step: as predicted.
        ratios: measured over predicted, of earlier runs, the latest last.
    """
    errors = [math.log(each) for each in ratios[-MOST_RUNS:] if each > 0.0]
    if not errors or step.low <= 0.0:
        return step
    shift = sum(errors) / (len(errors) + _PRIOR_RUNS)
    own = step.deviation
    squares = sum((each - shift) ** 2 for each in errors)
    spread = math.sqrt((squares + _PRIOR_RUNS * own * own) / (len(errors) + _PRIOR_RUNS))
    return _around(step.mid * math.exp(shift), spread)


def _around(mid: float, spread: float) -> Range:
    return Range(low=mid * math.exp(-EIGHTY * spread), mid=mid, high=mid * math.exp(EIGHTY * spread))
