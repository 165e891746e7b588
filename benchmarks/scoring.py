"""Prediction and errors of published runs, shared by the benchmarks that fit and that score."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from published_rows import Run

from zenplan.planning.arrays import Hardware, Layouts
from zenplan.planning.step import step_time


@dataclass(frozen=True, slots=True)
class Scored:
    """A run with its ln(predicted / measured) speed, and whether the prediction found it to fit memory."""

    run: Run
    error: float
    fits: bool


def score(runs: Iterable[Run]) -> list[Scored]:
    """The step-time model's error on each run, in the order given. Of several layouts, the fastest is taken."""
    all_of = list(runs)
    # Runs of one model in one precision are one evaluation.
    together: dict[Hashable, list[int]] = {}
    for place, run in enumerate(all_of):
        key = (id(run.plan.workload), run.plan.precision.name, run.plan.fused_attention)
        together.setdefault(key, []).append(place)
    scored: dict[int, Scored] = {}
    for places in together.values():
        for place, speed in zip(places, _speeds([all_of[p] for p in places]), strict=True):
            run = all_of[place]
            scored[place] = Scored(run, math.log(speed / run.tokens_per_s), run.fits)
    return [scored[place] for place in range(len(all_of))]


def _speeds(runs: Sequence[Run]) -> list[float]:
    """Predicted tokens a second and device of runs with the same workload and arithmetic."""
    layouts = Layouts.of([layout for run in runs for layout in run.layouts])
    hw = Hardware.of([run.cluster for run in runs for _ in run.layouts], runs[0].plan.precision)
    speed = (
        layouts.samples
        * runs[0].plan.workload.tokens_per_sample
        / step_time(runs[0].plan, layouts, hw).total_s
    )
    speed = speed / hw.devices
    starts = np.cumsum([0] + [len(run.layouts) for run in runs])
    return [float(speed[a:b].max()) for a, b in itertools.pairwise(starts)]


def six_nd(run: Run, utilisation: float = 0.4) -> float:
    """ln(predicted / measured) of the rule of thumb: 6·N·D FLOP at 40 % of the bf16 or fp16 peak."""
    sheet = run.cluster.accelerator
    dense = sheet.peak("fp16" if run.plan.precision.name in ("fp16", "fp32", "tf32") else "bf16")
    peak = dense if dense is not None else max(sheet.peak_flop_per_s.values())
    active = float(run.row["active_params"] or run.row["params"])
    return math.log(utilisation * peak / (6.0 * active) / run.tokens_per_s)


def by_group(
    errors: Sequence[tuple[Run, float]], key: Callable[[Run], Hashable]
) -> Mapping[Hashable, list[float]]:
    """Errors by group."""
    groups: dict[Hashable, list[float]] = {}
    for run, error in errors:
        groups.setdefault(key(run), []).append(error)
    return groups


def source(run: Run) -> str:
    """The run's source: the document, not the row."""
    return run.row["source"]


@dataclass(frozen=True, slots=True)
class Summary:
    """Median |ln error|, mean absolute percentage error, shares within 10 and 25 %, and bias."""

    rows: int
    median: float
    mape: float
    within_10: float
    within_25: float
    bias: float

    @classmethod
    def of(cls, errors: Sequence[float]) -> Summary:
        """The summary of these ln errors."""
        e = np.asarray(errors)
        off = np.abs(np.expm1(e))
        return cls(len(e), float(np.median(np.abs(e))), float(off.mean()), float((off <= 0.10).mean()),
                   float((off <= 0.25).mean()), float(np.median(e)))  # fmt: skip


def macro(groups: Mapping[Hashable, Sequence[float]]) -> Summary:
    """Each group's summary, averaged: a source of 200 rows weighs as much as one of 5."""
    all_of = [Summary.of(errors) for errors in groups.values()]
    mean = {n: float(np.mean([getattr(s, n) for s in all_of])) for n in Summary.__slots__ if n != "rows"}
    return Summary(rows=sum(s.rows for s in all_of), **mean)
