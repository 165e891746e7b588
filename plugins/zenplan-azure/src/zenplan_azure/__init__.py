"""Azure's prices as they are now, as a zenplan plugin: machines with accelerators, on demand, spot, reserved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from zenplan import Http, PriceProvider, PriceTable, bundled_prices, hookimpl, today

RETAIL_PRICES: Final = "https://prices.azure.com/api/retail/prices"


@dataclass(frozen=True, slots=True, kw_only=True)
class Azure:
    """Azure's machines with accelerators, in all public regions.

    Attributes:
        retail_prices: address of the Retail Prices API.
    """

    name: str = "azure"
    retail_prices: str = RETAIL_PRICES

    def bundled(self) -> PriceTable:
        """zenplan's own dated table."""
        return bundled_prices(self.name)

    def fetch(self, http: Http) -> PriceTable:
        """The prices of today. Raises DataError: they are not there, not as documented, or not in USD."""
        from zenplan_azure.offers import Machines, offers_of
        from zenplan_azure.retail import retail_items

        bundled = self.bundled()
        machines = Machines({offer.instance.name: offer.instance for offer in bundled.offers})
        items = retail_items(http, self.retail_prices)
        offers, left_out = offers_of(items, machines, bundled.terms, self.retail_prices, today())
        return replace(bundled, offers=offers, left_out=left_out)


@hookimpl
def zenplan_price_providers() -> Iterable[PriceProvider]:
    """One provider, ``azure``."""
    return (Azure(),)
