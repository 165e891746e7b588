"""Time of collectives over a topology of two levels: devices near each other, and nodes.

Ring algorithms (Thakur et al. 2005): an all-gather or reduce-scatter of S bytes over n devices takes
(n-1)·α + (n-1)/n · S/B, an all-reduce is one of each. Groups that span nodes go in steps: near, between
the nodes with each device moving its shard through its own share of the network cards, near again.
"""

from __future__ import annotations

import numpy as np

from zenplan.planning.arrays import Array, Hardware


def near_bytes_per_s(hw: Hardware, group: Array) -> Array:
    """Bandwidth among devices of one node: the fast link where it joins the group, else PCIe."""
    return np.where(group <= hw.linked, hw.link_bytes_per_s, hw.pcie_bytes_per_s)


def gather_s(hw: Hardware, size_bytes: Array, group: Array, stride: Array) -> Array:
    """Seconds of an all-gather, or a reduce-scatter, of ``size_bytes`` (the whole, not the shard).

    Args:
        hw: the clusters.
        size_bytes: bytes that every device has in the end (all-gather) or has at first (reduce-scatter).
        group: devices in the group.
        stride: distance between neighbours of the group, in devices; 1 when they are adjacent.
    """
    near = np.maximum(1.0, np.minimum(group, hw.near / stride))
    far = np.maximum(1.0, group / near)
    # The link joins the devices between the neighbours too.
    local = (near - 1) * hw.link_hop_s + (near - 1) / near * size_bytes / near_bytes_per_s(hw, near * stride)
    shard = size_bytes / near
    between = (far - 1) * hw.network_hop_s + (far - 1) / far * shard / hw.network_bytes_per_s
    return local + np.where(far > 1, between, 0.0)


def all_reduce_s(hw: Hardware, size_bytes: Array, group: Array, stride: Array) -> Array:
    """Seconds of an all-reduce of ``size_bytes``: a reduce-scatter and an all-gather."""
    return 2.0 * gather_s(hw, size_bytes, group, stride)


def all_to_all_s(hw: Hardware, size_bytes: Array, group: Array, stride: Array) -> Array:
    """Seconds in which every device exchanges ``size_bytes`` with the group: (n-1)/n · S/B."""
    near = np.maximum(1.0, np.minimum(group, hw.near / stride))
    out = np.where(group > near, (group - near) / group * size_bytes / hw.network_bytes_per_s, 0.0)
    local = (near - 1) / np.maximum(group, 1.0) * size_bytes / near_bytes_per_s(hw, near * stride)
    hop = np.where(group > near, hw.network_hop_s, hw.link_hop_s)
    return np.where(group > 1, np.maximum(local, out) + hop * (group - 1), 0.0)


def send_s(hw: Hardware, size_bytes: Array, span: Array) -> Array:
    """Seconds to send ``size_bytes`` to the next of some groups that span that many devices in all.

    Where they do not all fit in a node some neighbours are in different ones, and the slowest send counts.
    """
    near = span <= hw.near
    rate = np.where(near, near_bytes_per_s(hw, span), hw.network_bytes_per_s)
    return np.where(near, hw.link_hop_s, hw.network_hop_s) + size_bytes / rate
