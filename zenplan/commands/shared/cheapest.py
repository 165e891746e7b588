"""The lowest price of one device."""

from __future__ import annotations

from collections.abc import Sequence

from zenplan.domain.answer.tradeoff import DevicePrice
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.market.offer import PriceTable


def cheapest(sheet: Accelerator, tables: Sequence[PriceTable]) -> DevicePrice | None:
    """The lowest on-demand price of one device of that kind, in any number and place; None where none is known."""
    prices = [
        (offer.on_demand.usd_per_h / offer.instance.devices, offer)
        for table in tables
        for offer in table.offers
        if offer.instance.accelerator == sheet.name and offer.on_demand is not None
    ]
    if not prices:
        return None
    usd_per_h, offer = min(prices, key=lambda each: each[0])
    tier = f" ({offer.tier})" if offer.tier else ""
    return DevicePrice(
        usd_per_h=usd_per_h,
        offer=f"{offer.instance.provider} {offer.instance.name}{tier}",
        as_of=offer.on_demand.as_of if offer.on_demand else None,
    )
