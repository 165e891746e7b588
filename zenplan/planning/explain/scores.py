"""Scores: how far predictions are from measurements.

A summary is taken of each source and then averaged, so that a source of 200 rows weighs as much as one of 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from statistics import fmean

from zenplan.domain.answer.backtest import Group, ScoredRow, Summary


def macro(summaries: Sequence[Summary]) -> Summary:
    """The average of summaries, each of which weighs the same; the rows are added up."""
    means: dict[str, float | None] = {}
    for name in (f.name for f in fields(Summary) if f.name != "rows"):
        values = [v for v in (getattr(s, name) for s in summaries) if v is not None]
        means[name] = fmean(values) if values else None
    return Summary(rows=sum(s.rows for s in summaries), **means)  # type: ignore[arg-type]  # only two can be None


def groups_of(rows: Sequence[ScoredRow], keys: Iterable[str]) -> tuple[Group, ...]:
    """The group of all rows, then those of each key by name; none of no rows.

    Args:
        rows: scored rows.
        keys: of ``domain.answer.backtest.GROUPINGS``.
    """
    if not rows:
        return ()
    found = [_group("all", "all", rows)]
    for key in keys:
        parts = _split(rows, key)
        found += [_group(key, name, parts[name]) for name in sorted(parts)]
    return tuple(found)


def _split(rows: Sequence[ScoredRow], key: str) -> dict[str, list[ScoredRow]]:
    parts: dict[str, list[ScoredRow]] = {}
    for row in rows:
        parts.setdefault(getattr(row, key) or "not known", []).append(row)
    return parts


def _group(by: str, name: str, rows: Sequence[ScoredRow]) -> Group:
    sources = list(_split(rows, "source").values())
    steady = [[e for r in each if (e := r.steady_error) is not None] for each in sources]
    return Group(
        by=by,
        name=name,
        sources=len(sources),
        summary=macro(
            [Summary.of([r.error for r in each], [r.inside for r in each], [r.width for r in each]) for each in sources]
        ),
        steady=macro([Summary.of(each) for each in steady if each]) if any(steady) else None,
    )
