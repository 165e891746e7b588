"""Acme's prices, as a zenplan plugin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from zenplan import DataError, Http, Instance, Offer, Price, PriceProvider, PriceTable, hookimpl, read_price_folder

DATA = Path(__file__).parent / "data"
# Where the live prices are: replace it, and what is read of its answers in _offer.
URL = "https://api.example.com/v1/prices"
MOST_PAGES = 100


@dataclass(frozen=True, slots=True)
class Acme:
    """Acme's machines: the table that ships with the plugin, and the live one."""

    name: str = "acme"

    def bundled(self) -> PriceTable:
        """The rows of ``data/prices.csv``."""
        (table,) = read_price_folder(DATA)
        return table

    def fetch(self, http: Http) -> PriceTable:
        """Every page of the live prices. Raises DataError: there is no good answer."""
        offers: list[Offer] = []
        url = URL
        for _ in range(MOST_PAGES):
            page = http.get_json(url)
            try:
                offers += [_offer(self.name, item) for item in page["items"]]
                url = page["next"]
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(f"{url} answers in another schema: {error!r}") from error
            if not url:
                break
        if not offers:
            raise DataError(f"{URL} has no prices")
        return PriceTable(provider=self.name, offers=tuple(offers))


def _offer(provider: str, item: Mapping[str, Any]) -> Offer:
    def price(usd_per_h: float | None) -> Price | None:
        # A price that is not known is None, never 0.
        return Price(usd_per_h=usd_per_h, as_of=date.fromisoformat(item["updated"]), source=URL) if usd_per_h else None

    return Offer(
        instance=Instance(
            provider=provider,
            name=item["machine"],
            # A name or an alias that 'zenplan accelerators' lists.
            accelerator=item["gpu"],
            devices=item["gpus"],
        ),
        region=item["region"],
        on_demand=price(item["usd_per_hour"]),
        spot=price(item["spot_usd_per_hour"]),
    )


@hookimpl
def zenplan_price_providers() -> Iterable[PriceProvider]:
    """One provider, ``acme``."""
    return (Acme(),)
