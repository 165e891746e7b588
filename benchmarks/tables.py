"""What the benchmarks share: the published tables, and errors as rows of a markdown table."""

from __future__ import annotations

import csv
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path

from zenplan.backtesting.runs import Run
from zenplan.domain.answer.backtest import Summary
from zenplan.planning.explain import scores

PUBLISHED = Path(__file__).parent / "published"
HEAD = ("runs", "median ln error", "MAPE", "within 10 %", "within 25 %", "bias")

Errors = Sequence[tuple[Run, float]]


def published(name: str = "language_models.csv") -> list[dict[str, str]]:
    """The rows of a published table."""
    with (PUBLISHED / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def paths(names: Iterable[str]) -> list[Path]:
    """Where published tables are."""
    return [PUBLISHED / name for name in names]


def macro(groups: Mapping[Hashable, Sequence[float]]) -> Summary:
    """Each group's summary, averaged: a source of 200 rows weighs as much as one of 5."""
    return scores.macro([Summary.of(errors) for errors in groups.values()])


def cells(name: str, s: Summary) -> list[str]:
    """A row under ``HEAD``."""
    return [
        name,
        str(s.rows),
        f"{s.median:.3f}",
        f"{100 * s.mape:.1f} %",
        f"{100 * s.within_10:.0f} %",
        f"{100 * s.within_25:.0f} %",
        f"{100 * math.expm1(s.bias):+.0f} %",
    ]


def table(title: str, rows: Sequence[Sequence[str]]) -> str:
    """Rows under ``HEAD``, as a markdown table."""
    lines = [f"| {title} | " + " | ".join(HEAD) + " |", "|---|" + "---:|" * len(HEAD)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
