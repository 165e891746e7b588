"""A run that is finished as evidence: its steps become a calibration of its model, in the store that is there."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from zenplan.adapters.store.store import CalibrationStore
from zenplan.commands.calibrate.record import About, fingerprint_of
from zenplan.commands.train.supervise import Supervisor
from zenplan.domain.checks import one_line
from zenplan.domain.measured.calibration import DONE, MODEL, Calibration, Measured, Point, Stored
from zenplan.domain.measured.training_run import RunResult
from zenplan.errors import ZenplanError
from zenplan.planning.calibration.features import features_of_blocks

# Fewer steps say less than a calibration of a minute.
LEAST_STEPS: Final = 10


def calibration_of(supervisor: Supervisor, result: RunResult, id: str) -> Calibration | None:
    """The run's steps as a calibration; None where the model was not counted, or too little of it was run."""
    plan, job, machine = supervisor.world.plan, supervisor.asked.job, supervisor.machine
    if plan is None or machine is None or len(supervisor.samples) < LEAST_STEPS:
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
        samples=tuple(supervisor.samples),
        setup_s=supervisor.spent.setup_s,
        peak_bytes=result.peak_bytes,
    )
    text = one_line(f"steps of the training run {result.status.id}")
    return replace(about.begun(id, mark), measured=(measured,), notes=(text,))


def store(supervisor: Supervisor, result: RunResult) -> str:
    """Add it to the user's store; its id, or why it is not there, for people."""
    try:
        with CalibrationStore.open() as opened:
            found = calibration_of(supervisor, result, opened.new_id())
            if found is None:
                return ""
            opened.insert([Stored(calibration=found, state=DONE)])
            return f"calibration {found.id} is made of its steps: the next estimate on this device uses it"
    except ZenplanError as error:
        return f"its steps are not kept as a calibration: {error.message}"
