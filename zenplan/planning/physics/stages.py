"""Where the layers of a model go on the stages of a pipeline.

An embedding, a head and a loss are work too: a stage that has one of them takes fewer layers (Dubey et al. 2024,
section 3.3.2: one layer less on the first and on the last of 16 stages; Megatron-Core counts both ends as layers
where it is asked to). So layers are whole, but a stage need not have as many as the others, and the slowest decides.
Software that demands as many on each has the ends on top of that (``Layout.even``).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from zenplan.domain.model.workload import Workload
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.columns import Array, Layouts

_ROUNDING = 1e-9


class Stages(NamedTuple):
    """Shares of a model's layers, 0 to 1, shape (n,): of the first stage, of the fullest of those between, which is 0
    where there is none, and of the last. Without a pipeline the one stage is both the first and the last."""

    first: Array
    inner: Array
    last: Array


def stages(plan: TrainingPlan, layouts: Layouts) -> Stages:
    """The layers of each layout's stages. They follow from counts alone, so that time and memory mean the same."""
    if (layouts.pp == 1).all():
        whole = np.ones_like(layouts.pp)
        return Stages(whole, np.zeros_like(whole), whole)
    load = plan.workload
    layers, (first, last) = max(load.layers, 1), _ends(load)
    kinds, which = np.unique(2.0 * layouts.pp + layouts.even, return_inverse=True)
    counts = np.array([laid_out(layers, int(kind) // 2, bool(kind % 2), first, last) for kind in kinds], dtype=float)
    return Stages(*(counts / layers).take(which.ravel(), axis=0).T)


@lru_cache(maxsize=4096)
def laid_out(layers: int, count: int, even: bool, first: float, last: float) -> tuple[int, int, int]:
    """Layers of the first stage, of the fullest one between and of the last.

    Args:
        layers: of the model, a count.
        count: stages.
        even: all stages have as many, or one less where they do not divide.
        first, last: work of the ends of the model, in layers.
    """
    if count == 1:
        return layers, 0, layers
    if even:
        most = math.ceil(layers / count)
        return most, most if count > 2 else 0, most
    slowest = _slowest(layers, count, first, last)
    head, inner, tail = (min(_within(slowest - end), layers) for end in (first, 0.0, last))
    # What is to spare comes off the first stage, which keeps the most micro-batches, where others have as many.
    spare = head + (count - 2) * inner + tail - layers
    head -= min(spare, 1, head)
    if count == 2:
        return layers - tail, 0, tail
    return head, min(inner, max(0, math.ceil((layers - head - tail) / (count - 2)))), tail


def _slowest(layers: int, count: int, first: float, last: float) -> float:
    """The least that the slowest stage can have to do, in layers: what it would be with layers of any size, or the next
    of the sums of whole layers and an end that lets all layers find a place."""
    ideal = max((layers + first + last) / count, first, last)
    sums = sorted(
        end + max(0, math.ceil(ideal - end - _ROUNDING)) + more for end in (0.0, first, last) for more in (0, 1)
    )
    return next(
        load for load in sums if _within(load - first) + (count - 2) * _within(load) + _within(load - last) >= layers
    )


def _within(load: float) -> int:
    """Whole layers that are no more than so much work."""
    return max(0, math.floor(load + _ROUNDING))


def _ends(load: Workload) -> tuple[float, float]:
    """Training FLOP of the first and of the last part of the model, in layers."""
    flop = dict.fromkeys(("first", "middle", "last"), 0.0)
    for block in load.blocks:
        flop[block.place] += block.repeat * block.training_flop
    layer = flop["middle"] / max(load.layers, 1)
    return (flop["first"] / layer, flop["last"] / layer) if layer else (0.0, 0.0)
