"""The JSON document and the records of ``zenplan calibrate``: every point, and what is predicted from them."""

from __future__ import annotations

from statistics import median
from typing import Any

from zenplan.commands.shared.ranges import range_document
from zenplan.domain.measured.calibrated import Calibrated, Calibrations
from zenplan.domain.measured.calibration import Calibration, Fingerprint, Measured
from zenplan.domain.measured.prediction import DataParallelStep
from zenplan.domain.range import Range


def calibrations_document(found: Calibrations) -> dict[str, Any]:
    """The whole answer."""
    return {
        "compared": found.compared,
        "calibrations": [_calibrated(each) for each in found.taken],
        "failed": [{"name": f.name, "reason": f.reason} for f in found.failed],
    }


def calibrations_records(found: Calibrations) -> tuple[dict[str, Any], ...]:
    """A row for each point of each calibration."""
    return tuple(
        {
            "id": each.calibration.id,
            "backend": each.calibration.fingerprint.backend,
            "compiled": each.calibration.fingerprint.compiled,
            **_point(measured, each.calibration.fingerprint),
        }
        for each in found.taken
        for measured in each.calibration.measured
    )


def _calibrated(each: Calibrated) -> dict[str, Any]:
    taken = each.calibration
    return {
        "id": taken.id,
        "kind": taken.kind,
        "subject": taken.subject,
        "family": taken.family,
        "stand_in": taken.stand_in,
        "taken_at": taken.taken_at.isoformat(),
        "fingerprint": _fingerprint(taken.fingerprint),
        "parameters": taken.parameters,
        "flop_per_sample": taken.flop_per_sample,
        "unit": each.unit,
        "tokens_per_sample": each.tokens_per_sample,
        "points": [_point(m, taken.fingerprint) for m in taken.measured],
        "target": _target(taken),
        "prediction": _prediction(each),
        "no_prediction": each.reason,
        **_together(each.together),
        "run": _run(each),
        "facts": list(each.facts),
        "notes": list(taken.notes),
    }


def _fingerprint(mark: Fingerprint) -> dict[str, Any]:
    return {
        "device": mark.device,
        "kind": mark.kind,
        "driver": mark.driver,
        "threads": mark.threads,
        "backend": mark.backend,
        "versions": dict(mark.versions),
        "precision": mark.precision,
        "compiled": mark.compiled,
    }


def _point(measured: Measured, mark: Fingerprint) -> dict[str, Any]:
    point, samples, clock = measured.point, measured.samples, mark.clock
    clocks = [s.clock_hz for s in samples if s.clock_hz is not None]
    return {
        "key": point.key,
        "role": point.role,
        "depth": point.depth,
        "batch": point.batch,
        "rounds": len(samples),
        "clock": clock,
        "step_s": measured.step_s(clock) if samples else None,
        "spread": measured.spread(clock) if samples else None,
        "wall_s": median(s.wall_s for s in samples) if samples else None,
        "cpu_s": median(s.cpu_s for s in samples) if samples else None,
        "clock_hz": median(clocks) if clocks else None,
        "setup_s": measured.setup_s,
        "peak_bytes": measured.peak_bytes,
        "predicted_bytes": point.predicted_bytes,
        "program_bytes": measured.program_bytes,
        "failure": measured.failure,
    }


def _target(taken: Calibration) -> dict[str, Any] | None:
    target = taken.target
    if target is None:
        return None
    return {"depth": target.depth, "batch": target.batch, "predicted_bytes": target.predicted_bytes}


def _prediction(each: Calibrated) -> dict[str, Any] | None:
    found, rate = each.prediction, each.samples_per_s
    if found is None or rate is None:
        return None
    return {
        "step_s": _range(found.step_s),
        "samples_per_s": _range(rate),
        "flop_per_s": each.flop_per_s,
        "method": found.method,
        "doubts": list(found.doubts),
        "stepping_s": found.stepping_s,
    }


def _together(found: DataParallelStep | None) -> dict[str, Any]:
    """A field of its own where several workers were asked for, and none where they were not."""
    if found is None:
        return {}
    return {
        "together": {
            "workers": found.workers,
            "batch": found.batch,
            "step_s": _range(found.step.step_s),
            "samples_per_s": _range(found.samples_per_s),
            "speed_up": found.speed_up,
            "compute_s": _range(found.compute.step_s),
            "alone_s": _range(found.alone.step_s),
            "all_reduce_s": found.reduce_s,
            "all_reduce_bytes": found.gradient_bytes,
            "latency_s": found.latency_s,
            "s_per_byte": found.s_per_byte,
            "exposed": found.exposed,
            "method": found.step.method,
            "doubts": list(found.step.doubts),
        }
    }


def _run(each: Calibrated) -> dict[str, Any]:
    return {
        "samples": each.run.samples,
        "seconds": _range(each.run_s),
        "usd_per_h": each.run.usd_per_h,
        "price": each.run.price,
        "usd": _range(each.run_usd),
    }


def _range(value: Range | None) -> dict[str, float] | None:
    return None if value is None else range_document(value)
