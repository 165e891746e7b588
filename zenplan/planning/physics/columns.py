"""Nouns as columns: many layouts and clusters at once, one array entry each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from zenplan.domain.fit.attention import LEGACY_FLOP_PER_CLOCK, AttentionKernel, exponentials_per_clock
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.precision import Precision
from zenplan.domain.training.layout import Layout, Recompute

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]

# Share of a layer that is computed again from its input.
_SHARES = {Recompute.FULL: 1.0, Recompute.HALF: 0.5}
_COUNTS = ("dp", "tp", "pp", "cp", "ep", "zero", "micro_batch", "accumulation", "interleave")
_PLAIN = (*_COUNTS, "sequence", "even")
_plain = attrgetter(*_PLAIN)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layouts:
    """Layouts, field by field as in ``domain.training.layout.Layout``; shape (n,), all floats.

    ``full`` is the share of a layer that is recomputed from its input, ``selective`` 0 or 1 for attention
    alone, ``sequence`` and ``even`` 0 or 1. ``shard`` 0 means that ZeRO divides over all replicas.
    """

    dp: Array
    tp: Array
    pp: Array
    cp: Array
    ep: Array
    zero: Array
    micro_batch: Array
    accumulation: Array
    interleave: Array
    full: Array
    selective: Array
    shard: Array
    sequence: Array
    even: Array

    @property
    def shards(self) -> Array:
        """Devices over which ZeRO divides: all replicas, or a group of them under hybrid sharding."""
        whole: Array = np.where(self.shard > 0, self.shard, self.replicas)
        return whole

    @property
    def replicas(self) -> Array:
        """Devices that hold the same weights: those of a data-parallel and a context-parallel group."""
        return self.dp * self.cp

    @property
    def samples(self) -> Array:
        """Samples a step: the global batch, rounded up to whole micro-batches."""
        return self.dp * self.micro_batch * self.accumulation

    @classmethod
    def of(cls, layouts: Sequence[Layout]) -> Layouts:
        """The columns of these layouts."""
        every = chain.from_iterable(map(_plain, layouts))
        rows = np.fromiter(every, dtype=float, count=len(layouts) * len(_PLAIN)).reshape(-1, len(_PLAIN))
        columns: dict[str, Any] = dict(zip(_PLAIN, np.ascontiguousarray(rows.T), strict=True))
        columns["full"] = np.array([_SHARES.get(x.recompute, 0.0) for x in layouts], dtype=float)
        columns["selective"] = np.array([x.recompute is Recompute.SELECTIVE for x in layouts], dtype=float)
        columns["shard"] = np.array([x.shard or 0 for x in layouts], dtype=float)
        return cls(**columns)

    @classmethod
    def joined(cls, several: Sequence[Layouts]) -> Layouts:
        """Those of each, one after another."""
        if len(several) == 1:
            return several[0]
        return cls(**{name: np.concatenate([getattr(each, name) for each in several]) for name in _OF_LAYOUTS})

    def take(self, index: Any) -> Layouts:
        """Those entries, in that order."""
        return Layouts(**{name: getattr(self, name)[index] for name in _OF_LAYOUTS})

    def at(self, index: int) -> Layout:
        """One entry as a noun."""
        full, selective = float(self.full[index]), bool(self.selective[index])
        values = {n: int(getattr(self, n)[index]) for n in _COUNTS}
        again = next((r for r, share in _SHARES.items() if share == full), None)
        recompute = again or (Recompute.SELECTIVE if selective else Recompute.NONE)
        return Layout(
            **values,
            recompute=recompute,
            shard=int(self.shard[index]) or None,
            sequence=bool(self.sequence[index]),
            even=bool(self.even[index]),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hardware:
    """Clusters in columns, with the efficiencies, and what was measured, already applied.

    Attributes:
        matmul_flop_per_s, other_flop_per_s: reached by large products, in the plan's matmul dtype and in
            the one of what stays wider; attention_forward_, attention_backward_flop_per_s by the products of fused
            attention, convolution_flop_per_s by convolutions before they have to be fed.
        softmax_per_s: scores that fused attention exponentiates, of the time that its products do not hide.
        attention_ramp_keys: what a tile of its queries loses to begin and end.
        multiprocessors: that run a tile each; next to none where it is not known how many there are.
        feed_flop_per_s: at which multiprocessors feed their cores in a convolution, with operands of 16 bits.
        linked: devices the fast link joins; near: devices reached without the network.
        link_, pcie_, network_bytes_per_s: reached by collectives, each device, one direction.
        fill_elements: of a product's inner dimension, lost to filling and draining its pipeline.
        pace: FLOP a clock of a multiprocessor, over those of an A100's tensor cores in 16 bits; 1 where unknown.
        row_bytes: what the rows of a product's operands should be multiples of, for its full speed.
        operator_s, launch_s: fixed time of an operator on the device, and of the host to launch it.
        host_s: between two steps.
        contention: share of hidden communication that is paid all the same.
        variation: by how much devices differ, one standard deviation of what one does itself.
    """

    matmul_flop_per_s: Array
    other_flop_per_s: Array
    attention_forward_flop_per_s: Array
    attention_backward_flop_per_s: Array
    softmax_per_s: Array
    attention_ramp_keys: Array
    multiprocessors: Array
    convolution_flop_per_s: Array
    feed_flop_per_s: Array
    memory_bytes_per_s: Array
    link_bytes_per_s: Array
    pcie_bytes_per_s: Array
    network_bytes_per_s: Array
    linked: Array
    near: Array
    devices: Array
    fill_elements: Array
    pace: Array
    row_bytes: Array
    operator_s: Array
    launch_s: Array
    host_s: Array
    contention: Array
    variation: Array
    link_hop_s: Array
    network_hop_s: Array

    @classmethod
    def of(cls, clusters: Sequence[Cluster], precision: Precision) -> Hardware:
        """The columns of these clusters. Each must have a peak in the precision's dtypes (``Accelerator.can_run``)."""
        return cls(**dict(zip(_OF_HARDWARE, _columns(clusters, precision), strict=True)))

    @classmethod
    def joined(cls, several: Sequence[Hardware]) -> Hardware:
        """Those of each, one after another."""
        if len(several) == 1:
            return several[0]
        return cls(**{name: np.concatenate([getattr(each, name) for each in several]) for name in _OF_HARDWARE})

    def take(self, index: Index) -> Hardware:
        """Those entries, in that order."""
        return Hardware(**{name: getattr(self, name).take(index) for name in _OF_HARDWARE})


