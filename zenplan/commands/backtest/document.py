"""The JSON document of a backtest. Its schema is made of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final, Literal, TypeVar

from msgspec import Meta

from zenplan.commands.shared.document import (
    FIT_DESCRIPTION,
    Count,
    Name,
    NotNegative,
    Positive,
    Ratio,
    one_of,
)
from zenplan.documents import Document, fill
from zenplan.domain.answer.backtest import GROUPINGS, SIZES, Backtest, Group, Kind, ScoredRow, Summary
from zenplan.domain.answer.fit import Fit
from zenplan.domain.software import Software

S = TypeVar("S", bound=Document)

_UNITS: Final = {Kind.WHOLE_RUN: "GPU-hours", Kind.THROUGHPUT: "samples/s per device", Kind.OPERATOR: "ms"}


class RowDocument(Document):
    """One measured run."""

    id: Annotated[Name, Meta(description="The row's own name, or its line.")]
    line: Annotated[int, Meta(ge=2, description="Line of the file on which the row starts; the header is line 1.")]
    kind: Annotated[
        Kind,
        Meta(description="What is compared: the throughput of a step, or the GPU-hours of a whole run."),
    ]
    unit: Annotated[
        str,
        one_of(*_UNITS.values()),
        Meta(description="Unit of predicted and measured."),
    ]
    predicted_low: Annotated[Positive, Meta(description="Low end of the 80 % interval, in that unit.")]
    predicted: Annotated[
        Positive,
        Meta(description="What is predicted, in that unit; of a whole run, on the calendar."),
    ]
    predicted_high: Annotated[Positive, Meta(description="High end of the 80 % interval, in that unit.")]
    measured: Annotated[Positive, Meta(description="What was measured, in that unit.")]
    error: Annotated[float, Meta(description="ln(predicted / measured).")]
    inside: Annotated[bool, Meta(description="Whether the measurement lies in the interval.")]
    predicted_tokens_per_s_per_device: Annotated[
        Positive | None,
        Meta(description="The same prediction in tokens a second and device; null for a whole run."),
    ]
    measured_tokens_per_s_per_device: Annotated[
        Positive | None,
        Meta(description="The same measurement in tokens a second and device; null for a whole run."),
    ]
    steady_low: Annotated[
        Positive | None,
        Meta(description="Low end for the steps of a whole run alone, in GPU-hours; else null."),
    ]
    steady: Annotated[
        Positive | None,
        Meta(description="Prediction for the steps of a whole run alone, in GPU-hours; else null."),
    ]
    steady_high: Annotated[
        Positive | None,
        Meta(description="High end for the steps of a whole run alone, in GPU-hours; else null."),
    ]
    steady_error: Annotated[float | None, Meta(description="ln(steady / measured) of a whole run; else null.")]
    source: Annotated[str | None, Meta(description="The document that the row is from.")]
    model: Annotated[str | None, Meta(description="What was trained.")]
    family: Annotated[str | None, Meta(description="Kind of model.")]
    size: Annotated[str, one_of(*(name for _, name in SIZES)), Meta(description="Class of size, by parameters.")]
    accelerator: Annotated[Name, Meta(description="Name in the catalogue.")]
    generation: Annotated[Name, Meta(description="The accelerator's architecture.")]
    devices: Annotated[
        Count | None,
        Meta(description="Devices of the run, a count; null where a whole run does not say."),
    ]
    scale: Annotated[Literal["one node", "several nodes"], Meta(description="One node or several.")]
    precision: Annotated[Name, Meta(description="Precision that was taken.")]
    software: Annotated[
        Software | None,
        Meta(description="Kind of framework; null where it is not known."),
    ]
    framework: Annotated[str | None, Meta(description="The framework's name in the row.")]
    task: Annotated[str | None, Meta(description="What the run did, as the row says.")]
    layout: Annotated[
        str | None,
        Meta(description="The layout that was taken: the row's, or the fastest of those it can mean."),
    ]
    fits: Annotated[
        bool | None,
        Meta(description="False where the memory model finds that it does not fit; null for a whole run."),
    ]
    fit: Annotated[Fit | None, Meta(description=f"{FIT_DESCRIPTION} Null for a whole run.")]
    assumed: Annotated[tuple[Name, ...], Meta(description="What the row does not say, and what was taken.")]
    notes: Annotated[
        tuple[Name, ...],
        Meta(description="What is odd in the row: cells that do not agree, words that are not known."),
    ]


class SummaryDocument(Document):
    """Errors of the steps alone."""

    rows: Annotated[Count, Meta(description="Rows, a count.")]
    median_abs_ln_error: Annotated[NotNegative, Meta(description="Median of |ln(predicted / measured)|.")]
    within_10_percent: Annotated[Ratio, Meta(description="Share of rows within 10 %.")]
    within_20_percent: Annotated[Ratio, Meta(description="Share of rows within 20 %.")]
    within_25_percent: Annotated[Ratio, Meta(description="Share of rows within 25 %.")]
    within_30_percent: Annotated[Ratio, Meta(description="Share of rows within 30 %.")]
    mape: Annotated[NotNegative, Meta(description="Mean of |predicted / measured - 1|, a ratio.")]
    bias_ln: Annotated[float, Meta(description="Median of ln(predicted / measured).")]
    interval_coverage: Annotated[
        Ratio | None,
        Meta(description="Share of rows inside the 80 % interval; null without intervals."),
    ]
    interval_width: Annotated[
        Annotated[float, Meta(ge=1)] | None,
        Meta(description="Median of high / low of the interval; null without intervals."),
    ]


class GroupDocument(Document):
    """Rows that are alike in something."""

    by: Annotated[
        str,
        one_of("all", *GROUPINGS),
        Meta(description="What the rows of the group have in common; 'all' is every row."),
    ]
    group: Annotated[Name, Meta(description="What it is.")]
    sources: Annotated[Count, Meta(description="Documents that the rows are from, a count.")]
    rows: Annotated[Count, Meta(description="Rows, a count.")]
    median_abs_ln_error: Annotated[NotNegative, Meta(description="Median of |ln(predicted / measured)|.")]
    within_10_percent: Annotated[Ratio, Meta(description="Share of rows within 10 %.")]
    within_20_percent: Annotated[Ratio, Meta(description="Share of rows within 20 %.")]
    within_25_percent: Annotated[Ratio, Meta(description="Share of rows within 25 %.")]
    within_30_percent: Annotated[Ratio, Meta(description="Share of rows within 30 %.")]
    mape: Annotated[NotNegative, Meta(description="Mean of |predicted / measured - 1|, a ratio.")]
    bias_ln: Annotated[float, Meta(description="Median of ln(predicted / measured).")]
    interval_coverage: Annotated[
        Ratio | None,
        Meta(description="Share of rows inside the 80 % interval; null without intervals."),
    ]
    interval_width: Annotated[
        Annotated[float, Meta(ge=1)] | None,
        Meta(description="Median of high / low of the interval; null without intervals."),
    ]
    steady: Annotated[
        SummaryDocument | Annotated[None, Meta(description="Not whole runs.")],
        Meta(description="For whole runs, the same of the steps alone; else null."),
    ]


class SkippedDocument(Document):
    """One row."""

    id: Annotated[Name, Meta(description="The row's own name, or its line.")]
    line: Annotated[int, Meta(ge=2, description="Line of the file on which the row starts.")]
    reason: Annotated[Name, Meta(description="Why it has no prediction.")]


class BacktestDocument(Document, tag_field="schema", tag="zenplan.backtest/2"):
    """Answer of 'zenplan backtest'.

    Measured runs, and what is predicted for them; null is not known, never 0.
    """

    rows: Annotated[tuple[RowDocument, ...], Meta(description="Rows that were scored, in the order of the table.")]
    groups: Annotated[
        tuple[GroupDocument, ...],
        Meta(
            description="Scores: of all rows first, then of each group of each key. A summary of every source, averaged."
        ),
    ]
    skipped: Annotated[
        tuple[SkippedDocument, ...],
        Meta(description="Rows that have no prediction, in the order of the table."),
    ]


# What a noun has as an empty text is null in the document.
_MAY_BE_EMPTY: Final = ("source", "model", "family", "software", "framework", "task", "layout")


def backtest_document(found: Backtest) -> BacktestDocument:
    """Every row that was scored, the scores, and the rows that were not."""
    return BacktestDocument(
        rows=tuple(row_document(row) for row in found.rows),
        groups=tuple(_group(group) for group in found.groups),
        skipped=tuple(fill(SkippedDocument, row) for row in found.skipped),
    )


def row_document(row: ScoredRow) -> RowDocument:
    """A row. What its kind does not have is null."""
    tokens, steady = row.tokens_per_sample, row.steady
    return fill(
        RowDocument,
        row,
        unit=_UNITS[row.kind],
        predicted_low=row.predicted.low,
        predicted=row.predicted.mid,
        predicted_high=row.predicted.high,
        predicted_tokens_per_s_per_device=row.predicted.mid * tokens if tokens else None,
        measured_tokens_per_s_per_device=row.measured * tokens if tokens else None,
        steady_low=steady.low if steady else None,
        steady=steady.mid if steady else None,
        steady_high=steady.high if steady else None,
        **{name: getattr(row, name) or None for name in _MAY_BE_EMPTY},
    )


def _group(group: Group) -> GroupDocument:
    steady = _summary(SummaryDocument, group.steady) if group.steady else None
    return _summary(partial(fill, GroupDocument, group), group.summary, group=group.name, steady=steady)


def _summary(make: Callable[..., S], s: Summary, **own: Any) -> S:
    """What ``make`` makes of the errors of rows, and of what else it is given."""
    return make(
        rows=s.rows,
        median_abs_ln_error=s.median,
        within_10_percent=s.within_10,
        within_20_percent=s.within_20,
        within_25_percent=s.within_25,
        within_30_percent=s.within_30,
        mape=s.mape,
        bias_ln=s.bias,
        interval_coverage=s.coverage,
        interval_width=s.width,
        **own,
    )
