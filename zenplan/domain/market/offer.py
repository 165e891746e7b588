"""Instance, Offer and what a provider's contract adds to the bill."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from itertools import compress
from typing import overload

from zenplan.domain import checks
from zenplan.domain.market.committed import Committed
from zenplan.domain.market.credit import Credit
from zenplan.domain.market.interruptions import Interruptions
from zenplan.domain.market.provider import ProviderClass
from zenplan.domain.provenance import Fact
from zenplan.errors import DataError

# No machine that can be rented costs more than this; a larger figure is a slip of units.
_ABSURD_USD_PER_DEVICE_H = 1000.0
# Prices that are older than this are marked, and ranked behind fresh ones. Neoclouds change theirs a few times a year.
OLD_DAYS = 180
# An old price leads only where no fresh one is within so many times of it.
OLD_WITHIN = 2.0
# The provider of devices that nobody rents out, or whose price the user gave: it alone has offers without a price.
OWN = "own"


_NOBODYS = re.compile(r"\b(example\.(com|net|org)|[\w.-]+\.(example|invalid|test))\b")


class Billing(StrEnum):
    """How a machine is paid for. Spot can be taken away at any time."""

    ON_DEMAND = "on-demand"
    SPOT = "spot"

    @property
    def other(self) -> Billing:
        """The one that is not this."""
        return Billing.ON_DEMAND if self is Billing.SPOT else Billing.SPOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A machine type of one provider, with N accelerators in it.

    Attributes:
        accelerator: canonical name of the accelerator.
        network_bytes_per_s: node-to-node bandwidth of each device; None where it is not known, and such
            a machine is quoted alone, never in a cluster.
        link_bytes_per_s: device-to-device bandwidth in the machine, where it differs from the data sheet.
    """

    provider: str
    name: str
    accelerator: str
    devices: int
    vcpus: int | None = None
    ram_bytes: float | None = None
    network_bytes_per_s: float | None = None
    link_bytes_per_s: float | None = None

    def __post_init__(self) -> None:
        checks.named("instance", provider=self.provider, name=self.name, accelerator=self.accelerator)
        checks.positive(
            f"instance {self.provider}/{self.name}",
            devices=self.devices,
            vcpus=self.vcpus,
            ram_bytes=self.ram_bytes,
            network_bytes_per_s=self.network_bytes_per_s,
            link_bytes_per_s=self.link_bytes_per_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Dollars for one hour of the whole instance, seen on a date.

    Attributes:
        as_of: None where the source has no date.
        table_as_of: the newest date in the table of a price that has none itself; None where it has none either.
    """

    usd_per_h: float
    as_of: date | None
    source: str
    table_as_of: date | None = None

    def __post_init__(self) -> None:
        checks.not_negative("price", usd_per_h=self.usd_per_h)
        checks.named("price", source=self.source)

    def age_days(self, today: date) -> int | None:
        """Days since the price was seen; None where it has no date."""
        return (today - self.as_of).days if self.as_of else None

    @property
    def is_placeholder(self) -> bool:
        """Whether its source is of a name that nobody can have (RFC 2606), as in a plugin that was begun and not filled."""
        return _NOBODYS.search(self.source) is not None

    def is_old(self, today: date) -> bool:
        """Whether it was seen more than ``OLD_DAYS`` ago; a price without a date counts as older than that."""
        days = self.age_days(today)
        return days is None or days > OLD_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An instance in a region, and its price under each billing kind.

    Attributes:
        instance: the machine.
        region: as the provider calls it; ``any`` where it does not say.
        on_demand, spot: None is unknown, never 0; one of them is known, but for ``OWN`` devices, which may also be
            free.
        tier: the provider's own class of service (``community``, ``secure``), empty where it has none.
        terms: of this offer alone, in place of the provider's; None where those hold.
        machines: at most so many are to be had; None where that is not known.
        whole: all of these are paid for, or none.
        derived: how the price was made, where it was not read as it is.
        guess: why it is not sure that such a machine exists; empty where it is listed as it is.
        interruptions: how often a spot machine of it is taken, where the source of its prices says; else None.
    """

    instance: Instance
    region: str
    on_demand: Price | None = None
    spot: Price | None = None
    tier: str = ""
    terms: Terms | None = None
    machines: int | None = None
    whole: bool = False
    derived: tuple[Fact, ...] = ()
    guess: str = ""
    interruptions: Interruptions | None = None

    def __post_init__(self) -> None:
        checks.named("offer", region=self.region)
        checks.positive("offer", machines=self.machines)
        if self.instance.provider == OWN:
            return
        if not self.has_price:
            raise self._wrong("no price at all")
        for price in (self.on_demand, self.spot):
            if price and not price.usd_per_h:
                raise self._wrong("a price of 0 is no price; one that is unknown is None")
            if price and price.usd_per_h / self.instance.devices > _ABSURD_USD_PER_DEVICE_H:
                raise self._wrong(f"${price.usd_per_h} an hour is absurd for {self.instance.devices} devices")

    def _wrong(self, what: str) -> DataError:
        return DataError(f"offer {self.instance.provider}/{self.instance.name} in {self.region}: {what}")

    @property
    def called(self) -> str:
        """The machine, with the tier where there is one: ``h100-sxm (community)``."""
        return f"{self.instance.name} ({self.tier})" if self.tier else self.instance.name

    @property
    def committed(self) -> Committed | None:
        """To what its price binds; None where it is one by the hour."""
        return self.terms.committed if self.terms else None

    @property
    def has_price(self) -> bool:
        """Whether the price under any billing kind is known."""
        return self.on_demand is not None or self.spot is not None

    def price(self, billing: Billing) -> Price | None:
        """The price under that billing kind, or None where it is unknown."""
        return self.on_demand if billing is Billing.ON_DEMAND else self.spot


class Offers(Sequence[Offer]):
    """Offers in columns: of a hundred thousand, most are as another but for name, region and prices.

    An offer is made each time that it is asked for.

    Attributes:
        provider: of the machines; None where it is that of the pattern.
        patterns: offers that have all the rest but the prices; other tables may share them, and ``dated``.
        dated: prices that have the days and sources of the others.
        pattern: the place of each offer's pattern.
        names: of the machines.
        regions: as providers call them.
        on_demand, spot: dollars an hour; nan where not known.
        on_demand_like, spot_like: the place of the price that has its day and source; 0 where it is not known.
    """

    __slots__ = (
        *("dated", "names", "on_demand", "on_demand_like", "pattern", "patterns", "provider", "regions", "spot"),
        "spot_like",
    )

    def __init__(self, provider: str | None, patterns: list[Offer], dated: list[Price]) -> None:
        self.provider, self.patterns, self.dated = provider, patterns, dated
        self.names: list[str] = []
        self.regions: list[str] = []
        self.pattern, self.on_demand_like, self.spot_like = array("I"), array("I"), array("I")
        self.on_demand, self.spot = array("d"), array("d")

    @classmethod
    def of(cls, offers: Iterable[Offer]) -> Offers:
        """Those offers in columns, each after its own pattern."""
        if isinstance(offers, cls):
            return offers
        found = cls(None, list(offers), [])
        for place, offer in enumerate(found.patterns):
            pairs = [found.priced(price) for price in (offer.on_demand, offer.spot)]
            found.add(place, offer.instance.name, offer.region, *pairs)
        return found

    def priced(self, price: Price | None) -> tuple[float, int]:
        """A price as ``add`` takes it; it is a new one of ``dated``."""
        if price is None:
            return math.nan, 0
        self.dated.append(price)
        return price.usd_per_h, len(self.dated) - 1

    def add(self, pattern: int, name: str, region: str, on_demand: tuple[float, int], spot: tuple[float, int]) -> None:
        """One more: the places of its pattern and of what its prices are like are there already."""
        self.pattern.append(pattern)
        self.names.append(name)
        self.regions.append(region)
        self.on_demand.append(on_demand[0])
        self.on_demand_like.append(on_demand[1])
        self.spot.append(spot[0])
        self.spot_like.append(spot[1])

    def only(self, kept: Iterable[bool]) -> Offers:
        """Those that are kept, in their order."""
        found, places = Offers(self.provider, self.patterns, self.dated), list(compress(range(len(self)), kept))
        for name in ("pattern", "names", "regions", "on_demand", "spot", "on_demand_like", "spot_like"):
            getattr(found, name).extend(map(getattr(self, name).__getitem__, places))
        return found

    @property
    def accelerators(self) -> set[str]:
        """Of those that are there."""
        return {self.patterns[place].instance.accelerator for place in set(self.pattern)}

    @property
    def days(self) -> set[date | None]:
        """On which prices of them were seen."""
        columns = ((self.on_demand, self.on_demand_like), (self.spot, self.spot_like))
        used = {like for prices, likes in columns for usd, like in zip(prices, likes, strict=True) if usd == usd}
        return {self.dated[like].as_of for like in used}

    def __len__(self) -> int:
        return len(self.pattern)

    @overload
    def __getitem__(self, place: int) -> Offer: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Offer, ...]: ...

    def __getitem__(self, place: int | slice) -> Offer | tuple[Offer, ...]:
        if isinstance(place, slice):
            return tuple(self[each] for each in range(len(self))[place])
        like, name, region = self.patterns[self.pattern[place]], self.names[place], self.regions[place]
        on_demand = self._price(self.on_demand[place], self.on_demand_like[place])
        spot = self._price(self.spot[place], self.spot_like[place])
        machine, provider = like.instance, self.provider or like.instance.provider
        if name != machine.name or provider != machine.provider:
            machine = replace(machine, name=name, provider=provider)
        elif region == like.region and on_demand is like.on_demand and spot is like.spot:
            return like
        return replace(like, instance=machine, region=region, on_demand=on_demand, spot=spot)

    def _price(self, usd_per_h: float, like: int) -> Price | None:
        if math.isnan(usd_per_h):
            return None
        price = self.dated[like]
        return price if price.usd_per_h == usd_per_h else replace(price, usd_per_h=usd_per_h)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Offers.of({tuple(self)!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a provider's contract adds to the hourly price.

    Attributes:
        granularity_s: billed time is rounded up to a multiple of this; None where it is not known.
        minimum_s: the least time that is billed for a machine.
        longest_s: machines are to be had for no longer; None where there is no such end.
        storage_usd_per_byte_s: object storage, for checkpoints and data; None where it is not known.
        disk_usd_per_byte_s: a disk of a machine; None where it is not known.
        egress_usd_per_byte: the first paid tier to the internet; None where it is not known.
        ingress_usd_per_byte: what bringing the data in costs; None where it is not known.
        pue: power usage effectiveness of the data centre, at least 1; None where it is not published.
        credits: that pay for the run while they last.
        committed: to what the price binds, or what it is paid under already; None for neither.
        exceptions: how the names of machines begin that have terms of their own, as the provider documents, and those.
    """

    provider: str
    granularity_s: float | None = None
    minimum_s: float = 0.0
    longest_s: float | None = None
    storage_usd_per_byte_s: float | None = None
    disk_usd_per_byte_s: float | None = None
    egress_usd_per_byte: float | None = None
    ingress_usd_per_byte: float | None = None
    pue: float | None = None
    credits: tuple[Credit, ...] = ()
    committed: Committed | None = None
    exceptions: tuple[tuple[str, Terms], ...] = ()
    source: str

    def __post_init__(self) -> None:
        checks.named("terms", provider=self.provider, source=self.source)
        what = f"terms of {self.provider}"
        checks.positive(what, granularity_s=self.granularity_s, longest_s=self.longest_s)
        checks.not_negative(
            what,
            minimum_s=self.minimum_s,
            storage_usd_per_byte_s=self.storage_usd_per_byte_s,
            disk_usd_per_byte_s=self.disk_usd_per_byte_s,
            egress_usd_per_byte=self.egress_usd_per_byte,
            ingress_usd_per_byte=self.ingress_usd_per_byte,
        )
        if self.pue is not None and not 1 <= self.pue < 4:
            raise DataError(f"{what}: a PUE of {self.pue} is not possible")

    def of(self, instance: str) -> Terms:
        """The terms of a machine by its name: those of the first exception that it begins with, else these."""
        return next((own for beginning, own in self.exceptions if instance.startswith(beginning)), self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """The offers of one provider.

    Attributes:
        provider: its name, as in each of its offers.
        offers: in the order of the table.
        terms: of billing; None where nothing is known of them.
        left_out: rows that could not be used, a line each, with the reason.
        kind: of the provider.
        too_old: prices that were left out for their age.
        fetched_at: when a live source gave it; None where it ships with a distribution or is the user's own.
    """

    provider: str
    offers: Sequence[Offer]
    terms: Terms | None = None
    left_out: tuple[str, ...] = ()
    kind: ProviderClass = ProviderClass.UNKNOWN
    too_old: int = 0
    fetched_at: datetime | None = None

    @property
    def prices(self) -> tuple[Price, ...]:
        """Every price of its offers that is known."""
        return tuple(price for offer in self.offers for price in (offer.on_demand, offer.spot) if price)

    @property
    def days(self) -> tuple[date | None, date | None]:
        """The oldest and the newest date on any price of the table; None where no price has one."""
        dated = [day for day in Offers.of(self.offers).days if day]
        return min(dated, default=None), max(dated, default=None)

    def as_of(self) -> date | None:
        """The oldest date on any price of the table; None where no price has one."""
        return self.days[0]

    @property
    def undated(self) -> int:
        """Prices without a date."""
        return sum(price.as_of is None for price in self.prices)


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePrice:
    """The cheapest on-demand price of one device, and whose it is.

    Attributes:
        seen: when it was seen, and how long ago where that is long, for people.
    """

    usd_per_h: float
    offer: str
    as_of: date | None
    seen: str
