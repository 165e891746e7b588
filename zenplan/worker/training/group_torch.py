"""Workers joined by PyTorch's collectives: NCCL among GPUs, gloo among processors and for what they say to each other."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import torch
from torch import distributed

from zenplan.errors import FailureKind, UsageError, ZenplanError
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
        """As of ``Group``: each has a copy of all."""
        total = numbers_of(weights)
        return total, total if self.rank == 0 else 0


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
    with met(job.device, ranks) as group:
        yield group


@contextmanager
def met(device: str, ranks: Ranks, patience: timedelta = _PATIENCE) -> Iterator[TorchGroup]:
    """Within it the workers know each other, whatever they are about to do.

    Args:
        device: ``cpu`` or ``gpu``.
        patience: a worker that waits so long for another takes it for dead.

    Raises:
        ZenplanError: of the kind NO_COLLECTIVES: one has not come, or is gone.
    """
    with lost():
        store = _met(ranks)
        backend = "nccl" if device == "gpu" else "gloo"
        distributed.init_process_group(backend, store=store, rank=ranks.rank, world_size=ranks.size, timeout=patience)
        control = distributed.new_group(backend="gloo", timeout=patience)
        yield TorchGroup(rank=ranks.rank, size=ranks.size, share=Share(ranks.rank, ranks.size), control=control)
    # Not after an error: what is waited for then may never come.
    distributed.destroy_process_group()


def _met(ranks: Ranks) -> Any:
    """The store at rank 0, once all have come to it."""
    host, _, port = ranks.address.rpartition(":")
    wait = timedelta(seconds=ranks.wait_s)
    first = ranks.rank == 0
    try:
        store = distributed.TCPStore(host, int(port), ranks.size, first, timeout=wait, wait_for_workers=False)
    except (RuntimeError, ValueError) as error:
        why = "it is taken" if "EADDRINUSE" in str(error) or "in use" in str(error) else "rank 0 is not there"
        raise ZenplanError(
            f"the workers cannot meet at {ranks.address}: {why}",
            "another MASTER_PORT, or start rank 0 first",
            kind=FailureKind.NO_COLLECTIVES,
            type=type(error).__name__,
        ) from error
    store.set(f"here/{ranks.rank}", socket.gethostname())
    missing: list[int] = []
    for rank in range(ranks.size):
        try:
            store.wait([f"here/{rank}"], timedelta(seconds=1) if missing else wait)
        except RuntimeError:
            missing.append(rank)
    if missing:
        raise ZenplanError(
            f"rank {', '.join(map(str, missing))} of {ranks.size} did not come to {ranks.address} "
            f"within {ranks.wait_s:,.0f} s",
            "is it started, and does its machine reach that address?",
            kind=FailureKind.NO_COLLECTIVES,
        )
    return store
