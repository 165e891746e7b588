"""Workers joined by PyTorch's collectives: NCCL among GPUs, gloo among processors and for what they say to each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

import torch
from torch import distributed
from torch.distributed.tensor import DTensor

from zenplan.errors import UsageError
from zenplan.worker.protocol import Ranks, Train
from zenplan.worker.training.group import (
    GATHERED_BYTES,
    TOLD_BYTES,
    Pace,
    Share,
    framed,
    lost,
    numbers_of,
    unframed,
)
from zenplan.worker.training.meeting import met

# A step, or a checkpoint that rank 0 writes alone, takes less. Who hangs is found sooner, by the parent.
_PATIENCE: Final = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchGroup:
    """As of ``Group``.

    Attributes:
        control: over which they say what is not of the device.
    """

    rank: int
    size: int
    share: Share
    control: Any
    pace: Pace = field(default_factory=Pace)

    def scope(self) -> AbstractContextManager[Any]:
        """As of ``Group``."""
        return nullcontext()

    def told(self, text: str) -> str:
        """As of ``Group``."""
        raw = torch.frombuffer(bytearray(framed(text if self.rank == 0 else "", TOLD_BYTES)), dtype=torch.uint8)
        distributed.broadcast(raw, 0, group=self.control)
        return unframed(raw.numpy().tobytes())

    def gathered(self, text: str) -> list[str]:
        """As of ``Group``."""
        mine = torch.frombuffer(bytearray(framed(text, GATHERED_BYTES)), dtype=torch.uint8)
        every = [torch.empty_like(mine) for _ in range(self.size)]
        distributed.all_gather(every, mine, group=self.control)
        return [unframed(each.numpy().tobytes()) for each in every]

    def held(self, weights: Sequence[Any]) -> tuple[int, int]:
        """As of ``Group``: each has a copy of all that is not divided."""
        parts = numbers_of([each.to_local() for each in weights if isinstance(each, DTensor)])
        copies = numbers_of([each for each in weights if not isinstance(each, DTensor)])
        return parts + copies, parts + (copies if self.rank == 0 else 0)


@contextmanager
def joined(job: Train, ranks: Ranks) -> Iterator[TorchGroup]:
    """Within it the workers know each other.

    Raises:
        UsageError: the engine cannot do what is asked. ZenplanError: of the kind NO_COLLECTIVES: one has not come, or is
            gone.
    """
    if job.tensor_parallel > 1:
        raise UsageError(
            "PyTorch trains Keras models in data parallel, and does not divide their matrices",
            "leave out --tensor-parallel, or --backend jax",
        )
    with grouped(job.device, ranks) as group:
        # Where weights are put together at every layer, waiting is told from working by the processor's time alone.
        yield replace(group, pace=Pace(by_cpu=True)) if job.zero else group


@contextmanager
def grouped(device: str, ranks: Ranks, patience: timedelta = _PATIENCE) -> Iterator[TorchGroup]:
    """Within it the workers know each other, whatever they are about to do.

    Args:
        device: ``cpu`` or ``gpu``.
        patience: a worker that waits so long for another takes it for dead.

    Raises:
        ZenplanError: of the kind NO_COLLECTIVES: one has not come, or is gone.
    """
    with lost():
        met(ranks)
        store = distributed.TCPStore(
            ranks.host,
            ranks.port,
            ranks.size,
            ranks.rank == 0,
            timeout=timedelta(seconds=ranks.wait_s),
            wait_for_workers=False,
        )
        backend = "nccl" if device == "gpu" else "gloo"
        distributed.init_process_group(backend, store=store, rank=ranks.rank, world_size=ranks.size, timeout=patience)
        control = distributed.new_group(backend="gloo", timeout=patience)
        yield TorchGroup(rank=ranks.rank, size=ranks.size, share=Share(ranks.rank, ranks.size), control=control)
    # Not after an error: what is waited for then may never come.
    distributed.destroy_process_group()
