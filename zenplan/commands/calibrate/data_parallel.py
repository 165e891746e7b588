"""Several workers of this machine in data parallel: measured on shallow models, predicted for the whole one and for more
workers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Final

from zenplan.adapters.machine.host import read_host
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.adapters.workers import ranks
from zenplan.adapters.workers.process import Limits, Tell
from zenplan.commands.calibrate.how import How
from zenplan.commands.calibrate.record import Recorder, fingerprint_of
from zenplan.commands.calibrate.subject import Subject, Task
from zenplan.domain.measured.calibration import MODEL, STEP, Calibration, Measured, Point
from zenplan.domain.measured.collectives import ALL_REDUCE, COLLECTIVES, Collective
from zenplan.domain.measured.prediction import DataParallelStep, StepPrediction
from zenplan.errors import DataError, UsageError
from zenplan.planning.calibration import data_parallel as law
from zenplan.planning.calibration.collectives import Timed, fitted
from zenplan.planning.calibration.depth_fit import predicted
from zenplan.planning.calibration.design import depths_for
from zenplan.worker.protocol import ALONE, AT_ONCE, TOGETHER, DataParallel, Ranks, Replica

# Those that step models on several workers here, the usual one first.
BACKENDS: Final = ("torch", "jax")
# From what latency is most of, to a full bucket of DistributedDataParallel.
SIZES_BYTES = (2**16, 2**18, 2**20, 2**22, 2**24, 25 * 2**20)
ROUNDS = 5
_TIME_S, _MEMORY_SHARE = 1800.0, 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """How the workers are started, and how often collectives are timed.

    Attributes:
        environments: of each, over the user's; empty for workers that are joined by the loopback interface.
        address: where rank 0 waits; empty for a free port of this machine.
        command: of a worker; empty for the usual.
    """

    environments: tuple[Mapping[str, str], ...] = ()
    address: str = ""
    command: tuple[str, ...] = ()
    sizes: tuple[int, ...] = SIZES_BYTES
    rounds: int = ROUNDS


HERE: Final = Started()


def check_depth(subject: Subject) -> None:
    """Raises UsageError: the model is not one that can be run less deep."""
    if subject.depth is None:
        raise UsageError(
            f"--workers predicts {subject.name} from less deep ones, and nothing in it repeats",
            "name a function whose argument is the depth, as in: --keras m:build --vary depth=1,2,4 --depth 12",
        )


def calibrate_workers(subject: Subject, how: How, backend: str, tell: Tell) -> DataParallelStep:
    """The step of a model on several workers of this machine, each with its batch, from shallow ones.

    Raises:
        ZenplanError: a worker failed; the message says how. DataError: too little was measured.
    """
    depth = subject.depth or 1
    shallow = [subject.task(STEP, d, subject.batch) for d in subject.depths or depths_for(depth)]
    recorder = run_ranks(subject.name, [shallow], how, tell, backend)
    return predicted_step(recorder, 0, shallow, depth, how, backend)


def predicted_step(
    recorder: Recorder, group: int, shallow: Sequence[Task], depth: int, how: How, backend: str = BACKENDS[0]
) -> DataParallelStep:
    """The step of a model that deep, from the shallow models of its group.

    Raises:
        DataError: too little was measured.
    """
    workers = how.workers
    joined = collectives_of(recorder, group, workers)
    all_reduce = next(each for each in joined if each.name == ALL_REDUCE)
    sizes = {each.point.depth or 1: recorder.progress[each.point.key].gradient_bytes or 0.0 for each in shallow}
    compute_s, step_s = (
        [stepped(recorder, each.point.key, way).step_s("wall") for each in shallow] for way in (AT_ONCE, TOGETHER)
    )
    exposed = law.exposed_share(compute_s, [law.reduce_s(all_reduce, b, workers) for b in sizes.values()], step_s)
    alone, compute = (computed(recorder, shallow, way, depth, how, backend) for way in (ALONE, AT_ONCE))
    gradient_bytes = law.gradient_bytes_at(depth, sizes)
    reduced_s = law.reduce_s(all_reduce, gradient_bytes, workers)
    scaling = law.Scaling(
        measured=workers,
        alone=alone.step_s,
        compute=compute.step_s,
        all_reduce=all_reduce,
        gradient_bytes=gradient_bytes,
        exposed=exposed,
        variation=read_coefficients().all["variation"].value,
    )
    return DataParallelStep(
        workers=workers,
        batch=shallow[0].point.batch,
        step=law.data_parallel_step(compute, reduced_s, exposed),
        compute=compute,
        alone=alone,
        gradient_bytes=gradient_bytes,
        collectives=joined,
        reduce_s=reduced_s,
        exposed=exposed,
        scaling=scaling.doublings(),
        efficient=law.EFFICIENT,
        efficient_workers=scaling.efficient(),
    )


def computed(
    recorder: Recorder, shallow: Sequence[Task], way: str, depth: int, how: How, backend: str = BACKENDS[0]
) -> StepPrediction:
    """The step of a model that deep, in that way, without communication."""
    steps = [stepped(recorder, each.point.key, way) for each in shallow]
    return predicted(_calibration(recorder, steps, depth, how, backend))


def stepped(recorder: Recorder, key: str, way: str) -> Measured:
    """The steps of a model in that way. Raises DataError: there are none."""
    found = recorder.progress[key].measured(way) if key in recorder.progress else None
    if found is None or not found.samples:
        raise DataError(f"{key} was not stepped {way}")
    return found


def timed_of(recorder: Recorder, group: int, name: str, workers: int, rate: float | None = None) -> list[Timed]:
    """The medians of a collective, by size, as it was while that group was measured.

    Args:
        rate: of the link between the workers, in bytes a second; None where nothing is known of it.
    """
    return [
        Timed(workers=workers, size_bytes=size, seconds=median(rounds.values()), link_bytes_per_s=rate)
        for (of, which, size), rounds in recorder.communicated.items()
        if (of, which) == (group, name)
    ]


def collectives_of(recorder: Recorder, group: int, workers: int) -> tuple[Collective, ...]:
    """Each that was timed, fitted. Raises DataError: no all-reduce was, or of one size."""
    there = {name for of, name, _ in recorder.communicated if of == group} | {ALL_REDUCE}
    return tuple(fitted(name, timed_of(recorder, group, name, workers)) for name in COLLECTIVES if name in there)


def _calibration(recorder: Recorder, steps: Sequence[Measured], depth: int, how: How, backend: str) -> Calibration:
    if recorder.machine is None:
        raise DataError("no worker said what it runs on")
    # The threads of all workers: they wait for each other, so that the clock is the wall's.
    fingerprint = fingerprint_of(
        recorder.machine, backend=backend, precision=how.precision, threads=how.workers * how.threads
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


def run_ranks(
    what: str,
    groups: Sequence[Sequence[Task]],
    how: How,
    tell: Tell,
    backend: str = BACKENDS[0],
    started: Started = HERE,
) -> Recorder:
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
    address = started.address or ranks.free_address()
    jobs = [
        DataParallel(
            what=what,
            device=how.device,
            precision=how.precision,
            threads=how.threads,
            ranks=Ranks(rank=rank, size=how.workers, local=rank, address=address),
            sizes=started.sizes,
            rounds=started.rounds,
            groups=tuple(tuple(map(_replica, group)) for group in groups),
        )
        for rank in range(how.workers)
    ]
    environments = started.environments or ranks.environments_of(how.device, how.threads, how.workers, 1, os.environ)
    hear = recorder.hear
    ranks.run_ranks(jobs, backend, limits, tell, lambda _rank, event: hear(event), environments, started.command)
    return recorder


def _replica(task: Task) -> Replica:
    return Replica(key=task.point.key, batch=task.point.batch, model=task.model, ways=task.ways)
