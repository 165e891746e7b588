"""A price table of a plugin, held to what the user's own is: names, dates, units, one row for a machine in a region."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Final

from zenplan.adapters.prices.rows import LEAST_USD_PER_DEVICE_H, MOST_DEVICES, MOST_VCPUS
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.market.offer import OWN, Instance, Offer, Price, PriceTable, Terms
from zenplan.errors import DataError, UnknownName
from zenplan.units import GB, YEAR_S

# Bytes of memory, and bytes a second of a device's network: less or more is another unit.
_RAM_BYTES: Final = (1e8, 1e15)
_NETWORK_BYTES_PER_S: Final = (1e6, 1e13)
_MOST_USD_PER_GB: Final = 100.0
_MOST_BAD: Final = 20


def checked_table(table: PriceTable, sheets: Catalogue, today: date, carrier: str = "") -> PriceTable:
    """The table with canonical names, less the offers that cannot be right, of which ``left_out`` says why.

    Args:
        table: of the plugin, of its declared types.
        sheets: whose names and aliases accelerators go by; one that is in none keeps the name it has.
        today: no price is of a later day.
        carrier: the plugin, where the table stands in for one of zenplan's own: each price says so.

    Raises:
        DataError: nothing of it can be used.
    """
    if table.provider == OWN:
        raise DataError(f"the provider {OWN!r} is the user")
    good: list[Offer] = []
    bad: list[str] = []
    names: dict[str, str] = {}
    seen: set[tuple[str, str, str]] = set()
    for number, offer in enumerate(table.offers):
        key = (offer.instance.name, offer.region, offer.tier)
        reason = _wrong(offer, table.provider, today)
        if reason or key in seen:
            bad.append(f"offers[{number}] {_called(offer)}: {reason or 'the same instance and region twice'}")
            continue
        seen.add(key)
        known = offer.instance.accelerator
        if known not in names:
            names[known] = _canonical(known, sheets)
        if names[known] != known:
            offer = replace(offer, instance=replace(offer.instance, accelerator=names[known]))
        good.append(offer)
    if bad and not good:
        raise DataError(bad[0])
    if len(bad) > _MOST_BAD:
        bad[_MOST_BAD:] = [f"{len(bad) - _MOST_BAD:,} offers more"]
    if table.terms and (reason := _wrong_terms(table.terms, table.provider)):
        bad.append(f"terms: {reason}")
        table = replace(table, terms=None)
    offers = (_carried(offer, carrier) for offer in good) if carrier else good
    return replace(table, offers=tuple(offers), left_out=(*table.left_out, *bad))


def _called(offer: Offer) -> str:
    return f"{offer.instance.name} in {offer.region}"


def _wrong(offer: Offer, provider: str, today: date) -> str:
    """What of it cannot be; empty where all may."""
    for name, price in (("on_demand", offer.on_demand), ("spot", offer.spot)):
        if price and (reason := _wrong_price(price, offer.instance.devices, today)):
            return f"{name}.{reason}"
    if offer.instance.provider != provider:
        return f"instance.provider is {offer.instance.provider!r}, and the table is of {provider!r}"
    return next(_wrong_sizes(offer.instance), "")


def _wrong_price(price: Price, devices: int, today: date) -> str:
    if price.usd_per_h < LEAST_USD_PER_DEVICE_H * devices:
        return f"usd_per_h of {price.usd_per_h:g} is absurdly low for {devices} devices"
    if price.as_of and price.as_of > today:
        return f"as_of {price.as_of} is in the future; today is {today}"
    return ""


def _wrong_sizes(instance: Instance) -> Iterator[str]:
    if instance.devices > MOST_DEVICES:
        yield f"instance.devices of {instance.devices:,} is beyond any machine"
    if instance.vcpus and instance.vcpus > MOST_VCPUS:
        yield f"instance.vcpus of {instance.vcpus:,} is beyond any machine"
    limits = {"ram_bytes": _RAM_BYTES, "network_bytes_per_s": _NETWORK_BYTES_PER_S}
    for field, (least, most) in limits.items():
        value = getattr(instance, field)
        if value is not None and not least <= value <= most:
            yield f"instance.{field} of {value:g} must be another unit: it is {least:g} to {most:g}"


def _wrong_terms(terms: Terms, provider: str) -> str:
    """What of them cannot be; empty where all may."""
    if terms.provider != provider:
        return f"of {terms.provider!r}, and the table is of {provider!r}"
    longest = max(terms.granularity_s or 0.0, terms.minimum_s)
    if longest > YEAR_S:
        return f"{longest:g} s is more than a year"
    a_byte = max((terms.storage_usd_per_byte_s or 0.0) * YEAR_S, terms.egress_usd_per_byte or 0.0)
    if a_byte * GB > _MOST_USD_PER_GB:
        return f"${a_byte * GB:,.0f} for a GB must be another unit: prices are of a byte"
    return ""


def _canonical(name: str, sheets: Catalogue) -> str:
    try:
        return sheets.by_name(name).name
    except UnknownName:
        return name


def _carried(offer: Offer, carrier: str) -> Offer:
    on_demand, spot = (p and replace(p, source=f"{p.source}; {carrier}") for p in (offer.on_demand, offer.spot))
    return replace(offer, on_demand=on_demand, spot=spot)
