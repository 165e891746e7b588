"""Azure's plugin over real HTTP: pages of the documented shape, and of others."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pluggy
import pytest
from zenplan import DataError, Offer, PriceProvider, PriceTable, today
from zenplan.testing import ProviderContract, Reply

from zenplan_azure import Azure

PLUGIN = Path(__file__).parents[1]
PATH = "/api/retail/prices"
# As on https://learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices.
H100: dict[str, Any] = {
    "currencyCode": "USD",
    "tierMinimumUnits": 0.0,
    "retailPrice": 98.32,
    "unitPrice": 98.32,
    "armRegionName": "eastus",
    "location": "US East",
    "effectiveStartDate": "2023-09-01T00:00:00Z",
    "meterId": "000a794b-bdb0-58be-a0cd-0c3a0f222923",
    "meterName": "ND96isr H100 v5",
    "productId": "DZH318Z0BQPS",
    "skuId": "DZH318Z0BQPS/00TG",
    "productName": "Virtual Machines NDsr H100 v5 Series",
    "skuName": "ND96isr H100 v5",
    "serviceName": "Virtual Machines",
    "serviceId": "DZH313Z7MMC8",
    "serviceFamily": "Compute",
    "unitOfMeasure": "1 Hour",
    "type": "Consumption",
    "isPrimaryMeterRegion": True,
    "armSkuName": "Standard_ND96isr_H100_v5",
}
SPOT = H100 | {"meterName": "ND96isr H100 v5 Spot", "skuName": "ND96isr H100 v5 Spot", "retailPrice": 39.3}
T4 = H100 | {"armSkuName": "Standard_NC4as_T4_v3", "meterName": "NC4as T4 v3", "retailPrice": 0.526}
# A reservation's price is for its whole term, under the same unit; a savings plan's stands in the price by the hour.
YEAR = H100 | {"type": "Reservation", "reservationTerm": "1 Year", "retailPrice": 551880.0, "unitPrice": 551880.0}
THREE = YEAR | {"reservationTerm": "3 Years", "retailPrice": 1156320.0, "unitPrice": 1156320.0}
SAVING = H100 | {
    "savingsPlan": [
        {"unitPrice": 43.26, "retailPrice": 43.26, "term": "3 Years"},
        {"unitPrice": 67.84, "retailPrice": 67.84, "term": "1 Year"},
    ]
}
OTHERS: list[dict[str, Any]] = [
    {"productName": "Virtual Machines NDsr H100 v5 Series Windows", "retailPrice": 120.0},
    {"productName": "NDsr H100 v5 Series Cloud Services", "retailPrice": 120.0},
    {"productName": "NDsr H100 v5 Series CloudServices", "retailPrice": 120.0},
    {"productName": "NDsr H100 v5 Series Dedicated Host", "retailPrice": 120.0},
    {"meterName": "ND96isr H100 v5 Low Priority", "retailPrice": 19.0},
    {"type": "DevTestConsumption", "retailPrice": 90.0},
    {"retailPrice": 0.0, "unitPrice": 0.0},
    {"effectiveStartDate": "2999-01-01T00:00:00Z", "retailPrice": 90.0},
    {"tierMinimumUnits": 1000.0, "retailPrice": 90.0},
    {"isPrimaryMeterRegion": False, "retailPrice": 97.0},
]


def page(*items: dict[str, Any], link: str | None = None) -> dict[str, Any]:
    return {
        "BillingCurrency": "USD",
        "CustomerEntityId": "Default",
        "CustomerEntityType": "Retail",
        "Items": list(items),
        "NextPageLink": link,
        "Count": len(items),
    }


@pytest.fixture
def fetched(says, http):
    """What the plugin fetches where the API answers with these pages, as a function."""

    def fetch(*pages: Any) -> PriceTable:
        return Azure(retail_prices=says(PATH, *(Reply(body=each) for each in pages))).fetch(http)

    return fetch


def of(table: PriceTable, name: str = "Standard_ND96isr_H100_v5", region: str = "eastus") -> Offer | None:
    return next((o for o in table.offers if (o.instance.name, o.region) == (name, region)), None)


def test_the_entry_point_leads_to_the_hook() -> None:
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    plugin = importlib.import_module(project["entry-points"]["zenplan"]["azure"])
    manager = pluggy.PluginManager("zenplan")
    manager.register(plugin)
    (provider,) = (p for found in manager.hook.zenplan_price_providers() for p in found)
    assert isinstance(provider, PriceProvider)
    assert provider.name == provider.bundled().provider == "azure"


def test_a_price_with_its_machine_its_day_and_its_address(server, fetched) -> None:
    table = fetched(page(H100, SPOT))
    (offer,) = table.offers
    assert (offer.instance.accelerator, offer.instance.devices) == ("H100-SXM5-80GB", 8)
    assert offer.instance.network_bytes_per_s == pytest.approx(400e9 / 8)
    for price, usd_per_h in ((offer.on_demand, 98.32), (offer.spot, 39.3)):
        assert price
        assert (price.usd_per_h, price.as_of, price.source) == (usd_per_h, today(), server.url + PATH)
    assert table.left_out == ()
    assert table.terms == Azure().bundled().terms


def test_what_is_asked_for(server, fetched) -> None:
    fetched(page(H100))
    for asked, kind in zip(server.requests, ("Consumption", "Reservation"), strict=True):
        query = parse_qs(urlsplit(asked.path).query)
        assert query["currencyCode"] == ["'USD'"]
        assert "serviceName eq 'Virtual Machines'" in query["$filter"][0]
        assert f"priceType eq '{kind}'" in query["$filter"][0]
        assert "Standard_N" in query["$filter"][0]


def test_all_pages_are_read(server, fetched) -> None:
    link = f"{server.url}{PATH}?$skip="
    table = fetched(page(H100, link=f"{link}1"), page(link=f"{link}2"), page(T4, link=f"{link}3"), page(SPOT))
    assert {o.instance.name for o in table.offers} == {"Standard_ND96isr_H100_v5", "Standard_NC4as_T4_v3"}
    assert [each.path.partition("=")[2] for each in server.requests[1:4]] == ["1", "2", "3"]


def test_a_full_page_without_a_link_is_not_taken_for_the_last(server, fetched) -> None:
    table = fetched(page(*[T4] * 1000), page(H100))
    assert of(table)
    assert server.requests[1].path.endswith("&$skip=1000")
    table = fetched(page(*[T4] * 1000), page())
    assert of(table, "Standard_NC4as_T4_v3")


def test_pages_that_lead_in_a_circle_or_elsewhere_are_refused(server, fetched) -> None:
    link = f"{server.url}{PATH}?$skip=1"
    with pytest.raises(DataError, match="circle"):
        fetched(page(H100, link=link))
    for elsewhere in ("https://example.com/prices", server.url.replace("http:", "https:") + PATH, "file:///etc/passwd"):
        with pytest.raises(DataError, match="another host"):
            fetched(page(H100, link=elsewhere))


def test_a_server_that_is_busy_is_asked_again(says, server, http) -> None:
    busy = Reply(body=b"slow down", status=429, headers={"Retry-After": "0"})
    link = f"{server.url}{PATH}?$skip=1"
    pages = (busy, Reply(body=page(H100, link=link)), busy, Reply(body=page(T4)))
    assert len(Azure(retail_prices=says(PATH, *pages)).fetch(http).offers) == 2


def test_no_prices_at_all_are_no_table(fetched) -> None:
    with pytest.raises(DataError, match="no price"):
        fetched(page())


def bound(table: PriceTable) -> dict[str, tuple[float, float]]:
    """Dollars an hour and hours of the term, by tier."""
    found = {}
    for offer in table.offers:
        if offer.committed is not None:
            assert offer.on_demand is not None
            assert offer.committed.term_s is not None
            assert offer.spot is None
            found[offer.tier] = (offer.on_demand.usd_per_h, offer.committed.term_s / 3600)
    return found


def test_reservations_and_savings_plans_are_by_the_hour_and_bind_to_their_term(fetched) -> None:
    table = fetched(page(SAVING, SPOT), page(YEAR, THREE))
    assert bound(table) == {
        "reservation 1 year": (pytest.approx(63.0), 8760.0),
        "reservation 3 years": (pytest.approx(44.0), 26280.0),
        "savings plan 1 year": (67.84, 8760.0),
        "savings plan 3 years": (43.26, 26280.0),
    }
    first = of(table)
    assert first
    assert (first.tier, first.committed) == ("", None)
    assert (first.on_demand and first.on_demand.usd_per_h, first.spot and first.spot.usd_per_h) == (98.32, 39.3)
    assert table.left_out == ()


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ((YEAR | {"reservationTerm": "2 Years"},), "no known term"),
        ((YEAR | {"reservationTerm": ""},), "no known term"),
        ((YEAR | {"retailPrice": 98.33 * 8760},), "above the price on demand"),
        ((YEAR, YEAR | {"retailPrice": 1000.0}), "two prices"),
        ((YEAR | {"retailPrice": 0.0},), ""),
        ((YEAR | {"effectiveStartDate": "2999-01-01T00:00:00Z"},), ""),
        ((YEAR | {"productName": "Virtual Machines NDsr H100 v5 Series Windows"},), ""),
        ((H100 | {"savingsPlan": [{"retailPrice": 50.0, "term": "18 Months"}]},), "no known term"),
    ],
)
def test_a_term_that_cannot_be_used_is_set_aside_and_the_price_by_the_hour_answers(fetched, rows, reason) -> None:
    table = fetched(page(H100), page(*rows))
    assert bound(table) == {}
    assert of(table)
    assert [reason in each for each in table.left_out] == ([True] if reason else [])


def test_a_machine_that_is_only_reserved_has_no_price_by_the_hour(fetched) -> None:
    table = fetched(page(T4), page(YEAR))
    assert bound(table) == {"reservation 1 year": (pytest.approx(63.0), 8760.0)}


@pytest.mark.parametrize("other", OTHERS, ids=lambda row: " ".join(map(str, row.values())))
def test_rows_of_other_products_are_dropped(fetched, other) -> None:
    for rows in ((H100, H100 | other), (H100 | other, H100)):
        offer = of(fetched(page(*rows)))
        assert offer
        assert offer.on_demand
        assert offer.on_demand.usd_per_h == 98.32
        assert offer.spot is None
    if "isPrimaryMeterRegion" not in other:
        assert fetched(page(H100 | other, T4)).left_out == ()
        assert of(fetched(page(H100 | other, T4))) is None


def test_unknown_and_fractional_accelerators_are_set_aside_once_and_never_guessed(fetched) -> None:
    new = H100 | {"armSkuName": "Standard_ND96isr_H300_v9"}
    part = H100 | {"armSkuName": "Standard_NV12ads_A10_v5", "retailPrice": 0.9}
    quarter = H100 | {"armSkuName": "Standard_NC36ds_xl_RTXPRO6000BSE_v6", "retailPrice": 1.5}
    table = fetched(page(H100, new, new | {"armRegionName": "westus"}, part, quarter))
    assert [o.instance.name for o in table.offers] == ["Standard_ND96isr_H100_v5"]
    assert len(table.left_out) == 3
    for name, reason in zip(
        ("Standard_ND96isr_H300_v9", "a third of an A10", "a quarter of"), table.left_out, strict=True
    ):
        assert name in reason


def test_a_machine_that_only_the_plugin_knows(fetched) -> None:
    name = "Standard_NC288ds_xl_RTXPRO6000BSE_v6"
    offer = of(fetched(page(H100 | {"armSkuName": name, "retailPrice": 9.0})), name)
    assert offer
    machine = offer.instance
    assert (machine.accelerator, machine.devices, machine.vcpus) == ("RTX-PRO-6000-BSE", 2, 288)
    assert machine.ram_bytes == 1032 * 2**30


@pytest.mark.parametrize(
    "field",
    ["currencyCode", "retailPrice", "unitOfMeasure", "type", "armRegionName", "armSkuName", "meterName", "productName"],
)
def test_a_field_that_is_missing_or_of_another_type_is_named(fetched, field) -> None:
    without = {name: value for name, value in H100.items() if name != field}
    for changed in (without, H100 | {field: ["new"]}):
        with pytest.raises(DataError, match=field) as raised:
            fetched(page(H100, changed))
        assert "\n" not in str(raised.value)
    for changed in ({"Items": None}, {"items": []}, [], "sorry"):
        with pytest.raises(DataError, match="the format has changed"):
            fetched(changed if not isinstance(changed, str) else b'"sorry"')


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"currencyCode": "EUR"}, "'currencyCode'"),
        ({"retailPrice": -1.0}, "'retailPrice'"),
    ],
)
def test_a_price_that_is_none_or_in_another_currency_is_refused(fetched, row, named) -> None:
    with pytest.raises(DataError, match=named):
        fetched(page(T4, H100 | row))


def test_what_is_sold_by_the_month_is_set_aside(fetched) -> None:
    table = fetched(page(T4, H100 | {"unitOfMeasure": "1/Month"}))
    assert of(table) is None
    assert any("1/Month" in reason for reason in table.left_out)


def test_two_prices_of_one_machine_are_neither_and_its_other_billing_answers(fetched) -> None:
    offer = of(fetched(page(H100, SPOT, SPOT | {"retailPrice": 40.0})))
    assert offer
    assert offer.spot is None
    table = fetched(page(H100, H100 | {"retailPrice": 97.0}, T4))
    assert of(table) is None
    assert any("two prices" in reason for reason in table.left_out)


def test_a_spot_price_above_the_other_is_set_aside(fetched) -> None:
    table = fetched(page(H100, SPOT | {"retailPrice": 99.0}))
    offer = of(table)
    assert offer
    assert offer.spot is None
    assert any("above" in reason for reason in table.left_out)


def test_an_absurd_price_is_set_aside_and_the_others_answer(fetched) -> None:
    table = fetched(page(T4, H100 | {"retailPrice": 1e300}))
    assert of(table) is None
    assert of(table, "Standard_NC4as_T4_v3")
    assert any("absurd" in reason for reason in table.left_out)


def test_an_answer_that_is_cut_or_fails_is_no_table(says, server, http) -> None:
    for bad in (Reply(body=page(H100), truncated=True), Reply(body=b"<html>"), Reply(body=b"busy", status=503)):
        with pytest.raises(DataError):
            Azure(retail_prices=says(PATH, bad)).fetch(http)
    link = f"{server.url}{PATH}?$skip=1"
    with pytest.raises(DataError):
        Azure(retail_prices=says(PATH, Reply(body=page(H100, link=link)), Reply(status=500, body=b""))).fetch(http)


class TestContract(ProviderContract):
    provider = Azure()
    pages: ClassVar = {PATH: page(H100, SPOT, T4)}
