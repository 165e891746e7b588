"""Ranking: cheapest, fastest, the frontier between them, and what meets a deadline and a budget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zenplan.domain.answer.answer import Label
from zenplan.planning.physics.columns import Array

WORTHWHILE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Options in the order they are to be shown.

    Attributes:
        order: option indices: the chosen first, then the frontier from cheap to fast.
        labels: for each of ``order``.
        met: whether the first meets the deadline and the budget.
        frontier: options that no other beats in both time and dollars, from cheap to fast.
    """

    order: tuple[int, ...]
    labels: tuple[tuple[Label, ...], ...]
    met: bool
    frontier: tuple[int, ...]


def pareto(usd: Array, time_s: Array) -> npt.NDArray[np.intp]:
    """Entries that no other beats in both, from cheap to fast. Of equals, the first.

    A dearer one must be faster than the one before it by ``WORTHWHILE`` of its time, or nobody would pay more.
    """
    kept: list[int] = []
    for index in np.lexsort((time_s, usd)):
        if not kept or time_s[index] < (1.0 - WORTHWHILE) * time_s[kept[-1]]:
            kept.append(int(index))
    return np.array(kept, dtype=np.intp)


def rank(usd: Array, time_s: Array, top: int, deadline_s: float | None, budget_usd: float | None) -> Ranking:
    """Rank options by middle dollars and middle calendar time; neither array is empty.

    With a deadline or a budget the first is the best that meets them: the cheapest in time, or, with a
    budget only, the fastest within it. Where nothing meets them, the nearest miss: the smallest overrun.

    Args:
        usd: middle dollars of each option; shape (n,).
        time_s: middle calendar time of each option; shape (n,).
        top: how many to name at most.
        deadline_s: on the calendar; None without one.
        budget_usd: None without one.
    """
    late = np.maximum(time_s / deadline_s, 1.0) if deadline_s else np.ones_like(time_s)
    dear = np.maximum(usd / budget_usd, 1.0) if budget_usd else np.ones_like(usd)
    overrun = late * dear
    met = bool((overrun <= 1.0).any())
    front = pareto(usd, time_s)
    cheapest, fastest = int(front[0]), int(front[-1])
    # The knee: a little more money would buy less than a little more time would save.
    balanced = int(front[np.argmin(np.log(usd[front]) + np.log(time_s[front]))])
    best = balanced
    if deadline_s or budget_usd:
        allowed = np.flatnonzero(overrun <= max(1.0, float(overrun.min())))
        aim = time_s if budget_usd and not deadline_s else usd
        best = int(allowed[np.lexsort((usd[allowed], aim[allowed]))[0]])
    shown = _spread(front, best, (cheapest, fastest), top, usd, time_s)
    named = {
        Label.RECOMMENDED if met else Label.NEAREST: best,
        Label.CHEAPEST: cheapest,
        Label.FASTEST: fastest,
    }
    labels = tuple(tuple(n for n, i in named.items() if i == index) for index in shown)
    return Ranking(order=tuple(shown), labels=labels, met=met, frontier=tuple(front.tolist()))


def _spread(
    front: npt.NDArray[np.intp], best: int, marked: tuple[int, ...], top: int, usd: Array, time_s: Array
) -> list[int]:
    """At most ``top`` of the frontier, from cheap to fast behind the best: the marked ones, then each time
    the one that is farthest in time, as a ratio, from all that are shown."""
    keep = list(dict.fromkeys((best, *marked)))[: max(top, 1)]
    while len(keep) < min(top, len(front)):
        away = np.abs(np.log(time_s[front])[:, None] - np.log(time_s[keep])[None, :]).min(axis=1)
        farthest = int(front[np.argmax(away)])
        if farthest in keep:
            break
        keep.append(farthest)
    first, others = keep[0], sorted(keep[1:], key=lambda i: (float(usd[i]), i))
    return [first, *others]
