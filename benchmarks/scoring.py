"""Published runs, and summaries of the errors on them."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path

from zenplan.backtesting.runs import Run
from zenplan.domain.answer.backtest import Summary
from zenplan.planning.explain import scores

__all__ = ["Summary", "by_group", "macro", "published", "six_nd", "source"]

PUBLISHED = Path(__file__).parent / "published"


def published(name: str = "language_models.csv") -> list[dict[str, str]]:
    """The rows of a published table."""
    with (PUBLISHED / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def six_nd(run: Run, utilisation: float = 0.4) -> float:
    """ln(predicted / measured) of the rule of thumb: 6·N·D FLOP at 40 % of the bf16 or fp16 peak."""
    sheet = run.cluster.accelerator
    dense = sheet.peak("fp16" if run.plan.precision.name in ("fp16", "fp32", "tf32") else "bf16")
    peak = dense if dense is not None else max(sheet.peak_flop_per_s.values())
    active = run.measured.active_params or run.measured.params or math.nan
    return math.log(utilisation * peak / (6.0 * active) / run.tokens_per_s)


def by_group(errors: Sequence[tuple[Run, float]], key: Callable[[Run], Hashable]) -> Mapping[Hashable, list[float]]:
    """Errors by group."""
    groups: dict[Hashable, list[float]] = {}
    for run, error in errors:
        groups.setdefault(key(run), []).append(error)
    return groups


def source(run: Run) -> str:
    """The run's source: the document, not the row."""
    return run.measured.source


def macro(groups: Mapping[Hashable, Sequence[float]]) -> Summary:
    """Each group's summary, averaged: a source of 200 rows weighs as much as one of 5."""
    return scores.macro([Summary.of(errors) for errors in groups.values()])
