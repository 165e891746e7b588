"""The filters of offers as flags, settings and arguments, and the ages that stand beside prices."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

import zenplan
from zenplan.commands.shared.ages import age_of, dated, seen
from zenplan.commands.shared.filters import Filters, filtered
from zenplan.commands.shared.known import Known, known
from zenplan.commands.shared.machines import wanted
from zenplan.commands.shared.tables import cheapest
from zenplan.domain.market.offer import OLD_DAYS, Instance, Offer, Price, PriceTable
from zenplan.errors import UnknownName
from zenplan.plugins import load_plugins

Call = Callable[..., Any]
TODAY = date(2026, 11, 29)


@pytest.fixture(scope="module")
def world() -> Known:
    return known(load_plugins({"ZENPLAN_PLUGINS": ""}), None, None)


def offers(*argv: str, called: Call) -> list[dict[str, Any]]:
    ended = called("prices", *argv, "--format", "json")
    assert ended.code == 0, ended.err
    found: list[dict[str, Any]] = json.loads(ended.out)["offers"]
    return found


# --- how they are given


def test_a_flag_twice_is_the_same_as_a_comma(called: Call) -> None:
    twice = offers("--gpu", "h100", "--gpu", "a100", "--provider", "aws", "--provider", "gcp", called=called)
    assert twice == offers("--gpu", "h100,a100", "--provider", "aws, gcp", called=called)
    assert {o["provider"] for o in twice} == {"aws", "gcp"}


def test_settings_take_lists_and_commas(called: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    by_flag = offers("--gpu", "h100,a100", "--exclude-provider", "aws", "--provider-class", "cloud", called=called)
    Path("zenplan.toml").write_text(
        'gpu = ["h100", "a100"]\nexclude-provider = "aws"\nprovider-class = ["cloud"]\n', encoding="utf-8"
    )
    assert offers(called=called) == by_flag
    # A flag replaces the setting: it does not add to it.
    assert {o["accelerator"] for o in offers("--gpu", "l4", called=called)} == {"L4"}
    monkeypatch.setenv("ZENPLAN_GPU", "h100,l4")
    assert {o["accelerator"] for o in offers(called=called)} <= {"H100-SXM5-80GB", "L4"}


def test_arguments_take_a_text_or_a_sequence() -> None:
    several = zenplan.prices(gpu=("h100", "a100"), provider_class=["cloud"], max_price_age=timedelta(days=1000))
    assert several == zenplan.prices(gpu="h100,a100", provider_class="cloud", max_price_age="1000d")
    assert several.offers
    assert zenplan.prices(gpu=()) == zenplan.prices()
    with pytest.raises(zenplan.UsageError, match="--provider cannot be a"):
        zenplan.prices(provider=("aws", 1))  # type: ignore[arg-type]  # that is what is tested
    free = zenplan.estimate(params=1e9, gpu="h100", gpus=8, usd_per_hour=0)
    assert free.recommended.total_usd == zenplan.Range(low=0.0, mid=0.0, high=0.0)


def test_an_answer_without_a_price_is_whole_in_every_format(called: Call) -> None:
    argv = ("estimate", "--params", "1e9", "--gpu", "H800", "--gpus", "8")
    document = json.loads(called(*argv, "--format", "json").out)
    (quote,) = document["quotes"]
    (bill,) = quote["bills"]
    assert (bill["machines_usd"], bill["total_usd"], bill["billing"]) == (None, None, "on-demand")
    assert quote["prices"] == {"on-demand": None, "spot": None}
    assert document["frontier"][0]["total_usd"] is None
    assert document["project"]["total_usd"] is None
    for more in ((), ("--details",), ("--explain",), ("--format", "csv"), ("--format", "markdown")):
        ended = called(*argv, *more)
        assert ended.code == 0, ended.err
        assert "$0" not in ended.out
    assert "no price" in called(*argv).out
    for command in ("compare", "what-if"):
        ended = called(command, *argv[1:])
        assert ended.code == 0, ended.err
        assert "no price" in ended.out


def test_free_is_shown_as_nothing(called: Call) -> None:
    ended = called("estimate", "--params", "1e9", "--gpu", "h100", "--gpus", "8", "--usd-per-hour", "0", "--explain")
    assert ended.code == 0, ended.err
    assert "$0" in ended.out
    assert "kWh" in ended.out


# --- what passes


def test_each_filter_narrows_and_all_together_are_their_common_part(world: Known) -> None:
    every = [
        Filters(gpu=("h100", "l40s")),
        Filters(exclude_provider=("aws", "vast-ai")),
        Filters(max_usd_per_h=10.0),
        Filters(max_price_age_s=200 * 86400.0),
        Filters(spot=True),
    ]

    def passing(wanted: Filters) -> set[tuple[str, str, str, str]]:
        tables = filtered(world.tables, world.catalogue, wanted, TODAY)
        return {(t.provider, o.instance.name, o.region, o.tier) for t in tables for o in t.offers}

    together = Filters(
        gpu=("h100", "l40s"),
        exclude_provider=("aws", "vast-ai"),
        max_usd_per_h=10.0,
        max_price_age_s=200 * 86400.0,
        spot=True,
    )
    each = [passing(wanted) for wanted in every]
    assert all(found < passing(Filters()) for found in each)
    assert passing(together) <= set.intersection(*each)
    assert passing(together)


def test_ages_are_counted_from_the_day_that_is_asked(world: Known) -> None:
    wanted = Filters(max_price_age_s=365 * 86400.0)
    now = filtered(world.tables, world.catalogue, wanted, TODAY)
    assert any(t.offers for t in now)
    later = filtered(world.tables, world.catalogue, wanted, date(2027, 11, 29))
    assert not any(t.offers for t in later)
    assert sum(t.too_old for t in later) == sum(len(t.prices) for t in world.tables)


# --- what is said of their age


def priced(as_of: date | None, **more: Any) -> Price:
    return Price(usd_per_h=2.0, as_of=as_of, source="test", **more)


def test_what_is_old_says_how_old_and_what_is_fresh_nothing() -> None:
    assert age_of(None, TODAY) == ""
    assert age_of(priced(TODAY - timedelta(days=OLD_DAYS)), TODAY) == ""
    assert dated("$125", priced(TODAY - timedelta(days=188)), TODAY) == "$125 (price 188 d old)"
    assert dated("$125", priced(TODAY), TODAY) == "$125"
    assert age_of(priced(None, table_as_of=date(2026, 5, 24)), TODAY) == "table of 2026-05"
    assert "no date" in age_of(priced(None), TODAY)
    assert seen(priced(TODAY), TODAY) == "as of 2026-11-29"


def table(*prices: Price) -> PriceTable:
    made = (
        Offer(instance=Instance(provider="p", name=f"m{n}", accelerator="L4", devices=1), region="any", on_demand=price)
        for n, price in enumerate(prices)
    )
    return PriceTable(provider="p", offers=tuple(made))


def test_the_lowest_price_of_a_device_is_an_old_one_only_where_no_fresh_one_is_near(world: Known) -> None:
    sheet = world.catalogue.by_name("L4")
    old = Price(usd_per_h=1.0, as_of=None, source="test")
    for fresh_usd, lowest in ((1.9, 1.9), (2.0, 2.0), (2.1, 1.0), (0.9, 0.9)):
        fresh = Price(usd_per_h=fresh_usd, as_of=TODAY, source="test")
        found = cheapest(sheet, [table(old, fresh)], TODAY)
        assert found is not None
        assert found.usd_per_h == lowest
    found = cheapest(sheet, [table(old)], TODAY)
    assert found is not None
    assert (found.usd_per_h, found.as_of) == (1.0, None)
    assert "no date" in found.seen
    assert cheapest(sheet, [], TODAY) is None


# --- how many


def test_prices_of_so_many_devices_are_those_of_such_machines(world: Known) -> None:
    def found(text: str) -> set[tuple[str, int]]:
        filters = {"gpu": (text,)}
        tables = filtered(world.tables, world.catalogue, wanted(filters, world.catalogue, world.tables), TODAY)
        return {(o.instance.accelerator, o.instance.devices) for t in tables for o in t.offers}

    assert found("8xH100") == {("H100-SXM5-80GB", 8)}
    # No machine has so many: those of which they can be put together.
    assert found("24xH100") == {("H100-SXM5-80GB", size) for size in (1, 2, 4, 8)} & found("H100")
    assert found("p5.48xlarge") == {("H100-SXM5-80GB", 8)}


# --- where


def test_a_place_is_every_region_that_lies_there(world: Known) -> None:
    def found(*places: str) -> set[tuple[str, str]]:
        tables = filtered(world.tables, world.catalogue, Filters(region=places), TODAY)
        return {(t.provider, o.region) for t in tables for o in t.offers}

    union = found("EU")
    assert {("aws", "eu-central-1"), ("nebius", "eu-north1"), ("gcp", "europe-west4")} <= union
    # Europe is not all of the Union, and of most marketplaces nobody knows where they are.
    assert not {("aws", "eu-west-2"), ("azure", "uksouth")} & union
    assert all(region != "any" for _, region in union)
    assert found("eu") == union
    assert union < found("europe") == found("EUROPE") == union | found("GBR") | found("CHE") | found("NOR")
    assert found("European Union") == union
    assert found("DEU") == {("aws", "eu-central-1")}
    assert found("DEU", "us-east-1") == found("deu") | found("us-east-1")
    assert found("DEU") | found("GBR") == found("DEU", "GBR") != union


def test_a_place_where_nobody_has_a_region_is_an_unknown_name(world: Known) -> None:
    for place in ("atlantis", "DE", "EUROPA", "MNG"):
        with pytest.raises(UnknownName):
            filtered(world.tables, world.catalogue, Filters(region=(place,)), TODAY)
