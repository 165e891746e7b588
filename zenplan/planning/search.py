"""The search: for each cluster, the layout that fits its memory and is fastest.

Layouts depend on the number of devices, memory on the layout, time on both. So memory is computed once for
each number of devices, and time only for layouts that fit and that no other makes pointless.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from zenplan.domain.cluster import Cluster
from zenplan.domain.plan import TrainingPlan
from zenplan.planning.arrays import Array, Hardware, Layouts
from zenplan.planning.memory import Memory, peak_memory
from zenplan.planning.step import Steps, step_time

# Candidates evaluated at once: enough for numpy, few enough for the processor's cache and 80 MB of memory.
_CHUNK = 8_192
# Left free of a device's memory: predicted peaks of published runs that did fit lie up to so much above it.
HEADROOM = 0.05
_MICRO_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
_LONG_SEQUENCE = 16_384  # tokens from which context parallelism is worth a try


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The best layout of each cluster, in the clusters' order; shape (n,).

    Attributes:
        fits: whether any layout fits; where none does, the entry is the one that needs the least memory.
        considered: layouts that were compared.
    """

    fits: npt.NDArray[np.bool_]
    layouts: Layouts
    steps: Steps
    memory: Memory
    considered: int


@dataclass(frozen=True, slots=True)
class _Pool:
    """Every layout for a number of devices, and the memory it needs without and with recomputation."""

    layouts: Layouts
    plain_bytes: Array
    again_bytes: Array

    def choose(self, capacity_bytes: float) -> Layouts:
        """The layouts that fit. Recomputation only where nothing else helps, ZeRO-2 only where ZeRO-1 does
        not fit: each costs time or saves none. Where nothing fits, the leanest."""
        again = self.plain_bytes > capacity_bytes
        fits = ~again | (self.again_bytes <= capacity_bytes)
        # A ZeRO-2 layout stands right behind its ZeRO-1 twin.
        fits &= (self.layouts.zero != 2) | np.roll(again, 1)
        index = np.flatnonzero(fits)
        if not len(index):
            index = np.array([np.argmin(self.again_bytes)])
        chosen = self.layouts.take(index)
        return replace(chosen, full=again[index].astype(float))


def usable_bytes(cluster: Cluster) -> float:
    """Memory of one device that a layout may fill."""
    return cluster.accelerator.capacity_bytes * (1.0 - HEADROOM)


def search(plan: TrainingPlan, clusters: Sequence[Cluster]) -> Found:
    """The fastest layout that fits, for each cluster. Every cluster must have a peak for the precision."""
    keys = [(c.devices, max(c.linked_devices, c.node_devices)) for c in clusters]
    pools = _pools(plan, keys)
    # Clusters of as many devices with as much memory have the same choice.
    fitting: dict[tuple[tuple[int, int], float], Layouts] = {}
    for key, cluster in zip(keys, clusters, strict=True):
        capacity = usable_bytes(cluster)
        if (key, capacity) not in fitting:
            fitting[key, capacity] = pools[key].choose(capacity)
    chosen = [fitting[k, usable_bytes(c)] for k, c in zip(keys, clusters, strict=True)]
    lengths = [len(c.dp) for c in chosen]
    hardware = Hardware.of(clusters, plan.precision)
    all_of = _joined(chosen)
    best = _fastest(plan, all_of, hardware, lengths)
    layouts = all_of.take(np.cumsum(lengths) - lengths + best)
    memory = peak_memory(plan, layouts)
    return Found(
        fits=memory.total_bytes <= np.array([usable_bytes(c) for c in clusters]),
        layouts=layouts,
        steps=step_time(plan, layouts, hardware),
        memory=memory,
        considered=sum(2 * len(p.plain_bytes) for p in pools.values()),
    )


def _joined(parts: Sequence[Layouts]) -> Layouts:
    return Layouts(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Layouts)})


