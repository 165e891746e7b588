"""The pages of Azure's Retail Prices API.

https://learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec
from zenplan import DataError, Http

# All sizes with accelerators are of the N-series; values are case-sensitive.
_FILTER: Final = "serviceName eq 'Virtual Machines' and priceType eq '{}' and contains(armSkuName, 'Standard_N')"
CONSUMPTION: Final = "Consumption"
RESERVATION: Final = "Reservation"
_FULL_PAGE: Final = 1000
_MOST_PAGES: Final = 500


class SavingsPlan(msgspec.Struct, rename="camel", kw_only=True):
    """What an hour costs whoever commits to as much for a term."""

    term: str
    retail_price: float


class Item(msgspec.Struct, rename="camel", kw_only=True):
    """A price of a meter: the fields that matter here, under their documented names.

    That of a reservation is for its whole term, whatever ``unitOfMeasure`` says.
    """

    currency_code: str
    retail_price: float
    unit_of_measure: str
    type: str
    arm_region_name: str
    arm_sku_name: str
    sku_name: str
    meter_name: str
    product_name: str
    effective_start_date: datetime
    tier_minimum_units: float = 0.0
    is_primary_meter_region: bool = True
    reservation_term: str = ""
    savings_plan: tuple[SavingsPlan, ...] = ()


class _Page(msgspec.Struct, kw_only=True):
    items: list[Item] = msgspec.field(name="Items")
    next_page: str | None = msgspec.field(name="NextPageLink")


def retail_items(http: Http, address: str) -> Iterator[Item]:
    """The items of all pages: by the hour, then reservations.

    Raises DataError: a page has another shape, leads to another host or to one that was read already, or there are none by
    the hour.
    """
    by_the_hour = 0
    for item in _pages(http, address, CONSUMPTION):
        by_the_hour += 1
        yield item
    if not by_the_hour:
        raise DataError(f"{address}: it has no price of a machine of the N-series: the format has changed")
    yield from _pages(http, address, RESERVATION)


def _pages(http: Http, address: str, kind: str) -> Iterator[Item]:
    # The version that has savings plans.
    first = f"{address}?api-version=2023-01-01-preview&currencyCode='USD'&$filter={quote(_FILTER.format(kind))}"
    asked: set[str] = set()
    items = 0
    link: str | None = first
    while link:
        if link in asked or len(asked) == _MOST_PAGES:
            raise DataError(f"{address}: 'NextPageLink' leads in a circle, or beyond {_MOST_PAGES} pages")
        asked.add(link)
        page = _read(http.get_json(link), address)
        yield from page.items
        items += len(page.items)
        link = page.next_page
        if link and urlsplit(link)[:2] != urlsplit(address)[:2]:
            raise DataError(f"{address}: 'NextPageLink' leads to another host")
        # A full page is never the last: the link was missing by fault once. One too many is empty, and is the end.
        if not link and len(page.items) >= _FULL_PAGE:
            link = f"{first}&$skip={items}"


def _read(answer: Any, address: str) -> _Page:
    try:
        return msgspec.convert(answer, _Page)
    except msgspec.ValidationError as error:
        raise DataError(f"{address}: {error}: the format has changed") from None
