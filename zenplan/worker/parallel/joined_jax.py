"""Ranks that JAX joins: collectives over the mesh of all devices, and Keras's training step, compiled over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from zenplan.domain.measured.collectives import ALL_GATHER, ALL_REDUCE, ALL_TO_ALL, REDUCE_SCATTER
from zenplan.worker.measuring.ready import Ready
from zenplan.worker.protocol import ALONE, AT_ONCE, TOGETHER, DataParallel
from zenplan.worker.training.group_jax import REPLICAS, JaxGroup, grouped

_OVER = PartitionSpec(REPLICAS)
_COLLECTIVES: dict[str, Callable[[Any], Any]] = {
    ALL_REDUCE: lambda x: jax.lax.psum(x, REPLICAS),
    ALL_GATHER: lambda x: jax.lax.all_gather(x, REPLICAS, tiled=True),
    REDUCE_SCATTER: lambda x: jax.lax.psum_scatter(x, REPLICAS, tiled=True),
    ALL_TO_ALL: lambda x: jax.lax.all_to_all(x, REPLICAS, 0, 0, tiled=True),
}


@contextmanager
def joined(job: DataParallel) -> Iterator[JaxRanks]:
    """Within it the ranks know each other. Raises ZenplanError as of ``grouped``."""
    with grouped(job.device, job.ranks, job.workers) as group:
        ranks = JaxRanks(group=group)
        yield ranks
        ranks.barrier()


@dataclass(slots=True, kw_only=True)
class JaxRanks:
    """As of ``Joined``."""

    group: JaxGroup
    compiled: bool = True
    _meet: Callable[[], Any] | None = None

    def barrier(self) -> None:
        """As of ``Joined``."""
        if self._meet is None:
            self._meet = self.collective(ALL_REDUCE, 4 * self.group.size)
        self._meet()

    def collective(self, name: str, size_bytes: int) -> Callable[[], Any]:
        """As of ``Joined``."""
        workers = self.group.size
        # Whole parts; of four bytes a number.
        part = max(1, size_bytes // 4 // workers)
        mine = part if name == ALL_GATHER else part * workers
        # What each ends with is its own, though some have the same.
        begin = jax.jit(
            jax.shard_map(_COLLECTIVES[name], mesh=self.group.mesh, in_specs=_OVER, out_specs=_OVER, check_vma=False)
        )
        array = self.group.batch(np.ones(mine, np.float32))
        return lambda: jax.block_until_ready(begin(array))

    def held(self, ready: Ready, ways: Sequence[str]) -> JaxHeld:
        """As of ``Joined``."""
        return JaxHeld(ready=ready, group=self.group, ways=tuple(ways))


@dataclass(slots=True, kw_only=True)
class JaxHeld:
    """As of ``Held``: the state of this rank's own model, and that of the one that all have together."""

    ready: Ready
    group: JaxGroup
    ways: tuple[str, ...]
    _states: dict[bool, Any] = field(default_factory=dict)
    _step: Any = None

    def __post_init__(self) -> None:
        model = self.ready.model
        state = [
            [variable.value for variable in variables]
            for variables in (
                model.trainable_variables,
                model.non_trainable_variables,
                model.optimizer.variables,
                model.metrics_variables,
            )
        ]
        data = (self.ready.x, self.ready.y)
        if TOGETHER in self.ways:
            alike = NamedSharding(self.group.mesh, PartitionSpec())
            laid = jax.tree.map(lambda a: _laid_out(np.asarray(a), alike), state)
            self._states[True] = (laid, jax.tree.map(lambda a: self.group.batch(np.asarray(a)), data))
        if {ALONE, AT_ONCE} & set(self.ways):
            device = jax.local_devices()[0]
            # A step gives its state's memory to the next: not that of the model's own variables.
            own = jax.tree.map(lambda a: jax.device_put(jnp.array(a, copy=True), device), state)
            self._states[False] = (own, jax.device_put(data, device))
        self._step = jax.jit(lambda state, data: model.train_step(state, data)[1], donate_argnums=0)

    @property
    def gradient_bytes(self) -> int:
        """As of ``Held``."""
        return sum(int(v.value.nbytes) for v in self.ready.model.trainable_variables)

    def step(self, way: str) -> None:
        """As of ``Held``."""
        state, data = self._states[way == TOGETHER]
        after = jax.block_until_ready(self._step(state, data))
        self._states[way == TOGETHER] = (list(after), data)


def _laid_out(array: Any, sharding: NamedSharding) -> Any:
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])
