"""Price books: what they make of tables, and what hardware of one's own costs. Every figure is recomputed by hand."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.adapters.prices.book import KEYS, read_price_book
from zenplan.adapters.prices.table import bundled_tables
from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.market.hardware import Hardware
from zenplan.domain.market.offer import Offer, PriceTable
from zenplan.domain.training.operations import Operations
from zenplan.errors import DataError, InputFileError
from zenplan.planning.money.book import with_book
from zenplan.planning.money.ownership import (
    HOURS_A_YEAR,
    even_months,
    even_price_usd,
    even_utilisation,
    usd_per_h,
    usd_per_year,
)

TODAY = date(2026, 11, 29)


@pytest.fixture(scope="module")
def sheets() -> Catalogue:
    return Catalogue(accelerators=tuple(read_accelerators()))


@pytest.fixture
def made(tmp_path: Path, sheets: Catalogue) -> Any:
    def tables(text: str, today: date = TODAY) -> dict[str, PriceTable]:
        file = tmp_path / "prices.toml"
        file.write_text(text, encoding="utf-8")
        found = with_book(bundled_tables(), read_price_book(file, sheets, Operations()), today)
        return {table.provider: table for table in found}

    return tables


def offers(table: PriceTable, name: str, tier: str | None = None) -> list[Offer]:
    return [o for o in table.offers if o.instance.name == name and tier in (None, o.tier)]


BEFORE = {table.provider: table for table in bundled_tables()}


def test_a_rate_of_one_instance_leaves_the_others(made: Any) -> None:
    after = made('[[rate]]\nprovider = "AWS"\ninstance = "p5.48xlarge"\non_demand = 30.5\nas_of = 2026-11-15')["aws"]
    assert len(after.offers) == len(BEFORE["aws"].offers)
    for before, now in zip(BEFORE["aws"].offers, after.offers, strict=True):
        if before.instance.name != "p5.48xlarge":
            assert now == before
            continue
        assert now.on_demand is not None
        assert (now.on_demand.usd_per_h, now.on_demand.as_of) == (30.5, date(2026, 11, 15))
        assert "prices.toml" in now.on_demand.source
        assert now.spot == before.spot


def test_providers_are_called_as_people_do(made: Any) -> None:
    text = '[[rate]]\nprovider = "Google Cloud"\ninstance = "a3-highgpu-8g"\non_demand = 70'
    assert {o.on_demand.usd_per_h for o in offers(made(text)["gcp"], "a3-highgpu-8g") if o.on_demand} == {70.0}


def test_a_rate_in_one_region_is_of_that_one(made: Any) -> None:
    text = '[[rate]]\nprovider = "aws"\ninstance = "p5.48xlarge"\nregion = "us-east-1"\non_demand = "$30"'
    found = offers(made(text)["aws"], "p5.48xlarge")
    assert {o.on_demand.usd_per_h for o in found if o.region == "us-east-1" and o.on_demand} == {30.0}
    assert 30.0 not in {o.on_demand.usd_per_h for o in found if o.region != "us-east-1" and o.on_demand}
    (new,) = offers(made(text.replace("us-east-1", "me-south-1"))["aws"], "p5.48xlarge")[len(found) :]
    assert (new.region, new.on_demand and new.on_demand.usd_per_h, new.spot) == ("me-south-1", 30.0, None)


def test_a_new_machine_says_what_is_in_it(made: Any) -> None:
    text = '[[rate]]\nprovider = "neo"\ninstance = "big"\ngpu = "H100"\ngpus = 8\nper = "gpu"\nspot = 1.25'
    (offer,) = made(text)["neo"].offers
    assert (offer.instance.devices, offer.spot and offer.spot.usd_per_h, offer.on_demand) == (8, 10.0, None)
    with pytest.raises(DataError, match="no price table has"):
        made(text.replace("gpus = 8\n", ""))


def test_other_currencies_are_dollars_at_their_rate_and_day(made: Any) -> None:
    text = '[currencies.EUR]\nper_usd = 0.8\nas_of = 2026-11-20\n[[rate]]\nprovider = "aws"\ninstance = "p5.48xlarge"\n'
    price = offers(made(text + 'on_demand = 24\ncurrency = "EUR"')["aws"], "p5.48xlarge")[0].on_demand
    assert price is not None
    assert price.usd_per_h == pytest.approx(30.0)
    assert "2026-11-20" in price.source
    with pytest.raises(InputFileError, match="no rate of GBP"):
        made(text + 'on_demand = 24\ncurrency = "GBP"')


@pytest.mark.parametrize(
    ("line", "factor"),
    [
        ("", 0.9),
        ("until = 2026-11-29", 0.9),
        ("until = 2026-11-28", 1.0),
        ("from = 2026-11-29", 0.9),
        ("from = 2026-11-30", 1.0),
    ],
)
def test_a_discount_holds_from_day_to_day(made: Any, line: str, factor: float) -> None:
    after = made(f'[[discount]]\nprovider = "gcp"\ndiscount = "10%"\n{line}')["gcp"]
    for before, now in zip(BEFORE["gcp"].offers, after.offers, strict=True):
        for kind in ("on_demand", "spot"):
            old, new = getattr(before, kind), getattr(now, kind)
            assert (old is None) == (new is None)
            if old:
                assert new.usd_per_h == pytest.approx(factor * old.usd_per_h)
                assert new.as_of == old.as_of
    # What does not hold today is said.
    assert bool(after.left_out) == (factor == 1.0)


def test_a_discount_for_a_term_is_an_offer_that_is_paid_for_all_of_it(made: Any) -> None:
    text = '[[discount]]\nprovider = "aws"\ninstance = "p5.48xlarge"\ndiscount = "40%"\nterm = "365d"'
    found = offers(made(text)["aws"], "p5.48xlarge")
    listed = [o for o in found if o.terms is None]
    assert listed == offers(BEFORE["aws"], "p5.48xlarge")
    for plain, bound in zip(listed, [o for o in found if o.terms], strict=True):
        assert bound.terms is not None
        assert bound.terms.committed is not None
        assert bound.terms.committed.term_s == 365 * 86400
        if plain.on_demand and bound.on_demand:
            assert bound.on_demand.usd_per_h == pytest.approx(0.6 * plain.on_demand.usd_per_h)


RESERVED = """[[reservation]]
provider = "aws"
instance = "p5.48xlarge"
machines = 2
term = "365d"
upfront = 87600
rate = 10
"""


def test_a_reservation_that_runs_costs_its_rate_and_its_share_of_what_was_paid(made: Any) -> None:
    (held,) = offers(made(RESERVED + "from = 2026-06-01")["aws"], "p5.48xlarge", "reservation")
    assert held.on_demand is not None
    assert held.terms is not None
    # 87,600 over 8,760 hours of two machines, and 10.
    assert held.on_demand.usd_per_h == pytest.approx(15.0)
    assert (held.machines, held.terms.minimum_s) == (2, 60.0)
    assert held.terms.longest_s == (date(2027, 6, 1) - TODAY).days * 86400
    (bought,) = offers(made(RESERVED)["aws"], "p5.48xlarge", "reservation")
    assert bought.terms is not None
    assert held.committed is not None
    assert (held.committed.term_s, held.committed.usd_per_h) == (None, pytest.approx(30.0))
    assert bought.committed is not None
    assert (bought.committed.term_s, bought.terms.longest_s) == (365 * 86400, None)
    for when in ("2025-01-01", "2026-12-01"):
        table = made(RESERVED + f"from = {when}")["aws"]
        assert not offers(table, "p5.48xlarge", "reservation")
        assert table.left_out


def test_a_savings_plan_is_as_many_machines_as_are_committed_to(made: Any) -> None:
    text = '[[savings_plan]]\nprovider = "aws"\ninstance = "p5.48xlarge"\nterm = "365d"\ncommitted = 100\ndiscount = "30%"\n'
    for offer in offers(made(text + "from = 2026-06-01")["aws"], "p5.48xlarge", "savings plan"):
        listed = next(o for o in BEFORE["aws"].offers if (o.instance, o.region) == (offer.instance, offer.region))
        assert offer.on_demand is not None
        assert listed.on_demand is not None
        assert offer.on_demand.usd_per_h == pytest.approx(0.7 * listed.on_demand.usd_per_h)
        assert offer.machines == int(100 / offer.on_demand.usd_per_h)


def test_a_capacity_block_is_paid_whole(ask: Any, made: Any) -> None:
    text = (
        '[[capacity_block]]\nprovider = "aws"\ninstance = "p5.48xlarge"\nmachines = 2\n'
        "from = 2026-11-20\nuntil = 2026-12-04\nupfront = 10000\n"
    )
    block = made(text)["aws"]
    only = replace(block, offers=tuple(offers(block, "p5.48xlarge", "capacity block")))
    answer = ask(lambda t: only if t.provider == "aws" else t, params=1e9, gpu="H100", gpus=16, provider="aws")
    bill = answer.recommended.bill
    assert bill.compute_usd is not None
    assert bill.compute_usd.low == pytest.approx(10_000)
    assert bill.compute_usd.high == pytest.approx(10_000)


def test_credits_of_a_provider_are_in_all_its_terms(made: Any) -> None:
    first = '[[credit]]\nprovider = "oci"\namount = "$5k"\nuntil = 2026-12-31\n'
    text = first + '[[credit]]\nprovider = "oci"\namount = 7\nuntil = 2026-01-01'
    table = made(text)["oci"]
    assert table.terms is not None
    for name in ("BM.GPU.H100.8", "VM.GPU.A10.1"):
        assert [credit.usd for credit in table.terms.of(name).credits] == [5000.0]
    assert any("expired" in each for each in table.left_out)


OWNED = """[[hardware]]
name = "rack"
gpu = "H100"
gpus = 8
machines = 4
price = 240000
years = 4
power = 10000
idle_power = 2000
pue = 1.25
kwh = 0.10
utilisation = "50%"
hosting_per_year = 96000
staff_per_year = 64000
"""


def test_hardware_of_ones_own_is_an_offer_at_what_it_costs(made: Any) -> None:
    (offer,) = made(OWNED)["rack"].offers
    hours = 8766.0
    by_hand = (240_000 / 4 + (96_000 + 64_000) / 4 + hours * (0.5 * 10 + 0.5 * 2) * 1.25 * 0.10) / (0.5 * hours)
    assert offer.on_demand is not None
    assert offer.on_demand.usd_per_h == pytest.approx(by_hand)
    assert (offer.machines, offer.instance.devices) == (4, 8)
    assert offer.derived


OWN = Hardware(
    name="rack",
    accelerator="H100-SXM5-80GB",
    devices=8,
    machines=4,
    price_usd=240_000.0,
    years=4.0,
    resale_share=0.1,
    interest=0.05,
    maintenance_share=0.02,
    hosting_usd_per_year=96_000.0,
    staff_usd_per_year=64_000.0,
    power_w=10_000.0,
    idle_power_w=2_000.0,
    pue=1.25,
    usd_per_kwh=0.10,
    utilisation=0.5,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(rent=st.floats(0.5, 200), used=st.floats(0.05, 1.0), price=st.floats(1e3, 1e6))
def test_where_it_breaks_even_both_cost_the_same(rent: float, used: float, price: float) -> None:
    own = replace(OWN, utilisation=used, price_usd=price)
    share = even_utilisation(own, rent)
    if share is None:
        assert usd_per_year(own, 1.0) >= rent * HOURS_A_YEAR * (1 - 1e-9)
    else:
        assert usd_per_year(own, share) == pytest.approx(share * HOURS_A_YEAR * rent)
    worth = even_price_usd(own, rent)
    if worth > 0:
        assert usd_per_h(replace(own, price_usd=worth)) == pytest.approx(rent)
    months = even_months(own, rent)
    if months is not None:
        without = usd_per_year(replace(own, price_usd=1e-9, maintenance_share=0.0)) + 0.02 * price
        saved = rent * used * HOURS_A_YEAR - without
        assert months / 12 * saved == pytest.approx(price, rel=1e-6)


def test_interest_of_nothing_is_the_limit_of_little() -> None:
    none, little = replace(OWN, interest=0.0), replace(OWN, interest=1e-6)
    assert usd_per_year(little) == pytest.approx(usd_per_year(none), rel=1e-4)
    assert usd_per_year(replace(OWN, interest=0.1)) > usd_per_year(none)


@pytest.mark.parametrize("table", KEYS)
def test_a_slip_is_one_line_with_table_and_key(made: Any, table: str) -> None:
    known, needed = KEYS[table]
    for text, key in (
        (f"[[{table}]]\nprovidr = 1", "providr"),
        (f"[[{table}]]", needed[0]),
        (f"[[{table}]]\n" + "\n".join(f"{k} = true" for k in needed), table),
    ):
        with pytest.raises((InputFileError, DataError)) as caught:
            made(text)
        assert f"[[{table}]]" in caught.value.message
        assert key in caught.value.message
        assert "\n" not in caught.value.message
    assert set(needed) <= set(known)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[[rates]]\nx = 1",
        "rate = 3",
        '[[rate]]\nprovider = "aws"\ninstance = "p5.48xlarge"\non_demand = -3',
        '[[rate]]\nprovider = "aws"\ninstance = "p5.48xlarge"\non_demand = 1e308',
        '[[rate]]\nprovider = "aws"\ninstance = "p5.48xlarge"\non_demand = 3\nas_of = "x"',
        '[[rate]]\nprovider = "aws"\ngpu = "H1O0"\non_demand = 3',
        '[[discount]]\nprovider = "aws"\ndiscount = "100%"',
        '[[discount]]\nprovider = "nobody"\ndiscount = "10%"',
        '[[credit]]\nprovider = "aws"\namount = 0',
        '[[rate]]\nprovider = "aws"\ninstance = "p5.48xlarge"\non_demand = 3\nas_of = 2027-01-01',
        '[currencies]\nEUR = "x"\n[[credit]]\nprovider = "aws"\namount = 3',
        OWNED.replace('"50%"', '"500%"'),
        OWNED.replace("years = 4", "years = 0"),
        OWNED.replace("pue = 1.25", "pue = 0.5"),
    ],
)
def test_what_cannot_be_is_refused(made: Any, text: str) -> None:
    with pytest.raises((DataError, InputFileError)) as caught:
        made(text)
    assert "\n" not in caught.value.message
