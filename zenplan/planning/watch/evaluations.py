"""How far evaluations are apart: ten in a run, or as few as cost little beside its steps."""

from __future__ import annotations

import math
from typing import Final

# Evaluations on validation data, at most; and of the time of steps, what all evaluations may take.
MOST, MOST_SHARE = 10, 0.1
# Of a training step, what going forward alone takes: going back computes twice as much (Kaplan et al. 2020,
# https://arxiv.org/abs/2001.08361, section 2.1).
_FORWARD: Final = 1.0 / 3.0


def assumed_evaluate_s(samples: int, batch: int, step_s: float) -> float:
    """Seconds of an evaluation that nobody has timed, by those of a step.

    Args:
        samples: of the evaluation; batch: samples of a step.
        step_s: seconds of a step; with 1 the answer is in steps.
    """
    return _FORWARD * samples / batch * step_s


def evaluations_apart(steps: int, cost_steps: float, beside: int = 0) -> int:
    """Steps between evaluations; 0 for one at the end alone, where more would take more than ``MOST_SHARE``.

    Args:
        steps: of the run.
        cost_steps: what an evaluation costs, in steps.
        beside: evaluations of the run on other data.
    """
    count = MOST if cost_steps <= 0.0 else min(MOST, math.floor(MOST_SHARE * steps / cost_steps) - beside)
    return math.ceil(steps / count) if count > 1 else 0
