"""Prices of meters as offers of machines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Final

from zenplan import Billing, Committed, DataError, Instance, Offer, Price, Terms

from zenplan_azure.retail import CONSUMPTION, RESERVATION, Item

_GIB: Final = 2**30
# Sizes that zenplan's own table may lack: accelerator, number of it, vCPUs, GiB of RAM; None where it is not known.
# https://aspire.dev/reference/api/csharp/aspire.hosting.azure.kubernetes, which is made of Azure's own list of sizes; there
# a part of a GPU counts as one.
_MORE: Final[Mapping[str, tuple[str, int, int | None, int | None]]] = {
    "Standard_NC144ds_xl_RTXPRO6000BSE_v6": ("RTX-PRO-6000-BSE", 1, 144, 516),
    "Standard_NC144lds_xl_RTXPRO6000BSE_v6": ("RTX-PRO-6000-BSE", 1, 144, 264),
    "Standard_NC288ds_xl_RTXPRO6000BSE_v6": ("RTX-PRO-6000-BSE", 2, 288, 1032),
    "Standard_NC288lds_xl_RTXPRO6000BSE_v6": ("RTX-PRO-6000-BSE", 2, 288, 516),
    "Standard_ND96isrf_H100_v5": ("H100-SXM5-80GB", 8, None, None),
    "Standard_ND128isr_GB300_v6": ("GB300-278GB", 4, None, None),
}
# https://learn.microsoft.com/azure/virtual-machines/nva10v5-series, .../sizes/gpu-accelerated/nc-rtxpro6000bse-v6-series
_FRACTIONAL: Final = {
    "Standard_NC24lds_xl_RTXPRO6000BSE_v6": "a quarter of an RTX PRO 6000",
    "Standard_NC36ds_xl_RTXPRO6000BSE_v6": "a quarter of an RTX PRO 6000",
    "Standard_NC36lds_xl_RTXPRO6000BSE_v6": "a quarter of an RTX PRO 6000",
    "Standard_NC72ds_xl_RTXPRO6000BSE_v6": "half of an RTX PRO 6000",
    "Standard_NC72lds_xl_RTXPRO6000BSE_v6": "half of an RTX PRO 6000",
    "Standard_NV6ads_A10_v5": "a sixth of an A10",
    "Standard_NV12ads_A10_v5": "a third of an A10",
    "Standard_NV18ads_A10_v5": "half of an A10",
}
# In the names of products that are no Linux machine of one's own by the hour.
_OTHER_PRODUCTS: Final = ("Windows", " Win", "Cloud Services", "CloudServices", "Dedicated")
# Terms as the API names them, in hours of 365 days a year, as the prices of Azure's own pages are divided.
_HOURS: Final[Mapping[str, float]] = {f"{years} Year{'s' * (years > 1)}": years * 8760.0 for years in (1, 3, 5)}

# How an hour is paid for: by the hour, or under a commitment of a kind for a term.
_Paid = Billing | tuple[str, str]


class Machines:
    """The sizes that are known by name.

    Args:
        known: from zenplan's own table, by name.
    """

    def __init__(self, known: Mapping[str, Instance]) -> None:
        self._known = known

    def of(self, name: str) -> Instance:
        """The machine. Raises DataError, which says why there is none."""
        if name in self._known:
            return self._known[name]
        if name in _FRACTIONAL:
            raise DataError(f"{name}: it has {_FRACTIONAL[name]}")
        if name not in _MORE:
            raise DataError(f"{name}: not in the table of accelerators of zenplan-azure")
        accelerator, devices, vcpus, ram_gib = _MORE[name]
        return Instance(
            provider="azure",
            name=name,
            accelerator=accelerator,
            devices=devices,
            vcpus=vcpus,
            ram_bytes=ram_gib * _GIB if ram_gib else None,
        )


def offers_of(
    items: Iterable[Item], machines: Machines, terms: Terms | None, source: str, today: date
) -> tuple[tuple[Offer, ...], tuple[str, ...]]:
    """The offers, and what could not be used, each reason once. Raises DataError: a price is not in USD or no number.

    Args:
        items: prices of meters.
        machines: that are known by name.
        terms: of Azure's bills.
        source: where the prices are from.
        today: their day.
    """
    left_out: dict[str, None] = {}
    found: dict[tuple[str, str], dict[_Paid, set[tuple[bool, float]]]] = {}
    for item in items:
        if not _is_machine(item, today):
            continue
        place = found.setdefault((item.arm_sku_name, item.arm_region_name), {})
        for paid, usd_per_h in _prices(item, source, left_out):
            # The price of a region's own meter goes before that of another region's.
            place.setdefault(paid, set()).add((not item.is_primary_meter_region, usd_per_h))
    offers: list[Offer] = []
    for (name, region), prices in found.items():
        what = f"{name} in {region}"
        try:
            machine = machines.of(name) if prices else None
            usd = {paid: _only(each, f"{what}{_called(paid)}", left_out) for paid, each in prices.items()}
            if machine:
                offers += _offers(machine, region, usd, terms, source, today, what, left_out)
        except DataError as error:
            left_out[error.message] = None
    return tuple(offers), tuple(left_out)


def _called(paid: _Paid) -> str:
    return "" if isinstance(paid, Billing) else f" ({paid[0]} {paid[1]})"


def _prices(item: Item, source: str, left_out: dict[str, None]) -> Iterator[tuple[_Paid, float]]:
    """How an hour is paid for, and what it costs: by the hour, under savings plans, or reserved."""
    usd = _usd(item, item.retail_price, source)
    if item.type == RESERVATION:
        hours = _HOURS.get(item.reservation_term)
        if hours is None:
            left_out[f"{item.arm_sku_name}: a reservation of '{item.reservation_term[:20]}' is of no known term"] = None
        elif usd:
            yield ("reservation", item.reservation_term), usd / hours
        return
    if item.unit_of_measure != "1 Hour":
        left_out[f"{item.arm_sku_name}: it is sold by '{item.unit_of_measure[:20]}', not by the hour"] = None
        return
    if usd:
        yield Billing.SPOT if "Spot" in item.meter_name.split() else Billing.ON_DEMAND, usd
    for plan in item.savings_plan:
        usd = _usd(item, plan.retail_price, source)
        if plan.term not in _HOURS:
            left_out[f"{item.arm_sku_name}: a savings plan of '{plan.term[:20]}' is of no known term"] = None
        elif usd:
            yield ("savings plan", plan.term), usd


def _offers(
    machine: Instance,
    region: str,
    usd: Mapping[_Paid, float | None],
    terms: Terms | None,
    source: str,
    today: date,
    what: str,
    left_out: dict[str, None],
) -> Iterator[Offer]:
    """The offers of one machine in one region: by the hour, then those that bind to a term.

    Args:
        machine, region: that is offered, and where.
        usd: for an hour of it, by how it is paid for; None where that is not sure.
        terms: of Azure's bills.
        source, today: of the prices.
        what: the machine is called where something is set aside.
        left_out: what is set aside, and why.
    """

    def price(usd_per_h: float | None) -> Price | None:
        return Price(usd_per_h=usd_per_h, as_of=today, source=source) if usd_per_h else None

    on_demand, spot = usd.get(Billing.ON_DEMAND), usd.get(Billing.SPOT)
    if spot and on_demand and spot > on_demand:
        left_out[f"{what}: its spot price is above the one on demand"] = None
        spot = None
    if on_demand or spot:
        yield Offer(instance=machine, region=region, on_demand=price(on_demand), spot=price(spot))
    own = terms.of(machine.name) if terms else Terms(provider=machine.provider, source="not known")
    for paid, usd_per_h in usd.items():
        if isinstance(paid, Billing) or not usd_per_h:
            continue
        tier = f"{paid[0]} {paid[1]}".lower()
        if on_demand and usd_per_h > on_demand:
            left_out[f"{what} ({tier}): it is above the price on demand"] = None
            continue
        bound = replace(own, exceptions=(), committed=Committed(what=tier, term_s=_HOURS[paid[1]] * 3600.0))
        yield Offer(instance=machine, region=region, on_demand=price(usd_per_h), tier=tier, terms=bound)


def _is_machine(item: Item, today: date) -> bool:
    """Whether it is the price of a Linux machine that holds today, from the first hour on."""
    return (
        item.type in (CONSUMPTION, RESERVATION)
        and bool(item.arm_sku_name and item.arm_region_name)
        and item.tier_minimum_units == 0
        and item.effective_start_date.date() <= today
        and not any(word in item.product_name for word in _OTHER_PRODUCTS)
        and "Low Priority" not in item.meter_name
    )


def _usd(item: Item, usd: float, source: str) -> float:
    if item.currency_code != "USD":
        raise DataError(f"{source}: 'currencyCode' of {item.arm_sku_name} is '{item.currency_code[:10]}', not USD")
    if not 0 <= usd < math.inf:
        raise DataError(f"{source}: 'retailPrice' of {item.arm_sku_name} is no price: {usd}")
    return usd


def _only(prices: set[tuple[bool, float]] | None, what: str, left_out: dict[str, None]) -> float | None:
    """The one price; None, with the reason in ``left_out``, where there are two."""
    if not prices:
        return None
    best = min(foreign for foreign, _ in prices)
    usd_per_h = [price for foreign, price in prices if foreign is best]
    if len(usd_per_h) > 1:
        left_out[f"{what}: there are two prices of it"] = None
        return None
    return usd_per_h[0]