# ``dataclasses.fields`` takes longer than many a column.
_OF_LAYOUTS, _OF_HARDWARE = (tuple(f.name for f in fields(kind)) for kind in (Layouts, Hardware))

# What one device's work depends on, of a layout and of a cluster: not on how many there are, nor on what joins them.
_NOTICED = ("tp", "cp", "ep", "replicas", "micro_batch", "full", "selective", "sequence")
_OF_THE_DEVICE = (
    "matmul_flop_per_s",
    "other_flop_per_s",
    "attention_forward_flop_per_s",
    "attention_backward_flop_per_s",
    "softmax_per_s",
    "attention_ramp_keys",
    "multiprocessors",
    "convolution_flop_per_s",
    "feed_flop_per_s",
    "memory_bytes_per_s",
    "fill_elements",
    "pace",
    "row_bytes",
    "operator_s",
)


def working_alike(layouts: Layouts, hardware: Hardware, owner: Index) -> tuple[Index, Index]:
    """Which candidates one device of works alike, whatever the rest of its cluster does.

    Args:
        layouts, hardware: an entry for each candidate.
        owner: what each is a candidate for, from 0 on; those of two are never alike.

    Returns:
        The first candidate of each kind, shape (kinds,), in the order of their owners; and the kind of each candidate,
        shape (n,).
    """
    # Candidates of one cluster stand together: only where the device changes is it looked up.
    devices = np.stack([getattr(hardware, name) for name in _OF_THE_DEVICE])
    starts = np.flatnonzero(np.r_[True, (devices[:, 1:] != devices[:, :-1]).any(axis=0)])
    numbers: dict[bytes, int] = {}
    which = [numbers.setdefault(each.tobytes(), len(numbers)) for each in devices[:, starts].T]
    kind = np.repeat(which, np.diff(np.r_[starts, len(layouts.dp)])) + owner * len(numbers)
    for name in _NOTICED:
        if name == "replicas" and not (layouts.ep > 1).any():
            continue
        # A share of a layer that is recomputed is a whole number of halves; all others are whole.
        column = (2.0 * getattr(layouts, name)).astype(np.int64)
        kind = kind * (column.max() + 1) + column
    _, first, alike = np.unique(kind, return_index=True, return_inverse=True)
    return first, alike


# Makers whose multiprocessors, or compute units, have special-function units of the same kind.
_MULTIPROCESSORS = ("NVIDIA", "AMD")
# 989 TFLOP/s beside 3.9 T exponentials a second on H100 (Shah et al. 2024, section 3.1).
_FLOP_PER_EXPONENTIAL = 256.0
# Multiprocessors, where it is not known how many there are: so few that no wave is seen.
_NO_WAVES = 1e-9
# Of a kernel that hides all of its exponentials.
_ALL_HIDDEN = 1e-9

# What the best measured product of an H100 keeps up of its peak, which the fitted efficiency stands for: power limits
# larger chips more (stas00/ml-engineering, MAMF: A100 0.87, H100 0.80, B200 0.78, GB200 0.73, MI300X 0.51).
USUAL_SUSTAINED_SHARE = 0.80


def kept_up(accelerator: Accelerator, dtype: str = "bf16") -> float:
    """What an accelerator's products reach of their fitted efficiency: its best measured product over the usual one.

    Where none was measured, as much as usual; and in fp32 of NVIDIA's and of processors, whose share is that of their
    matrix units alone.
    """
    if dtype == "fp32" and (accelerator.vendor == "NVIDIA" or accelerator.is_processor):
        return 1.0
    return (accelerator.sustained_share or USUAL_SUSTAINED_SHARE) / USUAL_SUSTAINED_SHARE


