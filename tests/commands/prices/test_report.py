"""The list of prices: its order, and what is kept where it is narrow."""

from __future__ import annotations

from datetime import date

from zenplan.adapters.formats import table
from zenplan.commands.prices.report import prices_report
from zenplan.domain.market.offer import Instance, Offer, Price, PriceTable
from zenplan.domain.report import Report

TODAY = date(2026, 11, 23)


def price(usd_per_h: float | None) -> Price | None:
    return None if usd_per_h is None else Price(usd_per_h=usd_per_h, as_of=None, source="here")


def offer(name: str, devices: int, on_demand: float | None, spot: float | None = None) -> Offer:
    box = Instance(provider="a-cloud", name=name, accelerator="H100-SXM5-80GB", devices=devices)
    return Offer(instance=box, region="ap-northeast-1", on_demand=price(on_demand), spot=price(spot))


def report(*offers: Offer) -> Report:
    return prices_report((PriceTable(provider="a-cloud", offers=offers),), TODAY)


def names(made: Report) -> list[str]:
    return [record["instance"] for record in made.records]


def test_the_cheapest_device_hour_on_demand_is_first_and_spot_alone_is_last() -> None:
    made = report(
        offer("spot-dear", 1, None, 0.5),
        offer("dear", 1, 3.0, 0.1),
        offer("spot-cheap", 8, None, 0.8),
        offer("cheap", 8, 16.0),
    )
    assert names(made) == ["cheap", "dear", "spot-cheap", "spot-dear"]
    assert [row[-1] for row in made.tables[0].rows] == ["$2.00", "$3.00", "$0.10", "$0.50"]
    assert [o["instance"] for o in made.document["offers"]] == names(made)


def test_offers_with_a_spot_price_alone_are_sorted_by_it() -> None:
    made = report(offer("b", 2, None, 3.0), offer("c", 8, None, 8.0), offer("a", 1, None, 2.0))
    assert names(made) == ["c", "b", "a"]


def test_old_prices_are_marked_beside_the_figure() -> None:
    box = Instance(provider="a-cloud", name="m", accelerator="H100-SXM5-80GB", devices=1)
    old = Price(usd_per_h=2.0, as_of=date(2026, 1, 1), source="here")
    new = Price(usd_per_h=1.0, as_of=TODAY, source="here")
    (row,) = report(Offer(instance=box, region="any", on_demand=old, spot=new)).tables[0].rows
    assert row[3:5] == ("$2.00\n326 d old", "$1.00")


def test_the_note_says_the_order() -> None:
    assert "Cheapest device-hour first" in report(offer("a", 1, 1.0)).notes[0]


def test_the_price_of_a_device_hour_is_kept_at_eighty_columns() -> None:
    shown = table(report(offer("p5.48xlarge", 8, 55.04, 20.0)), width=80)
    assert all(text in shown for text in ("$6.88", "$55.04", "$20.00", "H100-SXM5-80GB", "ap-northeast-1"))
    assert max(map(len, shown.splitlines())) <= 80
