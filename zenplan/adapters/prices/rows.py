"""One row of a price table: checked, and turned into offers.

A row sold by ``instance`` is one machine with all its devices at that price. A row sold by ``gpu`` is the
price of one device, and the renter says how many go into a machine: it becomes one offer for each size that
the provider is known to rent, at a price in proportion.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

from zenplan import units
from zenplan.domain.market.offer import Instance, Offer, Price
from zenplan.errors import DataError, UnknownName

GBIT_PER_S = 1e9 / 8

# The largest slice of a TPU pod has 9,216 chips; no machine has more virtual processors than this.
MOST_DEVICES = 10_000
_MOST_VCPUS = 1e6
# The least price seen is $0.03; a thousandth of a dollar is a slip of units.
_LEAST_USD_PER_DEVICE_H = 0.001

# From a name that people type to the canonical one; raises UnknownName.
Canonical = Callable[[str], str]

_parse_date = lru_cache(maxsize=256)(date.fromisoformat)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """What is known of machines besides their price.

    Attributes:
        networks: provider and instance name to the node-to-node bandwidth of each device.
        sizes: provider and accelerator (or the empty text for any) to the numbers of devices in a machine.
    """

    networks: Mapping[tuple[str, str], float] = field(default_factory=dict)
    sizes: Mapping[tuple[str, str], tuple[int, ...]] = field(default_factory=dict)

    def sizes_of(self, provider: str, accelerator: str) -> tuple[int, ...]:
        """How many devices a machine may have; one where nothing more is known."""
        of_provider = self.sizes.get((provider, ""), (1,))
        return self.sizes.get((provider, accelerator), of_provider)


def exactly(names: Collection[str]) -> Canonical:
    """Accepts the canonical names themselves and nothing else."""

    def canonical(name: str) -> str:
        if name not in names:
            raise UnknownName("accelerator", name, names)
        return name

    return canonical


def offers_of(
    row: Mapping[str, str],
    machines: Machines,
    canonical: Canonical | None,
    default_source: str,
    today: date | None = None,
) -> list[Offer]:
    """The offers of one row.

    Args:
        row: column name to cell. A column that is not there counts as an empty cell.
        machines: networks and machine sizes.
        canonical: the canonical name of an accelerator; None takes the cell as it is.
        default_source: where the prices come from, for a row that does not say.
        today: a price of a later date makes the row invalid; None accepts any date.

    Raises:
        DataError: the row is not valid; the message says which cell and why.
    """
    if row.get(""):
        raise DataError("more cells than the header has columns")
    accelerator = _accelerator(row, canonical)
    devices = _count(row, "devices")
    source = row.get("source") or default_source
    on_demand = _price(row, devices, "on_demand", source)
    spot = _price(row, devices, "spot", row.get("spot_source") or source)
    if not on_demand and not spot:
        raise DataError("no price: on_demand_usd_per_h and spot_usd_per_h are both empty")
    for price in (on_demand, spot):
        if today and price and price.as_of and price.as_of > today:
            raise DataError(f"a price as of {price.as_of} is dated in the future; today is {today}")
    return [
        Offer(
            instance=_instance(row, accelerator, devices * times, times, machines),
            region=row.get("region") or "any",
            on_demand=_times(on_demand, times),
            spot=_times(spot, times),
            tier=row.get("tier", ""),
        )
        for times in _sizes(row, accelerator, devices, machines)
    ]


def _sizes(row: Mapping[str, str], accelerator: str, devices: int, machines: Machines) -> tuple[int, ...]:
    sold_by = row.get("sold_by") or "instance"
    if sold_by == "instance":
        return (1,)
    if sold_by != "gpu":
        raise DataError(f"sold_by is '{sold_by}', not instance or gpu")
    if devices != 1:
        raise DataError(f"a price for each gpu is for 1 device, not {devices}")
    return machines.sizes_of(row.get("provider", ""), accelerator)


def _instance(row: Mapping[str, str], accelerator: str, devices: int, times: int, machines: Machines) -> Instance:
    provider = row.get("provider", "")
    name = row.get("instance", "") + (f" x{times}" if times > 1 else "")
    vcpus = _number(row, "vcpus")
    if vcpus and vcpus > _MOST_VCPUS:
        raise DataError(f"vcpus of {vcpus:g} is beyond any machine")
    ram_gib = _number(row, "ram_gib")
    stated = _number(row, "network_gbit_per_s_per_device")
    network = stated * GBIT_PER_S if stated else machines.networks.get((provider, name))
    return Instance(
        provider=provider,
        name=name,
        accelerator=accelerator,
        devices=devices,
        vcpus=int(vcpus * times) if vcpus else None,
        ram_bytes=ram_gib * units.GIB * times if ram_gib else None,
        network_bytes_per_s=network,
    )


def _times(price: Price | None, times: int) -> Price | None:
    if price is None or times == 1:
        return price
    return Price(usd_per_h=price.usd_per_h * times, as_of=price.as_of, source=price.source)


def _accelerator(row: Mapping[str, str], canonical: Canonical | None) -> str:
    name = row.get("accelerator", "")
    if canonical is None:
        return name
    try:
        return canonical(name)
    except UnknownName as error:
        raise DataError(f"{error.message}; {error.hint}") from error


def _price(row: Mapping[str, str], devices: int, billing: str, source: str) -> Price | None:
    usd_per_h = _number(row, f"{billing}_usd_per_h")
    if usd_per_h is None:
        return None
    if usd_per_h < _LEAST_USD_PER_DEVICE_H * devices:
        raise DataError(f"{billing}_usd_per_h of {usd_per_h:g} is absurdly low for {devices} devices")
    return Price(usd_per_h=usd_per_h, as_of=_date(row, f"{billing}_as_of"), source=source)


def _number(row: Mapping[str, str], column: str) -> float | None:
    cell = row.get(column, "")
    if not cell:
        return None
    value = units.number_of(cell)
    if value is None:
        raise DataError(f"{column} is not a number: '{cell[:20]}'")
    if not units.is_amount(value):
        raise DataError(f"{column} must be above zero and finite, not {cell[:20]}; leave it empty if unknown")
    return value


def _count(row: Mapping[str, str], column: str) -> int:
    cell = row.get(column, "")
    value = units.digits_of(cell, MOST_DEVICES)
    if value is None:
        raise DataError(f"{column} must be a whole number from 1 to {MOST_DEVICES}, not '{cell[:20]}'")
    return value


def _date(row: Mapping[str, str], column: str) -> date | None:
    cell = row.get(column, "")
    if not cell:
        return None
    try:
        return _parse_date(cell)
    except ValueError:
        raise DataError(f"{column} is not a date as in 2026-05-24: '{cell}'") from None
