"""Evidence: which calibrations say something of a plan, and what they make of its predictions.

A calibration of a model fits a plan of as many parameters and FLOP, in its precision and kind of software; a sweep
fits every model that has no other work than the sweep ran. What a calibration is used for, pairs of published runs
decide (``adapters.tables.coefficients``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from zenplan import units
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.fit.efficiency import BATCH, KINDS, Correction, Grounds
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.model.workload import Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.software import keras_software
from zenplan.domain.training.plan import TrainingPlan
from zenplan.errors import DataError, ZenplanError
from zenplan.planning.physics.interval import spread_of

if TYPE_CHECKING:
    # What calibrations need is imported where there are any: most users have none.
    from zenplan.domain.measured.calibration import Calibration, Fingerprint, Stored
    from zenplan.domain.measured.prediction import MeasuredStep, StepPrediction

# Parameters and FLOP of one model, counted in two ways, differ by no more.
_SAME: Final = 0.005
# Samples of the step that a sweep is asked for, where the plan's batch is not smaller: its ratio to a prediction hardly
# moves from there on.
_SWEEP_BATCH: Final = 64
_MOST_NOTES: Final = 3


def stored_calibrations(warn: Callable[[str], None]) -> tuple[Stored, ...]:
    """Those of the user's store; none where there is no store. What cannot be read is one line to ``warn``."""
    from zenplan.adapters.store.path import store_path

    if not store_path().exists():
        return ()
    from zenplan.adapters.store.store import CalibrationStore

    try:
        with CalibrationStore.open(only_read=True) as store:
            found = store.entries()
            bad = store.left_out
            if store.warning or bad:
                more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
                warn(store.warning or f"left out of the calibrations: {bad[0]}{more}")
            return found
    except ZenplanError as error:
        warn(f"{error.message}: going on without calibrations")
        return ()


