"""What is known before a run: the model as it is counted, what was measured of it, runs like it that are over."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from zenplan.adapters.machine.state import crowded_now
from zenplan.adapters.workers.process import BACKENDS
from zenplan.commands.calibrate.how import gpu_of
from zenplan.commands.shared.counting import count_job
from zenplan.commands.shared.evidence import stored_calibrations
from zenplan.commands.shared.training_plan import training_plan
from zenplan.commands.train.asked import Asked
from zenplan.commands.train.past import finished_runs, like, step_ratios, usual_s
from zenplan.commands.train.predict import World, worker_setup_s
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.hardware.device import Profile
from zenplan.domain.measured.calibration import MODEL, Stored
from zenplan.domain.measured.training_run import FITTED, STORED, SWEPT
from zenplan.domain.range import Range
from zenplan.domain.software import compiles, keras_software
from zenplan.domain.training.request import Request
from zenplan.errors import UsageError, ZenplanError
from zenplan.worker.protocol import Count

if TYPE_CHECKING:
    from zenplan.domain.hardware.accelerator import Accelerator
    from zenplan.domain.training.plan import TrainingPlan

_ESTIMATED_OPTIMIZERS = ("adamw", "lion", "sgd", "adafactor")
Known = tuple[Range, str, str]


def world_of(
    asked: Asked,
    profile: Profile,
    catalogue: Catalogue,
    warn: Callable[[str], None],
    tell: Callable[[str, float], None],
) -> World:
    """All of it; what cannot be found out is said to ``warn`` and left unknown.

    Args:
        asked: the run.
        profile: of this machine.
        catalogue: data sheets.
        warn: told a line of what is not known.
        tell: told the stage and the seconds of counting the model.
    """
    gpu = gpu_of(profile) if asked.job.device == "gpu" else None
    sheet = catalogue.by_nvml(gpu.name.value, gpu.memory_total_bytes.value) if gpu and gpu.name.value else None
    runs = finished_runs()
    plan = _counted(asked, warn, tell)
    return World(
        plan=plan,
        sheet=sheet,
        # What one worker was measured at is not what several take together.
        step=None
        if plan is None or asked.job.several
        else _step(asked, plan, sheet, catalogue, stored_calibrations(warn)),
        before=like(asked.job, asked.backend, runs),
        ratios=step_ratios(runs, asked.job.device, socket.gethostname()),
        busy=_busy(asked, profile, warn),
        setup_s=usual_s(runs, asked.backend, worker_setup_s),
        ending_s=usual_s(runs, asked.backend, lambda run: run.status.spent.other_s),
    )


def _busy(asked: Asked, profile: Profile, warn: Callable[[str], None]) -> str:
    """What other programs take of the processors, where they are to compute."""
    if asked.job.device != "cpu":
        return ""
    found = crowded_now(profile.host.logical_cores.value or asked.job.threads, asked.job.threads)
    if found:
        warn(found)
    return found


def _counted(asked: Asked, warn: Callable[[str], None], tell: Callable[[str, float], None]) -> TrainingPlan | None:
    """The model as it is counted, as something to train; None where it cannot be: it can still be trained.

    Raises:
        UsageError: it cannot be built as it was asked for, by the backend that would train it.
    """
    job = asked.job
    # Keras counts on one of its own backends, whatever then trains it.
    backend = asked.backend if asked.backend in BACKENDS else None
    try:
        count = count_job(
            Count(what=asked.name, model=job.model, batch=job.micro_batch, data=job.data), backend, tell=tell
        )
        if count.unknown:
            warn(f"FLOP are not known: the cost of {count.unknown[0].label} is not")
            return None
        return training_plan(_request(asked, count.workload()), (), whole_run=False)
    except ZenplanError as error:
        if backend is not None and isinstance(error, UsageError):
            raise
        warn(f"the model is not counted, and trained all the same: {error.message}")
        return None


def _request(asked: Asked, workload: object) -> Request:
    job = asked.job
    name = job.optimizer.name if job.optimizer.name in _ESTIMATED_OPTIMIZERS else "adamw"
    return Request(
        keras=workload,  # type: ignore[arg-type]  # a workload, whose class no type needs here
        software=keras_software(asked.backend, compiles(asked.backend, job.compiled)),
        precision=job.precision,
        optimizer="sgd-momentum" if name == "sgd" and job.optimizer.momentum else name,
        batch=job.batch,
        samples=float(job.batch * job.steps),
    )


def _step(
    asked: Asked, plan: TrainingPlan, sheet: Accelerator | None, catalogue: Catalogue, stored: Sequence[Stored]
) -> Known | None:
    """A step by what was measured before, or by the fit of published runs; None where neither says anything."""
    if asked.job.device == "cpu":
        return _on_cpu(asked, plan, stored)
    return None if sheet is None else _on_gpu(asked, plan, sheet, catalogue, stored)


def _on_cpu(asked: Asked, plan: TrainingPlan, stored: Sequence[Stored]) -> Known | None:
    from zenplan.commands.estimate.here import steps_here

    job, found = asked.job, None
    for each in steps_here(plan, stored):
        mark, own = each.calibration.fingerprint, each.calibration.kind == MODEL
        same = (mark.backend, mark.precision, mark.threads) == (asked.backend, job.precision, job.threads)
        if (
            not same
            or mark.compiled != compiles(asked.backend, job.compiled)
            or each.changed
            or each.disturbed
            or (own and each.batch != job.batch)
        ):
            continue
        scaled = each.prediction.step_s * (job.batch / each.batch)
        what = "a calibration of the model" if own else "a sweep of the device"
        why = f"{what}, {each.calibration.id}, here on {each.calibration.taken_at.date().isoformat()}"
        if own:
            return scaled, STORED, why
        found = found or (scaled, SWEPT, why)
    return found


def _on_gpu(
    asked: Asked, plan: TrainingPlan, sheet: Accelerator, catalogue: Catalogue, stored: Sequence[Stored]
) -> Known:
    from zenplan.adapters.tables.coefficients import read_coefficients
    from zenplan.commands.shared.evidence import evidence_of
    from zenplan.domain.hardware.cluster import Cluster
    from zenplan.planning.calibration.correction import alone_s
    from zenplan.planning.physics.interval import spread_of

    coefficients = read_coefficients()
    for step in evidence_of(plan, catalogue, coefficients, stored).steps:
        if step.own and step.batch == asked.job.batch and step.sheet is sheet:
            return step.step_s, STORED, f"measured {step.where}"
    efficiency = coefficients.of(sheet.architecture, plan.precision, plan.software, plan.workload.family)
    one = Cluster(accelerator=sheet, efficiency=efficiency, node_devices=1)
    # Micro-batches go one after another.
    mid = alone_s(plan, one, asked.job.micro_batch) * asked.job.batch / asked.job.micro_batch
    spread = spread_of(plan, one)
    step_s = Range(low=mid * spread.low, mid=mid, high=mid * spread.high)
    return step_s, FITTED, f"the fit of published runs, {spread.basis}"
