"""Devices joined by JAX, of one process or of several: a mesh of replicas, each of which may be divided over devices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec

from zenplan.errors import ZenplanError
from zenplan.worker.protocol import Ranks, Train
from zenplan.worker.training.group import GATHERED_BYTES, TOLD_BYTES, Pace, Share, framed, lost, unframed
from zenplan.worker.training.meeting import met
from zenplan.worker.training.prepared import Array

REPLICAS, WITHIN = "replicas", "within"
# One that does not answer for so long is gone.
_HEARTBEAT_S: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class JaxGroup:
    """As of ``Group``.

    Attributes:
        mesh: of all devices; its first axis is of replicas.
    """

    rank: int
    size: int
    share: Share
    mesh: Any
    pace: Pace = field(default_factory=lambda: Pace(by_cpu=True))

    def scope(self) -> AbstractContextManager[Any]:
        """As of ``Group``."""
        return nullcontext()

    def told(self, text: str) -> str:
        """As of ``Group``."""
        if self.size == 1:
            return text
        raw = np.frombuffer(framed(text if self.rank == 0 else "", TOLD_BYTES), np.uint8)
        return unframed(np.asarray(multihost_utils.broadcast_one_to_all(raw), np.uint8).tobytes())

    def gathered(self, text: str) -> list[str]:
        """As of ``Group``."""
        if self.size == 1:
            return [text]
        raw = np.frombuffer(framed(text, GATHERED_BYTES), np.uint8)
        every = np.asarray(multihost_utils.process_allgather(raw), np.uint8)
        return [unframed(each.tobytes()) for each in every.reshape(self.size, -1)]

    def held(self, weights: Sequence[Any]) -> tuple[int, int]:
        """As of ``Group``."""
        shards = [each for array in weights for each in array.addressable_shards]
        on: Counter[Any] = Counter()
        for each in shards:
            on[each.device] += each.data.size
        return max(on.values(), default=0), sum(each.data.size for each in shards if each.replica_id == 0)

    def layout(self, shape: Sequence[int]) -> Any:
        """How an array of the state is laid out: a matrix is divided by its last axis, where that can be; all else is on
        every device."""
        axes: list[str | None] = [None] * len(shape)
        devices = self.mesh.shape[WITHIN]
        if len(axes) > 1 and devices > 1 and shape[-1] and shape[-1] % devices == 0:
            axes[-1] = WITHIN
        return NamedSharding(self.mesh, PartitionSpec(*axes))

    def laid_out(self, array: Array) -> Any:
        """A whole array, which every worker has, over the devices."""
        return jax.make_array_from_callback(array.shape, self.layout(array.shape), lambda index: array[index])

    def batch(self, array: Array) -> Any:
        """This worker's share of a batch as its part of the whole."""
        return jax.make_array_from_process_local_data(NamedSharding(self.mesh, PartitionSpec(REPLICAS)), array)


def whole(array: Any) -> Array:
    """The values of an array, wherever its parts are. All workers ask for it."""
    if array.is_fully_replicated or array.is_fully_addressable:
        return np.asarray(array.addressable_data(0) if array.is_fully_replicated else array)
    return np.asarray(multihost_utils.process_allgather(array, tiled=True))


def copies(array: Any) -> list[list[Array]]:
    """Of each part of an array, what devices of this worker have of it."""
    parts: dict[str, list[Array]] = {}
    for each in array.addressable_shards:
        parts.setdefault(str(each.index), []).append(np.asarray(each.data))
    return list(parts.values())


@contextmanager
def joined(job: Train, ranks: Ranks | None) -> Iterator[JaxGroup]:
    """Within it the workers know each other.

    Raises:
        ZenplanError: of the kind NO_COLLECTIVES: a worker has not come, or is gone.
    """
    with grouped(job.device, ranks, job.workers, job.devices, job.tensor_parallel) as group:
        yield group


@contextmanager
def grouped(
    device: str, ranks: Ranks | None, workers: int = 1, devices: int = 1, divided: int = 1
) -> Iterator[JaxGroup]:
    """Within it the workers know each other, whatever they are about to do.

    Args:
        device: ``cpu`` or ``gpu``.
        ranks: where this worker stands; None where it is alone.
        devices: of each worker.
        divided: over so many of them each replica is laid out.

    Raises:
        ZenplanError: of the kind NO_COLLECTIVES: a worker has not come, or is gone.
    """
    if device == "cpu":
        jax.config.update("jax_num_cpu_devices", devices)
    with lost():
        if ranks is not None:
            _meet(ranks)
        # A model is built by the processor, and laid out then: it may be larger than a device.
        with jax.default_device(jax.local_devices(backend="cpu")[0]):
            yield _group(ranks, workers, devices, divided)
    if ranks is not None:
        jax.distributed.shutdown()


def _meet(ranks: Ranks) -> None:
    met(ranks)
    jax.distributed.initialize(
        ranks.address,
        ranks.size,
        ranks.rank,
        initialization_timeout=int(ranks.wait_s),
        heartbeat_timeout_seconds=_HEARTBEAT_S,
    )


def _group(ranks: Ranks | None, workers: int, devices: int, divided: int) -> JaxGroup:
    there, wanted = jax.devices(), workers * devices
    if len(there) < wanted:
        raise ZenplanError(
            f"there are {len(there)} devices, and {wanted} were asked for", "fewer --devices, or another machine"
        )
    mesh = jax.sharding.Mesh(np.array(there[:wanted]).reshape(-1, divided), (REPLICAS, WITHIN))
    rank, size = (ranks.rank, ranks.size) if ranks else (0, 1)
    # Where a replica takes several workers, all of those load the same samples.
    together = max(1, divided // devices)
    share = Share(rank // together, size // together, max(1, devices // divided))
    return JaxGroup(rank=rank, size=size, share=share, mesh=mesh)