def _fastest(plan: TrainingPlan, layouts: Layouts, hw: Hardware, lengths: Sequence[int]) -> Array:
    """For each cluster, the place of its fastest layout among its own."""
    owner = np.repeat(np.arange(len(lengths)), lengths)
    sample_s = np.empty(len(owner))
    for start in range(0, len(owner), _CHUNK):
        part = slice(start, start + _CHUNK)
        lay = layouts.take(part)
        # A batch rounded up to whole micro-batches is no reason to look faster.
        samples = np.minimum(lay.samples, plan.global_batch)
        sample_s[part] = step_time(plan, lay, hw.take(owner[part])).total_s / samples
    ends = np.cumsum(lengths)
    return np.array([np.argmin(sample_s[e - n : e]) for e, n in zip(ends, lengths, strict=True)])


def _pools(plan: TrainingPlan, keys: Iterable[tuple[int, int]]) -> dict[tuple[int, int], _Pool]:
    """For each distinct number of devices, and of those near each other, every layout with its memory."""
    found = {key: list(_candidates(plan, *key)) for key in dict.fromkeys(keys)}
    rows = np.array([row for each in found.values() for row in each], dtype=float).T
    names = ("dp", "tp", "pp", "cp", "ep", "zero", "micro_batch", "accumulation", "interleave")
    nothing = np.zeros(rows.shape[1])
    layouts = Layouts(**dict(zip(names, rows, strict=True)), full=nothing, selective=nothing)
    # One evaluation for all: a call for each number of devices would cost more than it computes.
    plain = peak_memory(plan, layouts).total_bytes
    again = peak_memory(plan, replace(layouts, full=nothing + 1)).total_bytes
    pools, start = {}, 0
    for key, each in found.items():
        part = slice(start, start := start + len(each))
        pools[key] = _Pool(layouts.take(part), plain[part], again[part])
    return pools


def _powers(most: int) -> list[int]:
    return [2**i for i in range(int(math.log2(most)) + 1)] if most >= 1 else []


def _degrees(plan: TrainingPlan, devices: int, near: int) -> Iterator[tuple[int, int, int, int]]:
    """(dp, tp, pp, cp) whose product is the devices. Tensor parallelism stays where the link is fast."""
    heads, layers = max(plan.workload.heads, 1), plan.workload.layers
    long = plan.workload.tokens_per_sample >= _LONG_SEQUENCE
    for tp, cp in itertools.product(_powers(min(near, devices, heads)), _powers(8) if long else [1]):
        rest, over = divmod(devices, tp * cp)
        # A group that does not divide a node would lie across two.
        if over or heads % tp or min(near, devices) % tp:
            continue
        for pp in _powers(min(rest, layers)):
            # More data-parallel groups than samples leaves devices without work.
            if rest % pp == 0 and rest // pp <= plan.global_batch:
                yield rest // pp, tp, pp, cp


def _candidates(plan: TrainingPlan, devices: int, near: int) -> Iterator[tuple[int, ...]]:
    """Every layout worth a look, in the order of ``_pools``'s names."""
    degrees = list(_degrees(plan, devices, near))
    if not degrees:
        # More devices than the batch can feed: the least wasteful is one sample each.
        degrees = [(devices, 1, 1, 1)]
    for dp, tp, pp, cp in degrees:
        # Pipelines keep whole gradients until the step ends, so only the optimizer is divided there.
        stages = (0,) if dp * cp == 1 else (1, 2, 3) if pp == 1 else (1,)
        experts = [e for e in _powers(min(dp, plan.workload.experts)) if dp % e == 0]
        for micro in _MICRO_BATCHES:
            if micro > 1 and dp * micro > plan.global_batch:
                break
            accumulation = math.ceil(plan.global_batch / (dp * micro))
            for ep, interleave in itertools.product(experts, _interleaves(plan, pp, accumulation)):
                for zero in stages:
                    yield dp, tp, pp, cp, ep, zero, micro, accumulation, interleave


def _interleaves(plan: TrainingPlan, pp: int, accumulation: int) -> list[int]:
    """Virtual stages a device can have: whole layers each, and micro-batches in rounds of the stages."""
    if pp == 1 or accumulation % pp:
        return [1]
    most = math.ceil(plan.workload.layers / pp)
    return [1] + [v for v in range(2, most + 1) if most % v == 0]
