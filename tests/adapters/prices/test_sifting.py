"""What cannot be right in a fetched table is set aside, and the rest of it is used."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from zenplan.adapters.prices.sifting import Usual, sifted, usual_of
from zenplan.adapters.prices.table import bundled_tables, price_table
from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.processors import read_processors
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.market.offer import Billing, Instance, Offer, Price, PriceTable

TODAY = date(2026, 11, 29)
SHEETS = Catalogue(accelerators=(*read_accelerators(), *read_processors()))
NONE: Usual = {}


def offer(
    on_demand: float | None, spot: float | None = None, accelerator: str = "H100-SXM5-80GB", day: date | None = TODAY
) -> Offer:
    box = Instance(provider="shop", name="big", accelerator=accelerator, devices=8)
    prices = [None if usd is None else Price(usd_per_h=usd, as_of=day, source="a list") for usd in (on_demand, spot)]
    return Offer(instance=box, region="eu-1", on_demand=prices[0], spot=prices[1])


def looked_at(*offers: Offer, usual: Usual = NONE) -> tuple[tuple[Offer, ...], tuple[str, ...]]:
    table, aside = sifted(PriceTable(provider="shop", offers=offers), SHEETS, usual, TODAY)
    return table.offers, aside


def test_a_good_offer_stays_as_it_is() -> None:
    assert looked_at(offer(20.0, 8.0)) == ((offer(20.0, 8.0),), ())


def test_another_name_of_an_accelerator_becomes_its_own() -> None:
    (found,), aside = looked_at(offer(20.0, accelerator="H100 SXM"))
    assert (found.instance.accelerator, aside) == ("H100-SXM5-80GB", ())


def test_an_accelerator_that_nobody_knows_is_not_guessed() -> None:
    found, (reason,) = looked_at(offer(20.0, accelerator="H1000-Turbo"))
    assert found == ()
    assert "H1000-Turbo" in reason
    assert "big in eu-1" in reason


def test_spot_above_on_demand_leaves_the_list_price() -> None:
    (found,), (reason,) = looked_at(offer(20.0, 21.0))
    assert (found.on_demand, found.spot) == (offer(20.0).on_demand, None)
    assert "spot" in reason


@pytest.mark.parametrize("usd_per_h", [8 * 2.0 * 11, 8 * 2.0 / 11, 1e-3, 7000.0])
@pytest.mark.parametrize("billing", Billing)
def test_ten_times_off_what_others_ask(usd_per_h: float, billing: Billing) -> None:
    """Each price beside prices of its own kind."""
    usual = {("H100-SXM5-80GB", billing): 2.0}
    spot = billing is Billing.SPOT
    found, (reason,) = looked_at(offer(None, usd_per_h) if spot else offer(usd_per_h), usual=usual)
    assert found == ()
    assert "ten times" in reason
    assert looked_at(offer(16.0, 15.0), usual=usual) == ((offer(16.0, 15.0),), ())


def test_what_others_ask_is_the_middle_of_three_at_least() -> None:
    tables = [PriceTable(provider="shop", offers=(offer(8 * usd, usd),)) for usd in (1.0, 2.0, 30.0)]
    assert usual_of(tables) == {("H100-SXM5-80GB", Billing.ON_DEMAND): 2.0, ("H100-SXM5-80GB", Billing.SPOT): 0.25}
    assert usual_of(tables[:2]) == NONE


def test_a_price_without_a_day_is_of_today() -> None:
    (found,), _ = looked_at(offer(20.0, 8.0, day=None))
    assert found == offer(20.0, 8.0)


def test_a_day_that_has_not_come() -> None:
    """Where the day begins earlier it may be tomorrow."""
    (found,), aside = looked_at(offer(20.0, day=TODAY + timedelta(days=1)))
    assert (found, aside) == (offer(20.0), ())
    found_too, (reason,) = looked_at(offer(20.0, day=TODAY + timedelta(days=2)))
    assert found_too == ()
    assert "future" in reason


def test_an_offer_that_comes_twice() -> None:
    found, (reason,) = looked_at(offer(20.0), offer(21.0))
    assert found == (offer(20.0),)
    assert "twice" in reason


def test_what_the_provider_left_out_is_told() -> None:
    table = replace(PriceTable(provider="shop", offers=()), left_out=("row 3: it costs nothing",))
    assert sifted(table, SHEETS, NONE, TODAY)[1] == ("row 3: it costs nothing",)


def test_the_bundled_tables_pass() -> None:
    """Prices of one hour lie far apart, and all of them are true."""
    tables = bundled_tables()
    for table in tables:
        usual = usual_of((other for other in tables if other is not table), table)
        found, aside = sifted(table, SHEETS, usual, TODAY)
        assert (len(found.offers), aside) == (len(table.offers), ())


def test_an_instance_is_beside_itself_first() -> None:
    """One small GPU in a large host costs more than ten times what a GPU usually does."""
    usual = {("H100-SXM5-80GB", Billing.ON_DEMAND): 2.0}
    assert looked_at(offer(8 * 30.0), usual=usual)[0] == ()
    before = PriceTable(provider="shop", offers=(offer(8 * 29.0), replace(offer(8 * 31.0), region="eu-2")))
    usual |= usual_of((), before)
    assert looked_at(offer(8 * 30.0), usual=usual) == ((offer(8 * 30.0),), ())
    assert looked_at(offer(8 * 0.3), usual=usual)[0] == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"on_demand_usd_per_h": 0},
        {"on_demand_usd_per_h": -1.0},
        {"on_demand_usd_per_h": float("nan")},
        {"on_demand_usd_per_h": 1e308},
        {"on_demand_usd_per_h": float("inf")},
        {"on_demand_usd_per_h": None},
        {"on_demand_usd_per_h": "free"},
        {"on_demand_usd_per_h": [1]},
        {"on_demand_usd_per_h": True},
        {"devices": 0},
        {"devices": 1.5},
        {"instance": None},
        {"instance": "a\nb"},
        {"on_demand_as_of": "yesterday"},
    ],
    ids=str,
)
def test_a_row_that_is_none_is_left_out_with_its_reason(wrong: dict[str, object]) -> None:
    """What an answer may hold in place of a price."""
    good = {
        "instance": "big",
        "accelerator": "H100-SXM5-80GB",
        "devices": 8,
        "region": "eu-1",
        "on_demand_usd_per_h": 20.0,
    }
    table = price_table("shop", [good, {**good, "region": "eu-2", **wrong}], "a list")
    assert [o.region for o in table.offers] == ["eu-1"]
    assert len(table.left_out) == 1
    assert "\n" not in table.left_out[0]


def test_no_rows_are_an_empty_table() -> None:
    assert price_table("shop", [], "a list").offers == ()
