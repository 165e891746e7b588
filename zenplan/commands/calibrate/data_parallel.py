"""Several workers of this machine in data parallel: measured on shallow models, predicted for the whole one."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from statistics import median
from threading import Lock
from typing import Any

from zenplan.adapters.files.scratch import scratch
from zenplan.adapters.workers.environment import measuring_environment
from zenplan.adapters.workers.process import Limits, Tell, run_job
from zenplan.domain.measured.calibration import MODEL, Calibration, Fingerprint, Measured, Point, Sample
from zenplan.domain.measured.prediction import StepPrediction
from zenplan.errors import DataError, ZenplanError
from zenplan.planning.calibration.data_parallel import (
    AllReduce,
    data_parallel_step,
    exposed_share,
    fitted_all_reduce,
    gradient_bytes_at,
)
from zenplan.planning.calibration.depth_fit import predicted
from zenplan.planning.calibration.design import depths_for

ALONE, AT_ONCE, TOGETHER = WAYS = ("alone", "at_once", "together")
# From what latency is most of, to a full bucket of DistributedDataParallel.
SIZES_BYTES = (2**16, 2**18, 2**20, 2**22, 2**24, 25 * 2**20)
ROUNDS = 5
_BACKEND, _THREADS = "torch", 1
_LIMITS = Limits(time_s=1800.0)
# After one worker fails, the others have so long to say what they know before they are ended.
_GRACE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A model that every rank has a copy of.

    Attributes:
        depth: how many of its repeated blocks.
        batch: of one rank.
        model: as in the job ``measure``.
        ways: in which it is timed, of ``WAYS``.
    """

    key: str
    depth: int
    batch: int
    model: Mapping[str, Any]
    ways: tuple[str, ...] = WAYS

    def document(self) -> dict[str, Any]:
        """For the job."""
        return {"key": self.key, "batch": self.batch, "model": dict(self.model), "ways": list(self.ways)}


@dataclass(slots=True, kw_only=True)
class Heard:
    """What all ranks have told.

    Attributes:
        machine: as the last rank told it.
        gradient_bytes: by key.
        steps: key and way to round to the sample of the rank that took longest: a step ends when the last worker does.
        reduced: group and bytes to the seconds of each round, of the rank that took longest.
    """

    machine: dict[str, Any] = field(default_factory=dict)
    gradient_bytes: dict[str, float] = field(default_factory=dict)
    steps: dict[tuple[str, str], dict[int, Sample]] = field(default_factory=dict)
    reduced: dict[tuple[int, int], dict[int, float]] = field(default_factory=dict)

    def hear(self, event: Mapping[str, Any]) -> None:
        """One event of one rank."""
        kind = event["event"]
        if kind == "machine":
            self.machine = dict(event)
        elif kind == "built":
            self.gradient_bytes[event["key"]] = event["gradient_bytes"]
        elif kind == "sample":
            sample = Sample(round=event["round"], wall_s=event["wall_s"], cpu_s=event["cpu_s"])
            rounds = self.steps.setdefault((event["key"], event["way"]), {})
            if sample.round not in rounds or rounds[sample.round].wall_s < sample.wall_s:
                rounds[sample.round] = sample
        elif kind == "reduced":
            seconds = self.reduced.setdefault((event["group"], event["bytes"]), {})
            seconds[event["round"]] = max(seconds.get(event["round"], 0.0), event["wall_s"])

    def measured(self, replica: Replica, way: str) -> Measured:
        """Its steps in that way. Raises DataError: there are none."""
        found = self.steps.get((replica.key, way))
        if not found:
            raise DataError(f"{replica.key} was not stepped {way}")
        point = Point(key=replica.key, depth=replica.depth, batch=replica.batch)
        return Measured(point=point, samples=tuple(found[number] for number in sorted(found)))


@dataclass(frozen=True, slots=True, kw_only=True)
class DataParallel:
    """A step in data parallel that was not measured, and what it is made of.

    Attributes:
        step: predicted.
        compute: of a worker while the others compute too.
        alone: of a worker while the others wait: what it would be if nothing were shared and nothing travelled.
        reduce_s: of its gradients by themselves.
        exposed: seconds of step for a second of all-reduce.
    """

    step: StepPrediction
    compute: StepPrediction
    alone: StepPrediction
    link: AllReduce
    reduce_s: float
    exposed: float


def calibrate_data_parallel(
    target: str, arguments: Mapping[str, Any], vary: str, batch: int, world: int, tell: Tell
) -> DataParallel:
    """The step of a Keras model on so many workers of this machine, from shallow ones.

    Args:
        target: ``package.module:build``.
        arguments: of it, for the whole model.
        vary: the argument that is the depth.
        batch: of one worker.
        world: workers, of one thread each.

    Raises:
        ZenplanError: a worker failed; the message says how. DataError: the model is too shallow to be varied.
    """
    depth = int(arguments[vary])
    shallow = [
        Replica(
            key=f"{vary}={d}",
            depth=d,
            batch=batch,
            model={"kind": "target", "target": target, "arguments": {**arguments, vary: d}},
        )
        for d in depths_for(depth)
    ]
    heard = run_ranks(target, [shallow], world, tell)
    return predicted_step(heard, 0, shallow, depth, world)


