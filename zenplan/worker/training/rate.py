"""The learning rate of each step."""

from __future__ import annotations

import math

from zenplan.errors import UnknownName, UsageError
from zenplan.worker.protocol import Optimizer

_SCHEDULES = ("constant", "cosine", "linear")


def check_rate(wanted: Optimizer) -> None:
    """Raise UsageError where its learning rate or its schedule is none."""
    if wanted.schedule not in _SCHEDULES:
        raise UnknownName("schedule", wanted.schedule, _SCHEDULES)
    if not (math.isfinite(wanted.learning_rate) and wanted.learning_rate > 0):
        raise UsageError(f"a learning rate of {wanted.learning_rate} is not above 0", "as in learning_rate = 3e-4")


def rate_at(wanted: Optimizer, step: int, steps: int) -> float:
    """The learning rate of a step.

    It rises in a line over the warm-up, then stays, or falls to ``final_share`` of the highest at the last step: along
    half a cosine (Loshchilov and Hutter 2017, https://arxiv.org/abs/1608.03983) or a line.

    Args:
        step: from 1 to ``steps``.
    """
    if step <= wanted.warmup_steps:
        return wanted.learning_rate * step / wanted.warmup_steps
    if wanted.schedule == "constant":
        return wanted.learning_rate
    done = min(1.0, (step - wanted.warmup_steps) / max(1, steps - wanted.warmup_steps))
    left = 0.5 * (1 + math.cos(math.pi * done)) if wanted.schedule == "cosine" else 1 - done
    return wanted.learning_rate * (wanted.final_share + (1 - wanted.final_share) * left)
