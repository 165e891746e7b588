"""Layouts of one cluster beside each other: the frontier of time and memory, and why the second best lost."""

from __future__ import annotations

from dataclasses import fields
from itertools import islice

import numpy as np
import numpy.typing as npt

from zenplan import units
from zenplan.domain.answer.estimate import part_name
from zenplan.domain.answer.tradeoff import RunnerUp
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.columns import Array
from zenplan.planning.search.search import Found, sample_s, survey, useful_samples

# What makes a layout another one, and not a variant of the same.
_DEGREES = ("dp", "tp", "pp", "cp", "ep")
# A difference in time below this is none: such layouts differ in a field that does not matter here.
_SAME = 1e-9
# A part of the step has to make this much of a difference to be named.
_NAMED = 0.002

_Index = npt.NDArray[np.intp]


def frontier(plan: TrainingPlan, found: Found) -> _Index:
    """Places of the layouts that fit and that no other beats in both time and memory, fastest first."""
    order = _by_time(plan, found)
    needs = found.memory.total_bytes[order]
    leaner = np.r_[True, needs[1:] < np.minimum.accumulate(needs)[:-1]] if len(needs) else np.array([], bool)
    return order[leaner]


def listed(plan: TrainingPlan, found: Found, by: str, most: int) -> _Index:
    """Indices of the best layouts that fit, by ``time`` or ``memory``.

    Of those with the same degrees, each is there that no other one beats in both: a list of ten should not be
    one layout ten times.

    Args:
        plan: what is trained.
        found: every layout, with its step and its memory.
        by: ``time`` or ``memory``: what the first has least of.
        most: how many at most.
    """
    order = _by_time(plan, found)
    needs, degrees = found.memory.total_bytes, _degrees(found)[:, order].T
    least: dict[tuple[float, ...], float] = {}
    kept = []
    for index, key in zip(order.tolist(), map(tuple, degrees.tolist()), strict=True):
        if needs[index] < least.get(key, np.inf):
            least[key] = float(needs[index])
            kept.append(index)
    if by == "memory":
        kept.sort(key=lambda index: float(needs[index]))
    return np.array(list(islice(kept, most)), dtype=np.intp)


def _by_time(plan: TrainingPlan, found: Found) -> _Index:
    """Places of what fits, fastest first; of equals, the leanest."""
    fitting = np.flatnonzero(found.planned)
    each_s, needs = sample_s(plan, found.layouts, found.steps), found.memory.total_bytes
    return fitting[np.lexsort((needs[fitting], each_s[fitting]))]


def _degrees(found: Found) -> Array:
    return np.stack([getattr(found.layouts, name) for name in _DEGREES])


def runner_up(plan: TrainingPlan, found: Found) -> RunnerUp | None:
    """The best layout whose degrees or ZeRO stage are others than the best one's, and where it loses time.

    A layout that takes the same time is none: its difference does not matter on these devices.
    """
    order = _by_time(plan, found)
    if not len(order):
        return None
    each_s = sample_s(plan, found.layouts, found.steps)
    first, best_s = order[0], each_s[order[0]]
    keys = np.vstack([_degrees(found), found.layouts.zero])
    other = (keys != keys[:, [first]]).any(axis=0)[order] & (each_s[order] > best_s * (1.0 + _SAME))
    if not other.any():
        return None
    second = order[other.argmax()]
    samples = useful_samples(plan, found.layouts)
    parts = {f.name: getattr(found.steps, f.name) / samples for f in fields(found.steps)}
    return RunnerUp(
        layout=found.layouts.at(int(second)),
        slower=float(each_s[second] / best_s - 1.0),
        parts={name: float((column[second] - column[first]) / best_s) for name, column in parts.items()},
    )


def runner_up_on(plan: TrainingPlan, cluster: Cluster) -> RunnerUp | None:
    """The same, from the cluster alone."""
    return runner_up(plan, survey(plan, cluster))


def why(second: RunnerUp) -> str:
    """What the runner-up loses and gains, largest first: ``loses 4.1 %: data-parallel +6.0 %, bubble −1.9 %``."""
    told = sorted(second.parts.items(), key=lambda part: -abs(part[1]))
    named = [f"{part_name(name)} {_signed(share)}" for name, share in told if abs(share) >= _NAMED][:4]
    return f"loses {units.percent(second.slower)}" + (f": {', '.join(named)}" if named else "")


def _signed(share: float) -> str:
    return f"{'+' if share > 0 else '−'}{units.percent(abs(share))}"
