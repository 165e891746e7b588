"""What a run leaves behind: what came out of it, its picture, its model card, and its steps as a calibration.

Sections of the card as of Mitchell et al. 2019, "Model Cards for Model Reporting", those that a run can fill.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from zenplan import units
from zenplan.adapters.corpus.prepared import read_card
from zenplan.adapters.picture.curve import curve_png, curve_svg
from zenplan.adapters.run_folder.folder import CARD, CURVE_PNG, CURVE_SVG, RESULT, put, put_json
from zenplan.adapters.run_folder.lines import Metrics
from zenplan.adapters.store.store import CalibrationStore
from zenplan.commands.calibrate.record import About, fingerprint_of
from zenplan.commands.train.asked import Asked
from zenplan.commands.train.beside import as_a_whole, columns_of, of_others
from zenplan.commands.train.document import run_document
from zenplan.commands.train.judged import doubt_of, warnings
from zenplan.commands.train.predict import DIVIDED, mfu_of
from zenplan.commands.train.supervise import Supervisor
from zenplan.documents import published
from zenplan.domain.checks import one_line
from zenplan.domain.measured.calibration import BUSY, DONE, MODEL, Calibration, Measured, Point, Stored
from zenplan.domain.measured.training_run import FINISHED, RunResult, RunStatus
from zenplan.errors import DataError, InputFileError, ZenplanError
from zenplan.planning.calibration.features import features_of_blocks
from zenplan.worker.protocol import Ended, Train


def came_out(
    supervisor: Supervisor, ended: Ended | None, baselines: Mapping[str, Mapping[str, float]], metrics: Metrics
) -> RunResult:
    """What came out, by the metrics of the folder: those of earlier starts are among them."""
    training, parts, times = metrics.training, metrics.parts, metrics.times
    wall_s = sum(wall for wall, _ in times)
    step_s = wall_s / len(times) if times else None
    best = min(((loss, step) for step, loss in metrics.curve("validation")), default=None)
    ready = supervisor.ready
    samples = len(training) * supervisor.asked.step_samples(ready.samples if ready else None)
    tokens = ready.tokens_per_sample if ready else None
    return RunResult(
        status=supervisor.status,
        prediction=supervisor.prediction,
        first_loss=training[0][1] if training else None,
        last_loss=training[-1][1] if training else None,
        metrics={part: found[-1][1] for part, found in parts.items()},
        baselines=_comparable(supervisor.asked, baselines, parts),
        scored=_scored(supervisor.asked, parts),
        best_step=best[1] if best else None,
        best_loss=best[0] if best else None,
        step_s=step_s,
        wait_share=sum(wait for _, wait in times) / wall_s if wall_s > 0.0 else None,
        evaluations=sum(map(len, parts.values())),
        checkpoints=supervisor.status.checkpoints,
        samples=samples,
        tokens=samples * tokens if tokens else None,
        parameters=ready.parameters if ready else None,
        trainable=ready.trainable if ready else None,
        peak_bytes=ended.peak_bytes if ended else None,
        peak_how=ended.how if ended else "",
        mfu=mfu_of(supervisor.prediction, step_s),
        model=ended.model if ended else "",
        notes=tuple(dict.fromkeys(supervisor.notes)),
    )


def _comparable(
    asked: Asked, baselines: Mapping[str, Mapping[str, float]], told: Mapping[str, Any]
) -> Mapping[str, Mapping[str, float]]:
    """Without the loss of a guess where a model came with a loss of its own, which tells nothing besides: that is
    another figure of the same name."""
    own = not asked.job.loss and all(set(found[-1][1]) == {"loss"} for found in told.values())
    return {part: {n: v for n, v in values.items() if not (own and n == "loss")} for part, values in baselines.items()}


def _scored(asked: Asked, told: Iterable[str]) -> Mapping[str, int]:
    """Samples of an evaluation of each part; tokens of a sample hang together, and are not counted."""
    if asked.data.kind == "tokens":
        return {}
    most = asked.job.evaluate_batches * asked.job.micro_batch
    there = {part: asked.data.samples(part, None) for part in told}
    return {part: min(count, most) if most else count for part, count in there.items() if count}


def keep(folder: Path, asked: Asked, result: RunResult, metrics: Metrics) -> None:
    """All of it in the folder. Raises ZenplanError: it cannot be written."""
    shown = {part: metrics.curve(part) for part in metrics.parts if part != "test"}
    title = f"{result.status.name} on {result.status.backend}"
    put(folder, CURVE_SVG, curve_svg(title, metrics.training, shown))
    put(folder, CURVE_PNG, curve_png(metrics.training, shown))
    put(folder, CARD, card(asked, result, folder))
    put_json(folder, RESULT, published(run_document(result, str(folder))))


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
    steps = f"{units.many(status.step, 'step')} of {units.many(job.batch, 'sample')}"
    if job.federated is not None:
        steps = f"{units.many(status.step, 'round')} of {units.many(job.federated.clients, 'client')}, averaged"
    yield f"- {steps} in {job.precision}, seed {job.seed}"
    yield f"- Keras on {_machine(status, job)}"
    known = result.prediction
    facts = known.facts if known is not None and not known.is_of_others(status) else ()
    yield from (f"- {fact.name}: {fact.value}" for fact in facts if fact.name.startswith(DIVIDED))
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
    if result.notes:
        yield ""
        yield "## While it ran"
        yield ""
        yield from (f"- {note}" for note in result.notes)
    yield ""
    yield "## What it took"
    yield ""
    yield from _took(result)
    yield ""
    yield "## Limits"
    yield ""
    yield from (f"- {line}" for line in limits(result))


def _took(result: RunResult) -> Iterator[str]:
    columns, cells = columns_of(result)
    yield f"| {' | '.join(column.name for column in columns)} |"
    yield f"|{'|'.join('---:' if column.numeric else '---' for column in columns)}|"
    for row in cells:
        yield f"| {' | '.join(row)} |"
    if result.prediction is not None:
        yield ""
        yield f"The prediction is from before the first step: {result.prediction.origin}, {result.prediction.why}."
        yield of_others(result) or as_a_whole(result)


def _machine(status: RunStatus, job: Train) -> str:
    threads = f"{units.many(job.threads, 'thread')}{' each' if status.workers > 1 else ''}"
    return ", ".join(filter(None, (status.backend, status.device, status.together, threads)))


def limits(result: RunResult) -> Iterator[str]:
    """What is to be held against what came out, a sentence each."""
    yield from warnings(result)
    yield "It was evaluated on data of the same source as it was trained on, and on nothing else."
    if result.samples and result.parameters and result.tokens:
        ratio = result.tokens / result.parameters
        yield f"{units.significant(ratio)} tokens a parameter were seen; language models are often trained on 20 and more."


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
    if card.unused:
        yield f"- not learned from: {card.unused_columns}"
    for note in card.notes:
        yield f"- {note}"
    yield f"- data card: `{Path(data.folder) / 'card.json'}`"


def _metrics(result: RunResult) -> Iterator[str]:
    yield "| part | figure | value | 95 % by the samples | baseline |"
    yield "|---|---|---:|---|---:|"
    if result.last_loss is not None:
        yield f"| training | loss of the last step | {units.significant(result.last_loss, 4)} | | |"
    for part, values in result.metrics.items():
        for name, value in values.items():
            other = result.baselines.get(part, {}).get(name)
            shown = "" if other is None else units.significant(other, 4)
            doubt = doubt_of(result, part, name)
            yield f"| {part} | {name} | {units.significant(value, 4)} | {doubt} | {shown} |"


# Fewer steps say less than a calibration of a minute.
LEAST_STEPS: Final = 10


def calibration_of(supervisor: Supervisor, result: RunResult, id: str) -> Calibration | None:
    """The run's steps as a calibration; None where the model was not counted, or too little of it was run."""
    plan, job, machine = supervisor.world.plan, supervisor.asked.job, supervisor.machine
    # What several workers took together is the step of none of them.
    if plan is None or machine is None or supervisor.asked.job.several or len(supervisor.kept.samples) < LEAST_STEPS:
        return None
    workload = plan.workload
    point = Point(key="target", batch=job.batch, features=features_of_blocks(workload.blocks, job.batch))
    about = About(
        kind=MODEL,
        subject=supervisor.asked.name,
        family=workload.family,
        target=point,
        parameters=workload.parameters,
        flop_per_sample=workload.training_flop_per_sample,
    )
    gpu = supervisor.device_name
    known = {"device": gpu} if gpu else {}
    mark = fingerprint_of(machine, backend=supervisor.asked.backend, precision=job.precision, **known)
    measured = Measured(
        point=Point(key=f"whole batch={job.batch}", batch=job.batch, features=point.features),
        samples=tuple(supervisor.kept.samples),
        setup_s=supervisor.spent.setup_s,
        peak_bytes=result.peak_bytes,
    )
    text = one_line(f"steps of the training run {result.status.id}")
    found = replace(about.begun(id, mark), measured=(measured,), notes=(text,))
    busy = supervisor.world.busy or f"{BUSY} steps took {found.waited:.2f} times as long as they computed"
    return replace(found, notes=(text, one_line(busy))) if supervisor.world.busy or found.was_busy else found


def store(supervisor: Supervisor, result: RunResult) -> str:
    """Add it to the user's store; its id, or why it is not there, for people."""
    try:
        with CalibrationStore.open() as opened:
            found = calibration_of(supervisor, result, opened.new_id())
            if found is None:
                return ""
            opened.insert([Stored(calibration=found, state=DONE)])
            if found.disturbed:
                return f"calibration {found.id} is made of its steps, and marked: other programs were busy"
            return f"calibration {found.id} is made of its steps: the next estimate on this device uses it"
    except ZenplanError as error:
        return f"its steps are not kept as a calibration: {error.message}"
