"""Backtest: a table of measured runs, each predicted as if it had not been measured, and how far off that is."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from zenplan.adapters.runs.rows import measured_operator, measured_run, measured_whole_run
from zenplan.adapters.runs.table import TableRow, open_runs
from zenplan.backtesting.operators import PredictedOperator, predicted_operator
from zenplan.backtesting.runs import Run, measured_tokens_per_s, predicted_speeds, runs
from zenplan.backtesting.whole_runs import PredictedWholeRun, known_software, whole_runs
from zenplan.backtesting.workload import check_parameters, check_speed, odd_experts, too_slow
from zenplan.domain.answer.backtest import GROUPINGS, Backtest, Kind, ScoredRow, SkippedRow, size_of
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.measured.run import UNNAMED, MeasuredOperator, MeasuredRun
from zenplan.domain.provenance import Origin
from zenplan.domain.range import Range
from zenplan.domain.training.layout import Layout
from zenplan.errors import Skipped, UnknownName, ZenplanError
from zenplan.planning.explain.scores import groups_of
from zenplan.planning.physics.interval import spread_of

# Rows that are predicted together: enough of one model for numpy, few enough for any memory.
_CHUNK = 4_000

Scored = ScoredRow | SkippedRow
T = TypeVar("T")


def backtest(
    path: Path,
    catalogue: Catalogue,
    coefficients: Coefficients,
    by: Sequence[str] = (),
    progress: Callable[[float], None] = lambda share: None,
) -> Backtest:
    """Score the table in that file.

    Args:
        path: a CSV file of measured runs; of whole runs if it has a column ``gpu_hours``, of operators if ``op``.
        catalogue: the accelerators that rows may name.
        coefficients: of the step-time model.
        by: what to group by, of ``domain.answer.backtest.GROUPINGS``.
        progress: called now and then with the share of the file that is done.

    Raises:
        InputFileError: the file cannot be used.
    """
    scored: list[ScoredRow] = []
    skipped: list[SkippedRow] = []
    with open_runs(path) as table:
        for chunk in _chunks(table.rows):
            for each in _score(chunk, catalogue, coefficients):
                if isinstance(each, ScoredRow):
                    scored.append(each)
                else:
                    skipped.append(each)
            progress(table.share_read())
    return Backtest(table=str(path), rows=tuple(scored), skipped=tuple(skipped), groups=groups_of(scored, by))


def keys_of(text: str) -> list[str]:
    """What to group by, each once: keys with commas between them. Raises UnknownName: there is no such key."""
    keys = list(dict.fromkeys(word.strip().lower() for word in text.split(",") if word.strip()))
    for key in keys:
        if key not in GROUPINGS:
            raise UnknownName("key of --by", key, GROUPINGS)
    return keys


def check_scored(found: Backtest) -> None:
    """Raises ZenplanError: no row of the table could be scored."""
    if not found.rows:
        first = found.skipped[0]
        raise ZenplanError(f"no row of {found.table} could be scored", f"line {first.line}: {first.reason}")


def _chunks(rows: Iterator[TableRow]) -> Iterator[list[TableRow]]:
    while chunk := list(itertools.islice(rows, _CHUNK)):
        yield chunk


def _score(rows: Sequence[TableRow], catalogue: Catalogue, coefficients: Coefficients) -> Iterator[Scored]:
    """Rows of any kind, in their order."""
    of_kind = {kind: [row for row in rows if row.kind is kind] for kind in Kind}
    found = {
        Kind.WHOLE_RUN: ((row,) for row in score_whole_runs(of_kind[Kind.WHOLE_RUN], catalogue, coefficients)),
        Kind.THROUGHPUT: ((row,) for row in score_runs(of_kind[Kind.THROUGHPUT], catalogue, coefficients)),
        Kind.OPERATOR: iter(score_operators(of_kind[Kind.OPERATOR], catalogue, coefficients)),
    }
    return itertools.chain.from_iterable(next(found[row.kind]) for row in rows)


def score_runs(rows: Iterable[TableRow], catalogue: Catalogue, coefficients: Coefficients) -> list[Scored]:
    """Rows of throughput, each with its prediction or the reason why it has none; in their order."""
    found, usable = _usable(rows, lambda row: measured_run(row.cells, catalogue))
    made: list[tuple[int, TableRow, MeasuredRun, Run]] = []
    # Rows that differ in their measurement alone are one run.
    asked = [measured.without_measurement() for _, _, measured in usable]
    measured_of = {question: measured for question, (*_, measured) in zip(asked, usable, strict=True)}
    outcomes = dict(zip(measured_of, runs(measured_of.values(), coefficients), strict=True))
    for question, (index, row, measured) in zip(asked, usable, strict=True):
        outcome = outcomes[question]
        reason = _implausible(measured, outcome) if isinstance(outcome, Run) else outcome.message
        if isinstance(outcome, Run) and not reason:
            made.append((index, row, measured, outcome))
        else:
            found[index] = _skipped(row, reason)
    different = list({id(run): run for *_, run in made}.values())
    predicted = dict(zip(map(id, different), predicted_speeds(different), strict=True))
    for index, row, measured, run in made:
        found[index] = _scored(row, measured, run, *predicted[id(run)])
    return [found[index] for index in sorted(found)]


def _implausible(measured: MeasuredRun, run: Run) -> str:
    """Why the row cannot have been; else empty."""
    load = run.plan.workload
    try:
        check_parameters(measured, load)
        samples_per_s = measured_tokens_per_s(measured, load.tokens_per_sample) / load.tokens_per_sample
        check_speed(load, samples_per_s, run.cluster.accelerator, run.plan.precision)
    except Skipped as error:
        return error.message
    return ""


def _usable(
    rows: Iterable[TableRow], read: Callable[[TableRow], T]
) -> tuple[dict[int, Scored], list[tuple[int, TableRow, T]]]:
    """By their index: the rows that cannot be read, and those that can with what was read."""
    skipped: dict[int, Scored] = {}
    usable: list[tuple[int, TableRow, T]] = []
    for index, row in enumerate(rows):
        if row.problem:
            skipped[index] = _skipped(row, row.problem)
            continue
        try:
            usable.append((index, row, read(row)))
        except ZenplanError as error:
            skipped[index] = _skipped(row, error.message)
    return skipped, usable


def _skipped(row: TableRow, reason: str) -> SkippedRow:
    return SkippedRow(id=row.id, line=row.line, reason=reason)


def _range(run: Run, speed: float) -> Range:
    """The 80 % interval of a speed. The longest time is the lowest speed."""
    time = spread_of(run.plan, run.cluster, layout_known=not run.guessed)
    return Range(low=speed / time.high, mid=speed, high=speed / time.low)


def score_operators(
    rows: Iterable[TableRow], catalogue: Catalogue, coefficients: Coefficients
) -> list[Sequence[Scored]]:
    """Rows of operators, each with its passes and their predictions, or the reason why it has none; in their order."""
    skipped, usable = _usable(rows, lambda row: measured_operator(row.cells, catalogue))
    found: dict[int, Sequence[Scored]] = {index: (row,) for index, row in skipped.items()}
    for index, row, measured in usable:
        try:
            found[index] = _scored_passes(row, measured, predicted_operator(measured, coefficients))
        except ZenplanError as error:
            found[index] = (_skipped(row, error.message),)
    return [found[index] for index in sorted(found)]


def _scored_passes(row: TableRow, measured: MeasuredOperator, found: PredictedOperator) -> Sequence[ScoredRow]:
    plan, accelerator = found.plan, measured.accelerator
    spread = spread_of(plan, found.cluster)
    return [
        ScoredRow(
            id=row.id,
            line=row.line,
            kind=Kind.OPERATOR,
            source=measured.source,
            model="",
            family=measured.written_kind,
            size=size_of(plan.workload.parameters),
            accelerator=accelerator.name,
            generation=accelerator.architecture,
            precision=measured.written_precision,
            software="",
            framework="",
            task=each.name,
            scale="one node",
            devices=1,
            predicted=Range(
                low=each.predicted_ms * spread.low, mid=each.predicted_ms, high=each.predicted_ms * spread.high
            ),
            measured=each.measured_ms,
            assumed=found.assumed,
        )
        for each in found.passes
    ]


def _scored(row: TableRow, measured: MeasuredRun, run: Run, layout: Layout, speed: float) -> Scored:
    """The row beside its prediction, of which both are samples a second and device; skipped if they are worlds apart."""
    plan, accelerator = run.plan, run.cluster.accelerator
    odd, length = odd_experts(measured.ep or 1, plan.workload), plan.workload.tokens_per_sample
    samples_per_s = measured_tokens_per_s(measured, length) / length
    if reason := too_slow(speed, samples_per_s):
        return _skipped(row, reason)
    return ScoredRow(
        id=row.id,
        line=row.line,
        kind=Kind.THROUGHPUT,
        source=measured.source,
        model="" if measured.model == UNNAMED else measured.model,
        family=measured.family,
        size=size_of(plan.workload.parameters),
        accelerator=accelerator.name,
        generation=accelerator.architecture,
        precision=plan.precision.name,
        software=str(plan.software or ""),
        framework=measured.framework,
        task=measured.written_task.lower(),
        scale="one node" if run.cluster.nodes == 1 else "several nodes",
        devices=run.cluster.devices,
        predicted=_range(run, speed),
        measured=samples_per_s,
        unit=plan.workload.unit,
        tokens_per_sample=length if length > 1 or plan.workload.unit == "tokens" else None,
        layout=str(layout),
        fit=run.fit,
        assumed=(*measured.assumed, *run.assumed),
        notes=(*measured.notes, *([odd] if odd else [])),
    )


def score_whole_runs(rows: Iterable[TableRow], catalogue: Catalogue, coefficients: Coefficients) -> list[Scored]:
    """Rows of GPU-hours, each with its prediction or the reason why it has none; in their order."""
    found, usable = _usable(rows, lambda row: measured_whole_run(row.cells, catalogue))
    outcomes = whole_runs((measured for *_, measured in usable), coefficients)
    for (index, row, _), outcome in zip(usable, outcomes, strict=True):
        if isinstance(outcome, PredictedWholeRun):
            found[index] = _scored_whole(row, outcome)
        else:
            found[index] = _skipped(row, outcome.message)
    return [found[index] for index in sorted(found)]


def _scored_whole(row: TableRow, run: PredictedWholeRun) -> ScoredRow:
    measured, accelerator = run.measured, run.measured.accelerator
    return ScoredRow(
        id=row.id,
        line=row.line,
        kind=Kind.WHOLE_RUN,
        source=measured.source,
        model=measured.model,
        family=measured.written_family,
        size=size_of(measured.params),
        accelerator=accelerator.name,
        generation=accelerator.architecture,
        precision=measured.precision.name,
        software=str(known_software(measured) or ""),
        framework=measured.framework,
        task=measured.written_task.lower(),
        scale="one node" if run.devices <= accelerator.node_devices else "several nodes",
        devices=measured.devices,
        predicted=run.calendar_gpu_hours,
        measured=run.measured_gpu_hours,
        steady=run.steady_gpu_hours,
        layout=str(run.layout),
        assumed=(
            *measured.assumed,
            *(f"{f.name}: {f.value}{f', {f.why}' if f.why else ''}" for f in run.facts if f.origin is Origin.ASSUMED),
        ),
    )
