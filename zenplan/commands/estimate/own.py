"""Devices without an offer: those that nobody rents out, and those whose price the user gave."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from zenplan import units
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.market.offer import OWN, Instance, Offer, Price, PriceTable, Terms
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.training.request import Request

# Between machines of a product whose data sheet names no network: 100 Gb/s Ethernet, which its devices share.
_NETWORK_BYTES_PER_S = 100e9 / 8

# Nobody rounds up the hours of one's own machines.
# What their storage and network cost is paid for, or in the price that was given.
OWN_TERMS = Terms(
    provider=OWN,
    granularity_s=1.0,
    storage_usd_per_byte_s=0.0,
    disk_usd_per_byte_s=0.0,
    egress_usd_per_byte=0.0,
    ingress_usd_per_byte=0.0,
    source="one's own machines",
)


def own_table(sheets: Iterable[Accelerator], request: Request, today: date) -> PriceTable:
    """Machines of these accelerators, at the price that was given, or at none."""
    offers = tuple(
        _offer(sheet, devices, request, today) for sheet in sheets for devices in _sizes(sheet, request.gpus)
    )
    return PriceTable(provider=OWN, offers=offers, terms=OWN_TERMS)


def own_facts(sheet: Accelerator, request: Request) -> tuple[Fact, ...]:
    """What such a machine is taken to be, and what an hour of it costs."""
    each = units.significant(_network(sheet) * 8 / 1e9)
    between = "" if _stands_alone(sheet, request) else f", {each} Gb/s a device between machines"
    known = sheet.network_bytes_per_s is not None
    why = "the usual machine of its data sheet" if known else "the network is assumed: 100 Gb/s Ethernet a machine"
    if not between:
        why = "one machine, as of a desk or a laptop; --gpus says how many"
    machine = Fact(
        name="machine",
        value=f"up to {sheet.node_devices} × {sheet.name}{between}",
        origin=Origin.DATA_SHEET if known else Origin.ASSUMED,
        why=why,
    )
    if request.usd_per_h is None:
        price = Fact(name="price", value="not known", origin=Origin.ASSUMED, why="no offer; --usd-per-hour gives one")
    else:
        value = f"{units.usd(request.usd_per_h)} for an hour of a device"
        price = Fact(name="price", value=value, origin=Origin.GIVEN)
    return machine, price


def _network(sheet: Accelerator) -> float:
    return sheet.network_bytes_per_s or _NETWORK_BYTES_PER_S / sheet.node_devices


def _stands_alone(sheet: Accelerator, request: Request) -> bool:
    """Whether it is one machine where nobody says how many: of a processor, or of a computer that is bought whole."""
    return request.gpus is None and (sheet.is_processor or sheet.vendor == "Apple")


def _sizes(sheet: Accelerator, gpus: int | None) -> tuple[int, ...]:
    """Numbers of devices in a machine: as many as asked for go into, or else powers of two up to a whole machine."""
    most = sheet.node_devices
    if gpus is not None:
        return (min(gpus, most),)
    return (*(2**n for n in range(most.bit_length()) if 2**n < most), most)


def _offer(sheet: Accelerator, devices: int, request: Request, today: date) -> Offer:
    price = None
    if request.usd_per_h is not None:
        price = Price(usd_per_h=request.usd_per_h * devices, as_of=today, source="--usd-per-hour")
    joined = devices == sheet.node_devices and not _stands_alone(sheet, request)
    return Offer(
        instance=Instance(
            provider=OWN,
            name="machine" if devices == 1 else f"machine x{devices}",
            accelerator=sheet.name,
            devices=devices,
            network_bytes_per_s=_network(sheet) if joined else None,
        ),
        region="any",
        on_demand=price,
    )
