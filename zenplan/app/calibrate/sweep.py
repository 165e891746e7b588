"""Calibrating the device in general: operators and small models of three families, the most telling first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

from zenplan import units
from zenplan.adapters.sweep_table import read_sweep
from zenplan.app.calibrate.record import About
from zenplan.app.calibrate.running import MOST_ROUNDS, Session
from zenplan.app.calibrate.subject import Task
from zenplan.domain.calibration import OPERATOR, STEP, SWEEP, Point
from zenplan.errors import UnknownName, UsageError
from zenplan.planning.design import SweepPoint, chosen, expected_s, setup_s

FAMILIES: Final = ("transformer", "convnet", "recurrent")
ALL: Final = "all"
_BUILDERS: Final = "zenplan.worker.samples"
_SINGLE: Final = "operator"
# More is planned than there is time for, since what setting up takes is a rough guess; the time ends it.
_PLANNED: Final = 2.0
# Of the time no point has more than its part, so that several of each kind are run.
_EACH: Final = 0.12
# What one product reaches on a core, or on a GPU, in FLOP/s. It decides on which points are tried, not on what they tell.
_FLOP_PER_S: Final = {"cpu": 6e10, "gpu": 3e13}


def about(family: str) -> About:
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
    points = _points(session, until_s)
    if not points:
        raise UsageError(
            f"{units.duration(until_s)} is too short for a single point", "give it a minute: --minutes 1"
        )
    session.run([_task(point) for point in points], in_turn=True, until_s=until_s)


def _points(session: Session, until_s: float) -> tuple[SweepPoint, ...]:
    """Those of the family and the single operators, the most telling for their time first."""
    family, how = session.record.about.family, session.how
    rate = _FLOP_PER_S[how.device] * (1 if how.device == "gpu" else how.threads)
    wanted = [p for p in read_sweep() if family in (ALL, p.family) or p.family == _SINGLE]
    step_s = expected_s(wanted, rate)
    cost_s = {p.key: setup_s(p, session.engine.name) + (MOST_ROUNDS + 2) * step_s[p.key] for p in wanted}
    small = [p for p in wanted if cost_s[p.key] <= _EACH * until_s]
    return _mixed(chosen(small, step_s, cost_s, _PLANNED * until_s))


def _mixed(points: Sequence[SweepPoint]) -> tuple[SweepPoint, ...]:
    """The same with the families in turns: where the time ends early, each has been run."""
    kinds = dict.fromkeys(p.family for p in points)
    turns = zip_longest(*([p for p in points if p.family == kind] for kind in kinds))
    return tuple(p for turn in turns for p in turn if p is not None)


def _task(point: SweepPoint) -> Task:
    role = OPERATOR if point.family == _SINGLE else STEP
    model = {"kind": "target", "target": f"{_BUILDERS}:{point.builder}", "arguments": dict(point.arguments)}
    return Task(
        point=Point(key=point.key, role=role, batch=point.batch, features=point.features), model=model
    )
