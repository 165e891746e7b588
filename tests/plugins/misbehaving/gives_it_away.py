"""A price is a slip of units, another of next year, and a row comes twice.

Said: on_demand.usd_per_h of 1e-09 is absurdly low for 8 devices
"""

from __future__ import annotations

from datetime import date

from zenplan import Instance, Offer, Price, PriceTable, hookimpl


class Shop:
    name = "gives-it-away"

    def bundled(self) -> PriceTable:
        return PriceTable(
            provider=self.name,
            offers=(offer(), offer(), offer(1e-9, name="cheap"), offer(as_of=date(2999, 1, 1), name="late")),
        )

    def fetch(self, http: object) -> PriceTable:
        return self.bundled()


def offer(usd_per_h: float = 20.0, as_of: object = date(2026, 5, 24), **more: object) -> Offer:
    box = Instance(
        **{"provider": "gives-it-away", "name": "box", "accelerator": "H100-SXM5-80GB", "devices": 8, **more}
    )
    return Offer(instance=box, region="any", on_demand=Price(usd_per_h=usd_per_h, as_of=as_of, source="s"))


@hookimpl
def zenplan_price_providers() -> list[Shop]:
    return [Shop()]
