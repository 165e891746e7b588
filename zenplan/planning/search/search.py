"""The search: for each cluster, the layout that fits its memory and is fastest; or all of them, to compare.

Layouts depend on the number of devices, memory on the layout, time on both. So memory is computed once for
each number of devices, and time only for layouts that fit and that no other makes pointless.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from zenplan.domain.answer.estimate import Estimate
from zenplan.domain.answer.fit import FITS_UP_TO, PLANNED_UP_TO
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.range import Range
from zenplan.domain.training.layout import Recompute
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.columns import Array, Hardware, Index, Layouts
from zenplan.planning.physics.interval import spread_of
from zenplan.planning.physics.memory import Memory, peak_memory
from zenplan.planning.physics.step import Steps, step_time
from zenplan.planning.search.candidates import candidates, reachable

_Mask = npt.NDArray[np.bool_]
# Candidates evaluated at once: enough for numpy, few enough for the processor's cache.
_CHUNK = 8_192
# Left free of a device's memory, so that a layout surely fits.
HEADROOM = 1.0 - FITS_UP_TO
# What may be recomputed, as (``full``, ``selective``): each takes longer than the one before it, and less memory.
# A fused kernel computes its scores again by itself, so selective recomputation is for unfused attention.
_NONE, _FULL = (Recompute.NONE, (0.0, 0.0)), (Recompute.FULL, (1.0, 0.0))
_FUSED = (_NONE, (Recompute.HALF, (0.5, 0.0)), _FULL)
_UNFUSED = (_NONE, (Recompute.SELECTIVE, (0.0, 1.0)), _FULL)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """Layouts with what they take: the best of each cluster, or all of one; shape (n,).

    Attributes:
        fits: whether it fits memory. Where no layout of a cluster does, its entry is the fastest that is tight, or
            else the leanest.
        tight: whether it does not surely fit, and no more is predicted than the device has (``domain.answer.fit``).
        considered: layouts that were compared.
    """

    fits: _Mask
    tight: _Mask
    layouts: Layouts
    steps: Steps
    memory: Memory
    considered: int

    @property
    def planned(self) -> _Mask:
        """What is planned with: what fits; what is tight only where nothing does, so that a run that may go is not
        called impossible, and none that may fail is preferred to one that surely goes."""
        return self.fits if self.fits.any() else self.tight

    def estimate(self, plan: TrainingPlan, cluster: Cluster, index: int) -> Estimate:
        """One entry as a noun; ``cluster`` is the one that it is on."""
        step, samples = self.steps.at(index), float(useful_samples(plan, self.layouts)[index])
        spread, useful = spread_of(plan, cluster), plan.workload.training_flop_per_sample * samples
        peak = cluster.accelerator.peak(plan.precision.other_dtype) or float("nan")
        return Estimate(
            cluster=cluster,
            layout=self.layouts.at(index),
            step=step,
            step_s=Range(low=step.total_s * spread.low, mid=step.total_s, high=step.total_s * spread.high),
            memory=self.memory.at(index),
            mfu=useful / (step.total_s * cluster.devices * peak),
            samples_per_s=samples / step.total_s,
            evidence=spread.basis,
        )


def usable_bytes(cluster: Cluster) -> float:
    """Memory of one device that a layout may fill."""
    return cluster.accelerator.capacity_bytes * (1.0 - HEADROOM)


def _limits(clusters: Sequence[Cluster]) -> tuple[Array, Array]:
    """Memory of each up to which a layout fits, and up to which it is planned with where none does, shape (n,)."""
    usable = np.array([usable_bytes(c) for c in clusters])
    return usable, usable / FITS_UP_TO * PLANNED_UP_TO


def near_of(cluster: Cluster) -> int:
    """Devices of the cluster that are near each other: no network between them."""
    return max(cluster.linked_devices, cluster.node_devices)


def useful_samples(plan: TrainingPlan, layouts: Layouts) -> Array:
    """Samples a step gets on with, shape (n,): those of the batch that was asked for.

    What fills up the last micro-batches is computed, and takes its time, but is no progress. Speed, MFU, the
    number of steps and dollars all count by this.
    """
    useful: Array = np.minimum(layouts.samples, plan.global_batch)
    return useful


def sample_s(plan: TrainingPlan, layouts: Layouts, steps: Steps) -> Array:
    """Seconds for a useful sample, shape (n,): what layouts are compared by."""
    each: Array = steps.total_s / useful_samples(plan, layouts)
    return each


def search(plan: TrainingPlan, clusters: Sequence[Cluster]) -> Found:
    """The fastest layout that fits, for each cluster. Every cluster must have a peak for the precision."""
    keys = [(c.devices, near_of(c)) for c in clusters]
    every, pools = _pools(plan, keys)
    # Clusters of as many devices with as much memory have the same choice.
    fitting: dict[tuple[tuple[int, int], float], _Choice] = {}
    for key, cluster in zip(keys, clusters, strict=True):
        capacity = usable_bytes(cluster)
        if (key, capacity) not in fitting:
            fitting[key, capacity] = pools[key].choose(capacity)
    chosen = [fitting[k, usable_bytes(c)] for k, c in zip(keys, clusters, strict=True)]
    lengths = [len(index) for index, _ in chosen]
    hardware = Hardware.of(clusters, plan.precision)
    index, rung = (np.concatenate(parts) for parts in zip(*chosen, strict=True))
    full, selective = (np.array(shares).take(rung) for shares in zip(*_rungs(plan), strict=True))
    all_of = replace(every.take(index), full=full, selective=selective)
    best, steps = _fastest(plan, all_of, hardware, lengths)
    layouts = all_of.take(best)
    memory = peak_memory(plan, layouts)
    usable, most = _limits(clusters)
    return Found(
        fits=memory.total_bytes <= usable,
        tight=(memory.total_bytes > usable) & (memory.total_bytes <= most),
        layouts=layouts,
        steps=steps,
        memory=memory,
        considered=sum(pool.needs_bytes.size for pool in pools.values()),
    )


def survey(plan: TrainingPlan, cluster: Cluster) -> Found:
    """Every layout of one cluster, with and without recomputation, fitting or not. The cluster must have a
    peak for the precision."""
    every = candidates(plan, cluster.devices, [near_of(cluster)])
    some = every.take(reachable(plan, every, cluster.devices, near_of(cluster)))
    layouts = _joined([_recomputing(some, rung) for rung in _rungs(plan)])
    hardware = Hardware.of([cluster], plan.precision)
    steps, memory = [], []
    for part in _chunks(len(layouts.dp)):
        chunk = layouts.take(part)
        steps.append(step_time(plan, chunk, hardware.take(np.zeros(len(chunk.dp), dtype=np.intp))))
        memory.append(peak_memory(plan, chunk))
    needs: Memory = _joined(memory)
    (usable,), (most,) = _limits([cluster])
    fits = needs.total_bytes <= usable
    tight = ~fits & (needs.total_bytes <= most)
    return Found(fits=fits, tight=tight, layouts=layouts, steps=_joined(steps), memory=needs, considered=len(fits))


def _rungs(plan: TrainingPlan) -> tuple[tuple[float, float], ...]:
    """Those that the plan's software has; where none is named, all."""
    every = _FUSED if plan.fused_attention else _UNFUSED
    return tuple(shares for name, shares in every if plan.stack is None or name in plan.stack.recompute)


