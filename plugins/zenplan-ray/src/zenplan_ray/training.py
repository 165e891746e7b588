"""What a worker that Ray has started does: zenplan's own training loop, over the process group that Ray has joined."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final
from uuid import uuid4

import msgspec
import ray
from ray import train as ray_train
from zenplan import ZenplanError
from zenplan.adapters.files.scratch import scratch
from zenplan.errors import FailureKind
from zenplan.worker.measuring.machine import confined, confined_beside, prepare
from zenplan.worker.measuring.memory import Memory
from zenplan.worker.protocol import Event, Events, Ranks, Train
from zenplan.worker.training.group import ALONE, Group, Share, lost
from zenplan.worker.training.prepared import Prepared
from zenplan.worker.training.wishes import Wishes

from zenplan_ray.mailbox import LOOK_S, Said

BACKEND: Final = "torch"
# As long as those that zenplan starts.
PATIENCE_S: Final = 1800


class Lost(Exception):
    """Another worker does not answer any more: Ray begins again."""


@dataclass(slots=True)
class Told(Events):
    """Events that go into the mailbox.

    Attributes:
        rank, life: as of ``Said``.
    """

    mailbox: Any = None
    rank: int = 0
    life: str = ""

    def send(self, event: Event) -> None:
        """As of ``Events``. Raises BrokenPipeError: nobody hears any more."""
        line = msgspec.json.encode(msgspec.structs.replace(event, stage=self.stage)).decode()
        self.say(Said(rank=self.rank, life=self.life, line=line))

    def say(self, said: Said) -> None:
        """Raises BrokenPipeError: nobody hears any more."""
        try:
            ray.get(self.mailbox.say.remote(said))
        except ray.exceptions.RayError as error:
            raise BrokenPipeError from error


def work(config: Mapping[str, Any]) -> None:
    """Train as one of the workers.

    Args:
        config: the ``job``, the ``mailbox``, the ``folder`` and the ``environment`` of the process that started the run, and
            whether it is ``new``: then whoever finds a checkpoint of it begins again.

    Raises:
        Lost: another worker is gone.
    """
    with scratch() as home:
        # On another machine than the run was started on, Keras has no folder for its settings.
        os.environ.update({"KERAS_HOME": str(home), **config["environment"], "KERAS_BACKEND": BACKEND})
        with suppress(OSError):
            os.chdir(config["folder"])
        _work(config)


def _work(config: Mapping[str, Any]) -> None:
    context = ray_train.get_context()
    ranks = Ranks(
        rank=context.get_world_rank(),
        size=context.get_world_size(),
        local=context.get_local_rank(),
        address=f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}",
    )
    job = msgspec.json.decode(config["job"], type=Train)
    resume = job.resume or (config["new"] and any((Path(job.folder) / "checkpoints").glob("step-*")))
    job = msgspec.structs.replace(job, resume=resume, ranks=ranks if ranks.size > 1 else None)
    gone: ZenplanError | None = None
    told = Told(-1, mailbox=config["mailbox"], rank=ranks.rank, life=uuid4().hex)
    told.say(Said(rank=told.rank, life=told.life))
    with told as events:
        try:
            _train(job, ranks, events, config["mailbox"])
        except ZenplanError as error:
            if error.kind is not FailureKind.NO_COLLECTIVES:
                raise
            gone = error
    if gone is not None:
        raise Lost(gone.message)


def _train(job: Train, ranks: Ranks, events: Events, mailbox: Any) -> None:
    data = Prepared.read(job.data)
    threads = confined(job.threads) if ranks.size == 1 else confined_beside(ranks.local, job.threads)
    with _heard(mailbox, ranks.rank) as lines, _joined(ranks, events) as group:
        prepare(job.device, threads, job.precision)
        from zenplan.worker.training.keras_trainee import keras_trainee
        from zenplan.worker.training.run import train

        build = partial(keras_trainee, group=group)
        train(job, data, build, Memory(BACKEND, job.device), Wishes(lines, threading.Event()), events, group)


@contextmanager
def _joined(ranks: Ranks, events: Events) -> Iterator[Group]:
    """The workers, which Ray has made a process group of."""
    if ranks.size == 1:
        yield ALONE
        return
    from torch import distributed
    from zenplan.worker.training.group_torch import TorchGroup

    with lost():
        control = distributed.new_group(backend="gloo", timeout=timedelta(seconds=PATIENCE_S))
        share = Share(ranks.rank, ranks.size)
        group = TorchGroup(rank=ranks.rank, size=ranks.size, share=share, control=control)
        with group.pace.told(ranks.rank, events):
            yield group


@contextmanager
def _heard(mailbox: Any, rank: int) -> Iterator[SimpleQueue[str | None]]:
    """Within it the lines come that the parent writes; all workers heed what rank 0 has heard."""
    lines: SimpleQueue[str | None] = SimpleQueue()
    over = threading.Event()

    def listen() -> None:
        since = 0
        while not over.is_set():
            try:
                found = ray.get(mailbox.told.remote(since))
            except ray.exceptions.RayError:
                # Whoever kept them is gone, as the parent is then.
                found, rest = [None], True
            else:
                rest = False
            for line in found:
                lines.put(line)
            since += len(found)
            if rest:
                return
            time.sleep(LOOK_S)

    if rank == 0:
        threading.Thread(target=listen, daemon=True).start()
    try:
        yield lines
    finally:
        over.set()
