"""Ranks that PyTorch joins: models under DistributedDataParallel, over gloo or NCCL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from zenplan.domain.measured.collectives import ALL_GATHER, ALL_REDUCE, REDUCE_SCATTER
from zenplan.worker.measuring.ready import Ready
from zenplan.worker.protocol import TOGETHER, DataParallel
from zenplan.worker.training.group_torch import TorchGroup, grouped

# Nothing that is measured takes so long.
_PATIENCE: Final = timedelta(seconds=60)


@contextmanager
def joined(job: DataParallel) -> Iterator[TorchRanks]:
    """Within it the ranks know each other. Raises ZenplanError as of ``grouped``."""
    with grouped(job.device, job.ranks, _PATIENCE) as group:
        yield TorchRanks(group=group, on_gpu=job.device == "gpu")
        group.gathered("")


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchRanks:
    """As of ``Joined``."""

    group: TorchGroup
    on_gpu: bool
    compiled: bool = False

    def barrier(self) -> None:
        """As of ``Joined``."""
        distributed.barrier(group=self.group.control)

    def collective(self, name: str, size_bytes: int) -> Callable[[], Any]:
        """As of ``Joined``."""
        workers = self.group.size
        # Whole parts; of four bytes a number.
        part = max(1, size_bytes // 4 // workers)
        device = "cuda" if self.on_gpu else "cpu"
        large, small = torch.ones(part * workers, device=device), torch.ones(part, device=device)
        if name == ALL_REDUCE:
            # Sums of sums would overflow: of zeros they stay zero.
            large.zero_()
            return self._ended(lambda: distributed.all_reduce(large))
        if name == ALL_GATHER:
            return self._ended(lambda: distributed.all_gather_into_tensor(large, small))
        if name == REDUCE_SCATTER:
            return self._ended(lambda: distributed.reduce_scatter_tensor(small, large))
        other = torch.empty_like(large)
        return self._ended(lambda: distributed.all_to_all_single(other, large))

    def held(self, ready: Ready, ways: Sequence[str]) -> TorchHeld:
        """As of ``Joined``."""
        return TorchHeld(ready=ready, shared=DistributedDataParallel(ready.model))

    def _ended(self, begin: Callable[[], Any]) -> Callable[[], Any]:
        """A collective of a GPU is only begun by the host."""
        if not self.on_gpu:
            return begin

        def ended() -> None:
            begin()
            torch.cuda.synchronize()

        return ended


@dataclass(slots=True, kw_only=True)
class TorchHeld:
    """As of ``Held``.

    Attributes:
        shared: the model under DistributedDataParallel.
    """

    ready: Ready
    shared: Any

    @property
    def gradient_bytes(self) -> int:
        """As of ``Held``."""
        return sum(p.numel() * p.element_size() for p in self.shared.parameters() if p.requires_grad)

    def step(self, way: str) -> None:
        """As of ``Held``."""
        model = self.ready.model
        with nullcontext() if way == TOGETHER else self.shared.no_sync():
            outputs = self.shared(self.ready.x, training=True)
            model.zero_grad()
            loss = model.compute_loss(x=self.ready.x, y=self.ready.y, y_pred=outputs, training=True)
            loss.backward()
        gradients = [variable.value.grad for variable in model.trainable_weights]
        with torch.no_grad():
            model.optimizer.apply(gradients, model.trainable_weights)
