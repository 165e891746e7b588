"""What a plan takes on this machine's own processor, where it was calibrated for the plan's model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zenplan.app.evidence import is_of
from zenplan.domain.calibration import Fingerprint
from zenplan.domain.measured_step import LocalStep
from zenplan.domain.plan import TrainingPlan
from zenplan.domain.stored import RUNNING, Stored
from zenplan.errors import DataError


def steps_here(plan: TrainingPlan, calibrations: Sequence[Stored]) -> tuple[LocalStep, ...]:
    """Those that fit, the newest of each way to run it, the fastest first."""
    wanted = [s for s in calibrations if s.calibration.fingerprint.kind == "cpu" and s.state != RUNNING
              and is_of(s.calibration, plan.workload)]  # fmt: skip
    if not wanted:
        return ()
    from zenplan.adapters.host import read_host

    processor = read_host().cpu_model.value
    newest: dict[object, LocalStep] = {}
    for stored in sorted(wanted, key=lambda s: s.calibration.taken_at, reverse=True):
        mark = stored.calibration.fingerprint
        if mark.device == processor and (found := _step(stored, plan)):
            newest.setdefault((mark.backend, mark.compiled, mark.precision, mark.threads, found.batch), found)
    return tuple(sorted(newest.values(), key=lambda step: step.run_s.mid))


def _step(stored: Stored, plan: TrainingPlan) -> LocalStep | None:
    """None where too little was measured."""
    from zenplan.planning.extrapolation import predicted

    taken, target = stored.calibration, stored.calibration.target
    try:
        found = predicted(taken)
    except DataError:
        return None
    changed = tuple(_changed(taken.fingerprint))
    return None if target is None else LocalStep(
        calibration=taken, prediction=found, batch=target.batch, samples=plan.samples, origin=stored.origin,
        changed=changed,
    )  # fmt: skip


def _changed(mark: Fingerprint) -> Iterator[str]:
    """What is installed in another version than it was measured with; what is in the build alone does not count."""
    from zenplan.adapters.installed import installed_version

    for name, then in mark.versions.items():
        now = installed_version(name)
        if now is None:
            yield f"{name} {then}, which is not installed now"
        elif now.partition("+")[0] != then.partition("+")[0]:
            yield f"{name} {then}, now {now}"
