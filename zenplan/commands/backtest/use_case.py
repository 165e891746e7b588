"""Backtest: a table of measured runs, each predicted as if it had not been measured, and how far off that is."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from zenplan.adapters.runs.accelerator import accelerator_of
from zenplan.adapters.runs.columns import MEASURED, UNNAMED, RunCells, run_cells
from zenplan.adapters.runs.table import TableRow, open_runs
from zenplan.adapters.runs.words import known, number, tokens
from zenplan.backtesting.operators import MeasuredOperator, measured_operator
from zenplan.backtesting.plausible import check_parameters, check_speed, odd_experts, too_slow
from zenplan.backtesting.runs import Run, alike, measured, runs
from zenplan.backtesting.whole_runs import WholeRun, whole_runs
from zenplan.domain.answer.backtest import GROUPINGS, Backtest, Kind, ScoredRow, SkippedRow, size_of
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.provenance import Origin
from zenplan.domain.range import Range
from zenplan.domain.training.layout import Layout
from zenplan.errors import DataError, Skipped, UnknownName, ZenplanError
from zenplan.planning.explain.scores import groups_of
from zenplan.planning.physics.interval import spread_of
from zenplan.planning.physics.throughput import fastest

# Rows that are predicted together: enough of one model for numpy, few enough for any memory.
_CHUNK = 500
# Cells that no prediction is made from.
_ANSWERS = ("id", "source", *MEASURED)

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
        Kind.OPERATOR: score_operators(of_kind[Kind.OPERATOR], catalogue, coefficients),
    }
    return itertools.chain.from_iterable(next(found[row.kind]) for row in rows)


def score_runs(rows: Iterable[TableRow], catalogue: Catalogue, coefficients: Coefficients) -> list[Scored]:
    """Rows of throughput, each with its prediction or the reason why it has none; in their order."""
    found, usable = _usable(rows, lambda cells: run_cells(cells, catalogue))
    made: list[tuple[int, TableRow, RunCells, Run]] = []
    # Rows that differ in their measurement alone are one run.
    alike = {_question(cells.row): cells.row for _, _, cells in usable}
    outcomes = dict(zip(alike, runs(list(alike.values()), catalogue, coefficients), strict=True))
    for place, row, cells in usable:
        outcome = outcomes[_question(cells.row)]
        reason = _implausible(cells.row, outcome) if isinstance(outcome, Run) else outcome[1]
        if isinstance(outcome, Run) and not reason:
            made.append((place, row, cells, outcome))
        else:
            found[place] = _skipped(row, reason)
    asked = list({id(run): run for *_, run in made}.values())
    predicted = dict(zip(map(id, asked), _predicted(asked), strict=True))
    for place, row, cells, run in made:
        found[place] = _scored(row, cells, run, *predicted[id(run)])
    return [found[place] for place in sorted(found)]


def _question(row: Mapping[str, str]) -> Hashable:
    """What is predicted from: all but who says it, and what was measured."""
    return tuple(text for name, text in row.items() if name not in _ANSWERS)


def _implausible(row: Mapping[str, str], run: Run) -> str:
    """Why the row cannot have been; else empty."""
    load = run.plan.workload
    try:
        check_parameters(row, load)
        samples_per_s = measured(row, load.tokens_per_sample) / load.tokens_per_sample
        check_speed(load, samples_per_s, run.cluster.accelerator, run.plan.precision)
    except Skipped as error:
        return error.message
    return ""


def _usable(
    rows: Iterable[TableRow], read: Callable[[Mapping[str, str]], T]
) -> tuple[dict[int, Scored], list[tuple[int, TableRow, T]]]:
    """By their places: the rows that cannot be read, and those that can with what was read."""
    skipped: dict[int, Scored] = {}
    usable: list[tuple[int, TableRow, T]] = []
    for place, row in enumerate(rows):
        try:
            if row.problem:
                raise DataError(row.problem)
            usable.append((place, row, read(row.cells)))
        except ZenplanError as error:
            skipped[place] = _skipped(row, error.message)
    return skipped, usable


def _skipped(row: TableRow, reason: str) -> SkippedRow:
    return SkippedRow(id=row.id, line=row.line, reason=reason)


def _predicted(made: Sequence[Run]) -> list[tuple[Layout, float]]:
    """The layout and the speed of each run; runs of one model in one arithmetic are evaluated together."""
    found: dict[int, tuple[Layout, float]] = {}
    for places in alike(made):
        together = [made[p] for p in places]
        speeds = fastest(together[0].plan, [r.cluster for r in together], [r.layouts for r in together])
        found.update(zip(places, speeds, strict=True))
    return [found[place] for place in range(len(made))]


def _range(run: Run, speed: float) -> Range:
    """The 80 % interval of a speed. The longest time is the lowest speed."""
    time = spread_of(run.plan, run.cluster, layout_known=not run.guessed)
    return Range(low=speed / time.high, mid=speed, high=speed / time.low)


def score_operators(
    rows: Iterable[TableRow], catalogue: Catalogue, coefficients: Coefficients
) -> Iterator[Sequence[Scored]]:
    """Rows of operators, each with its passes and their predictions, or the reason why it has none; in their order."""
    for row in rows:
        try:
            if row.problem:
                raise DataError(row.problem)
            yield _scored_passes(row, measured_operator(row.cells, catalogue, coefficients))
        except ZenplanError as error:
            yield (_skipped(row, error.message),)


def _scored_passes(row: TableRow, found: MeasuredOperator) -> Sequence[ScoredRow]:
    plan, sheet = found.plan, found.cluster.accelerator
    spread = spread_of(plan, found.cluster)
    return [
        ScoredRow(
            id=row.id,
            line=row.line,
            kind=Kind.OPERATOR,
            source=known("source", row.cells.get("source", "")),
            model="",
            family=row.cells["op"],
            size=size_of(plan.workload.parameters),
            accelerator=sheet.name,
            generation=sheet.architecture,
            precision=known("precision", row.cells.get("precision", "")),
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


def _scored(row: TableRow, cells: RunCells, run: Run, layout: Layout, speed: float) -> Scored:
    """The row beside its prediction, of which both are samples a second and device; skipped if they are worlds apart."""
    text, plan, sheet = cells.row, run.plan, run.cluster.accelerator
    odd, length = odd_experts(int(text["ep"] or 1), plan.workload), plan.workload.tokens_per_sample
    samples_per_s = measured(text, length) / length
    if reason := too_slow(speed, samples_per_s):
        return _skipped(row, reason)
    return ScoredRow(
        id=row.id,
        line=row.line,
        kind=Kind.THROUGHPUT,
        source=text["source"],
        model="" if text["model"] == UNNAMED else text["model"],
        family=text["family"],
        size=size_of(plan.workload.parameters),
        accelerator=sheet.name,
        generation=sheet.architecture,
        precision=plan.precision.name,
        software=str(plan.software or ""),
        framework=text["framework"],
        task=known("task", row.cells.get("task", "")).lower(),
        scale="one node" if run.cluster.nodes == 1 else "several nodes",
        devices=run.cluster.devices,
        predicted=_range(run, speed),
        measured=samples_per_s,
        unit=plan.workload.unit,
        tokens_per_sample=length if length > 1 or plan.workload.unit == "tokens" else None,
        layout=str(layout),
        fits=run.fits,
        assumed=(*cells.assumed, *run.assumed),
        notes=(*cells.notes, *([odd] if odd else [])),
    )


def score_whole_runs(rows: Iterable[TableRow], catalogue: Catalogue, coefficients: Coefficients) -> list[Scored]:
    """Rows of GPU-hours, each with its prediction or the reason why it has none; in their order."""
    found, usable = _usable(rows, lambda cells: accelerator_of(cells, catalogue))
    named = [{**row.cells, "accelerator": sheet.name} for _, row, (sheet, _) in usable]
    outcomes = whole_runs(named, catalogue, coefficients)
    for (place, row, (sheet, assumed)), outcome in zip(usable, outcomes, strict=True):
        if isinstance(outcome, WholeRun):
            found[place] = _scored_whole(row, outcome, sheet, assumed)
        else:
            found[place] = _skipped(row, outcome[1])
    return [found[place] for place in sorted(found)]


def _scored_whole(row: TableRow, run: WholeRun, sheet: Accelerator, assumed: tuple[str, ...]) -> ScoredRow:
    cells = row.cells
    facts = {fact.name: fact.value for fact in run.facts}

    software = next((f.value for f in run.facts if f.name == "software" and f.origin is Origin.PUBLISHED), "")

    def says(column: str) -> str:
        return known(column, cells.get(column, ""))

    return ScoredRow(
        id=row.id,
        line=row.line,
        kind=Kind.WHOLE_RUN,
        source=says("source"),
        model=says("model"),
        family=says("arch") or says("family"),
        size=size_of(number("params", cells["params"])),
        accelerator=sheet.name,
        generation=sheet.architecture,
        precision=facts["precision"],
        software=software,
        framework=says("framework"),
        task=says("task").lower(),
        scale="one node" if run.devices <= sheet.node_devices else "several nodes",
        devices=run.devices if run.devices_known else None,
        predicted=run.calendar_gpu_hours,
        measured=run.measured_gpu_hours,
        steady=run.steady_gpu_hours,
        layout=facts["layout"],
        assumed=(
            *assumed,
            *filter(None, [tokens(says("seq_len"))[1]]),
            *(f"{f.name}: {f.value}{f', {f.why}' if f.why else ''}" for f in run.facts if f.origin is Origin.ASSUMED),
        ),
    )
