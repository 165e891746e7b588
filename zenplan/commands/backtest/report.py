"""``zenplan backtest``: how far predictions are from measurements, by group; the worst rows; what was skipped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from zenplan import units
from zenplan.commands.shared.shorten import shortened
from zenplan.domain.answer.backtest import Backtest, Group, Kind, ScoredRow, SkippedRow, Summary
from zenplan.domain.answer.fit import Fit
from zenplan.domain.report import Column, Report, Table

_MOST_REASONS, _MOST_LINES, _MOST_GROUPS = 12, 6, 40
# Letters of a group's name beside its figures in 80 columns.
_NAME = 20
_NOTE = (
    "Each group: a summary of every source, averaged, so that a source of 200 rows weighs as much as one of 5. "
    "|ln| is the median of |ln(predicted/measured)|; the shares after it are of rows so near; bias is the median "
    "error; in range: rows inside the 80 % interval; range: how wide that is, high/low."
)
_CALENDAR = "First of each the calendar, with failures, checkpoints and evaluation; below it the steps alone."
_OPERATORS = "Operators are a library's, alone and timed on the device; an error above 0 is a time that is too long."
_UNITS = {Kind.WHOLE_RUN: "GPU-hours", Kind.THROUGHPUT: "samples/s of a device", Kind.OPERATOR: "ms of a pass"}
_FITTED = "The coefficients were fitted to published runs: a table that has these very runs shows the fit, no forecast."


def backtest_report(found: Backtest, worst: int) -> Report:
    """The scores as tables, and every row as a record.

    Args:
        found: what the use case found.
        worst: how many of the rows that are farthest off to show.
    """
    tables = [
        *_score_tables(found),
        *([_worst_table(found, worst)] if worst and found.rows else []),
        *([_skipped_table(found.skipped)] if found.skipped else []),
    ]
    return Report(
        make_document=lambda: _document(found),
        make_records=lambda: map(_record, found.rows),
        tables=tuple(tables),
        notes=(*_explained(found), *_odd(found.rows), *_too_large(found.rows)),
    )


# --- for people


def _explained(found: Backtest) -> list[str]:
    if not found.rows:
        return []
    told = {Kind.WHOLE_RUN: _CALENDAR, Kind.THROUGHPUT: _FITTED, Kind.OPERATOR: _OPERATORS}
    return [_NOTE, *(told[kind] for kind in found.kinds)]


def _score_tables(found: Backtest) -> list[Table]:
    """One of all rows, and one for each key."""
    if not found.groups:
        return []
    what = " or ".join(_UNITS[kind] for kind in found.kinds)
    first = found.groups[0]
    title = (
        f"{what}: {units.many(len(found.rows), 'row')} scored, from {units.many(first.sources, 'source')}; "
        f"{len(found.skipped)} skipped"
    )
    tables = [_group_table(title, "", [first])]
    for key in dict.fromkeys(g.by for g in found.groups[1:]):
        groups = [g for g in found.groups if g.by == key]
        tables.append(_group_table(f"by {key}", key, groups))
    return tables


def _group_table(title: str, head: str, groups: Sequence[Group]) -> Table:
    columns = (
        Column(name=head),
        Column(name="rows", numeric=True),
        Column(name="|ln|", numeric=True),
        Column(name="≤10 %", numeric=True),
        Column(name="≤20 %", numeric=True, optional=True),
        Column(name="≤30 %", numeric=True),
        Column(name="MAPE", numeric=True, optional=True),
        Column(name="bias", numeric=True),
        Column(name="in range", numeric=True),
        Column(name="range", numeric=True),
    )
    # Of very many groups, those of the most rows; the document has all.
    shown = groups
    if len(groups) > _MOST_GROUPS:
        shown = sorted(groups, key=lambda g: -g.summary.rows)[:_MOST_GROUPS]
    names = shortened([group.name for group in shown], _NAME)
    rows = tuple(line for group, name in zip(shown, names, strict=True) for line in _group_lines(group, name))
    left = len(groups) - len(shown)
    return Table(
        title=title,
        columns=columns,
        rows=rows,
        caption=f"and {left} groups of fewer rows; --format json has them" if left else "",
    )


def _group_lines(group: Group, name: str) -> list[tuple[str, ...]]:
    """A line; for whole runs a second one for the steps alone."""
    first = _summary_line(name, group.summary)
    return [first] if group.steady is None else [first, _summary_line("  steps alone", group.steady)]


def _summary_line(name: str, s: Summary) -> tuple[str, ...]:
    return (
        name,
        str(s.rows),
        f"{s.median:.3f}",
        _share(s.within_10),
        _share(s.within_20),
        _share(s.within_30),
        _share(s.mape),
        _signed(math.expm1(s.bias)),
        "" if s.coverage is None else _share(s.coverage),
        "" if s.width is None else f"{s.width:.2f}×",
    )


def _worst_table(found: Backtest, most: int) -> Table:
    """The rows that are farthest off, the worst first."""
    rows = sorted(found.rows, key=lambda row: -abs(row.error))[:most]
    # Of several units, a whole run is seen by its size, and the room is short.
    measures = {_unit(row) for row in rows}
    unit = f" {measures.pop()}" if len(measures) == 1 else ""
    names = shortened([_name(row) for row in rows], 24)
    columns = (
        Column(name="line", numeric=True),
        Column(name="row"),
        Column(name="accelerator"),
        Column(name=f"measured{unit}", numeric=True),
        Column(name="predicted", numeric=True),
        Column(name="off", numeric=True),
        Column(name="layout", optional=True),
    )
    lines = tuple(
        (
            str(row.line),
            name,
            row.accelerator,
            units.significant(row.measured * _tokens(row)),
            units.significant(row.predicted.mid * _tokens(row)),
            _signed(math.expm1(row.error)),
            row.layout,
        )
        for row, name in zip(rows, names, strict=True)
    )
    return Table(title="Farthest off" if len(rows) > 1 else "The one farthest off", columns=columns, rows=lines)


def _name(row: ScoredRow) -> str:
    """The row's own name, else its model's, else its line."""
    return row.model if row.model and row.id == f"line {row.line}" else row.id


def _unit(row: ScoredRow) -> str:
    """Of the figures that a row shows on the screen."""
    return {Kind.WHOLE_RUN: "GPU-hours", Kind.OPERATOR: "ms"}.get(row.kind, f"{row.unit or 'samples'}/s")


def _tokens(row: ScoredRow) -> int:
    return row.tokens_per_sample or 1


def _skipped_table(skipped: Sequence[SkippedRow]) -> Table:
    """Reasons, the most frequent first, with the lines that have them."""
    lines: dict[str, list[int]] = {}
    for row in skipped:
        lines.setdefault(row.reason, []).append(row.line)
    ordered = sorted(lines.items(), key=lambda item: -len(item[1]))
    columns = (Column(name="skipped", numeric=True), Column(name="why"), Column(name="lines"))
    rows = tuple((str(len(where)), _short(why, 200), _listed(where)) for why, where in ordered[:_MOST_REASONS])
    left = sum(len(where) for _, where in ordered[_MOST_REASONS:])
    return Table(
        columns=columns,
        rows=rows,
        caption=f"and {units.many(left, 'row')} for other reasons; --format json has them" if left else "",
    )


def _odd(rows: Sequence[ScoredRow]) -> list[str]:
    """What is odd in scored rows, in a line."""
    where = [row.line for row in rows if row.notes]
    if not where:
        return []
    first = next(note for row in rows for note in row.notes)
    return [f"{units.many(len(where), 'row')} with something odd, as in '{first}'; lines {_listed(where)}."]


def _too_large(rows: Sequence[ScoredRow]) -> list[str]:
    """How many rows the memory model would not have let run."""
    asked = [row for row in rows if row.fit is not None]
    where = [row.line for row in asked if row.fit is Fit.NO]
    if not where:
        return []
    return [
        f"{len(where):,} of {units.many(len(asked), 'row')} are found not to fit memory; they ran; lines {_listed(where)}."
    ]


def _listed(lines: Sequence[int]) -> str:
    return ", ".join(map(str, lines[:_MOST_LINES])) + (", …" if len(lines) > _MOST_LINES else "")


def _short(text: str, most: int) -> str:
    """The text; of a long one its end, where sources differ."""
    return text if len(text) <= most else f"…{text[-(most - 1) :]}"


def _share(ratio: float) -> str:
    return f"{100 * ratio:.0f} %"


def _signed(ratio: float) -> str:
    return f"{100 * ratio:+.0f} %"


# --- for programs


def _document(found: Backtest) -> Any:
    from zenplan.commands.backtest.document import backtest_document

    return backtest_document(found)


def _record(row: ScoredRow) -> dict[str, Any]:
    """A row for a line of CSV."""
    from zenplan.commands.backtest.document import row_document
    from zenplan.documents import plain

    return {k: "; ".join(v) or None if isinstance(v, tuple) else v for k, v in plain(row_document(row)).items()}
