"""Rows of a price table: checked, and put into columns of offers.

A row sold by ``instance`` is one machine with all its devices at that price. A row sold by ``gpu`` is the price of
one device, and the renter says how many go into a machine: it becomes one offer for each size that the provider is
known to rent, at a price in proportion.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache, lru_cache, partial

from zenplan import units
from zenplan.adapters.tables.market import provider_class
from zenplan.domain.market.committed import Committed
from zenplan.domain.market.interruptions import Interruptions
from zenplan.domain.market.offer import Instance, Offer, Offers, Price, Terms
from zenplan.domain.market.provider import ProviderClass
from zenplan.domain.range import Range
from zenplan.errors import DataError, UnknownName

GBIT_PER_S = 1e9 / 8

# The largest slice of a TPU pod has 9,216 chips; no machine has more virtual processors than this.
MOST_DEVICES = 10_000
MOST_VCPUS = 1e6
# Clouds reserve for one, three or five years.
MOST_TERM_DAYS = 3660
# The least price seen is $0.03; a thousandth of a dollar is a slip of units.
LEAST_USD_PER_DEVICE_H = 0.001
# What costs less is not absurd to an offer.
_SURELY_USD_PER_DEVICE_H = 500.0
# What the name of a machine of several devices ends with, where they are sold one by one.
_SIZE = re.compile(r" x\d+$")

# From a name that people type to the canonical one; raises UnknownName.
Canonical = Callable[[str], str]

# In a long table the same cells come again and again: what they say is read, checked and kept once.
_parse_date = lru_cache(maxsize=256)(date.fromisoformat)
_number_of = lru_cache(maxsize=10_000)(units.number_of)
_made_price = lru_cache(maxsize=10_000)(Price)
_made_instance = lru_cache(maxsize=10_000)(Instance)


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
    terms: Mapping[str, Terms] | None = None,
) -> list[Offer]:
    """The offers of one row.

    Args:
        row: column name to cell. A column that is not there counts as an empty cell.
        machines: networks and machine sizes.
        canonical: the canonical name of an accelerator; None takes the cell as it is.
        default_source: where the prices come from, for a row that does not say.
        today: a price of a later date makes the row invalid; None accepts any date.
        terms: of each provider, which hold beside a term that its price binds to.

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
    taken = _interruptions(row) if row.get("spot_taken_per_h") else None
    made = [
        Offer(
            instance=_instance(row, accelerator, devices * times, times, machines),
            region=row.get("region") or "any",
            on_demand=_times(on_demand, times),
            spot=_times(spot, times),
            tier=row.get("tier", ""),
            guess=_guess(row.get("provider", ""), times),
            interruptions=taken,
        )
        for times in _sizes(row, accelerator, devices, machines)
    ]
    return [_for_a_term(offer, row, terms or {}) for offer in made] if row.get("term_days") else made


