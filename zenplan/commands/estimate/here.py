"""What a run takes on this machine's own processor, as a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from zenplan import units
from zenplan.domain.answer.answer import Answer
from zenplan.domain.range import Range
from zenplan.domain.report import Column, Table

if TYPE_CHECKING:
    from zenplan.domain.measured.step import LocalStep


def here_table(answer: Answer) -> tuple[Table, ...]:
    """A row for each way in which it was calibrated here; no table where it never was."""
    if not answer.here:
        return ()
    unit = answer.plan.workload.unit
    columns = (
        Column(name="with"),
        Column(name="step", numeric=True),
        Column(name=f"{unit}/s", numeric=True),
        Column(name="whole run", numeric=True),
        Column(name="evidence"),
    )
    device = answer.here[0].calibration.fingerprint.device
    tokens = answer.plan.workload.tokens_per_sample
    return (
        Table(
            title=f"On this machine: {device}",
            columns=columns,
            rows=tuple(_row(s, tokens) for s in answer.here),
            caption="steps alone, one after another; no data sheet tells what other processors take",
        ),
    )


def _row(step: LocalStep, tokens_per_sample: int) -> tuple[str, ...]:
    mark = step.calibration.fingerprint
    threads = f"{mark.threads} thread{'s' * (mark.threads > 1)}"
    return (
        f"{mark.backend}, {'compiled' if mark.compiled else 'eager'}\n{mark.precision}, {threads}",
        f"{_span(step.prediction.step_s, units.duration)}\nbatch {step.batch:,}",
        _span(step.samples_per_s * tokens_per_sample, units.count),
        _span(step.run_s, units.duration),
        _evidence(step),
    )


def _span(value: Range, show: Callable[[float], str]) -> str:
    return f"{show(value.mid)}\n{units.span(show(value.low), show(value.high))}"


def _evidence(step: LocalStep) -> str:
    where = "measured" if step.origin else "measured here"
    what = "" if step.calibration.target else "by a sweep of other models"
    parts = (f"{where} on {step.calibration.taken_at.date().isoformat()}", what, step.origin, *step.changed)
    return "\n".join(part for part in parts if part)
