"""Prices of meters as offers of machines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

from zenplan import Billing, DataError, Instance, Offer, Price

from zenplan_azure.retail import Item

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
    items: Iterable[Item], machines: Machines, source: str, today: date
) -> tuple[tuple[Offer, ...], tuple[str, ...]]:
    """The offers, and what could not be used, each reason once. Raises DataError: a price is not in USD or no number."""
    left_out: dict[str, None] = {}
    found: dict[tuple[str, str], dict[Billing, set[tuple[bool, float]]]] = {}
    for item in items:
        if not _is_machine(item, today):
            continue
        usd_per_h = _usd_per_h(item, source)
        if item.unit_of_measure != "1 Hour":
            left_out[f"{item.arm_sku_name}: it is sold by '{item.unit_of_measure[:20]}', not by the hour"] = None
        elif usd_per_h:
            billing = Billing.SPOT if "Spot" in item.meter_name.split() else Billing.ON_DEMAND
            place = found.setdefault((item.arm_sku_name, item.arm_region_name), {})
            # The price of a region's own meter goes before that of another region's.
            place.setdefault(billing, set()).add((not item.is_primary_meter_region, usd_per_h))
    offers = []
    for (name, region), prices in found.items():
        try:
            machine = machines.of(name)
            on_demand, spot = (_only(prices.get(billing), f"{name} in {region}", left_out) for billing in Billing)
            if spot and on_demand and spot > on_demand:
                left_out[f"{name} in {region}: its spot price is above the one on demand"] = None
                spot = None
            if on_demand or spot:
                paid = (Price(usd_per_h=usd, as_of=today, source=source) if usd else None for usd in (on_demand, spot))
                offers.append(Offer(instance=machine, region=region, on_demand=next(paid), spot=next(paid)))
        except DataError as error:
            left_out[error.message] = None
    return tuple(offers), tuple(left_out)


def _is_machine(item: Item, today: date) -> bool:
    """Whether it is the price of a Linux machine that holds today, from the first hour on."""
    return (
        item.type == "Consumption"
        and bool(item.arm_sku_name and item.arm_region_name)
        and item.tier_minimum_units == 0
        and item.effective_start_date.date() <= today
        and not any(word in item.product_name for word in _OTHER_PRODUCTS)
        and "Low Priority" not in item.meter_name
    )


def _usd_per_h(item: Item, source: str) -> float:
    if item.currency_code != "USD":
        raise DataError(f"{source}: 'currencyCode' of {item.arm_sku_name} is '{item.currency_code[:10]}', not USD")
    if not 0 <= item.retail_price < math.inf:
        raise DataError(f"{source}: 'retailPrice' of {item.arm_sku_name} is no price: {item.retail_price}")
    return item.retail_price


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
