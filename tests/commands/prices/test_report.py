"""The list of prices: its order, and what is kept where it is narrow."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from zenplan.adapters.formats import table
from zenplan.commands.prices.report import MOST_LISTED, prices_report
from zenplan.domain.market.committed import Committed
from zenplan.domain.market.offer import Instance, Offer, Price, PriceTable, Terms
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


def many(*more: Offer) -> tuple[PriceTable, ...]:
    offers = tuple(offer(f"m{number}", 1, 3.0 + number) for number in range(MOST_LISTED))
    return (PriceTable(provider="a-cloud", offers=(*offers, *more)),)


def test_many_offers_are_summed_up_by_accelerator_and_the_document_has_all() -> None:
    box = Instance(provider="b-cloud", name="b", accelerator="A100-SXM4-80GB", devices=8)
    fresh = Price(usd_per_h=16.0, as_of=date(2026, 11, 13), source="here")
    cheap = offer("reserved", 1, 0.5)
    terms = Terms(provider="a-cloud", source="s", committed=Committed(what="reservation", term_s=3600.0))
    made = prices_report(many(Offer(instance=box, region="any", on_demand=fresh), replace(cheap, terms=terms)), TODAY)
    (summary,) = made.tables
    assert summary.rows == (
        ("A100-SXM4-80GB", "$2.00 b-cloud, 10 d", "?", "1"),
        # What binds to a term is no price by the hour.
        ("H100-SXM5-80GB", "$3.00 a-cloud, no date", "?", f"{MOST_LISTED + 1:,}"),
    )
    assert len(list(made.records)) == len(made.document["offers"]) == MOST_LISTED + 2
    assert max(map(len, table(made, width=80).splitlines())) <= 80


def test_few_offers_are_listed_and_many_where_every_one_is_asked_for() -> None:
    assert len(prices_report(many(), TODAY).tables[0].rows) == MOST_LISTED
    every = prices_report(many(offer("one-more", 1, 1.0)), TODAY, every=True)
    assert len(every.tables[0].rows) == MOST_LISTED + 1
