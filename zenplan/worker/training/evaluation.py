"""Evaluations: the loss, and what else is told, on data that the model is not trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from zenplan.worker.training.group import WHOLE, Share
from zenplan.worker.training.prepared import Array, Samples
from zenplan.worker.training.stepper import Stepper

# So many batches are given to the device before their figures are asked for.
_AT_ONCE = 16


def evaluated(
    stepper: Stepper,
    others: Sequence[str],
    samples: Samples,
    micro_batch: int,
    most: int,
    stop: Callable[[], str],
    share: Share = WHOLE,
) -> dict[str, float] | None:
    """The figures of a part, or of samples spread evenly over it; None where it was stopped before its end.

    The first ones of a part may be of one file, or of one class, and are no sample of it.

    Args:
        others: names of the figures that ``Stepper.evaluate`` tells besides the loss.
        micro_batch: samples at once, of each replica. The last ones, fewer, are filled up with some that weigh nothing.
        most: samples; 0 for all of them.
        stop: says why it is to end; empty while it is not.
        share: of this worker, of several.
    """
    wanted = min(samples.count, most) if most else samples.count
    chosen = np.arange(wanted) * samples.count // wanted
    at_once = micro_batch * share.at_once * share.of
    batches = -(-wanted // at_once)
    sums: Array = np.zeros(len(others) + 2)
    for first in range(0, batches, _AT_ONCE):
        if stop():
            return None
        found = []
        for number in range(first, min(first + _AT_ONCE, batches)):
            some = chosen[number * at_once : (number + 1) * at_once]
            weights = (np.arange(at_once) < len(some)).astype(np.float32)
            some = np.concatenate([some, np.zeros(at_once - len(some), some.dtype)])
            found.append(stepper.evaluate(*samples.batch(share.part(some)), share.part(weights)))
        sums = sums + np.sum(np.asarray(stepper.numbers(found), np.float64), axis=0)
    return shares(others, sums.tolist())


def shares(others: Sequence[str], sums: list[float]) -> dict[str, float]:
    """The figures of an evaluation, from the sums of all its batches."""
    *values, weight = sums
    found = {name: value / weight for name, value in zip(("loss", *others), values, strict=True)}
    return {name: value**0.5 if name == "rmse" else value for name, value in found.items()}
