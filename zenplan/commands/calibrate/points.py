"""Which points are measured: of one model, at which depths and batches; of the device in general, by a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from zenplan import units
from zenplan.adapters.tables.sweep import read_sweep
from zenplan.commands.calibrate.record import About
from zenplan.commands.calibrate.running import LEAST_ROUNDS, MOST_ROUNDS, Session
from zenplan.commands.calibrate.subject import Subject, Task
from zenplan.domain.measured.calibration import MODEL, OPERATOR, PROGRAM, STEP, SWEEP, Measured, Point, SweepPoint
from zenplan.errors import DataError, FailureKind, UnknownName, UsageError, ZenplanError
from zenplan.planning.calibration.depth_fit import is_superlinear, predicted
from zenplan.planning.calibration.design import depths_for, sweep_points
from zenplan.worker.protocol import Target

# --- of one model


# What a device computes at the least, in FLOP/s: a core, or a GPU. It only decides on what is tried first.
_SLOW_FLOP_PER_S: Final = {"cpu": 5e10, "gpu": 1e13}
_FRACTIONS: Final = (4, 2)
# Systems kill what takes too much of it.
_OF_MEMORY: Final = (FailureKind.OUT_OF_MEMORY, FailureKind.KILLED)
# The engine that can compile a program without running it.
_TELLS_BYTES: Final = "jax"
# Compiling the whole model takes its share of the time.
_PROGRAMS_SHARE: Final = 0.4


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
    # On a processor all take turns, so that what disturbs one disturbs all. On a GPU each has the memory for itself.
    in_turn = session.how.device == "gpu"
    depths = _depths(session, subject)
    batches = _batches(session, subject, depths)
    session.run(subject.tasks(depths, batches), in_turn=in_turn)
    while _short_of_memory(session) and not _enough(session) and _halved(batches) != batches:
        batches = _halved(batches)
        session.run(subject.tasks(depths, batches), in_turn=in_turn)
    if subject.depth is None and subject.batch not in batches and _affordable(session, subject):
        session.run([subject.task(STEP, None, subject.batch)], in_turn=in_turn)


def _depths(session: Session, subject: Subject) -> Sequence[int | None]:
    """At which depths to run it; a program whose cost grows with its depth is run deeper."""
    if subject.depth is None:
        return (None,)
    depths = subject.depths or depths_for(subject.depth)
    if session.engine.name != _TELLS_BYTES or session.how.compiled is False:
        return depths
    session.end = _PROGRAMS_SHARE
    session.run(subject.tasks((*depths, subject.depth), (subject.batch,), PROGRAM), in_turn=True)
    if not subject.depths and is_superlinear(session.calibration().measured, subject.target):
        deeper = depths_for(subject.depth, superlinear=True)
        session.run(subject.tasks([d for d in deeper if d not in depths], (subject.batch,), PROGRAM), in_turn=True)
        depths = deeper
    session.begin, session.end = session.end, 1.0
    return depths


def _batches(session: Session, subject: Subject, depths: Sequence[int | None]) -> tuple[int, ...]:
    """The wanted batch, or two fractions of it where it would take too long, or where there are no depths."""
    fractions = _fractions(subject.batch)
    if subject.depth is not None:
        rate = _SLOW_FLOP_PER_S[session.how.device] * (1 if session.how.device == "gpu" else session.how.threads)
        budget_flop = 60.0 * session.how.minutes * rate / (LEAST_ROUNDS + 2)
        if sum(subject.flop(d, subject.batch) for d in depths) <= budget_flop:
            return (subject.batch,)
        while max(fractions) > 2 and sum(subject.flop(d, b) for d in depths for b in fractions) > budget_flop:
            fractions = _halved(fractions)
    return fractions


def _fractions(batch: int) -> tuple[int, ...]:
    """A quarter and a half; where the batch is too small for that, the batch itself is one."""
    found = {max(1, batch // part) for part in _FRACTIONS}
    return tuple(sorted(found if len(found) > 1 else found | {batch}))


def _halved(batches: Sequence[int]) -> tuple[int, ...]:
    """The least of them and its half; of a single one its half and its quarter."""
    return _fractions(max(1, 2 * min(batches))) if len(batches) > 1 else _fractions(batches[0])


def _short_of_memory(session: Session) -> bool:
    return any(m.failure_kind in _OF_MEMORY for m in _steps(session))


def _steps(session: Session) -> list[Measured]:
    return [m for m in session.calibration().measured if m.point.role == STEP]


def _enough(session: Session) -> bool:
    """Whether what there is says something of the target."""
    try:
        predicted(session.calibration())
    except DataError:
        return False
    return True


def _affordable(session: Session, subject: Subject) -> bool:
    """Whether there is time, and by what failed so far memory, for a step of the whole model at the wanted batch."""
    if not _enough(session) or _short_of_memory(session):
        return False
    step_s = predicted(session.calibration()).step_s.mid
    return step_s * (LEAST_ROUNDS + 2) <= 60.0 * session.how.minutes


def came_to_something(session: Session) -> None:
    """Raises ZenplanError with the first reason where nothing was measured."""
    calibration = session.calibration()
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
    """Measure the points of the session's family, in their order, until the time is over.

    Raises:
        UsageError: there is too little of it for a single point.
    """
    until_s = 60.0 * session.how.minutes
    session.stepping_s = until_s / 2
    points = _sweep_points(session, until_s)
    if not points:
        raise UsageError(f"{units.duration(until_s)} is too short for a single point", "give it a minute: --minutes 1")
    session.run([_task(point) for point in points], in_turn=True, until_s=until_s)


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
