"""What a plan takes on this machine's own processor, where that was calibrated; imported where anything was."""

from __future__ import annotations

from collections.abc import Sequence

from zenplan.commands.shared.evidence import changed, is_of, step_of
from zenplan.domain.measured.calibration import MODEL, RUNNING, SWEEP, Stored
from zenplan.domain.measured.prediction import LocalStep
from zenplan.domain.training.plan import TrainingPlan


def steps_here(plan: TrainingPlan, calibrations: Sequence[Stored]) -> tuple[LocalStep, ...]:
    """The newest of each way to run it, the fastest first: calibrations of the model, and sweeps where there is none."""
    ready = [
        s
        for s in calibrations
        if s.calibration.fingerprint.kind == "cpu"
        and s.state != RUNNING
        and (is_of(s.calibration, plan.workload) or s.calibration.kind == SWEEP)
    ]
    if not ready:
        return ()
    from zenplan.adapters.machine.host import processor_name, read_host

    host = read_host()
    of_here = [s for s in ready if s.calibration.fingerprint.device == processor_name(host)]
    newest: dict[tuple[object, int | None], LocalStep] = {}
    # Those of the model first; of a kind those of a quiet machine, the newest first.
    for stored in sorted(of_here, key=_order):
        mark = stored.calibration.fingerprint
        way = (mark.backend, mark.compiled, mark.precision, mark.threads)
        swept = stored.calibration.kind == SWEEP
        if swept and (way in {known for known, _ in newest} or not _can_hold(plan, host.usable_memory_bytes)):
            continue
        if found := _step(stored, plan):
            newest.setdefault((way, None if swept else found.batch), found)
    return tuple(sorted(newest.values(), key=lambda step: step.run_s.mid))


def _order(stored: Stored) -> tuple[bool, bool, float]:
    taken = stored.calibration
    return taken.kind != MODEL, taken.disturbed, -taken.taken_at.timestamp()


def _can_hold(plan: TrainingPlan, memory_bytes: int | None) -> bool:
    """Whether the weights and what is kept beside them fit: nobody waits for a run that does not."""
    precision = plan.precision
    kept = precision.compute_bytes + precision.master_bytes + plan.state_bytes
    return memory_bytes is None or plan.workload.parameters * kept <= memory_bytes


def _step(stored: Stored, plan: TrainingPlan) -> LocalStep | None:
    """None where the calibration says nothing of the model."""
    taken, known = stored.calibration, step_of(stored.calibration, plan)
    if known is None:
        return None
    batch, found = known
    return LocalStep(
        calibration=taken,
        prediction=found,
        batch=batch,
        samples=plan.samples,
        origin=stored.origin,
        changed=tuple(changed(taken.fingerprint)),
        disturbed=taken.disturbed,
    )