def predicted_step(heard: Heard, group: int, shallow: Sequence[Replica], depth: int, world: int) -> DataParallel:
    """The step of a model that deep, from the shallow models of its group.

    Raises:
        DataError: too little was measured.
    """
    link = link_of(heard, group)
    steps = {way: [heard.measured(each, way) for each in shallow] for way in WAYS}
    sizes = {each.depth: heard.gradient_bytes[each.key] for each in shallow}
    compute_s, step_s = ([m.step_s("wall") for m in steps[way]] for way in (AT_ONCE, TOGETHER))
    exposed = exposed_share(compute_s, [link.seconds(size) for size in sizes.values()], step_s)
    alone, compute = (predicted(_calibration(heard, steps[way], depth, world)) for way in (ALONE, AT_ONCE))
    reduce_s = link.seconds(gradient_bytes_at(depth, sizes))
    return DataParallel(
        step=data_parallel_step(compute, reduce_s, exposed),
        compute=compute,
        alone=alone,
        link=link,
        reduce_s=reduce_s,
        exposed=exposed,
    )


def link_of(heard: Heard, group: int) -> AllReduce:
    """All-reduce among the workers, as it was while that group was measured."""
    found = {size: median(rounds.values()) for (of, size), rounds in heard.reduced.items() if of == group}
    return fitted_all_reduce(list(found), list(found.values()))


def _calibration(heard: Heard, steps: Sequence[Measured], depth: int, world: int) -> Calibration:
    machine, batch = heard.machine, steps[0].point.batch
    # The threads of all workers: they wait for each other, so that the clock is the wall's.
    mark = Fingerprint(
        device=machine["device"],
        kind="cpu",
        threads=world * _THREADS,
        backend=_BACKEND,
        versions=machine["versions"],
        precision="fp32",
        compiled=False,
    )
    return Calibration(
        id="ranks",
        kind=MODEL,
        subject=steps[0].point.key,
        family="any",
        fingerprint=mark,
        target=Point(key="target", depth=depth, batch=batch),
        measured=tuple(steps),
        taken_at=datetime.now(UTC),
    )


def run_ranks(what: str, groups: Sequence[Sequence[Replica]], world: int, tell: Tell) -> Heard:
    """Start the workers, one for each rank, and hear them to their end.

    Args:
        what: as errors call the models.
        groups: models of one are held at the same time and take turns.
        tell: of the stages of rank 0.

    Raises:
        ZenplanError: a worker failed; the message is of the one that the others only lost. They are ended.
    """
    with scratch() as folder, ThreadPoolExecutor(world) as pool:
        job = {
            "job": "data_parallel",
            "what": what,
            "precision": "fp32",
            "threads": _THREADS,
            "world": world,
            "rendezvous": (folder / "ranks").as_uri(),
            "sizes": SIZES_BYTES,
            "rounds": ROUNDS,
            "groups": [[each.document() for each in group] for group in groups],
        }
        ranks = _Ranks(job=job, tell=tell)
        list(pool.map(ranks.run, range(world)))
    if ranks.errors:
        # What a worker says that has lost another comes from gloo, often before the other is seen to be gone.
        raise min(ranks.errors, key=lambda error: "gloo" in error.message)
    return ranks.heard


@dataclass(slots=True, kw_only=True)
class _Ranks:
    """The workers, each watched by a thread.

    Attributes:
        job: of all, without the rank.
        tell: of the stages of rank 0.
        errors: of workers that failed, in their order.
        failed_s: when the first did, by the monotonic clock.
    """

    job: Mapping[str, Any]
    tell: Tell
    heard: Heard = field(default_factory=Heard)
    errors: list[ZenplanError] = field(default_factory=list)
    failed_s: float = math.inf
    lock: Lock = field(default_factory=Lock)

    def run(self, rank: int) -> None:
        """One worker, to its end."""
        environment = {**measuring_environment("cpu", _THREADS, os.environ), **_loopback()}
        try:
            run_job({**self.job, "rank": rank}, _BACKEND, _LIMITS, partial(self._watch, rank), self._hear, environment)
        except ZenplanError as error:
            with self.lock:
                self.errors.append(error)
                self.failed_s = min(self.failed_s, time.monotonic())

    def _hear(self, event: dict[str, Any]) -> None:
        with self.lock:
            self.heard.hear(event)

    def _watch(self, rank: int, stage: str, seconds: float) -> None:
        if time.monotonic() > self.failed_s + _GRACE_S:
            raise self.errors[0]
        if rank == 0:
            self.tell(stage, seconds)


def _loopback() -> dict[str, str]:
    """For gloo: the interface that stays within the machine, whatever its name resolves to."""
    names = [name for _, name in socket.if_nameindex() if name in ("lo", "lo0")]
    return {"GLOO_SOCKET_IFNAME": names[0]} if names else {}
