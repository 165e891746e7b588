"""What the benchmarks share: the published tables, and errors as rows of a markdown table."""

from __future__ import annotations

import csv
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path

from zenplan.backtesting.runs import Run
from zenplan.domain.answer.backtest import Summary
from zenplan.fitting.intervals import Judged, Score, judged
from zenplan.fitting.left_out import KNOWN, NEW, Observed
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


# --- scores of what was left out, each publisher with the same weight

SCORE_HEAD = ("runs", "publishers", "ln error", "bias of time", "80 % interval holds", "half-width")


def judgement(observed: Observed, name: str) -> list[Judged]:
    """The runs that were left out by one kind of group, each beside the interval of all other publishers."""
    far = [o for kind in ("generation", "scale") for o in observed.get(kind, ())]
    return judged(observed[NEW], observed.get(KNOWN, ()), far, observed[name], is_known=name == KNOWN)


def score_cells(title: str, score: Score, alone: bool = False) -> list[str]:
    """A row under ``SCORE_HEAD``; with ``alone`` it is of one publisher, without their number and its ranges."""
    within, held = (
        ("", "")
        if alone or score.publishers == 1
        else (_range(score.error_range, 1, 3), _range(score.coverage_range, 100, 0))
    )
    return [
        title,
        f"{score.runs:,}",
        *([] if alone else [str(score.publishers)]),
        f"{score.error:.3f}{within}",
        f"{100 * math.expm1(score.bias):+.0f} %",
        f"{100 * score.coverage:.0f}{held} %",
        f"{score.half_width:.2f}",
    ]


def _range(ends: tuple[float, float], times: float, digits: int) -> str:
    return f" ({times * ends[0]:.{digits}f}–{times * ends[1]:.{digits}f})"


def score_table(title: str, rows: Sequence[Sequence[str]], alone: bool = False) -> str:
    """Rows under ``SCORE_HEAD``, as a markdown table."""
    head = [name for name in SCORE_HEAD if not (alone and name == "publishers")]
    lines = [f"| {title} | " + " | ".join(head) + " |", "|---|" + "---:|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
