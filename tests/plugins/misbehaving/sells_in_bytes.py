"""Its network is in Gbit a second.

Said: instance.network_bytes_per_s of 3200 must be another unit
"""

from __future__ import annotations

from datetime import date

from zenplan import Instance, Offer, Price, PriceTable, hookimpl


class Shop:
    name = "sells-in-bytes"

    def bundled(self) -> PriceTable:
        return PriceTable(provider=self.name, offers=(offer(), offer(name="fast", network_bytes_per_s=3200.0)))

    def fetch(self, http: object) -> PriceTable:
        return self.bundled()


def offer(usd_per_h: float = 20.0, as_of: object = date(2026, 5, 24), **more: object) -> Offer:
    box = Instance(
        **{"provider": "sells-in-bytes", "name": "box", "accelerator": "H100-SXM5-80GB", "devices": 8, **more}
    )
    return Offer(instance=box, region="any", on_demand=Price(usd_per_h=usd_per_h, as_of=as_of, source="s"))


@hookimpl
def zenplan_price_providers() -> list[Shop]:
    return [Shop()]
