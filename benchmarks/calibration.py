"""How right calibration is: models that it never ran, predicted and then measured, on this machine.

For each target: a few shallow models of its own width and the target itself take turns in one process, so that what
slows the machine slows both. The target's samples are taken out before anything is fitted. One thread, by the
processor's clock. Beside it: the same from a half and a quarter of the batch alone, as where the whole does not fit; a
constant MFU taken from the largest step of the calibration; and the answer of a general sweep that ran other models.

    python benchmarks/calibration.py [--backend torch] [--only 3] [--write] [--readme]

Keras and the backends must be installed; some twenty minutes for each. ``--write`` keeps every sample in
``measured/calibration_<backend>.json``, from which ``--readme`` and ``--show`` make the tables without measuring again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from calibration_table import Outcome, off, report, summary
from calibration_targets import TARGETS
from kept_samples import document_of, expecting, read_samples
from readme import write as write_between

from zenplan.adapters.tables.sweep import read_sweep
from zenplan.adapters.workers.process import Limits, measuring_environment, run_job
from zenplan.commands.calibrate.record import Recorder, fingerprint_of
from zenplan.commands.calibrate.subject import Task
from zenplan.domain.measured.calibration import MODEL, PROGRAM, STEP, SWEEP, Calibration, Measured, Point, SweepPoint
from zenplan.errors import ZenplanError
from zenplan.planning.calibration.depth_fit import is_superlinear, predicted
from zenplan.planning.calibration.design import depths_for, sweep_points
from zenplan.planning.calibration.kernel_fit import predicted_by_sweep
from zenplan.worker.protocol import Measure, Rounds, Target, WantedPoint

HERE = Path(__file__).parent
BACKENDS = ("torch", "tensorflow", "jax")
ROUNDS = Rounds(least=5, most=5, seconds=600.0)
# As where the wanted batch does not fit: which part of it, at which depths.
FRACTIONS = ((2, (1, 2)), (4, (1, 2, 4)))
SWEEP_S, SWEEP_ROUNDS = 60.0, Rounds(least=3, most=5, seconds=600.0)
CORE_FLOP_PER_S = 6e10
TRUTH = "truth"
LIMITS = Limits(time_s=3600.0)


def measured(backend: str, what: str, tasks: Sequence[Task], rounds: Rounds, in_turn: bool = False) -> Recorder:
    """Those points, in one worker."""
    recorder = expecting(task.point for task in tasks)
    job = Measure(
        what=what,
        precision="fp32",
        threads=1,
        device="cpu",
        points=tuple(
            WantedPoint(key=t.point.key, role=t.point.role, batch=t.point.batch, model=t.model) for t in tasks
        ),
        rounds=rounds,
        in_turn=in_turn,
        count=True,
    )
    environment = measuring_environment("cpu", 1, os.environ)
    run_job(job, backend, LIMITS, lambda stage, seconds: None, recorder.hear, environment)
    return recorder


def _point(
    function: str, arguments: Mapping[str, Any], depth: int, batch: int, role: str = STEP, key: str = ""
) -> Task:
    model = Target(target=f"calibration_models:{function}", arguments={**arguments, "depth": depth})
    key = key or f"{role} depth={depth} batch={batch}"
    return Task(point=Point(key=key, role=role, depth=depth, batch=batch), model=model)


def run_target(backend: str, function: str, arguments: Mapping[str, Any], batch: int) -> Recorder:
    """The calibration of a target, and the target in its turns."""
    depth = int(arguments["depth"])
    depths, programs = depths_for(depth), {}
    if backend == "jax":
        points = [_point(function, arguments, d, batch, PROGRAM) for d in (*depths[:2], depth)]
        programs = measured(backend, function, points, ROUNDS).progress
        target = Point(key="target", depth=depth, batch=batch)
        depths = depths_for(depth, superlinear=is_superlinear([each.measured() for each in programs.values()], target))
    points = [_point(function, arguments, d, batch) for d in depths]
    points += [_point(function, arguments, d, batch // part) for part, some in FRACTIONS for d in some if d < depth]
    points.append(_point(function, arguments, depth, batch, key=TRUTH))
    recorder = measured(backend, function, points, ROUNDS)
    recorder.progress |= programs
    return recorder


def run_sweep(backend: str) -> Recorder:
    """The general sweep, as ``zenplan calibrate`` chooses it for a processor."""
    chosen = sweep_points(read_sweep(), backend, CORE_FLOP_PER_S, SWEEP_S, SWEEP_ROUNDS.most + 2)
    return measured(backend, "sweep", [_sweep_point(p) for p in chosen], SWEEP_ROUNDS, in_turn=True)


def _sweep_point(p: SweepPoint) -> Task:
    model = Target(target=f"zenplan.worker.proxies.samples:{p.builder}", arguments=dict(p.arguments))
    return Task(point=Point(key=p.key, batch=p.batch), model=model)


def calibration_of(
    recorder: Recorder, backend: str, target: Point | None, at: Callable[[int], bool] = lambda batch: True
) -> Calibration:
    """All that was measured but the truth, as a calibration; of the steps those ``at`` some batches."""
    if recorder.machine is None:
        raise SystemExit(f"the worker of {backend} never said what it runs on")
    fingerprint = fingerprint_of(recorder.machine, backend=backend, precision="fp32")
    found = {key: each.measured() for key, each in recorder.progress.items()}
    kept = tuple(m for key, m in found.items() if key != TRUTH and (m.point.role == PROGRAM or at(m.point.batch)))
    return Calibration(
        id="benchmark",
        kind=SWEEP if target is None else MODEL,
        subject="target",
        family="any",
        fingerprint=fingerprint,
        target=target,
        measured=kept,
        taken_at=datetime.now(UTC),
    )


def outcome(place: int, recorder: Recorder, backend: str, sweep: Calibration | None) -> Outcome:
    """What each method says of a target, and what was measured."""
    family, function, arguments, batch = TARGETS[place]
    truth = recorder.progress[TRUTH].measured()
    target = replace(truth.point, key="target")
    whole = calibration_of(recorder, backend, target, lambda b: b == batch)
    parts = calibration_of(recorder, backend, target, lambda b: b < batch)
    found, largest = predicted(whole), max(whole.steps, key=_flop)
    told = " ".join(f"{n}={v}" for n, v in arguments.items())
    return Outcome(
        family=family,
        name=f"{function} {told} batch={batch}",
        truth_s=truth.step_s("cpu"),
        low_s=found.step_s.low,
        mid_s=found.step_s.mid,
        high_s=found.step_s.high,
        method=found.method,
        stepping_s=found.stepping_s,
        times_flop=_flop(truth) / _flop(largest),
        fractions_s=predicted(parts).step_s.mid,
        fractions_times_flop=_flop(truth) / max(map(_flop, parts.steps)),
        constant_mfu_s=largest.step_s("cpu") * _flop(truth) / _flop(largest),
        sweep_s=_by_sweep(sweep, truth),
    )


def _by_sweep(sweep: Calibration | None, truth: Measured) -> float | None:
    if sweep is None:
        return None
    try:
        return predicted_by_sweep(sweep, truth.point.features).step_s.mid
    except ZenplanError:
        return None


def _flop(measured: Measured) -> float:
    return sum(v for name, v in measured.point.features.items() if name.endswith("_flop"))


def _kept(backend: str) -> Path:
    return HERE / "measured" / f"calibration_{backend}.json"


def measure_all(backend: str, only: Sequence[int]) -> dict[str, Any]:
    """The sweep and every target on one backend, as a document."""
    sweep = run_sweep(backend)
    found: dict[str, Any] = {"date": datetime.now(UTC).date().isoformat(), "sweep": document_of(sweep), "targets": {}}
    for place in only:
        _, function, arguments, batch = TARGETS[place]
        recorder = run_target(backend, function, arguments, batch)
        found["targets"][str(place)] = document_of(recorder)
        told = outcome(place, recorder, backend, None)
        print(
            f"{backend} {told.name}: {1e3 * told.truth_s:.0f} ms, {off(told.mid_s, told.truth_s)} %",
            file=sys.stderr,
            flush=True,
        )
    return found


def outcomes_of(backend: str, document: Mapping[str, Any]) -> tuple[list[Outcome], Calibration]:
    """What the methods say of what was measured."""
    sweep = calibration_of(read_samples(document["sweep"]), backend, None)
    return [
        outcome(int(place), read_samples(recorder), backend, sweep) for place, recorder in document["targets"].items()
    ], sweep


def for_readme() -> str:
    """The summaries of all backends whose samples are kept."""
    lines: list[str] = []
    for backend in (b for b in BACKENDS if _kept(b).exists()):
        document = json.loads(_kept(backend).read_text(encoding="utf-8"))
        machine = document["sweep"]["machine"]
        versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
        outcomes, _ = outcomes_of(backend, document)
        lines += [
            f"{backend} on one thread of {machine['device']} ({versions}; {document['date']}):",
            "",
            *summary(backend, outcomes),
            "",
        ]
    return "\n".join(lines).rstrip()


def main() -> None:
    """Measure, or show what was measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--backend", choices=BACKENDS, action="append", help="one of them; all, if not given")
    parser.add_argument("--only", type=int, action="append", help="number of a target, from 0")
    parser.add_argument("--show", action="store_true", help="of the samples that are kept, measuring nothing")
    parser.add_argument("--write", action="store_true", help="keep every sample")
    parser.add_argument("--sweep", action="store_true", help="only the sweep anew, beside targets that are kept")
    parser.add_argument("--readme", action="store_true", help="put the summaries of what is kept into the README")
    given = parser.parse_args()
    os.chdir(HERE)
    for backend in given.backend or BACKENDS:
        if given.show:
            document = json.loads(_kept(backend).read_text(encoding="utf-8"))
        elif given.sweep:
            document = json.loads(_kept(backend).read_text(encoding="utf-8"))
            document["sweep"] = document_of(run_sweep(backend))
        else:
            document = measure_all(backend, given.only or range(len(TARGETS)))
        if given.write:
            _kept(backend).parent.mkdir(exist_ok=True)
            _kept(backend).write_text(json.dumps(document, indent=None) + "\n", encoding="utf-8")
        print(report(backend, *outcomes_of(backend, document)), "\n")
    if given.readme:
        write_between("calibration", for_readme())


if __name__ == "__main__":
    main()
