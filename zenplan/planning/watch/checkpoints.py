"""How far checkpoints are apart: so that what they cost and what an interruption loses are least together."""

from __future__ import annotations

import math
from typing import Final

# Of the time of steps, what checkpoints may take, whatever an interruption would lose.
MOST_SHARE: Final = 0.02
# Work of more than that is not risked, however seldom the machine fails: it is what somebody would do over by hand.
MOST_APART_S: Final = 1800.0


def interval_s(checkpoint_s: float, mtbf_s: float) -> float:
    """Seconds of steps between checkpoints.

    Young 1974: √(2·δ·M). Daly 2006 (equation 37) adds the terms that count where checkpoints take long:
    √(2·δ·M) · (1 + √(δ/2M) / 3 + (δ/2M) / 9) − δ for δ < 2M, else M.

    Args:
        checkpoint_s: δ, seconds that the run waits for a checkpoint.
        mtbf_s: M, mean seconds between interruptions; infinite where none is expected.
    """
    if checkpoint_s <= 0.0:
        return 0.0
    if math.isinf(mtbf_s):
        return math.inf
    if checkpoint_s >= 2.0 * mtbf_s:
        return mtbf_s
    ratio = math.sqrt(checkpoint_s / (2.0 * mtbf_s))
    return math.sqrt(2.0 * checkpoint_s * mtbf_s) * (1.0 + ratio / 3.0 + ratio * ratio / 9.0) - checkpoint_s


def interval_steps(checkpoint_s: float, mtbf_s: float, step_s: float, most_apart_s: float = MOST_APART_S) -> int:
    """The same in steps, at least one: never further apart than ``most_apart_s``, unless they would take more than
    ``MOST_SHARE`` of the time then.

    Args:
        checkpoint_s, mtbf_s: as of ``interval_s``.
        step_s: seconds of a step.
        most_apart_s: seconds of work that may be lost at most.
    """
    wanted = min(interval_s(checkpoint_s, mtbf_s), most_apart_s)
    return max(1, round(max(wanted, checkpoint_s / MOST_SHARE) / step_s))
