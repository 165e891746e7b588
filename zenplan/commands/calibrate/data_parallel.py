"""Several workers of this machine in data parallel: measured on shallow models, predicted for the whole one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Final

from msgspec import structs

from zenplan.adapters.files.scratch import scratch
from zenplan.adapters.machine.host import read_host
from zenplan.adapters.workers import ranks
from zenplan.adapters.workers.process import Limits, Tell
from zenplan.commands.calibrate.how import How
from zenplan.commands.calibrate.record import Recorder, fingerprint_of
from zenplan.commands.calibrate.subject import Subject, Task
from zenplan.domain.measured.calibration import MODEL, STEP, Calibration, Measured, Point
from zenplan.domain.measured.prediction import DataParallelStep
from zenplan.errors import DataError, UsageError
from zenplan.planning.calibration.data_parallel import (
    AllReduce,
    data_parallel_step,
    exposed_share,
    fitted_all_reduce,
    gradient_bytes_at,
)
from zenplan.planning.calibration.depth_fit import predicted
from zenplan.planning.calibration.design import depths_for
from zenplan.worker.protocol import ALONE, AT_ONCE, TOGETHER, WAYS, DataParallel, Replica

BACKEND: Final = "torch"
# From what latency is most of, to a full bucket of DistributedDataParallel.
SIZES_BYTES = (2**16, 2**18, 2**20, 2**22, 2**24, 25 * 2**20)
ROUNDS = 5
_TIME_S, _MEMORY_SHARE = 1800.0, 0.8


def check_depth(subject: Subject) -> None:
    """Raises UsageError: the model is not one that can be run less deep."""
    if subject.depth is None:
        raise UsageError(
            f"--workers predicts {subject.name} from less deep ones, and nothing in it repeats",
            "name a function whose argument is the depth, as in: --keras m:build --vary depth=1,2,4 --depth 12",
        )


def calibrate_workers(subject: Subject, how: How, tell: Tell) -> DataParallelStep:
    """The step of a model on several workers of this machine, each with its batch, from shallow ones.

    Raises:
        ZenplanError: a worker failed; the message says how. DataError: too little was measured.
    """
    depth = subject.depth or 1
    shallow = [subject.task(STEP, d, subject.batch) for d in subject.depths or depths_for(depth)]
    recorder = run_ranks(subject.name, [shallow], how, tell)
    return predicted_step(recorder, 0, shallow, depth, how)


def predicted_step(recorder: Recorder, group: int, shallow: Sequence[Task], depth: int, how: How) -> DataParallelStep:
    """The step of a model that deep, from the shallow models of its group.

    Raises:
        DataError: too little was measured.
    """
    link = link_of(recorder, group)
    steps = {way: [stepped(recorder, each.point.key, way) for each in shallow] for way in WAYS}
    sizes = {each.point.depth or 1: recorder.progress[each.point.key].gradient_bytes or 0.0 for each in shallow}
    compute_s, step_s = ([m.step_s("wall") for m in steps[way]] for way in (AT_ONCE, TOGETHER))
    exposed = exposed_share(compute_s, [link.seconds(size) for size in sizes.values()], step_s)
    calibrations = (_calibration(recorder, steps[way], depth, how) for way in (ALONE, AT_ONCE))
    alone, compute = map(predicted, calibrations)
    gradient_bytes = gradient_bytes_at(depth, sizes)
    reduce_s = link.seconds(gradient_bytes)
    return DataParallelStep(
        workers=how.workers,
        batch=shallow[0].point.batch,
        step=data_parallel_step(compute, reduce_s, exposed),
        compute=compute,
        alone=alone,
        gradient_bytes=gradient_bytes,
        latency_s=link.latency_s,
        s_per_byte=link.s_per_byte,
        reduce_s=reduce_s,
        exposed=exposed,
    )


def stepped(recorder: Recorder, key: str, way: str) -> Measured:
    """The steps of a model in that way. Raises DataError: there are none."""
    found = recorder.progress[key].measured(way) if key in recorder.progress else None
    if found is None or not found.samples:
        raise DataError(f"{key} was not stepped {way}")
    return found


def link_of(recorder: Recorder, group: int) -> AllReduce:
    """All-reduce among the workers, as it was while that group was measured."""
    found = {size: median(rounds.values()) for (of, size), rounds in recorder.reduced.items() if of == group}
    return fitted_all_reduce(list(found), list(found.values()))


def _calibration(recorder: Recorder, steps: Sequence[Measured], depth: int, how: How) -> Calibration:
    if recorder.machine is None:
        raise DataError("no worker said what it runs on")
    # The threads of all workers: they wait for each other, so that the clock is the wall's.
    fingerprint = fingerprint_of(
        recorder.machine, backend=BACKEND, precision=how.precision, threads=how.workers * how.threads
    )
    return Calibration(
        id="ranks",
        kind=MODEL,
        subject=steps[0].point.key,
        family="any",
        fingerprint=fingerprint,
        target=Point(key="target", depth=depth, batch=steps[0].point.batch),
        measured=tuple(steps),
        taken_at=datetime.now(UTC),
    )


def run_ranks(what: str, groups: Sequence[Sequence[Task]], how: How, tell: Tell) -> Recorder:
    """Start the workers, one for each rank, and record what they say to their end.

    Args:
        what: as errors call the models.
        groups: models of one are held at the same time and take turns.
        tell: of the stages of rank 0.

    Raises:
        ZenplanError: a worker failed; the message is of the one that the others only lost. They are ended.
    """
    recorder = Recorder()
    recorder.expect(task.point for group in groups for task in group)
    usable = read_host().usable_memory_bytes
    limits = Limits(time_s=_TIME_S, memory_bytes=_MEMORY_SHARE * usable / how.workers if usable else None)
    with scratch() as folder:
        job = DataParallel(
            what=what,
            precision=how.precision,
            threads=how.threads,
            world=how.workers,
            rendezvous=(folder / "ranks").as_uri(),
            sizes=SIZES_BYTES,
            rounds=ROUNDS,
            groups=tuple(tuple(map(_replica, group)) for group in groups),
        )
        ranks.run_ranks(
            [structs.replace(job, rank=rank) for rank in range(how.workers)],
            BACKEND,
            limits,
            tell,
            lambda _rank, event: recorder.hear(event),
            ranks.environments_of("cpu", how.threads, how.workers, 1, os.environ),
        )
    return recorder


def _replica(task: Task) -> Replica:
    return Replica(key=task.point.key, batch=task.point.batch, model=task.model, ways=task.ways)