def _guess(provider: str, times: int) -> str:
    """Why it is not sure that there is a machine of so many of the devices that are sold one by one."""
    if times == 1 or provider_class(provider) is not ProviderClass.MARKETPLACE:
        return ""
    return f"{times} × the price of one device; there may be no such machine"


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
    if vcpus and vcpus > MOST_VCPUS:
        raise DataError(f"vcpus of {vcpus:g} is beyond any machine")
    ram_gib = _number(row, "ram_gib")
    stated = _number(row, "network_gbit_per_s_per_device")
    network = stated * GBIT_PER_S if stated else machines.networks.get((provider, name))
    return _made_instance(
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
    if usd_per_h < LEAST_USD_PER_DEVICE_H * devices:
        raise DataError(f"{billing}_usd_per_h of {usd_per_h:g} is absurdly low for {devices} devices")
    return _made_price(usd_per_h=usd_per_h, as_of=_date(row, f"{billing}_as_of"), source=source)


def _interruptions(row: Mapping[str, str]) -> Interruptions:
    low, mid, high = (_number_of(row.get(f"spot_taken_per_h{end}", "")) for end in ("_low", "", "_high"))
    if low is None or mid is None or high is None or not 0.0 <= low <= mid <= high < math.inf:
        raise DataError("spot_taken_per_h_low, spot_taken_per_h and spot_taken_per_h_high are no rates in order")
    return Interruptions(
        per_node_s=Range(low=low / units.HOUR_S, mid=mid / units.HOUR_S, high=high / units.HOUR_S),
        what=row.get("spot_taken_what", ""),
        as_of=_date(row, "spot_taken_as_of"),
        source=row.get("spot_taken_source", ""),
    )


def _number(row: Mapping[str, str], column: str) -> float | None:
    cell = row.get(column, "")
    if not cell:
        return None
    value = _number_of(cell)
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


def _for_a_term(offer: Offer, row: Mapping[str, str], terms: Mapping[str, Terms]) -> Offer:
    """The offer, paid for so many days by whoever takes it."""
    days = _number(row, "term_days") or 0.0
    if days > MOST_TERM_DAYS:
        raise DataError(f"term_days of {days:g} is beyond any contract")
    if offer.spot:
        raise DataError("term_days: a spot price binds to no term")
    machine, term_s = offer.instance, days * units.DAY_S
    whole = terms.get(machine.provider)
    own = whole.of(machine.name) if whole else Terms(provider=machine.provider, source="not known")
    bound = Committed(what=offer.tier or f"commitment for {units.duration(term_s)}", term_s=term_s)
    return replace(offer, terms=replace(own, exceptions=(), committed=bound))


def _date(row: Mapping[str, str], column: str) -> date | None:
    cell = row.get(column, "")
    if not cell:
        return None
    try:
        return _parse_date(cell)
    except ValueError:
        raise DataError(f"{column} is not a date as in 2026-05-24: '{cell}'") from None


# --- many rows

# All cells but the name, the region, and the prices with their days and sources: what is the same there is read once.
_ALIKE = (
    *("accelerator", "devices", "sold_by", "tier", "vcpus", "ram_gib", "network_gbit_per_s_per_device"),
    *("spot_taken_per_h", "spot_taken_per_h_low", "spot_taken_per_h_high"),
    *("spot_taken_what", "spot_taken_as_of", "spot_taken_source", "term_days", ""),
)
_UNKNOWN = (math.nan, 0)


class Rows:
    """Rows that become offers in columns.

    One of a kind that was read before is read by its cells alone, where its prices are of days and sources that were read,
    too, and surely no slip of units; all others are read by ``offers_of``, which says what is wrong.

    Args:
        machines, canonical, source, today, terms: as of ``offers_of``.

    Attributes:
        offers: that were read, by provider.
    """

    def __init__(
        self,
        machines: Machines,
        canonical: Canonical | None,
        source: str,
        today: date | None,
        terms: Mapping[str, Terms],
    ) -> None:
        self.offers: dict[str, Offers] = {}
        named = canonical and cache(canonical)
        self._offers_of = partial(
            offers_of, machines=machines, canonical=named, default_source=source, today=today, terms=terms
        )
        # Whose name says something of the machine, and who is unlike the others.
        self._known = {(provider, _SIZE.sub("", name)) for provider, name in machines.networks}
        self._sized = {provider for provider, _ in machines.sizes}
        self._patterns: list[Offer] = []
        self._dated: list[Price] = []
        # By kind of row: devices of a machine; places of the patterns, and what a price is multiplied with.
        self._kinds: dict[tuple[str | None, ...], tuple[int, tuple[tuple[int, int], ...]]] = {}
        # By day and source, the place of a price like that.
        self._days: dict[tuple[str | None, ...], int] = {}
        self._seen: dict[tuple[str, str, str | None], dict[str, int]] = {}
        self._regions: dict[str, str] = {}

    def add(self, row: Mapping[str, str], line: int, what: str) -> None:
        """Raises DataError: the row is not valid, or there was one like it."""
        cell = row.get
        provider, name, region = cell("provider", ""), cell("instance", ""), cell("region") or "any"
        # What binds has the terms of its provider's machine of that name.
        own = name if (provider, name) in self._known or cell("term_days") else ""
        kind = (provider if own or provider in self._sized else "", own, *map(cell, _ALIKE))
        devices, sizes = self._kinds.get(kind) or (0, ())
        day = cell("on_demand_as_of"), cell("source")
        spot_day = cell("spot_as_of"), cell("source"), cell("spot_source")
        on_demand = self._usd(cell("on_demand_usd_per_h"), devices, day)
        spot = self._usd(cell("spot_usd_per_h"), devices, spot_day)
        known = devices and provider and name and "\n" not in f"{provider}{name}{region}"
        if not known or not on_demand or not spot or on_demand is spot:
            made = self._offers_of(row)
            if not sizes:
                devices, sizes = self._kinds[kind] = self._new(made, int(row["devices"]))
            on_demand = self._read(cell("on_demand_usd_per_h"), made[0].on_demand, day)
            spot = self._read(cell("spot_usd_per_h"), made[0].spot, spot_day)
        seen = self._seen.setdefault((provider, region, cell("tier")), {})
        names = [f"{name} x{times}" if times > 1 else name for _, times in sizes]
        for called in names:
            if seen.setdefault(called, line) != line:
                raise DataError(f"the same instance and region as {what} {seen[called]}")
        offers, region = self._of(provider), self._regions.setdefault(region, region)
        for called, (place, times) in zip(names, sizes, strict=True):
            offers.add(place, called, region, (on_demand[0] * times, on_demand[1]), (spot[0] * times, spot[1]))

    def _of(self, provider: str) -> Offers:
        if provider not in self.offers:
            self.offers[provider] = Offers(provider, self._patterns, self._dated)
        return self.offers[provider]

    def _usd(self, cell: str | None, devices: int, day: tuple[str | None, ...]) -> tuple[float, int] | None:
        """The price and the place of one like it; None where it may not be, or there was none like it."""
        if not cell:
            return _UNKNOWN
        usd, like = units.number_of(cell), self._days.get(day)
        if like is None or usd is None:
            return None
        sure = LEAST_USD_PER_DEVICE_H * devices <= usd < _SURELY_USD_PER_DEVICE_H * devices
        return (usd, like) if sure else None

    def _read(self, cell: str | None, price: Price | None, day: tuple[str | None, ...]) -> tuple[float, int]:
        """The price that was read, and the place of one like it, where it is put if there was none."""
        if price is None:
            return _UNKNOWN
        if day not in self._days:
            self._days[day] = len(self._dated)
            self._dated.append(price)
        return units.number_of(cell or "") or math.nan, self._days[day]

    def _new(self, made: Sequence[Offer], devices: int) -> tuple[int, tuple[tuple[int, int], ...]]:
        """A kind of row, after which others are."""
        first = len(self._patterns)
        self._patterns += made
        return devices, tuple((first + n, offer.instance.devices // devices) for n, offer in enumerate(made))


def with_table_date(offers: Offers) -> Offers:
    """The offers, of which prices without a date have the newest date of the others as that of their table."""
    days = offers.days
    if None in days and (newest := max(filter(None, days), default=None)):
        offers.dated = [each if each.as_of else replace(each, table_as_of=newest) for each in offers.dated]
    return offers
