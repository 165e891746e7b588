"""The end of a run: what came out of it, its picture, and its card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zenplan.adapters.picture.curve import curve_png, curve_svg
from zenplan.adapters.run_folder.folder import CARD, CURVE_PNG, CURVE_SVG, RESULT, put, put_json
from zenplan.adapters.run_folder.lines import Metrics
from zenplan.commands.train.asked import Asked
from zenplan.commands.train.card import card
from zenplan.commands.train.document import run_document
from zenplan.commands.train.predict import mfu_of
from zenplan.commands.train.supervise import Supervisor
from zenplan.documents import published
from zenplan.domain.measured.training_run import RunResult
from zenplan.worker.protocol import Ended


def came_out(
    supervisor: Supervisor, ended: Ended | None, baselines: Mapping[str, Mapping[str, float]], metrics: Metrics
) -> RunResult:
    """What came out, by the metrics of the folder: those of earlier starts are among them."""
    training, parts, times = metrics.training, metrics.parts, metrics.times
    wall_s = sum(wall for wall, _ in times)
    step_s = wall_s / len(times) if times else None
    best = min(((loss, step) for step, loss in metrics.curve("validation")), default=None)
    ready, job = supervisor.ready, supervisor.asked.job
    samples = len(training) * job.batch
    tokens = ready.tokens_per_sample if ready else None
    return RunResult(
        status=supervisor.status,
        prediction=supervisor.prediction,
        first_loss=training[0][1] if training else None,
        last_loss=training[-1][1] if training else None,
        metrics={part: found[-1][1] for part, found in parts.items()},
        baselines=baselines,
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


def keep(folder: Path, asked: Asked, result: RunResult, metrics: Metrics) -> None:
    """All of it in the folder. Raises ZenplanError: it cannot be written."""
    shown = {part: metrics.curve(part) for part in metrics.parts if part != "test"}
    title = f"{result.status.name} on {result.status.backend}"
    put(folder, CURVE_SVG, curve_svg(title, metrics.training, shown))
    put(folder, CURVE_PNG, curve_png(metrics.training, shown))
    put(folder, CARD, card(asked, result, folder))
    put_json(folder, RESULT, published(run_document(result, str(folder))))
