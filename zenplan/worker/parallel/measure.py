"""Steps of models trained on parts of one batch by several processes, and collectives: the job ``data_parallel``.

Each process is one rank: a copy of each model, joined as the workers of a run are, by the backend that will train. A
step is timed in three ways, which take turns: ``alone`` (rank 0 steps, the others wait), ``at_once`` (all step, and
reduce nothing), ``together`` (all step, and gradients are averaged).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import keras

from zenplan.errors import UsageError
from zenplan.worker.measuring import machine
from zenplan.worker.measuring.data import symbolic_input
from zenplan.worker.measuring.ready import Ready, built_model, with_data
from zenplan.worker.measuring.timing import timed
from zenplan.worker.protocol import ALONE, Built, Communicated, DataParallel, Events, Replica, Sampled

# The first step finds the order in which gradients come, the second fills buckets in that order.
_WARM_UPS = 2


class Held(Protocol):
    """A model of this rank."""

    @property
    def gradient_bytes(self) -> int:
        """That are averaged in a step."""

    def step(self, way: str) -> None:
        """One training step, to its end; all ranks make it at the same time where the way is ``TOGETHER``."""


class Joined(Protocol):
    """The ranks, as a backend joins them. All call its methods in the same order."""

    @property
    def compiled(self) -> bool:
        """Whether a compiler sees the whole step."""

    def barrier(self) -> None:
        """Return when all are here."""

    def collective(self, name: str, size_bytes: int) -> Callable[[], Any]:
        """One that is ready to be begun, and waits for its end.

        Args:
            name: one of ``COLLECTIVES``.
            size_bytes: of the larger of this worker's two buffers, of numbers of four bytes.
        """

    def held(self, ready: Ready, ways: Sequence[str]) -> Held:
        """A model, to be stepped in these ways."""


def measure_together(job: DataParallel, events: Events) -> None:
    """Measure the groups of the job, as one of its ranks.

    Raises:
        UsageError: what ``Measurement.points`` raises, or Keras runs on a backend that joins no workers here.
        ZenplanError: of the kind NO_COLLECTIVES: another rank is gone, or did not answer for a minute.
    """
    with _joined(job) as ranks:
        machine.prepare(job.device, job.threads, job.precision)
        events.send(machine.described(job.device, job.threads, ranks.compiled))
        for number, group in enumerate(job.groups):
            held = [(point, *_warm(point, ranks, job, events)) for point in group]
            _take_rounds(held, ranks, number, job, events)
            del held
            keras.utils.clear_session(free_memory=True)


@contextmanager
def _joined(job: DataParallel) -> Iterator[Joined]:
    backend = keras.config.backend()
    if backend == "torch":
        from zenplan.worker.parallel.joined_torch import joined as by_torch

        with by_torch(job) as ranks:
            yield ranks
    elif backend == "jax":
        from zenplan.worker.parallel.joined_jax import joined as by_jax

        with by_jax(job) as ranks:
            yield ranks
    else:
        raise UsageError(f"Keras on {backend} is not timed in data parallel", "take --backend torch or jax")


def _warm(point: Replica, ranks: Joined, job: DataParallel, events: Events) -> tuple[Ready, Held]:
    start = time.perf_counter()
    model = built_model(point.model, job.precision, events)
    symbolic = symbolic_input(model, point.batch, point.model.input_shapes)
    ready = with_data(point.key, model, symbolic, False)
    replica = ranks.held(ready, point.ways)
    for _ in range(_WARM_UPS):
        for way in point.ways:
            replica.step(way)
    events.send(Built(key=ready.key, setup_s=time.perf_counter() - start, gradient_bytes=replica.gradient_bytes))
    return ready, replica


def _take_rounds(
    held: Sequence[tuple[Replica, Ready, Held]], ranks: Joined, group: int, job: DataParallel, events: Events
) -> None:
    events.begin("measure")
    ready = {(name, size): ranks.collective(name, size) for name in job.collectives for size in job.sizes}
    for begin in ready.values():
        begin()
    for number in range(job.rounds):
        for (name, size), begin in ready.items():
            ranks.barrier()
            start = time.perf_counter()
            begin()
            wall_s = time.perf_counter() - start
            events.send(Communicated(collective=name, bytes=size, group=group, round=number, wall_s=wall_s))
        for point, model, replica in held:
            for way in point.ways:
                _sample(model, replica, way, number, ranks, job, events)


def _sample(
    ready: Ready, replica: Held, way: str, number: int, ranks: Joined, job: DataParallel, events: Events
) -> None:
    """One step, which all ranks begin at once; its times are sent by those that make it."""
    ranks.barrier()
    if way == ALONE and job.ranks.rank != 0:
        return
    wall_s, cpu_s = timed(lambda: replica.step(way), ready.model)
    events.send(Sampled(key=ready.key, way=way, round=number, wall_s=wall_s, cpu_s=cpu_s))
