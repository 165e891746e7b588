"""Work: what one device of a replica stores, reads and computes for each pass, request and token, in columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from zenplan.domain.hardware.cluster import PCIE_X16_BYTES_PER_S
from zenplan.domain.serving.deployment import CACHE_BYTES, WEIGHT_BYTES, Deployment
from zenplan.domain.serving.model import ServedModel

# Memory beside weights and cache: the context of the driver, workspaces, captured graphs, activations of a prompt's pass.
# vLLM's profile of its first pass finds 1 to 4 GB of them for models of 7B to 70B: our assumption.
RESERVED_BYTES = 1.5e9
# Of an activation that crosses a link.
_ACTIVATION_BYTES = 2.0
# Caches that the columns have place for: the most kinds of layers that a known model has.
_CACHES = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Work:
    """Of one device; a number each, or shape (n,) for as many replicas. ``cache_`` columns have a first axis more.

    Attributes:
        stored_bytes: weights that are kept.
        read_bytes: weights that every pass reads; ``head_bytes`` those of the head.
        expert_bytes: of all experts, of which ``experts`` are in a layer and ``active`` meet a token.
        token_flop: of one token through the layers' products; ``head_flop`` through the head.
        cache_bytes: of one token; ``cache_window``: the most tokens that are kept; ``cache_flop``: of a query with a key.
        state_bytes: of a request, whatever its length.
        peak_flop_per_s, wide_flop_per_s: of the layers' products, and of what is not quantised.
        memory_bytes_per_s: of the data sheet.
        room_bytes: memory that the software may fill, less what it needs beside weights and cache.
        layers: of the whole model; ``reductions`` in a pass.
        tp, pp: degrees.
        reduction_s, reduction_bytes_per_s: latency of an all-reduce, and its bandwidth, over the replica's link.
        token_bytes: of one token's activations, which is summed.
        batch_limit: of the software.
    """

    stored_bytes: Any
    read_bytes: Any
    head_bytes: Any
    expert_bytes: Any
    experts: Any
    active: Any
    token_flop: Any
    head_flop: Any
    cache_bytes: Any
    cache_window: Any
    cache_flop: Any
    state_bytes: Any
    peak_flop_per_s: Any
    wide_flop_per_s: Any
    memory_bytes_per_s: Any
    room_bytes: Any
    layers: Any
    reductions: Any
    tp: Any
    pp: Any
    reduction_s: Any
    reduction_bytes_per_s: Any
    token_bytes: Any
    batch_limit: Any

    @classmethod
    def joined(cls, several: Sequence[Work]) -> Work:
        """The columns of these replicas."""
        return cls(**{f.name: np.array([getattr(each, f.name) for each in several]).T for f in fields(cls)})


def work(model: ServedModel, on: Deployment, link_share: float, pcie_share: float, hop_s: float) -> Work:
    """What one device of the replica has to do.

    Args:
        model: that is served.
        on: the replica.
        link_share, pcie_share: of the link's and of PCIe's bandwidth, what collectives reach.
        hop_s: latency of one hop.
    """
    sheet, split = on.accelerator, float(on.tp * on.pp)
    weight, wide = WEIGHT_BYTES[on.weights], min(2.0, WEIGHT_BYTES[on.weights] * 4.0)
    experts = sum(m.parameters for m in model.mixtures)
    caches = [_cache(model, on, index) for index in range(_CACHES)]
    mixture = model.mixtures[0] if model.mixtures else None
    linked = on.joined and on.tp <= sheet.link_devices and sheet.link_bytes_per_s is not None
    pcie = PCIE_X16_BYTES_PER_S.get(sheet.pcie_generation or 3, PCIE_X16_BYTES_PER_S[3]) * pcie_share
    rate = (sheet.link_bytes_per_s or 0.0) * link_share if linked else pcie
    return Work(
        stored_bytes=((model.products + experts) * weight + model.stored_apart * wide) / split,
        read_bytes=model.products * weight / split,
        head_bytes=model.head * wide / split,
        expert_bytes=experts * weight / split,
        experts=float(mixture.experts if mixture else 1),
        active=float(mixture.active if mixture else 1),
        token_flop=2.0 * model.active / split,
        head_flop=2.0 * model.head / split,
        cache_bytes=tuple(c[0] for c in caches),
        cache_window=tuple(c[1] for c in caches),
        cache_flop=tuple(c[2] for c in caches),
        state_bytes=4.0 * model.state_elements / split,
        peak_flop_per_s=sheet.peak(on.computed_in) or np.nan,
        wide_flop_per_s=sheet.peak(on.wide) or np.nan,
        memory_bytes_per_s=sheet.memory_bytes_per_s,
        room_bytes=on.memory_share * sheet.capacity_bytes - RESERVED_BYTES,
        layers=float(model.layers),
        reductions=float(model.reductions),
        tp=float(on.tp),
        pp=float(on.pp),
        # Small messages go over a tree, up and down; large ones over a ring, whose bandwidth this is.
        reduction_s=2.0 * np.log2(on.tp) * hop_s,
        reduction_bytes_per_s=rate / max(2.0 * (on.tp - 1) / on.tp, 1e-9),
        token_bytes=model.width * _ACTIVATION_BYTES,
        batch_limit=float(on.batch_limit),
    )


def _cache(model: ServedModel, on: Deployment, index: int) -> tuple[float, float, float]:
    """Bytes of a token, window, FLOP of a query with a key, of one kind of layers on one device; nothing past the last."""
    if index >= len(model.caches):
        return 0.0, np.inf, 0.0
    each = model.caches[index]
    # Heads that are fewer than the devices are kept by several of them.
    share = 1.0 / min(on.tp, each.heads) / on.pp
    size = each.layers * each.elements * CACHE_BYTES[on.cache] * share
    return size, float(each.window or np.inf), each.layers * each.flop / (on.tp * on.pp)
