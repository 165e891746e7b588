"""Rows of a fetched table that cannot be right: set aside, each with the reason; the others answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from statistics import median
from typing import Final

from zenplan import units
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.market.offer import Billing, Offer, Price, PriceTable
from zenplan.errors import DataError, UnknownName

# For the same device, the same hour, list prices of different providers lie up to ten times apart (H100: $1.49 to $17.82,
# in the bundled table of 2026-05): more than that from their middle is a slip of units.
MOST_TIMES: Final = 10.0
# Fewer prices have no middle.
_FEWEST_PEERS: Final = 3

# Of an accelerator, or of a provider's instance, and the billing: dollars for a device-hour.
Usual = Mapping[tuple[str, Billing], float]


def usual_of(others: Iterable[PriceTable], before: PriceTable | None = None) -> Usual:
    """What a device usually costs: the middle of what others ask, of whatever at least three of their offers ask for; and
    by the instance's name, of what the same provider asked before: a small GPU in a large host may cost ten times as much.
    """
    found: defaultdict[tuple[str, Billing], list[float]] = defaultdict(list)
    for table in others:
        for offer in table.offers:
            _add(found, offer.instance.accelerator, offer)
    usual = {key: median(prices) for key, prices in found.items() if len(prices) >= _FEWEST_PEERS}
    own: defaultdict[tuple[str, Billing], list[float]] = defaultdict(list)
    for offer in before.offers if before else ():
        _add(own, offer.instance.name, offer)
    return usual | {key: median(prices) for key, prices in own.items()}


def _add(found: defaultdict[tuple[str, Billing], list[float]], name: str, offer: Offer) -> None:
    if offer.committed:
        return
    for billing in Billing:
        if price := offer.price(billing):
            found[name, billing].append(price.usd_per_h / offer.instance.devices)


def sifted(table: PriceTable, sheets: Catalogue, usual: Usual, today: date) -> tuple[PriceTable, tuple[str, ...]]:
    """The table as it may be used, and what was set aside of it.

    Accelerators have their canonical names, and prices without a day are of today. What the provider itself left out is
    among what was set aside.

    Args:
        table: as a plugin fetched it.
        sheets: every accelerator; one that is not there is nobody's guess.
        usual: what a device usually costs.
        today: the day on which it was fetched.
    """
    offers: dict[tuple[str, str, str], Offer] = {}
    aside = list(table.left_out)
    for offer in table.offers:
        machine = offer.instance
        what = f"{machine.name} in {offer.region}" + (f" ({offer.tier})" if offer.tier else "")
        try:
            good, reasons = _checked(offer, sheets, usual, today)
            key = (machine.name, offer.region, offer.tier)
            if key in offers:
                raise DataError("it comes twice")
        except DataError as error:
            aside.append(f"{what}: {error.message}")
        else:
            offers[key] = good
            aside += [f"{what}: {reason}" for reason in reasons]
    return replace(table, offers=tuple(offers.values()), left_out=()), tuple(aside)


def _checked(offer: Offer, sheets: Catalogue, usual: Usual, today: date) -> tuple[Offer, list[str]]:
    """The offer as it may be used, and why a price of it may not. Raises DataError: none of it may."""
    try:
        accelerator = sheets.by_name(offer.instance.accelerator).name
    except UnknownName as error:
        raise DataError(f"{error.message}; {error.hint}") from error
    found: dict[Billing, Price | None] = {}
    reasons = []
    for billing in Billing:
        price = offer.price(billing)
        often = usual.get((offer.instance.name, billing)) or usual.get((accelerator, billing))
        reason = price and _reason(price, offer.instance.devices, often, today)
        reasons += [f"{billing} price: {reason}"] if reason else []
        found[billing] = None if price is None or reason else replace(price, as_of=min(price.as_of or today, today))
    on_demand, spot = found[Billing.ON_DEMAND], found[Billing.SPOT]
    if on_demand and spot and spot.usd_per_h > on_demand.usd_per_h:
        reasons.append(f"spot price: {units.usd(spot.usd_per_h)} is above {units.usd(on_demand.usd_per_h)} on demand")
        spot = None
    if on_demand is None and spot is None:
        raise DataError("; ".join(reasons))
    machine = replace(offer.instance, accelerator=accelerator)
    return replace(offer, instance=machine, on_demand=on_demand, spot=spot), reasons


def _reason(price: Price, devices: int, usual: float | None, today: date) -> str:
    """Why that price cannot be right; empty where it may be."""
    device_usd_per_h = price.usd_per_h / devices
    # A day that has begun there may not have begun here.
    if price.as_of and price.as_of > today + timedelta(days=1):
        return f"it is dated in the future, {price.as_of}"
    if usual and not 1 / MOST_TIMES <= device_usd_per_h / usual <= MOST_TIMES:
        return f"{units.usd(device_usd_per_h)} a device-hour is over ten times off the usual {units.usd(usual)}"
    return ""
