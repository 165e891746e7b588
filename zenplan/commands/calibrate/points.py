"""Which points are measured: of one model, at which depths and batches; of the device in general, by a sweep."""

from __future__ import annotations

from typing import Final

from zenplan import units
from zenplan.adapters.tables.sweep import read_sweep
from zenplan.commands.calibrate.pacing import Pace
from zenplan.commands.calibrate.record import About
from zenplan.commands.calibrate.running import MOST_ROUNDS, Session
from zenplan.commands.calibrate.subject import Subject, Task
from zenplan.domain.measured.calibration import MODEL, OPERATOR, STEP, SWEEP, Measured, Point, SweepPoint
from zenplan.errors import UnknownName, UsageError, ZenplanError
from zenplan.planning.calibration.design import sweep_points
from zenplan.planning.calibration.kernel_fit import too_few
from zenplan.worker.protocol import Target

# --- of one model


def model_about(subject: Subject) -> About:
    """What the calibration of a model says of itself."""
    workload = subject.plan.workload
    return About(
        kind=MODEL,
        subject=subject.name,
        family=workload.family,
        stand_in=subject.stand_in,
        target=subject.target,
        parameters=workload.parameters,
        flop_per_sample=workload.training_flop_per_sample,
    )


def calibrate_model(session: Session, subject: Subject) -> None:
    """Measure what its whole step is predicted from.

    Raises:
        UsageError: it is no model; ZenplanError: nothing at all could be measured.
    """
    pace = Pace(session=session, subject=subject)
    session.follow(pace.next, pace.answered)


def came_to_something(session: Session) -> None:
    """Raises ZenplanError: nothing was measured, with the first reason; or too few points of a sweep to say anything."""
    calibration = session.calibration()
    if calibration.steps and calibration.kind == SWEEP and (reason := too_few(calibration.measured)):
        raise ZenplanError(reason, "they are kept: the same command goes on with them; --minutes gives it more time")
    if calibration.steps:
        return
    reasons = [f"{m.point.key}: {m.failure}" for m in calibration.measured if m.failure]
    raise ZenplanError(
        f"nothing of {calibration.subject} was measured: {reasons[0] if reasons else 'the time was over'}",
        f"--minutes gives it more time than {units.duration(60.0 * session.how.minutes)}; --batch makes it smaller",
    )


# --- of a sweep
#
# Calibrating the device in general: operators and small models of three families, the most telling first.

FAMILIES: Final = ("transformer", "convnet", "recurrent")
ALL: Final = "all"
_BUILDERS: Final = "zenplan.worker.proxies.samples"
_SINGLE: Final = "operator"
# More is planned than there is time for, since what setting up takes is a rough guess; the time ends it.
_PLANNED: Final = 1.5
# What one product reaches on a core, or on a GPU, in FLOP/s. It decides on which points are tried, not on what they tell.
_FLOP_PER_S: Final = {"cpu": 6e10, "gpu": 3e13}


def sweep_about(family: str) -> About:
    """What a sweep says of itself. Raises UnknownName: there is no such family."""
    if family not in (ALL, *FAMILIES):
        raise UnknownName("family", family, (ALL, *FAMILIES))
    return About(kind=SWEEP, subject=family, family=family)


def calibrate_sweep(session: Session) -> None:
    """Measure the points of the session's family, in their order, until the time is over; where too few were measured by
    then to say anything of a model, at most as long again.

    Raises:
        UsageError: there is too little of it for a single point.
    """
    until_s = 60.0 * session.how.minutes
    session.stepping_s = until_s / 2
    points = _sweep_points(session, until_s)
    if not points:
        raise UsageError(f"{units.duration(until_s)} is too short for a single point", "give it a minute: --minutes 1")
    session.run(
        [_task(point) for point in points],
        in_turn=True,
        until_s=until_s,
        answered=lambda: not session.record.id or not too_few(_measured(session)),
    )


def _measured(session: Session) -> list[Measured]:
    return [each.measured() for each in session.record.progress.values()]


def _sweep_points(session: Session, until_s: float) -> tuple[SweepPoint, ...]:
    """Those of the family and the single operators, the most telling for their time first."""
    family, how = session.record.about.family, session.how
    rate = _FLOP_PER_S[how.device] * (1 if how.device == "gpu" else how.threads)
    wanted = [p for p in read_sweep() if family in (ALL, p.family) or p.family == _SINGLE]
    return sweep_points(wanted, session.engine.name, rate, _PLANNED * until_s, MOST_ROUNDS + 2)


def _task(point: SweepPoint) -> Task:
    role = OPERATOR if point.family == _SINGLE else STEP
    model = Target(target=f"{_BUILDERS}:{point.builder}", arguments=dict(point.arguments))
    return Task(point=Point(key=point.key, role=role, batch=point.batch, features=point.features), model=model)
