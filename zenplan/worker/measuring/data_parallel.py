"""Steps of models trained on parts of one batch by several processes of one machine: the job ``data_parallel``.

Each process is one rank: a copy of each model under torch's DistributedDataParallel, over gloo. A step is timed in
three ways, which take turns: ``alone`` (rank 0 steps, the others wait), ``at_once`` (all step, and reduce nothing),
``together`` (all step, and gradients are averaged in buckets while backward goes on). Only the backend torch can.

The job, the same for all ranks but for the first::

    rank       0 to world - 1
    world      processes
    rendezvous file:// address that all can read, of a file that is not there yet
    what, precision, threads    as of the job ``measure``; each rank has cores of its own
    groups     [[{key, batch, model, ways}]]: models of a group are held together and take turns; batch of one rank
    sizes      bytes of the all-reduces that are timed in each round of each group
    rounds     of each group

Its events, beside the stages::

    machine    as of ``measure``
    built      {key, setup_s, gradient_bytes}
    sample     {key, way, round, wall_s, cpu_s}
    reduced    {bytes, group, round, wall_s}: of one all-reduce, with nothing else going on
    done       the end
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import keras
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from zenplan.errors import UsageError
from zenplan.worker.measuring import machine
from zenplan.worker.measuring.data import symbolic_input
from zenplan.worker.measuring.ready import Ready, built_model, with_data
from zenplan.worker.measuring.timing import timed
from zenplan.worker.protocol import Events

ALONE, AT_ONCE, TOGETHER = "alone", "at_once", "together"
# A rank that waits so long for another takes it for dead.
_PATIENCE: Final = timedelta(seconds=60)
# The first step finds the order in which gradients come, the second fills buckets in that order.
_WARM_UPS: Final = 2


def measure_together(job: Mapping[str, Any], events: Events) -> None:
    """Measure the groups of the job, as one of its ranks.

    Raises:
        UsageError: what ``measure_points`` raises, or Keras runs on another backend than torch.
        RuntimeError: another rank is gone, or did not answer for a minute.
    """
    if keras.config.backend() != "torch":
        raise UsageError(f"Keras on {keras.config.backend()} is not timed in data parallel", "take --backend torch")
    machine.prepare("cpu", job["threads"], job["precision"])
    events.send(event="machine", **machine.described("cpu", job["threads"], False))
    with _joined(job):
        for number, group in enumerate(job["groups"]):
            held = [_warm(point, job, events) for point in group]
            _take_rounds(held, number, job, events)
            del held
            keras.utils.clear_session(free_memory=True)


@contextmanager
def _joined(job: Mapping[str, Any]) -> Iterator[None]:
    """Within it the ranks know each other."""
    distributed.init_process_group(
        "gloo", init_method=job["rendezvous"], rank=job["rank"], world_size=job["world"], timeout=_PATIENCE
    )
    yield
    # Not after an error: what is waited for then may never come.
    distributed.barrier()
    distributed.destroy_process_group()


@dataclass(slots=True, kw_only=True)
class _Replica:
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


def _warm(point: Mapping[str, Any], job: Mapping[str, Any], events: Events) -> _Replica:
    start = time.perf_counter()
    model = built_model(point["model"], job["precision"], events)
    symbolic = symbolic_input(model, point["batch"], point["model"].get("input_shapes") or ())
    ready = with_data(point["key"], model, symbolic, False)
    ways = tuple(point["ways"])
    replica = _Replica(ready=ready, shared=DistributedDataParallel(model), ways=ways)
    for _ in range(_WARM_UPS):
        for way in ways:
            replica.step(way)
    size = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    events.send(event="built", key=ready.key, setup_s=time.perf_counter() - start, gradient_bytes=size)
    return replica


def _take_rounds(held: list[_Replica], group: int, job: Mapping[str, Any], events: Events) -> None:
    events.begin("measure")
    tensors = [torch.ones(size // 4) for size in job["sizes"]]
    for tensor in tensors:
        distributed.all_reduce(tensor)
    for number in range(job["rounds"]):
        for tensor in tensors:
            events.send(
                event="reduced", bytes=4 * tensor.numel(), group=group, round=number, wall_s=_all_reduce_s(tensor)
            )
        for replica in held:
            for way in replica.ways:
                _sample(replica, way, number, job["rank"], events)


def _all_reduce_s(tensor: Any) -> float:
    # Sums of sums would overflow.
    tensor.fill_(1.0)
    distributed.barrier()
    start = time.perf_counter()
    distributed.all_reduce(tensor)
    return time.perf_counter() - start


def _sample(replica: _Replica, way: str, number: int, rank: int, events: Events) -> None:
    """One step, which all ranks begin at once; its times are sent by those that make it."""
    distributed.barrier()
    if way == ALONE and rank != 0:
        return
    wall_s, cpu_s = timed(lambda: replica.step(way), replica.ready.model)
    events.send(event="sample", key=replica.ready.key, way=way, round=number, wall_s=wall_s, cpu_s=cpu_s)
