from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from zenplan.domain.market.offer import OLD_DAYS, OWN, Billing, Instance, Offer, Price, PriceTable, Terms
from zenplan.errors import DataError

MACHINE = Instance(provider="p", name="m", accelerator="H100-SXM5-80GB", devices=8)
PRICE = Price(usd_per_h=20.0, as_of=date(2026, 2, 1), source="s")
OFFER = Offer(instance=MACHINE, region="here", on_demand=PRICE)
TERMS = Terms(provider="p", source="s")


def test_a_missing_price_is_unknown() -> None:
    assert OFFER.price(Billing.ON_DEMAND) == PRICE
    assert OFFER.price(Billing.SPOT) is None


def test_an_offer_has_a_price() -> None:
    with pytest.raises(DataError, match="no price at all"):
        Offer(instance=MACHINE, region="here")


def test_an_absurd_price_is_a_slip_of_units() -> None:
    # Eight thousand dollars an hour for eight devices is the most that passes.
    replace(OFFER, on_demand=replace(PRICE, usd_per_h=8000))
    with pytest.raises(DataError, match="absurd"):
        replace(OFFER, spot=replace(PRICE, usd_per_h=8001))


@pytest.mark.parametrize(
    ("noun", "changes"),
    [
        (PRICE, {"usd_per_h": -0.1}),
        (OFFER, {"on_demand": replace(PRICE, usd_per_h=0.0)}),
        (PRICE, {"usd_per_h": float("nan")}),
        (PRICE, {"source": ""}),
        (MACHINE, {"devices": 0}),
        (MACHINE, {"network_bytes_per_s": 0.0}),
        (MACHINE, {"name": ""}),
        (OFFER, {"region": ""}),
        (TERMS, {"granularity_s": 0.0}),
        (TERMS, {"minimum_s": -1.0}),
        (TERMS, {"egress_usd_per_byte": -1.0}),
        (TERMS, {"pue": 0.9}),
        (TERMS, {"pue": 4.0}),
        (TERMS, {"source": ""}),
    ],
)
def test_what_cannot_be_is_refused(noun: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        replace(noun, **changes)


def test_ones_own_devices_may_be_free_or_of_no_price() -> None:
    own = replace(MACHINE, provider=OWN)
    assert not Offer(instance=own, region="any").has_price
    assert Offer(instance=own, region="any", on_demand=replace(PRICE, usd_per_h=0.0)).has_price


def test_a_price_is_old_from_the_day_after_its_last_fresh_one() -> None:
    seen = date(2026, 2, 1)
    assert PRICE.age_days(seen) == 0
    assert not PRICE.is_old(seen + timedelta(days=OLD_DAYS))
    assert PRICE.is_old(seen + timedelta(days=OLD_DAYS + 1))
    undated = replace(PRICE, as_of=None)
    assert undated.age_days(seen) is None
    assert undated.is_old(seen)


def test_free_storage_is_not_unknown_storage() -> None:
    assert replace(TERMS, storage_usd_per_byte_s=0.0).storage_usd_per_byte_s == 0
    assert TERMS.storage_usd_per_byte_s is None


def test_a_table_is_as_old_as_its_oldest_price() -> None:
    newer, undated = replace(PRICE, as_of=date(2026, 5, 1)), replace(PRICE, as_of=None)
    offers = (replace(OFFER, spot=newer), replace(OFFER, on_demand=undated))
    assert PriceTable(provider="p", offers=offers).as_of() == date(2026, 2, 1)
    assert PriceTable(provider="p", offers=offers[1:]).as_of() is None
    assert PriceTable(provider="p", offers=()).as_of() is None


@pytest.mark.parametrize(
    ("source", "placeholder"),
    [
        ("https://example.com/pricing", True),
        ("https://prices.acme.example/list", True),
        ("http://shop.test/", True),
        ("https://aws.amazon.com/ec2/pricing", False),
        ("https://test.com/prices", False),
        ("https://examples.com/", False),
        ("my own example", False),
    ],
)
def test_a_source_of_nobody_is_a_placeholder(source: str, placeholder: bool) -> None:
    assert Price(usd_per_h=1.0, as_of=None, source=source).is_placeholder is placeholder
