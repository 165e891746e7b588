"""``zenplan train``: what a run came to beside what was predicted; and what is predicted of one, before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zenplan import units
from zenplan.adapters.picture.curve import smooth
from zenplan.adapters.run_folder.exports import read_exports
from zenplan.adapters.run_folder.folder import CARD, CURVE_SVG, METRICS
from zenplan.adapters.run_folder.lines import read_metrics
from zenplan.commands.layouts.report import Point, drawn
from zenplan.commands.train.beside import as_a_whole, columns_of, energy, of_others
from zenplan.commands.train.judged import doubt_of, warnings
from zenplan.domain.measured.export import Export
from zenplan.domain.measured.training_run import FINISHED, RunPrediction, RunResult
from zenplan.domain.range import Range
from zenplan.domain.report import Column, Report, Table

_LETTERS = 60
# Titles of the table of what a run took: with a prediction, and without.
BESIDE, TAKEN = "predicted and actual", "what it took"
_WHY = {
    "finished": "",
    "until_loss": ", the validation loss that was asked for is reached",
    "patience": ", the validation loss gets no better",
    "max_usd": " before it costs more than was allowed",
    "max_hours": " before it takes longer than was allowed",
    "zenplan stop": " by 'zenplan stop'",
    "sigint": " by Ctrl-C",
    "sigterm": " by SIGTERM",
    "terminated": " by SIGTERM",
    "preempted": ": the cloud takes the machine away",
    "behind": ", other trials of the search are better",
    "diverged": ": the loss is no number any more",
}


def train_report(result: RunResult, folder: Path, more: Sequence[str] = ()) -> Report:
    """What came out.

    Args:
        result: of the run; folder: that it is in.
        more: lines for people, below all.
    """
    return Report(
        make_document=lambda: _document(result, folder),
        make_records=lambda: [run_record(result)],
        verdict=_verdict(result),
        tables=(*_curve(folder), *_metrics(result), beside_table(result)),
        notes=(*_notes(result, folder), *more),
    )


def _document(result: RunResult, folder: Path) -> Any:
    from zenplan.commands.train.document import run_document

    return run_document(result, str(folder), read_exports(folder))


def exported(each: Export) -> str:
    """An export of a run, in a line."""
    return f"Exported on {each.made_at:%Y-%m-%d}: {each.name}, {units.size(each.bytes or 0)}, {each.path}."


def run_record(result: RunResult) -> Mapping[str, Any]:
    """A run as a row."""
    status, known = result.status, result.prediction
    return {
        "id": status.id,
        "name": status.name,
        "backend": status.backend,
        "device": status.device,
        "workers": status.workers,
        "devices": status.devices,
        "state": status.state,
        "reason": status.reason,
        "step": status.step,
        "steps": status.steps,
        "total_s": status.spent.total_s,
        "predicted_s": known.run_s.mid if known and known.run_s else None,
        "step_s": result.step_s,
        "predicted_step_s": known.step_s.mid if known and known.step_s else None,
        "usd": status.usd,
        "predicted_usd": known.usd.mid if known and known.usd else None,
        "peak_bytes": result.peak_bytes,
        "predicted_bytes": known.memory_bytes if known else None,
        "energy_j": status.energy_j,
        "last_loss": result.last_loss,
        "validation_loss": result.metrics.get("validation", {}).get("loss"),
        "test_loss": result.metrics.get("test", {}).get("loss"),
    }


def _verdict(result: RunResult) -> str:
    status = result.status
    worse = f", no better than a guess in {' and '.join(result.no_better)}" if result.no_better else ""
    together = f", {status.together}" if status.together else ""
    where = f"{status.name} on {status.backend}{together}: {status.state}{_WHY.get(status.reason, '')}{worse}"
    done = "" if status.state == FINISHED else f" at step {status.step:,} of {status.steps:,}"
    usd = "" if status.usd is None else f", {units.usd(status.usd)}"
    return f"{where}{done}, {units.duration(status.spent.total_s)}{usd}."


def beside_table(result: RunResult) -> Table:
    """Predicted beside actual."""
    columns, cells = columns_of(result)
    return Table(
        title=BESIDE if any(column.name == "predicted" for column in columns) else TAKEN,
        columns=columns,
        rows=cells,
        caption=of_others(result),
    )


def _metrics(result: RunResult) -> tuple[Table, ...]:
    found = [
        {
            "part": part,
            "figure": name,
            "value": units.significant(value, 4),
            "95 % by the samples": doubt_of(result, part, name),
            "baseline": _shown(result.baselines.get(part, {}).get(name)),
        }
        for part, values in result.metrics.items()
        for name, value in values.items()
    ]
    # A column in which nothing stands is left out.
    names = [name for name in found[0] if any(row[name] for row in found)] if found else []
    columns = tuple(Column(name=name, numeric=name in ("value", "baseline")) for name in names)
    table = Table(title="metrics", columns=columns, rows=tuple(tuple(row[name] for name in names) for row in found))
    return (table,) if found else ()


def _shown(value: float | None) -> str:
    return "" if value is None else units.significant(value, 4)


def _curve(folder: Path) -> tuple[Table, ...]:
    """The loss by step, in letters: ``o`` of training, ``v`` of validation."""
    metrics = read_metrics(folder / METRICS)
    training = metrics.training
    points = [Point(across=step, up=loss, mark="o") for step, loss in smooth(training, _LETTERS)]
    points += [Point(across=step, up=loss, mark="v") for step, loss in metrics.curve("validation")]
    if len(points) < 3 or min(p.up for p in points) <= 0.0:
        return ()
    lines = drawn(points, lambda value: units.significant(value))
    columns = (Column(name="loss", numeric=True), Column(name=f"steps 1 to {training[-1][0] if training else 0:,}"))
    return (Table(title="loss", columns=columns, rows=lines, caption="o training, v validation", drawing=True),)


def _notes(result: RunResult, folder: Path) -> tuple[str, ...]:
    known = result.prediction
    lines = list(warnings(result))
    if known is not None and known.why:
        lines.append(f"The prediction is from before the first step ({known.origin}): {known.why}.")
    if known is not None and known.price:
        lines.append(f"Price: {known.price}.")
    lines += [whole] if not of_others(result) and (whole := as_a_whole(result)) else []
    lines += [f"{note}." for note in result.notes]
    lines += [exported(each) for each in read_exports(folder)]
    lines.append(f"In {folder}: {CARD}, {CURVE_SVG}, {METRICS}{', model/' if result.model else ''}.")
    return tuple(lines)


def prediction_report(found: RunPrediction, name: str) -> Report:
    """What is predicted of a run, with its origin."""
    figures: list[tuple[str, Range | None, Any]] = [
        ("time", found.run_s, units.duration),
        ("a step", found.step_s, units.duration),
        ("dollars", found.usd, units.usd),
        ("energy", found.energy_j, energy),
    ]
    lines = [
        (what, show(value.mid), units.span(show(value.low), show(value.high))) for what, value, show in figures if value
    ]
    if found.memory_bytes is not None:
        lines.append(("peak memory", units.size(found.memory_bytes), found.memory_how))
    lines += [("steps", f"{found.steps:,}", "")]
    lines.append(("evaluations", *_between_steps(found, found.evaluations, found.evaluation_s, found.evaluate_every)))
    lines.append(
        ("checkpoints", *_between_steps(found, found.checkpoints, found.checkpoints_s, found.checkpoint_every))
    )
    if found.usd_per_h is not None:
        lines.append(("an hour", units.usd(found.usd_per_h), f"of this machine, {found.price}"))
    return Report(
        make_document=lambda: _prediction_document(found),
        make_records=lambda: [_prediction_record(found)],
        verdict=f"{name}: {units.duration(found.run_s.mid) if found.run_s else 'nobody knows how long'}"
        f"{f', {units.usd(found.usd.mid)}' if found.usd else ''} ({found.origin}: {found.why}).",
        tables=(
            Table(
                title="predicted",
                columns=(Column(name="what"), Column(name="value", numeric=True), Column(name="80 % range")),
                rows=tuple(lines),
            ),
        ),
        notes=tuple(f"{each.name}: {each.value}{f' ({each.why})' if each.why else ''}." for each in found.facts),
    )


def _between_steps(found: RunPrediction, count: int, seconds: float | None, every: int) -> tuple[str, str]:
    """How many there are and what they take; their share of the steps' time, and how far they are apart."""
    takes = "" if seconds is None else f", {units.duration(seconds)}"
    share = f"{units.percent(seconds / found.steps_s.mid)} of the steps' time" if seconds and found.steps_s else ""
    apart = (
        f"every {units.many(every, 'step')}" if 1 < every < found.steps else "each step" if every == 1 else "at the end"
    )
    return f"{count:,}{takes}", ", ".join(each for each in (share, apart) if each)


def _prediction_document(found: RunPrediction) -> Any:
    from zenplan.commands.train.document import prediction_document

    return prediction_document(found)


def _prediction_record(found: RunPrediction) -> Mapping[str, Any]:
    run, usd, step = found.run_s, found.usd, found.step_s
    return {
        "origin": found.origin,
        "steps": found.steps,
        "step_s": step.mid if step else None,
        "run_s": run.mid if run else None,
        "run_s_low": run.low if run else None,
        "run_s_high": run.high if run else None,
        "usd": usd.mid if usd else None,
        "memory_bytes": found.memory_bytes,
    }
