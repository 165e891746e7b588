"""Time of collectives over a topology of two levels: devices near each other, and nodes.

Ring algorithms (Thakur et al. 2005): an all-gather or reduce-scatter of S bytes over n devices takes
(n-1)·α + (n-1)/n · S/B, an all-reduce is one of each. Groups that span nodes go in steps: near, between
the nodes with each device moving its shard through its own share of the network cards, near again.
"""

from __future__ import annotations

import numpy as np

from zenplan.planning.physics.columns import Array, Hardware


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
    """Seconds of an all-reduce of ``size_bytes``: a reduce-scatter and an all-gather.

    Args:
        hw: the clusters; n entries, as of every array here.
        size_bytes: bytes of the whole buffer on each device.
        group: devices that take part.
        stride: devices between neighbours of the group: 1 where they are next to each other.
    """
    return 2.0 * gather_s(hw, size_bytes, group, stride)


def dispatch_s(
    hw: Hardware,
    size_bytes: Array,
    copies: float,
    group: Array,
    stride: Array,
    once_a_node: bool = True,
    once_a_device: bool = False,
) -> Array:
    """Seconds in which every device sends its rows to their experts: an all-to-all.

    Args:
        hw: the clusters.
        size_bytes: bytes of a device's rows, each counted once.
        copies: experts that a row meets.
        group, stride: devices that share the experts, and the distance between them.
        once_a_node: a row crosses the network once for each other node that has any of its experts, and is copied
            there (as DeepEP does); else once for each expert.
        once_a_device: it comes to each device that has any of its experts once, and is copied there; else once for each
            expert.

    Of N nodes, k experts drawn at random are on N·(1 − (1 − 1/N)^k). Each device sends to all others at once, where a
    ring waits for one neighbour after the other: DeepEP's low-latency kernels take 173 µs to 64 devices and 194 µs to 256
    (its README).
    """
    near = np.maximum(1.0, np.minimum(group, hw.near / stride))
    nodes = np.maximum(1.0, group / near)
    met = nodes * (1.0 - (1.0 - 1.0 / nodes) ** copies) if once_a_node else copies
    out = met * (nodes - 1.0) / nodes * size_bytes / hw.network_bytes_per_s
    reached = group * (1.0 - (1.0 - 1.0 / group) ** copies) if once_a_device else copies
    local = reached * (near - 1) / near * size_bytes / near_bytes_per_s(hw, near * stride)
    hops = np.where(nodes > 1, hw.network_hop_s, 0.0) + np.where(near > 1, hw.link_hop_s, 0.0)
    return np.where(group > 1, np.maximum(local, out) + hops, 0.0)


def send_s(hw: Hardware, size_bytes: Array, span: Array) -> Array:
    """Seconds to send ``size_bytes`` to the next of some groups that span that many devices in all.

    Where they do not all fit in a node some neighbours are in different ones, and the slowest send counts.
    """
    near = span <= hw.near
    rate = np.where(near, near_bytes_per_s(hw, span), hw.network_bytes_per_s)
    return np.where(near, hw.link_hop_s, hw.network_hop_s) + size_bytes / rate
