"""What a calibration of the device in general means: the speed of models that people know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from zenplan.commands.shared.training_plan import training_plan
from zenplan.domain.measured.calibrated import KnownSpeed
from zenplan.domain.measured.calibration import Calibration
from zenplan.domain.range import Range
from zenplan.domain.training.request import Request
from zenplan.errors import DataError
from zenplan.planning.calibration.features import features_of_blocks
from zenplan.planning.calibration.kernel_fit import predicted_by_sweep
from zenplan.protocols import WorkloadFamily

# Of each kind one that is widely known, with the samples of a step that one device takes.
_KNOWN: Final = (("gpt2", 8), ("bert-base", 8), ("resnet50", 32), ("vit-base", 8), ("lstm", 8))


def known_speeds(sweep: Calibration, request: Request, families: Sequence[WorkloadFamily]) -> tuple[KnownSpeed, ...]:
    """Samples or tokens a second of each, by the sweep alone; with the reason where it does not tell."""
    return tuple(_speed(sweep, name, batch, request, families) for name, batch in _KNOWN)


def _speed(
    sweep: Calibration, name: str, batch: int, request: Request, families: Sequence[WorkloadFamily]
) -> KnownSpeed:
    asked = replace(request, model=name, batch=batch, precision=sweep.fingerprint.precision)
    workload = training_plan(asked, families, whole_run=False).workload
    known = KnownSpeed(model=workload.name, batch=batch, unit=workload.unit)
    try:
        step = predicted_by_sweep(sweep, features_of_blocks(workload.blocks, batch)).step_s
    except DataError as error:
        return replace(known, reason=error.message)
    units = float(batch * workload.tokens_per_sample)
    return replace(known, a_second=Range(low=units / step.high, mid=units / step.mid, high=units / step.low))
