"""A price is not a number.

Said: price: usd_per_h must be zero or above and finite, not nan
"""

from __future__ import annotations

from datetime import date

from zenplan import Instance, Offer, Price, PriceTable, hookimpl


class Shop:
    name = "not-a-number"

    def bundled(self) -> PriceTable:
        return PriceTable(provider=self.name, offers=(offer(usd_per_h=float("nan")),))

    def fetch(self, http: object) -> PriceTable:
        return self.bundled()


def offer(usd_per_h: float = 20.0, as_of: object = date(2026, 5, 24), **more: object) -> Offer:
    box = Instance(**{"provider": "not-a-number", "name": "box", "accelerator": "H100-SXM5-80GB", "devices": 8, **more})
    return Offer(instance=box, region="any", on_demand=Price(usd_per_h=usd_per_h, as_of=as_of, source="s"))


@hookimpl
def zenplan_price_providers() -> list[Shop]:
    return [Shop()]