# Of one multiprocessor, fp16 (NVIDIA A100 architecture paper, table 1).
_A100_FLOP_PER_CLOCK = 2048.0


def _row_bytes(accelerator: Accelerator) -> float:
    """Products are fastest in rows of 128 bytes; before compute capability 8, of 16 (NVIDIA, Matrix Multiplication
    Background User's Guide)."""
    major = accelerator.compute_major
    return 16.0 if major is not None and major < 8 else 128.0


def _columns(clusters: Sequence[Cluster], precision: Precision) -> npt.NDArray[np.float64]:
    devices: dict[tuple[int, int], _Device] = {}
    rows = []
    for c in clusters:
        key = (id(c.accelerator), id(c.efficiency))
        if key not in devices:
            devices[key] = _device(c, precision)
        rows.append(_row(c, devices[key]))
    return np.array(rows, dtype=float).T


def _attention(kernel: AttentionKernel, accelerator: Accelerator, peak: float, share: float) -> tuple[float, ...]:
    """The columns of fused attention, from ``attention_forward_flop_per_s`` to ``multiprocessors``.

    Kernels are measured at what a device keeps up under its power limit, so nothing more of it is taken off.
    """
    runs = kernel.on(accelerator.compute_major)
    clocks = _clocks_per_s(accelerator)
    rate = min(peak, LEGACY_FLOP_PER_CLOCK * clocks) if runs.legacy and clocks else peak
    # Where the units are no multiprocessors, as many exponentials for each FLOP as on H100.
    exponentials = exponentials_per_clock(accelerator.architecture) * clocks if clocks else peak / _FLOP_PER_EXPONENTIAL
    hidden = runs.softmax or _ALL_HIDDEN
    return (
        share * runs.forward * rate,
        share * runs.backward * rate,
        share * exponentials / hidden,
        runs.ramp_keys,
        float(accelerator.multiprocessors or 0) if clocks else _NO_WAVES,
    )


def _clocks_per_s(accelerator: Accelerator) -> float | None:
    """Clocks of all multiprocessors, or of AMD's compute units, together; None where the units are others."""
    clock = accelerator.tensor_clock_hz or accelerator.clock_hz
    units = accelerator.multiprocessors if accelerator.vendor in _MULTIPROCESSORS else None
    if accelerator.is_processor or units is None or clock is None:
        return None
    return units * clock


class _Device(NamedTuple):
    """What of a cluster's columns is the device's alone: those before the link, and those behind ``devices``."""

    first: tuple[float, ...]
    last: tuple[float, ...]


def _device(c: Cluster, precision: Precision) -> _Device:
    e, accelerator = c.efficiency, c.accelerator
    # What a device does by itself takes so many times as long; what it exchanges with others does not.
    longer = e.correction.factor if e.correction else 1.0
    keeps, wide = (kept_up(accelerator, d) / longer for d in (precision.matmul_dtype, precision.other_dtype))
    matmul = accelerator.peak(precision.matmul_dtype) or np.nan
    other = accelerator.peak(precision.other_dtype) or np.nan
    return _Device(
        first=(
            e.matmul * keeps * matmul,
            e.wide_matmul * wide * other,
            *_attention(e.kernel, accelerator, other, e.attention / longer),
            e.convolution * wide * other,
            e.feed * (accelerator.clocks_per_s or np.inf) / longer,
            e.memory * accelerator.memory_bytes_per_s / longer,
        ),
        last=(
            e.fill_elements,
            other / (accelerator.clocks_per_s * _A100_FLOP_PER_CLOCK) if accelerator.clocks_per_s else 1.0,
            _row_bytes(accelerator),
            e.operator_s * longer,
            e.launch_s * longer,
            e.host_s * longer,
            e.contention,
            e.variation,
            e.link_hop_s,
            e.network_hop_s,
        ),
    )


# Devices that share the host's memory where ``staged`` is what their collectives reach: fewer have more of it each.
_STAGED_DEVICES = 8


def _row(c: Cluster, device: _Device) -> tuple[float, ...]:
    """One cluster's columns, in the order of ``Hardware``'s fields."""
    e, accelerator, linked = c.efficiency, c.accelerator, c.linked_devices
    staged = e.staged * _STAGED_DEVICES / min(max(c.devices, 2), c.node_devices, _STAGED_DEVICES)
    pcie = (e.pcie if accelerator.peer_access else staged) * c.pcie_bytes_per_s
    link = c.link_bytes_per_s or accelerator.link_bytes_per_s
    return (
        *device.first,
        e.link * link if link else pcie,
        pcie,
        # A cluster without a network has one node: no traffic crosses it.
        e.network * c.network_bytes_per_s if c.network_bytes_per_s else np.inf,
        linked,
        max(linked, c.node_devices),
        c.devices,
        *device.last,
    )
