"""Cluster: so many nodes of so many accelerators, and what joins them."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.domain.fit.efficiency import Efficiency
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.errors import DataError

# Bytes a second in one direction of 16 lanes, by PCIe generation (PCI-SIG: 8, 16, 32, 64 GT/s a lane).
PCIE_X16_BYTES_PER_S = {2: 8.0e9, 3: 15.75e9, 4: 31.5e9, 5: 63.0e9, 6: 121.0e9}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Devices to train on.

    Attributes:
        node_devices: accelerators in one node.
        used: accelerators that train, where it is not all: the last node may have idle ones.
        network_bytes_per_s: node-to-node bandwidth of each device; needed when there are several nodes.
        link_bytes_per_s: device-to-device bandwidth, where it is not the data sheet's.
        linked: whether the accelerator's link joins the devices at all: cards can do without their bridge.
        pcie_lanes: of each device.
        slice_devices: as many as the fast link joins of what is rented, where that is less than it can: a TPU slice is
            joined to another over the data center's network.
    """

    accelerator: Accelerator
    efficiency: Efficiency
    node_devices: int
    nodes: int = 1
    used: int | None = None
    network_bytes_per_s: float | None = None
    link_bytes_per_s: float | None = None
    linked: bool = True
    pcie_lanes: int = 16
    slice_devices: int | None = None

    def __post_init__(self) -> None:
        checks.positive(
            f"cluster of {self.accelerator.name}",
            node_devices=self.node_devices,
            nodes=self.nodes,
            network_bytes_per_s=self.network_bytes_per_s,
            link_bytes_per_s=self.link_bytes_per_s,
            pcie_lanes=self.pcie_lanes,
            slice_devices=self.slice_devices,
        )
        if self.used is not None and not 0 < self.used <= self.node_devices * self.nodes:
            raise DataError(f"cluster of {self.accelerator.name}: {self.used} in use of fewer")
        if self.nodes > 1 and self.network_bytes_per_s is None and self.linked_devices < self.devices:
            raise DataError(f"cluster of {self.nodes} nodes of {self.accelerator.name}: its network is not known")

    @property
    def devices(self) -> int:
        """Accelerators that train."""
        return self.used or self.node_devices * self.nodes

    @property
    def linked_devices(self) -> int:
        """Accelerators that the fast link joins: within a node, unless it spans nodes (NVL72, TPU pods)."""
        reach = self.accelerator.link_devices if self.linked else 1
        if self.slice_devices is not None:
            return min(reach, self.slice_devices)
        return reach if reach > self.accelerator.node_devices else min(reach, self.node_devices)

    @property
    def pcie_bytes_per_s(self) -> float:
        """What one accelerator can move over PCIe, in one direction; generation 3 where it is not known."""
        whole = PCIE_X16_BYTES_PER_S.get(self.accelerator.pcie_generation or 3, PCIE_X16_BYTES_PER_S[3])
        return whole * self.pcie_lanes / 16
