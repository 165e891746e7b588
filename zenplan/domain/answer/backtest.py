"""Backtest: measured runs beside what is predicted for them, and how far the two are apart, by group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, median
from typing import Final

from zenplan.domain import checks
from zenplan.domain.answer.fit import Fit
from zenplan.domain.range import Range


class Kind(StrEnum):
    """What a row measures."""

    THROUGHPUT = "throughput"  # samples a second and device
    WHOLE_RUN = "whole run"  # hours of all devices together
    OPERATOR = "operator"  # milliseconds of one pass of an operator


# What rows can be grouped by: fields of ``ScoredRow``.
GROUPINGS: Final = (
    "source",
    "accelerator",
    "generation",
    "precision",
    "family",
    "model",
    "size",
    "software",
    "framework",
    "task",
    "scale",
)
SIZES: Final = ((1e9, "up to 1B"), (20e9, "1B to 20B"), (math.inf, "above 20B"))
# A row on the edge counts as within, also where the last bit of its logarithm says otherwise.
_EDGE = 1e-9


def size_of(parameters: float) -> str:
    """The class of size of a model, by its parameters."""
    return next(name for most, name in SIZES if parameters <= most)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRow:
    """A measured run of a table, and its prediction.

    Attributes:
        id, line: of the row; the line is that of the file.
        kind: what ``predicted`` and ``measured`` are: samples a second and device, GPU-hours, or milliseconds.
        source: the document that the row is from.
        family: of the model; of an operator, which one it is. task: what was trained for; of an operator, the pass.
        generation: the accelerator's architecture.
        software: the kind of framework, ``framework`` its name.
        scale: one node or several. size: the model's class.
        devices: of the run; None where a whole run does not say.
        predicted: with the 80 % interval; of a whole run, on the calendar.
        steady: GPU-hours of the steps of a whole run alone.
        unit: what a throughput row counts: ``tokens``, ``images``, ``samples``.
        tokens_per_sample: of a throughput row that counts parts of samples (tokens).
        layout: the one that was taken; empty for a whole run, whose facts say it.
        fit: whether the memory model finds that it fits; None where it was not asked.
        assumed: what the row does not say, and what was taken. notes: what is odd in the row.
    """

    id: str
    line: int
    kind: Kind
    source: str
    model: str
    family: str
    size: str
    accelerator: str
    generation: str
    precision: str
    software: str
    framework: str
    task: str
    scale: str
    devices: int | None
    predicted: Range
    measured: float
    steady: Range | None = None
    unit: str = ""
    tokens_per_sample: int | None = None
    layout: str = ""
    fit: Fit | None = None
    assumed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checks.positive(
            f"row of line {self.line}", measured=self.measured, low=self.predicted.low, high=self.predicted.high
        )

    @property
    def fits(self) -> bool | None:
        """Whether it is not found to be impossible; None where it was not asked."""
        return None if self.fit is None else self.fit is not Fit.NO

    @property
    def error(self) -> float:
        """ln(predicted / measured): 0 is right, above 0 is too much."""
        return math.log(self.predicted.mid / self.measured)

    @property
    def steady_error(self) -> float | None:
        """The same for the steps of a whole run alone."""
        return math.log(self.steady.mid / self.measured) if self.steady else None

    @property
    def inside(self) -> bool:
        """Whether the measurement lies in the interval."""
        return self.predicted.low <= self.measured <= self.predicted.high

    @property
    def width(self) -> float:
        """How wide the interval is: high / low."""
        return self.predicted.high / self.predicted.low


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedRow:
    """A row that has no prediction, and why."""

    id: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Errors of several rows; with e = ln(predicted / measured).

    Attributes:
        median: of |e|. bias: the median of e.
        mape: mean of |predicted / measured - 1|.
        within_10, within_20, within_25, within_30: shares of rows with |predicted / measured - 1| of so many percent.
        coverage: share of rows whose measurement lies in the 80 % interval; None without intervals.
        width: median of high / low of the interval; None without.
    """

    rows: int
    median: float
    within_10: float
    within_20: float
    within_25: float
    within_30: float
    mape: float
    bias: float
    coverage: float | None = None
    width: float | None = None

    @classmethod
    def of(cls, errors: Sequence[float], inside: Sequence[bool] = (), widths: Sequence[float] = ()) -> Summary:
        """The summary of rows that weigh the same.

        Args:
            errors: ln(predicted / measured), at least one.
            inside: whether each measurement lies in its interval; empty where there are no intervals.
            widths: high / low of each interval; empty as well.
        """
        off = [abs(math.expm1(e)) for e in errors]
        shares = {f"within_{p}": fmean(x <= p / 100 + _EDGE for x in off) for p in (10, 20, 25, 30)}
        return cls(
            rows=len(errors),
            median=median(abs(e) for e in errors),
            bias=median(errors),
            mape=fmean(off),
            **shares,
            coverage=fmean(inside) if inside else None,
            width=median(widths) if widths else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rows that are alike in something, and their errors: a summary of each source, averaged.

    Attributes:
        by: what they are alike in, one of ``GROUPINGS``; ``all`` for every row.
        name: what they have in common.
        sources: how many documents they are from.
        steady: of whole runs, errors of the steps alone.
    """

    by: str
    name: str
    sources: int
    summary: Summary
    steady: Summary | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """What ``zenplan backtest`` found.

    Attributes:
        rows, skipped: in the order of the table; each row of it is in one of them. An operator has a row for each
            pass that was measured.
        groups: the first is that of all rows, if any was scored; then group by group of each key.
    """

    table: str
    rows: tuple[ScoredRow, ...]
    skipped: tuple[SkippedRow, ...]
    groups: tuple[Group, ...]

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What the rows that were scored measure: one kind, several, or none."""
        return tuple(kind for kind in Kind if any(row.kind is kind for row in self.rows))