def _recomputing(layouts: Layouts, rung: tuple[float, float]) -> Layouts:
    full, selective = (np.full_like(layouts.dp, share) for share in rung)
    return replace(layouts, full=full, selective=selective)


def _joined(parts: Sequence[Any]) -> Any:
    """Columns one after another."""
    kind = type(parts[0])
    return kind(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(kind)})


def _chunks(length: int) -> Iterator[slice]:
    return (slice(start, min(start + _CHUNK, length)) for start in range(0, length, _CHUNK))


def _fastest(plan: TrainingPlan, layouts: Layouts, hw: Hardware, lengths: Sequence[int]) -> tuple[Index, Steps]:
    """For each cluster, the index of the fastest of its own layouts, and the step of that one."""
    owner = np.repeat(np.arange(len(lengths)), lengths)
    each_s, steps = np.empty(len(owner)), []
    for part in _chunks(len(owner)):
        chunk = layouts.take(part)
        steps.append(step_time(plan, chunk, hw.take(owner[part])))
        each_s[part] = sample_s(plan, chunk, steps[-1])
    ends = np.cumsum(lengths)
    best = np.array([e - n + np.argmin(each_s[e - n : e]) for e, n in zip(ends, lengths, strict=True)])
    # Clusters are in the layouts' order, so what is best is in the chunks' order.
    parts = [each.take(best[best // _CHUNK == place] % _CHUNK) for place, each in enumerate(steps)]
    return best, _joined(parts)


def _pools(plan: TrainingPlan, keys: Sequence[tuple[int, int]]) -> tuple[Layouts, dict[tuple[int, int], _Pool]]:
    """Every layout; and for each distinct number of devices, and of those near each other, those that it has."""
    sizes = sorted({devices for devices, _ in keys})
    every = [candidates(plan, size, {near for d, near in keys if d == size}) for size in sizes]
    layouts: Layouts = _joined(every)
    # One evaluation for all: a call for each number of devices would cost more than it computes.
    needs = np.stack([peak_memory(plan, _recomputing(layouts, rung)).total_bytes for rung in _rungs(plan)])
    pools, ends = {}, np.cumsum([len(each.dp) for each in every])
    starts = dict(zip(sizes, ends - [len(each.dp) for each in every], strict=True))
    for devices, near in dict.fromkeys(keys):
        those = every[sizes.index(devices)]
        index = np.flatnonzero(reachable(plan, those, devices, near))
        own = starts[devices] + index
        pools[devices, near] = _Pool.of(plan, those.take(index), own, needs[:, own])
    return layouts, pools


# Indices into every layout, and the rung of recomputation of each.
_Choice = tuple[Index, Index]


@dataclass(frozen=True, slots=True, eq=False)
class _Pool:
    """The layouts for a number of devices, and the bytes each needs on each rung of recomputation, (rungs, n).

    ``own`` are their indices among all; ``starts`` are the places where degrees or ZeRO change, ``group`` is which
    of those runs an entry is in; ``twin`` is the entry before it that is the same under one ZeRO stage less; ``flat``
    entries have no pipeline, ``exact`` ones waste none of the batch besides; ``chosen`` remembers choices by their
    rungs.
    """

    layouts: Layouts
    own: Index
    needs_bytes: Array
    starts: npt.NDArray[np.intp]
    group: npt.NDArray[np.intp]
    twin: npt.NDArray[np.intp]
    flat: _Mask
    exact: _Mask
    chosen: dict[bytes, _Choice] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: TrainingPlan, layouts: Layouts, own: Index, needs_bytes: Array) -> _Pool:
        """The pool, with what every capacity asks of it.

        Args:
            plan: what is trained.
            layouts: n of them.
            own: their indices among all, shape (n,).
            needs_bytes: of each on each rung of recomputation, shape (rungs, n).
        """
        parts = np.stack([layouts.tp, layouts.cp, layouts.pp, layouts.dp, layouts.ep, layouts.zero, layouts.shard])
        count = parts.shape[1]
        new = np.ones(count, dtype=bool)
        new[1:] = (parts[:, 1:] != parts[:, :-1]).any(axis=0)
        starts = np.flatnonzero(new)
        group = np.cumsum(new) - 1
        lengths = np.diff(starts, append=count)
        # Entries of ZeRO-1 stand right before those of ZeRO-2, as many and in the same order.
        twin = np.maximum(np.arange(count) - lengths[group], 0)
        flat = layouts.pp == 1
        exact = flat & (layouts.samples < plan.global_batch + layouts.dp)
        return cls(layouts, own, needs_bytes, starts, group, twin, flat, exact)

    def choose(self, capacity_bytes: float) -> _Choice:
        """The layouts that fit and may be the fastest. Where nothing fits, those that are tight; else the leanest.

        Recomputation only as far as memory asks for it: every rung takes longer than the one before.
        """
        fits = self.needs_bytes <= capacity_bytes
        if not fits.any():
            fits = self.needs_bytes <= capacity_bytes / FITS_UP_TO * PLANNED_UP_TO
        # The first rung that fits; one beyond the last where none does.
        rung = np.where(fits.any(axis=0), fits.argmax(axis=0), len(fits))
        # Devices that differ little in memory have room for the same.
        same = rung.tobytes()
        if same not in self.chosen:
            self.chosen[same] = self._chosen(rung)
        return self.chosen[same]

    def _chosen(self, rung: npt.NDArray[np.intp]) -> _Choice:
        rungs = len(self.needs_bytes)
        index = np.flatnonzero((rung < rungs) & ~self._pointless(rung))
        if not len(index):
            lowest, leanest = np.unravel_index(np.argmin(self.needs_bytes), self.needs_bytes.shape)
            index, rung = np.array([leanest]), np.full_like(rung, lowest)
        return self.own[index], rung[index]

    def _pointless(self, rung: npt.NDArray[np.intp]) -> _Mask:
        """Entries that another one beats on every accelerator, since it recomputes no more and ..."""
        index = np.arange(len(rung))
        # ... is ZeRO-1, which scatters gradients once a step and not once a micro-batch.
        first = self.layouts.zero[self.twin] == 1
        pointless: _Mask = (self.layouts.zero == 2) & first & (rung[self.twin] <= rung)
        # ... has, without a pipeline, a larger micro-batch that wastes none of the batch: no fixed time and
        # no weight is met more often than it has to be.
        for each in range(len(self.needs_bytes)):
            here = rung == each
            if here.any():
                last = np.maximum.reduceat(np.where(self.exact & here, index, -1), self.starts)
                pointless |= self.flat & here & (index < last[self.group])
        return pointless
