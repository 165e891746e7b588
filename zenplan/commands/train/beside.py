"""Predicted beside actual, by part: what is shown at the end of a run, in its card, and of runs that are over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from zenplan import units
from zenplan.domain.measured.training_run import FINISHED, REHEARSED, RunPrediction, RunResult
from zenplan.domain.range import Range
from zenplan.domain.report import Column
from zenplan.domain.training.several import in_words

# What can be compared of a run that is not finished, too.
_OF_ANY = ("a step", "setting up", "rehearsal", "peak memory")
_COLUMNS = (
    Column(name="part"),
    Column(name="predicted", numeric=True),
    Column(name="80 % range"),
    Column(name="actual", numeric=True),
    Column(name="difference", numeric=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A figure that was predicted, beside what came of it.

    Attributes:
        name: of the part; unit: the suffix of its figures.
        predicted: None where nothing was; actual: None where nobody measured it.
        whole: whether the actual is of all that was predicted, not of a run that is not finished.
        known: whether it had passed, and was measured, when the prediction was made: it says nothing of how good that is.
    """

    name: str
    unit: str
    predicted: Range | None
    actual: float | None
    whole: bool = True
    known: bool = False

    @property
    def ratio(self) -> float | None:
        """Actual over predicted."""
        if not self.whole or self.known or self.predicted is None or not self.predicted.mid or self.actual is None:
            return None
        return self.actual / self.predicted.mid

    @property
    def inside(self) -> bool | None:
        """Whether it came out within the range; None where one of the two is not known, or the range is a point."""
        if not self.whole or self.predicted is None or self.actual is None or self.predicted.low == self.predicted.high:
            return None
        return self.predicted.low <= self.actual <= self.predicted.high

    def cells(self) -> tuple[str, str, str, str, str]:
        """The row for people: name, predicted, its range, actual, difference."""
        predicted, low, high, actual = self.shown()
        off = "known before" if self.known else "" if self.ratio is None else f"{100.0 * (self.ratio - 1.0):+.1f} %"
        mark = {True: "", False: ", outside", None: ""}[self.inside]
        return self.name, predicted or "–", units.span(low, high), actual or "–", f"{off}{mark}"

    def shown(self) -> tuple[str, str, str, str]:
        """Middle, low and high of what was predicted, and the actual; empty where one is not known, or is a point."""
        known, ends = self.predicted, self.predicted is not None and self.predicted.low != self.predicted.high
        values = (
            known.mid if known else None,
            known.low if known and ends else None,
            known.high if known and ends else None,
            self.actual,
        )
        given = [value for value in values if value is not None]
        texts = iter(units.usd_apart(*given) if self.unit == "usd" else map(SHOWN[self.unit], given))
        mid, low, high, actual = ("" if value is None else next(texts) for value in values)
        return mid, low, high, actual


def energy(joules: float) -> str:
    """Joules for people."""
    kwh = joules / units.KWH_J
    return f"{units.significant(kwh)} kWh" if joules >= 0.01 * units.KWH_J else f"{units.significant(joules / 1e3)} kJ"


SHOWN: dict[str, Callable[[float], str]] = {
    "s": units.duration,
    "usd": units.usd,
    "bytes": units.size,
    "j": energy,
}


def _point(value: float | None) -> Range | None:
    return None if value is None else Range.exactly(value)


def _unknown_before(known: RunPrediction | None, total_s: float) -> tuple[Row, ...]:
    """The time without what had passed when it was predicted: by it a prediction is judged."""
    if known is None or not known.known_s or known.unknown_s is None:
        return ()
    actual = max(0.0, total_s - known.known_s)
    return (Row(name="time, unknown before", unit="s", predicted=known.unknown_s, actual=actual),)


def of_others(result: RunResult) -> str:
    """That the prediction is for other workers than the run was gone on with, in a line; empty where it is not."""
    known, status = result.prediction, result.status
    if known is None or not known.is_of_others(status):
        return ""
    then, now = in_words(known.workers or 1, known.devices or 1), in_words(status.workers, status.devices)
    return f"It was predicted for {then} and went on with {now}: the prediction is not of all of this run."


def as_a_whole(result: RunResult) -> str:
    """Whether the whole run came out in its ranges, in a line; empty where it had none."""
    found = {row.name: row for row in rows(result)}
    parts = []
    for name in ("time", "a step"):
        row = found.get(name)
        if row is not None and row.inside is not None:
            _, low, high, actual = row.shown()
            where = "inside" if row.inside else "outside"
            parts.append(f"{name} {actual}, {where} the predicted {units.span(low, high)}")
    return f"As a whole: {'; '.join(parts)}." if parts else ""


def columns_of(result: RunResult) -> tuple[tuple[Column, ...], tuple[tuple[str, ...], ...]]:
    """The rows as a table: columns, and cells of rows; without those of a prediction where nothing was predicted."""
    found = rows(result)
    kept = range(len(_COLUMNS)) if any(row.predicted is not None for row in found) else (0, 3)
    return tuple(_COLUMNS[n] for n in kept), tuple(tuple(row.cells()[n] for n in kept) for row in found)


def rows(result: RunResult) -> tuple[Row, ...]:
    """The figures of a run by part, the whole first."""
    known, status = result.prediction, result.status
    spent = status.spent
    # Of a run that was resumed, what was known before is not all that its parts took.
    over = known is not None and known.origin == REHEARSED and status.starts == 1
    found = [
        Row(name="time", unit="s", predicted=known.run_s if known else None, actual=spent.total_s),
        *_unknown_before(known, spent.total_s),
        Row(name="a step", unit="s", predicted=known.step_s if known else None, actual=result.step_s),
        Row(name="steps", unit="s", predicted=known.steps_s if known else None, actual=spent.steps_s),
        Row(
            name="evaluation",
            unit="s",
            predicted=_point(known.evaluation_s) if known else None,
            actual=spent.evaluation_s,
        ),
        Row(
            name="checkpoints",
            unit="s",
            predicted=_point(known.checkpoints_s) if known else None,
            actual=spent.checkpoint_s,
        ),
        Row(
            name="setting up",
            unit="s",
            predicted=_point(known.setup_s) if known else None,
            actual=spent.setup_s,
            known=over,
        ),
        Row(
            name="rehearsal",
            unit="s",
            predicted=_point(known.rehearsal_s) if known else None,
            actual=spent.rehearsal_s,
            known=over,
        ),
        Row(name="all else", unit="s", predicted=_point(known.ending_s) if known else None, actual=spent.other_s),
        Row(name="dollars", unit="usd", predicted=known.usd if known else None, actual=status.usd),
        Row(
            name="peak memory",
            unit="bytes",
            predicted=_point(known.memory_bytes) if known else None,
            actual=result.peak_bytes,
        ),
        Row(name="energy", unit="j", predicted=known.energy_j if known else None, actual=status.energy_j),
    ]
    done = status.state == FINISHED
    known_rows = (row for row in found if row.predicted is not None or row.actual is not None)
    return tuple(replace(row, whole=done or row.name in _OF_ANY) for row in known_rows)