def is_of(calibration: Calibration, workload: Workload) -> bool:
    """Whether it is of that very model."""
    from zenplan.domain.measured.calibration import MODEL

    pairs = (
        (calibration.parameters, workload.parameters),
        (calibration.flop_per_sample, workload.training_flop_per_sample),
    )
    return calibration.kind == MODEL and all(
        found is not None and abs(found / wanted - 1.0) <= _SAME for found, wanted in pairs
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a plan's steps beside published runs.

    Attributes:
        notes: calibrations of the model that are not of the plan's precision or software, one line each.
    """

    plan: TrainingPlan
    steps: tuple[MeasuredStep, ...] = ()
    notes: tuple[str, ...] = ()

    def corrected(self, cluster: Cluster) -> Cluster:
        """The cluster with what the narrowest of all intervals is from; the prediction's own is one of them."""
        # What a GPU was measured to do says nothing of a processor.
        if not self.steps or cluster.accelerator.is_processor:
            return cluster
        plain = replace(cluster, efficiency=replace(cluster.efficiency, correction=None))
        prior = spread_of(self.plan, plain)
        narrowest, best = math.log(prior.high / prior.low), None
        for step in self.steps:
            found = self._correction(step, plain)
            if found is not None and (width := math.log(found.spread.high / found.spread.low)) < narrowest:
                narrowest, best = width, found
        return replace(plain, efficiency=replace(plain.efficiency, correction=best)) if best else plain

    def _correction(self, step: MeasuredStep, cluster: Cluster) -> Correction | None:
        from zenplan.adapters.tables.coefficients import read_carried_over
        from zenplan.planning.calibration.correction import correction, kind_of, usable

        kind, told = kind_of(step.sheet, cluster), f"measured {step.where}"
        # The very step that was measured is carried nowhere.
        itself = kind == BATCH and step.own and step.batch == self.plan.global_batch
        carried = usable(read_carried_over(), kind)
        if carried is None and not itself:
            return None
        same = step.sheet.name == cluster.accelerator.name
        if carried is not None and not itself:
            told = f"carried over to {KINDS[kind]}: {told}; {carried.pairs:,} pairs of published runs say how well"
        return correction(
            step.step_s,
            step.predicted_s,
            None if itself else carried,
            spread_of(self.plan, cluster),
            Grounds.MEASURED if same else Grounds.CARRIED,
            told,
            step.calibration,
        )

    def facts(self, used: set[str]) -> tuple[Fact, ...]:
        """The calibrations with these ids, for people."""
        return tuple(
            Fact(
                name="calibration",
                value=f"{units.duration(s.step_s.mid)} for {s.batch:,} samples on one device",
                origin=Origin.MEASURED,
                why=_why(s),
            )
            for s in self.steps
            if s.calibration in used
        )


def _why(step: MeasuredStep) -> str:
    ratio = step.step_s.mid / step.predicted_s
    return f"{step.where}; × {ratio:.2f} of what published runs let expect"


def evidence_of(
    plan: TrainingPlan, catalogue: Catalogue, coefficients: Coefficients, calibrations: Sequence[Stored]
) -> Evidence:
    """What calibrations of accelerators say of a plan; those of processors say nothing of accelerators.

    Args:
        calibrations: the newest first.
    """
    if not calibrations:
        return Evidence(plan=plan)
    from zenplan.domain.measured.calibration import RUNNING, SWEEP

    ready = [s for s in calibrations if s.calibration.fingerprint.kind == "gpu" and s.state != RUNNING]
    # Of several those of a GPU that nobody else was on.
    ready.sort(key=lambda s: s.calibration.disturbed)
    mine = [s for s in ready if is_of(s.calibration, plan.workload)]
    notes = [_not_used(s.calibration, plan) for s in mine if not _fits(s, plan)]
    steps: list[MeasuredStep] = []
    for stored in (*mine, *(s for s in ready if s.calibration.kind == SWEEP)):
        sheet = catalogue.by_nvml(stored.calibration.fingerprint.device)
        if sheet is None or not _fits(stored, plan) or _known(stored.calibration, sheet, steps):
            continue
        if found := _step(stored, sheet, plan, coefficients):
            steps.append(found)
    return Evidence(plan=plan, steps=tuple(steps), notes=tuple(notes[:_MOST_NOTES]))


def _known(taken: Calibration, sheet: Accelerator, steps: Sequence[MeasuredStep]) -> bool:
    """Whether a newer one tells the same. A sweep, which takes a second to fit, is asked only of a device that nothing
    better is known of."""
    batch = taken.target.batch if taken.target else None
    return any(step.sheet is sheet and batch in (None, step.batch) for step in steps)


def _fits(stored: Stored, plan: TrainingPlan) -> bool:
    mark = stored.calibration.fingerprint
    return mark.precision == plan.precision.name and keras_software(mark.backend, mark.compiled) is plan.software


def _not_used(taken: Calibration, plan: TrainingPlan) -> str:
    mark = taken.fingerprint
    flags = (
        ("precision", mark.precision, plan.precision.name),
        ("software", keras_software(mark.backend, mark.compiled), plan.software),
    )
    other = " ".join(f"--{name} {has}" for name, has, wanted in flags if has != wanted)
    return f"calibration {taken.id} on {mark.device} is not used: it is for {other}"


def _step(stored: Stored, sheet: Accelerator, plan: TrainingPlan, coefficients: Coefficients) -> MeasuredStep | None:
    """The step that a calibration gives for a plan; None where too little was measured, or nothing like it."""
    from zenplan.domain.measured.prediction import MeasuredStep
    from zenplan.planning.calibration.correction import alone_s

    taken, load = stored.calibration, plan.workload
    known = step_of(taken, plan)
    if known is None:
        return None
    batch, found = known
    efficiency = coefficients.of(sheet.architecture, plan.precision, plan.software, load.family)
    one = Cluster(accelerator=sheet, efficiency=efficiency, node_devices=1)
    return MeasuredStep(
        calibration=taken.id,
        sheet=sheet,
        batch=batch,
        own=taken.target is not None,
        step_s=found.step_s,
        predicted_s=alone_s(plan, one, batch),
        where=_where(stored, found),
    )


def step_of(taken: Calibration, plan: TrainingPlan) -> tuple[int, StepPrediction] | None:
    """The batch and the step that a calibration gives for a plan's model; None where too little was measured, or
    nothing like its work."""
    from zenplan.planning.calibration.depth_fit import predicted
    from zenplan.planning.calibration.features import features_of_blocks
    from zenplan.planning.calibration.kernel_fit import predicted_by_sweep

    try:
        if taken.target:
            return taken.target.batch, predicted(taken)
        batch = min(_SWEEP_BATCH, plan.global_batch)
        return batch, predicted_by_sweep(taken, features_of_blocks(plan.workload.blocks, batch))
    except DataError:
        return None


def _where(stored: Stored, found: StepPrediction) -> str:
    from zenplan.domain.measured.calibration import MODEL

    taken = stored.calibration
    where = "" if stored.origin else "here "
    how = f" by {found.method}" if taken.kind != MODEL else ""
    # Versions of another's machine say nothing of this one.
    since = () if stored.origin else tuple(changed(taken.fingerprint))
    whose = f" ({'; '.join(filter(None, (stored.origin, *since)))})" if stored.origin or since else ""
    return f"{where}on one {taken.fingerprint.device} on {taken.taken_at.date().isoformat()}{how}{whose}"


# --- what changed since


def changed(mark: Fingerprint) -> Iterator[str]:
    """What is installed in another version than it was measured with; what is in the build alone does not count."""
    from zenplan.adapters.machine.host import installed_version

    for name, then in mark.versions.items():
        now = installed_version(name)
        if now is None:
            yield f"{name} {then}, which is not installed now"
        elif now.partition("+")[0] != then.partition("+")[0]:
            yield f"{name} {then}, now {now}"
