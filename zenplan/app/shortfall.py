"""How far a plan is from fitting a cluster's memory, in one line."""

from __future__ import annotations

from zenplan import units
from zenplan.domain.cluster import Cluster
from zenplan.planning.search import HEADROOM, usable_bytes

HINT = "more --gpus, devices with more memory, a shorter --seq-len, or --method lora or qlora"


def shortfall(where: Cluster, needs_bytes: float) -> str:
    """What the leanest layout needs on each device, what it has, and what is missing."""
    return (f"{where.devices} × {where.accelerator.name} needs {units.size(needs_bytes)} a device of "
            f"{units.size(where.accelerator.capacity_bytes)}, {HEADROOM:.0%} of it left free: "
            f"{units.size(needs_bytes - usable_bytes(where))} short")  # fmt: skip
