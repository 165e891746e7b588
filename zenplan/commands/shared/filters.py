"""Which offers of the price tables are looked at."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache

from zenplan.adapters.tables.regions import countries_of, country_of, without_zone
from zenplan.commands.shared.current import named_providers
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.market.offer import Offers, Price, PriceTable
from zenplan.domain.market.provider import ProviderClass
from zenplan.errors import UnknownName
from zenplan.units import DAY_S

_LISTING = "zenplan prices"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What an offer must have; of several names any one; empty or None lets everything through.

    Attributes:
        instances: provider and name of machines.
        region: of a provider, or a place: ``EU``, ``Europe``, or a country as in ``DEU``; a region of which no country is
            known lies in none.
        devices: of one machine; where none has so many, those of which so many can be put together.
        max_usd_per_h: of one machine, under a billing kind that is known.
        max_price_age_s: older prices are left out, and those without a date.
        spot: only offers with a spot price.
    """

    gpu: tuple[str, ...] = ()
    instances: tuple[tuple[str, str], ...] = ()
    provider: tuple[str, ...] = ()
    exclude_provider: tuple[str, ...] = ()
    provider_class: tuple[ProviderClass, ...] = ()
    region: tuple[str, ...] = ()
    devices: int | None = None
    max_usd_per_h: float | None = None
    max_price_age_s: float | None = None
    spot: bool = False


def filtered(tables: Sequence[PriceTable], sheets: Catalogue, wanted: Filters, today: date) -> tuple[PriceTable, ...]:
    """The tables with only the offers that pass; a name that nobody has is an error.

    Raises:
        UnknownName: an accelerator, provider or region that no table has.
    """
    gpus = {sheets.by_name(name).name for name in wanted.gpu}
    providers = [t.provider for t in tables]
    wanted = replace(
        wanted,
        provider=named_providers(wanted.provider, providers),
        exclude_provider=named_providers(wanted.exclude_provider, providers),
    )
    tables = [t for t in tables if _of_provider(t, wanted)]
    named, places = _regions(wanted, tables) if wanted.region else (frozenset(), frozenset())

    kept = tuple(_passing(table, wanted, gpus, named, places) for table in tables)
    kept = kept if wanted.devices is None else _of_devices(kept, wanted.devices)
    age_s = wanted.max_price_age_s
    return tuple(kept if age_s is None else (_recent(t, age_s, today, wanted.spot) for t in kept))


def _of_devices(tables: Sequence[PriceTable], devices: int) -> tuple[PriceTable, ...]:
    """The machines of so many devices; where there are none, those of which so many can be put together."""
    columns = [Offers.of(table.offers) for table in tables]
    sizes = {offers.patterns[place].instance.devices for offers in columns for place in set(offers.pattern)}
    fit = {devices} & sizes or {size for size in sizes if devices % size == 0}

    def only(offers: Offers) -> Offers:
        fine = [like.instance.devices in fit for like in offers.patterns]
        return offers.only(map(fine.__getitem__, offers.pattern))

    return tuple(replace(table, offers=only(offers)) for table, offers in zip(tables, columns, strict=True))


def _passing(
    table: PriceTable, wanted: Filters, gpus: Collection[str], named: Collection[str], places: Collection[str]
) -> PriceTable:
    """The table with only the offers that have what is wanted, ``named`` regions and ``places`` being those."""
    offers, most = Offers.of(table.offers), wanted.max_usd_per_h
    if gpus:
        fine = [like.instance.accelerator in gpus for like in offers.patterns]
        offers = offers.only(map(fine.__getitem__, offers.pattern))
    if wanted.instances:
        offers = offers.only((table.provider, name) in wanted.instances for name in offers.names)
    if wanted.region:
        fits = cache(lambda region: region in named or country_of(table.provider, region) in places)
        offers = offers.only(map(fits, offers.regions))
    if wanted.spot:
        offers = offers.only(not math.isnan(usd) for usd in offers.spot)
    if most is not None:
        prices = zip(offers.on_demand, offers.spot, strict=True)
        offers = offers.only(on_demand <= most or spot <= most for on_demand, spot in prices)
    return table if offers is table.offers else replace(table, offers=offers)


def _regions(wanted: Filters, tables: Sequence[PriceTable]) -> tuple[frozenset[str], frozenset[str]]:
    """The regions that were asked for, and the countries. Raises UnknownName: a name is neither."""
    known = {region for table in tables for region in Offers.of(table.offers).regions}
    named = frozenset(region if region in known else without_zone(region) for region in wanted.region)
    places: frozenset[str] = frozenset()
    for region in named - known:
        countries = countries_of(region)
        if not countries:
            of = f"region of {' or '.join(wanted.provider)}" if wanted.provider else "region"
            raise UnknownName(of, region, known, _LISTING)
        places |= countries
    return named, places


def _of_provider(table: PriceTable, wanted: Filters) -> bool:
    return (
        (not wanted.provider or table.provider in wanted.provider)
        and table.provider not in wanted.exclude_provider
        and (not wanted.provider_class or table.kind in wanted.provider_class)
    )


def _recent(table: PriceTable, age_s: float, today: date, spot: bool) -> PriceTable:
    """The table without older prices, and without offers that have no other."""

    def keep(price: Price | None) -> Price | None:
        days = price.age_days(today) if price else None
        return price if days is not None and days * DAY_S <= age_s else None

    offers = []
    for offer in table.offers:
        on_demand, of_spot = keep(offer.on_demand), keep(offer.spot)
        if of_spot or (on_demand and not spot):
            offers.append(replace(offer, on_demand=on_demand, spot=of_spot))
    left = PriceTable(provider=table.provider, offers=tuple(offers))
    return replace(table, offers=left.offers, too_old=len(table.prices) - len(left.prices))


def too_old(tables: Iterable[PriceTable]) -> tuple[str, ...]:
    """How many prices were left out for their age, in a line; nothing where none was."""
    count = sum(table.too_old for table in tables)
    return (f"{count:,} prices are older than --max-price-age, or have no date: left out",) if count else ()
