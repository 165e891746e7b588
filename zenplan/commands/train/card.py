"""The model card of a run: what it is, what it was trained on, how good it is, what it took, what it is not for.

Sections as of Mitchell et al. 2019, "Model Cards for Model Reporting", those that a run can fill.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from zenplan import units
from zenplan.adapters.corpus.prepared import read_card
from zenplan.adapters.run_folder.folder import CURVE_SVG
from zenplan.commands.train.asked import Asked
from zenplan.commands.train.beside import as_a_whole, rows
from zenplan.domain.measured.training_run import FINISHED, RunResult
from zenplan.errors import DataError, InputFileError


def card(asked: Asked, result: RunResult, folder: Path) -> str:
    """The card, in markdown."""
    return "\n".join(_lines(asked, result, folder)) + "\n"


def _lines(asked: Asked, result: RunResult, folder: Path) -> Iterator[str]:
    status, job = result.status, asked.job
    yield f"# {status.name}"
    yield ""
    if status.state != FINISHED:
        yield f"The run is not finished: {status.state} at step {status.step:,} of {status.steps:,} ({status.reason})."
        yield ""
    yield "## Model"
    yield ""
    if result.parameters is not None:
        trained = "" if result.trainable in (None, result.parameters) else f", {result.trainable:,} of them trained"
        yield f"- {result.parameters:,} parameters{trained}"
    optimizer = job.optimizer
    yield f"- {job.loss or 'own loss'}, {optimizer.name} at {optimizer.learning_rate:g}, {optimizer.schedule} schedule"
    yield f"- {units.many(status.step, 'step')} of {units.many(job.batch, 'sample')} in {job.precision}, seed {job.seed}"
    yield f"- Keras on {status.backend}, {status.device}, {units.many(job.threads, 'thread')}"
    yield f"- run {status.id}, begun {status.started_at:%Y-%m-%d %H:%M} UTC, in `{folder}`"
    yield ""
    yield "## Data"
    yield ""
    yield from _data(asked)
    yield ""
    yield "## Metrics"
    yield ""
    yield from _metrics(result)
    yield ""
    yield f"![loss]({CURVE_SVG})"
    yield ""
    yield "## What it took"
    yield ""
    yield "| part | predicted | 80 % range | actual | difference |"
    yield "|---|---:|---|---:|---:|"
    for row in rows(result):
        yield f"| {' | '.join(row.cells())} |"
    if result.prediction is not None:
        yield ""
        yield f"The prediction is from before the first step: {result.prediction.origin}, {result.prediction.why}."
        yield as_a_whole(result)
    yield ""
    yield "## Limits"
    yield ""
    yield "- It was evaluated on data of the same source as it was trained on, and on nothing else."
    if result.samples and asked.data.kind == "tokens" and result.parameters and result.tokens:
        ratio = result.tokens / result.parameters
        yield f"- {units.significant(ratio)} tokens a parameter were seen; language models are often trained on 20 and more."
    for note in result.notes:
        yield f"- {note}"


def _data(asked: Asked) -> Iterator[str]:
    data = asked.data
    for name, part in data.parts.items():
        count = units.many(*((part.samples or 0, "sample") if part.tokens is None else (part.tokens, "token")))
        yield f"- {name}: {count}"
    yield f"- fingerprint `{data.fingerprint}`"
    try:
        card = read_card(Path(data.folder))
    except (InputFileError, DataError):
        return
    yield f"- from `{card.source}`: {units.many(card.records, 'record')} of {units.many(card.files, 'file')}, {card.what}"
    for each in card.dropped:
        yield f"- {each.count:,} {each.what} were dropped: {each.why}"
    for note in card.notes:
        yield f"- {note}"
    yield f"- data card: `{Path(data.folder) / 'card.json'}`"


def _metrics(result: RunResult) -> Iterator[str]:
    yield "| part | figure | value | baseline |"
    yield "|---|---|---:|---:|"
    if result.last_loss is not None:
        yield f"| training | loss of the last step | {units.significant(result.last_loss, 4)} | |"
    for part, values in result.metrics.items():
        for name, value in values.items():
            other = result.baselines.get(part, {}).get(name)
            shown = "" if other is None else units.significant(other, 4)
            yield f"| {part} | {name} | {units.significant(value, 4)} | {shown} |"
