"""Steps of models trained on parts of one batch by several processes of one machine: the job ``data_parallel``.

Each process is one rank: a copy of each model under torch's DistributedDataParallel, over gloo. A step is timed in
three ways, which take turns: ``alone`` (rank 0 steps, the others wait), ``at_once`` (all step, and reduce nothing),
``together`` (all step, and gradients are averaged in buckets while backward goes on). Only the backend torch can.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import keras
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from zenplan.errors import FailureKind, UsageError, ZenplanError
from zenplan.worker.measuring import machine
from zenplan.worker.measuring.data import symbolic_input
from zenplan.worker.measuring.ready import Ready, built_model, with_data
from zenplan.worker.measuring.timing import timed
from zenplan.worker.protocol import ALONE, TOGETHER, Built, DataParallel, Events, Reduced, Replica, Sampled, says

# A rank that waits so long for another takes it for dead.
_PATIENCE: Final = timedelta(seconds=60)
_GLOO: Final = "gloo"
# The first step finds the order in which gradients come, the second fills buckets in that order.
_WARM_UPS: Final = 2


def measure_together(job: DataParallel, events: Events) -> None:
    """Measure the groups of the job, as one of its ranks.

    Raises:
        UsageError: what ``Measurement.points`` raises, or Keras runs on another backend than torch.
        ZenplanError: of the kind NO_COLLECTIVES: another rank is gone, or did not answer for a minute.
    """
    if keras.config.backend() != "torch":
        raise UsageError(f"Keras on {keras.config.backend()} is not timed in data parallel", "take --backend torch")
    machine.prepare("cpu", job.threads, job.precision)
    events.send(machine.described("cpu", job.threads, False))
    with _joined(job):
        for number, group in enumerate(job.groups):
            held = [_warm(point, job, events) for point in group]
            _take_rounds(held, number, job, events)
            del held
            keras.utils.clear_session(free_memory=True)


@contextmanager
def _joined(job: DataParallel) -> Iterator[None]:
    """Within it the ranks know each other."""
    distributed.init_process_group(
        "gloo", init_method=job.rendezvous, rank=job.rank, world_size=job.world, timeout=_PATIENCE
    )
    try:
        yield
        # Not after an error: what is waited for then may never come.
        distributed.barrier()
    except RuntimeError as error:
        # torch has no class of its own for it; gloo begins with the place in its source.
        if _GLOO not in str(error):
            raise
        raise ZenplanError(
            f"a worker does not answer any more: {says(error)}",
            "the others say why",
            kind=FailureKind.NO_COLLECTIVES,
            type=type(error).__name__,
        ) from error
    distributed.destroy_process_group()


@dataclass(slots=True, kw_only=True)
class _Held:
    """A model of this rank.

    Attributes:
        shared: the model under DistributedDataParallel.
        ways: in which it is timed.
    """

    ready: Ready
    shared: Any
    ways: tuple[str, ...]

    def step(self, way: str) -> None:
        """One training step; all ranks make it at the same time where the way is ``TOGETHER``."""
        model = self.ready.model
        with nullcontext() if way == TOGETHER else self.shared.no_sync():
            outputs = self.shared(self.ready.x, training=True)
            model.zero_grad()
            loss = model.compute_loss(x=self.ready.x, y=self.ready.y, y_pred=outputs, training=True)
            loss.backward()
        gradients = [variable.value.grad for variable in model.trainable_weights]
        with torch.no_grad():
            model.optimizer.apply(gradients, model.trainable_weights)


def _warm(point: Replica, job: DataParallel, events: Events) -> _Held:
    start = time.perf_counter()
    model = built_model(point.model, job.precision, events)
    symbolic = symbolic_input(model, point.batch, point.model.input_shapes)
    ready = with_data(point.key, model, symbolic, False)
    replica = _Held(ready=ready, shared=DistributedDataParallel(model), ways=point.ways)
    for _ in range(_WARM_UPS):
        for way in point.ways:
            replica.step(way)
    size = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    events.send(Built(key=ready.key, setup_s=time.perf_counter() - start, gradient_bytes=size))
    return replica


def _take_rounds(held: list[_Held], group: int, job: DataParallel, events: Events) -> None:
    events.begin("measure")
    tensors = [torch.ones(size // 4) for size in job.sizes]
    for tensor in tensors:
        distributed.all_reduce(tensor)
    for number in range(job.rounds):
        for tensor in tensors:
            seconds = _all_reduce_s(tensor)
            events.send(Reduced(bytes=4 * tensor.numel(), group=group, round=number, wall_s=seconds))
        for replica in held:
            for way in replica.ways:
                _sample(replica, way, number, job.rank, events)


def _all_reduce_s(tensor: Any) -> float:
    # Sums of sums would overflow.
    tensor.fill_(1.0)
    distributed.barrier()
    start = time.perf_counter()
    distributed.all_reduce(tensor)
    return time.perf_counter() - start


def _sample(replica: _Held, way: str, number: int, rank: int, events: Events) -> None:
    """One step, which all ranks begin at once; its times are sent by those that make it."""
    distributed.barrier()
    if way == ALONE and rank != 0:
        return
    wall_s, cpu_s = timed(lambda: replica.step(way), replica.ready.model)
    events.send(Sampled(key=replica.ready.key, way=way, round=number, wall_s=wall_s, cpu_s=cpu_s))
