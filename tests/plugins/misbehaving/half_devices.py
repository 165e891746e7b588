"""A machine has one and a half devices.

Said: offers[0].instance.devices: a float, not int
"""

from __future__ import annotations

from datetime import date

from zenplan import Instance, Offer, Price, PriceTable, hookimpl


class Shop:
    name = "half-devices"

    def bundled(self) -> PriceTable:
        return PriceTable(provider=self.name, offers=(offer(devices=1.5),))

    def fetch(self, http: object) -> PriceTable:
        return self.bundled()


def offer(usd_per_h: float = 20.0, as_of: object = date(2026, 5, 24), **more: object) -> Offer:
    box = Instance(**{"provider": "half-devices", "name": "box", "accelerator": "H100-SXM5-80GB", "devices": 8, **more})
    return Offer(instance=box, region="any", on_demand=Price(usd_per_h=usd_per_h, as_of=as_of, source="s"))


@hookimpl
def zenplan_price_providers() -> list[Shop]:
    return [Shop()]
