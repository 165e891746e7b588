"""Machines, put together of what Google prices: cores, RAM, GPUs and the local SSD that comes with them; or chips."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final

from zenplan import DataError, Instance, Offer, Price

from zenplan_gcp.catalog import Rates

_GIB: Final = 2**30
_SSD: Final = "SSD backed Local Storage"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What a machine of a series is billed for.

    Attributes:
        device: labels of the SKUs of one GPU or chip: Google has more than one for some.
        series: as in the SKUs of cores and RAM; empty where the device's price has them.
        ssd_gib: local SSD of each device.
    """

    device: tuple[str, ...]
    series: str = ""
    ssd_gib: int = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """Of every SKU that is needed."""
        others = (f"{self.series} Instance Core", f"{self.series} Instance Ram") if self.series else ()
        return (*self.device, *others, *((_SSD,) if self.ssd_gib else ()))


# By how the machine's name begins. Local SSD that is part of a machine type is billed too, as other local SSD is:
# https://cloud.google.com/compute/docs/accelerator-optimized-machines. For that of a3-ultragpu-8g no SKU is known.
_PARTS: Final = {
    "a2-highgpu-": _Parts(device=("Nvidia Tesla A100 GPU",), series="A2"),
    "a2-megagpu-": _Parts(device=("Nvidia Tesla A100 GPU",), series="A2"),
    "a2-ultragpu-": _Parts(device=("Nvidia Tesla A100 80GB GPU",), series="A2", ssd_gib=375),
    "a3-highgpu-": _Parts(device=("Nvidia H100 80GB GPU",), series="A3", ssd_gib=750),
    "a3-megagpu-": _Parts(
        device=("Nvidia H100 80GB Mega GPU", "Nvidia H100 Mega 80GB GPU", "Nvidia H100 80GB Plus GPU"),
        series="A3Plus",
        ssd_gib=750,
    ),
    "a3-ultragpu-": _Parts(device=("H200 141GB GPU",), series="A3Ultra"),
    "a4-highgpu-": _Parts(device=("A4 Nvidia B200 (1 gpu slice)",)),
    "g2-standard-": _Parts(device=("Nvidia L4 GPU",), series="G2"),
    "g4-standard-": _Parts(device=("RTX 6000 96GB",), series="G4"),
    "n1-standard-4 + 1x t4": _Parts(device=("Nvidia Tesla T4 GPU",), series="N1 Predefined"),
    "tpu-v5e": _Parts(device=("TpuV5e",)),
    "tpu-v5p": _Parts(device=("TpuV5p",)),
    "tpu-v6e": _Parts(device=("TpuV6e",)),
    "tpu7x-": _Parts(device=("TPU7x",)),
}
LABELS: Final = frozenset(label for parts in _PARTS.values() for label in parts.labels)
# Machines that zenplan's own table may lack.
_MORE: Final = (
    # skypilot-org/skypilot-catalog catalogs/v8/gcp/vms.csv@006059e (facts only).
    Instance(
        provider="gcp", name="a4-highgpu-8g", accelerator="B200-SXM-180GB", devices=8, vcpus=224, ram_bytes=3968 * _GIB
    ),
    # https://docs.cloud.google.com/tpu/docs/tpu7x: the machine type of one host.
    Instance(provider="gcp", name="tpu7x-standard-4t", accelerator="TPU-v7", devices=4),
)


class Machines:
    """The machines that are put together, and the regions that offer them.

    Args:
        known: the offers of zenplan's own table: shapes and networks of machines, and regions that offer them.
    """

    def __init__(self, known: Iterable[Offer]) -> None:
        self._regions: dict[str, set[str]] = {}
        self._machines = {machine.name: machine for machine in _MORE if _parts(machine.name)}
        for offer in known:
            if _parts(offer.instance.name):
                self._machines[offer.instance.name] = offer.instance
                self._regions.setdefault(offer.instance.name, set()).add(offer.region)

    def __contains__(self, name: str) -> bool:
        return name in self._machines

    def offers(self, rates: Rates, source: str, today: date) -> tuple[tuple[Offer, ...], tuple[str, ...]]:
        """An offer for each machine in each region that offers it and has prices of all its parts; and what is missing."""
        offers: list[Offer] = []
        left_out: dict[str, str] = {}
        for name, machine in self._machines.items():
            for region in sorted(self._regions.get(name, set()) | _regions_of(name)):
                try:
                    on_demand, spot = (_price(machine, region, rates, spot, source, today) for spot in (False, True))
                except DataError as error:
                    # Machines of one series lack the same part.
                    left_out.setdefault(f"{region} {error.message}", f"{name} in {region}: {error.message}")
                    continue
                if spot and on_demand and spot.usd_per_h > on_demand.usd_per_h:
                    left_out[f"{name} {region}"] = f"{name} in {region}: its spot price is above the one on demand"
                    spot = None
                if on_demand:
                    offers.append(Offer(instance=machine, region=region, on_demand=on_demand, spot=spot))
        return tuple(offers), tuple(left_out.values())


def _price(machine: Instance, region: str, rates: Rates, spot: bool, source: str, today: date) -> Price | None:
    """All parts together; None where a part has no spot price. Raises DataError: one has none on demand, or two."""
    total = 0.0
    for labels, amount in _amounts(machine):
        usd_per_h = rates.usd_per_h(labels, region, spot)
        if usd_per_h is None and not spot:
            raise DataError(f"no price of '{labels[0]}'")
        if usd_per_h is None:
            return None
        total += amount * usd_per_h
    return Price(usd_per_h=round(total, 6), as_of=today, source=source)


def _amounts(machine: Instance) -> list[tuple[tuple[str, ...], float]]:
    """The parts: labels of each, and how much of it. Raises DataError: that is not known."""
    parts = _parts(machine.name)
    if parts is None or (parts.series and (machine.vcpus is None or machine.ram_bytes is None)):
        raise DataError("its parts are not known")
    amounts: list[tuple[tuple[str, ...], float]] = [(parts.device, machine.devices)]
    if machine.vcpus and machine.ram_bytes and parts.series:
        amounts.append(((f"{parts.series} Instance Core",), machine.vcpus))
        amounts.append(((f"{parts.series} Instance Ram",), machine.ram_bytes / _GIB))
    if parts.ssd_gib:
        amounts.append(((_SSD,), parts.ssd_gib * machine.devices))
    return amounts


def _parts(name: str) -> _Parts | None:
    return next((parts for begins, parts in _PARTS.items() if name.startswith(begins)), None)


@cache
def _regions_of(name: str) -> frozenset[str]:
    """Regions that offer the machine, of the table that ships with this plugin."""
    text = (Path(__file__).parent / "data" / "regions.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return frozenset(r for row in rows if name.startswith(row["machines"]) for r in row["regions"].split(";"))
