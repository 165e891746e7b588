"""Laws of reading long tables: columns say what each row says by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.adapters.prices.rows import Machines, exactly, offers_of, with_table_date
from zenplan.adapters.prices.table import tables_of
from zenplan.domain.market.offer import Offer, Offers, Price
from zenplan.errors import DataError

TODAY = date(2026, 11, 23)
KNOWN = exactly(("H100-SXM5-80GB", "T4"))
MACHINES = Machines(
    networks={("sized", "a"): 5e10, ("sized", "b x4"): 1e10, ("plain", "a"): 2e10},
    sizes={("sized", ""): (1, 2), ("sized", "T4"): (1, 4)},
)
CELLS: dict[str, tuple[str, ...]] = {
    "provider": ("sized", "plain", "other", "vast", ""),
    "instance": ("a", "b", "c", "d", "two\nlines", ""),
    "accelerator": ("H100-SXM5-80GB", "H100-SXM5-80GB", "T4", "H900"),
    "devices": ("1", "1", "8", "0"),
    "sold_by": ("", "gpu", "instance", "week"),
    "region": ("", "here", "there", "two\nlines"),
    "tier": ("", "secure"),
    "vcpus": ("", "8", "1e9"),
    "on_demand_usd_per_h": ("", "2.5", "3", "7999", "8001", "499.5", "1000", "0.0005", "0.004", "nan", "-1", "٣", "x"),
    "spot_usd_per_h": ("", "1", "1.25", "inf"),
    "on_demand_as_of": ("", "2026-05-24", "2027-01-01", "soon"),
    "spot_as_of": ("", "2026-06-01"),
    "source": ("", "a page"),
    "spot_source": ("", "another page"),
    "spot_taken_per_h": ("", "0.02"),
    "spot_taken_per_h_low": ("0.01", "0.03"),
    "spot_taken_per_h_high": ("0.04",),
    "spot_taken_what": ("",),
    "spot_taken_source": ("a report",),
    "": ("", "", "more"),
}
# The first of each is a good one, and is drawn more often than all others.
ROW = st.fixed_dictionaries({name: st.sampled_from((cells[0],) * 3 + cells) for name, cells in CELLS.items()})
GOOD = st.fixed_dictionaries(
    {
        "provider": st.sampled_from(("sized", "plain", "other")),
        "instance": st.sampled_from("abcdefgh"),
        "accelerator": st.sampled_from(("H100-SXM5-80GB", "T4")),
        "devices": st.just("1"),
        "sold_by": st.sampled_from(("", "gpu")),
        "region": st.sampled_from(("here", "there", "")),
        "on_demand_usd_per_h": st.sampled_from(("2.5", "3.3", "")),
        "spot_usd_per_h": st.sampled_from(("1.1", "0.7")),
        "on_demand_as_of": st.sampled_from(("", "2026-05-24", "2026-06-24")),
    }
)


def row_by_row(rows: list[dict[str, str]]) -> dict[str, tuple[list[Offer], list[str]]]:
    """What a table has, of each row read by itself."""
    found: dict[str, tuple[list[Offer], list[str]]] = {}
    seen: dict[tuple[str, ...], int] = {}
    for line, row in enumerate(rows, 1):
        offers, left_out = found.setdefault(row["provider"], ([], []))
        try:
            made = offers_of(row, MACHINES, KNOWN, "a file", TODAY)
            for offer in made:
                key = (row["provider"], offer.instance.name, offer.region, offer.tier)
                if seen.setdefault(key, line) != line:
                    raise DataError(f"the same instance and region as line {seen[key]}")
            offers += made
        except DataError as error:
            left_out.append(f"line {line}: {error.message}")
    return {name: (dated(offers), left_out) for name, (offers, left_out) in found.items()}


def dated(offers: list[Offer]) -> list[Offer]:
    days = [price.as_of for o in offers for price in (o.on_demand, o.spot) if price and price.as_of]

    def seen(price: Price | None) -> Price | None:
        return replace(price, table_as_of=max(days)) if price and days and not price.as_of else price

    return [replace(o, on_demand=seen(o.on_demand), spot=seen(o.spot)) for o in offers]


@given(rows=st.lists(st.one_of(ROW, GOOD), max_size=40))
@settings(deadline=None, max_examples=150)
def test_a_table_has_what_each_row_says_by_itself(rows: list[dict[str, str]]) -> None:
    tables = tables_of(enumerate(rows, 1), MACHINES, {}, KNOWN, "a file", TODAY)
    found = {table.provider: (list(table.offers), list(table.left_out)) for table in tables}
    assert found == {name or "(no provider)": each for name, each in row_by_row(rows).items()}


@given(rows=st.lists(GOOD, min_size=1, max_size=40), data=st.data())
@settings(deadline=None, max_examples=50)
def test_columns_are_the_offers_that_they_are_of(rows: list[dict[str, str]], data: Any) -> None:
    for table in tables_of(enumerate(rows, 1), MACHINES, {}, KNOWN, "a file", TODAY):
        columns, offers = Offers.of(table.offers), tuple(table.offers)
        assert Offers.of(offers) == columns == offers
        assert columns[1:] == offers[1:]
        assert with_table_date(Offers.of(offers)) == with_table_date(columns)
        kept = data.draw(st.lists(st.booleans(), min_size=len(offers), max_size=len(offers)))
        some = [offer for offer, keep in zip(offers, kept, strict=True) if keep]
        assert list(columns.only(kept)) == some
        assert columns.only(kept).accelerators == {offer.instance.accelerator for offer in some}
