"""Which accelerators an EC2 instance type has: by its exact name, never by a part of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from zenplan import DataError, Instance

_GIB: Final = 2**30
_GBIT_PER_S: Final = 1e9 / 8
# Instance Family, a column of the price list.
ACCELERATED: Final = {"GPU instance", "Machine Learning ASIC Instances"}
# Types that zenplan's own table may lack, as they have no list price or are new: accelerator and number of it.
# https://docs.aws.amazon.com/ec2/latest/instancetypes/ac.html
_MORE: Final = {
    "p5e.48xlarge": ("H200-SXM-141GB", 8),
    "p6e-gb200.36xlarge": ("GB200-186GB", 4),
    "trn2.3xlarge": ("Trainium2", 1),
    "trn2.48xlarge": ("Trainium2", 16),
    "trn2u.48xlarge": ("Trainium2", 16),
}
_FRACTIONAL: Final = {"g6f": "L4", "gr6f": "L4"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An instance type in a row of the price list, with its cells as they stand there."""

    name: str
    vcpus: str
    memory: str
    network: str


class Machines:
    """The instance types that are known by name.

    Args:
        known: from zenplan's own table, by name.
    """

    def __init__(self, known: Mapping[str, Instance]) -> None:
        self._known = known

    def __contains__(self, name: str) -> bool:
        return name in self._known or name in _MORE

    def of(self, listed: Listed) -> Instance:
        """The machine: as of zenplan's table, and what that lacks as listed. Raises DataError where there is none."""
        known = self._known.get(listed.name)
        if known is None:
            known = self._more(listed)
        ram_gib, network = _number(listed.memory, r"([\d,.]+) GiB"), _number(listed.network, r"([\d,.]+) Gigabit")
        # 'Up to 10 Gigabit' is a burst, and says nothing of what lasts.
        network_bytes_per_s = network * _GBIT_PER_S / known.devices if network else None
        return replace(
            known,
            vcpus=known.vcpus or (int(listed.vcpus) if listed.vcpus.isdecimal() else None),
            ram_bytes=known.ram_bytes or (ram_gib * _GIB if ram_gib else None),
            network_bytes_per_s=known.network_bytes_per_s or network_bytes_per_s,
        )

    def _more(self, listed: Listed) -> Instance:
        family = listed.name.partition(".")[0]
        if family in _FRACTIONAL:
            raise DataError(f"{listed.name}: it has a fraction of one {_FRACTIONAL[family]}")
        if listed.name not in _MORE:
            raise DataError(f"{listed.name}: not in the table of accelerators of zenplan-aws")
        accelerator, devices = _MORE[listed.name]
        return Instance(provider="aws", name=listed.name, accelerator=accelerator, devices=devices)


def _number(cell: str, pattern: str) -> float | None:
    found = re.fullmatch(pattern, cell)
    return float(found[1].replace(",", "")) if found else None
