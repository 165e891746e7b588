"""Which offers are looked at, how large their clusters are, and which of them may lead."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from zenplan.adapters.clock import today
from zenplan.commands.estimate.use_case import estimate
from zenplan.commands.shared.known import Known, known
from zenplan.domain.answer.answer import Answer, Label, Ranked
from zenplan.domain.answer.estimate import Quote
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.market.interruptions import Interruptions
from zenplan.domain.market.offer import OLD_WITHIN, OWN, Billing, Instance, Offer, Offers, Price, PriceTable
from zenplan.domain.market.provider import ProviderClass
from zenplan.domain.precision import PRECISIONS
from zenplan.domain.provenance import Origin
from zenplan.domain.range import Range
from zenplan.domain.training.request import Request
from zenplan.errors import NoFit, UnknownName, UsageError
from zenplan.planning.money.ranking import Wish
from zenplan.plugins import load_plugins

Ask = Callable[..., Answer]
A_DAY, A_YEAR_ON = date(2026, 11, 29), date(2027, 11, 29)
CLASSES = {
    "aws": ProviderClass.HYPERSCALER,
    "gcp": ProviderClass.HYPERSCALER,
    "lambda": ProviderClass.CLOUD,
    "vast-ai": ProviderClass.MARKETPLACE,
}


@pytest.fixture(scope="module")
def world() -> Known:
    return known(load_plugins({"ZENPLAN_PLUGINS": ""}), None, None)


@pytest.fixture
def ask(world: Known) -> Ask:
    """The use case on the bundled tables, or on these, on a day."""

    def asked(tables: Sequence[PriceTable] | None = None, day: date | None = None, **options: Any) -> Answer:
        there = replace(world, tables=world.tables if tables is None else tables, today=day or today())
        return estimate(Request(**{"params": 1e9, "tokens": 1e9, "top": 50} | options), there)

    return asked


def all_of(answer: Answer) -> list[Quote]:
    return [r.quote for r in (*answer.ranked, *answer.frontier)]


def machine(provider: str, usd_per_h: float, as_of: date | None, devices: int = 8, **more: Any) -> PriceTable:
    """A provider with one kind of machine, of H100s that are joined."""
    options = {"accelerator": "H100-SXM5-80GB", "network_bytes_per_s": 50e9} | more
    kind = Instance(provider=provider, name="m", devices=devices, **options)
    price = Price(usd_per_h=usd_per_h, as_of=as_of, source="test")
    return PriceTable(provider=provider, offers=(Offer(instance=kind, region="any", on_demand=price),))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"billing": Billing.SPOT, "gpus": 16},
        {"gpu": ("h100", "a100"), "max_usd_per_h": 40.0},
        {"region": ("EU",), "max_price_age_s": 400 * 86400.0, "budget_usd": 100.0},
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_an_answer_is_the_same_whether_offers_are_looked_at_one_by_one(
    ask: Ask, world: Known, seed: int, options: dict[str, Any]
) -> None:
    """The tables as they are read, each offer of a kind with others, and with a kind of its own."""
    draw = random.Random(seed)  # noqa: S311 (no secret)

    def some(offers: Offers) -> Offers:
        offers = offers.only(draw.random() < 0.5 for _ in offers)
        for column in (offers.on_demand, offers.spot):
            column[:] = array("d", (usd * draw.choice((0.8, 1.0, 1.2)) for usd in column))
        return offers

    tables = [replace(table, offers=some(Offers.of(table.offers))) for table in world.tables]
    alone = [replace(table, offers=tuple(map(replace, table.offers))) for table in tables]
    assert ask(tables, A_DAY, **options) == ask(alone, A_DAY, **options)


# --- filters


def test_several_names_let_any_of_them_through(ask: Ask) -> None:
    both = {"h100": "H100-SXM5-80GB", "a100": "A100-SXM4-80GB"}
    for names in (("h100",), ("a100",), ("h100", "a100")):
        found = {q.offer.instance.accelerator for q in all_of(ask(gpu=names))}
        assert found <= {both[n] for n in names}
    assert {q.offer.instance.provider for q in all_of(ask(provider=("aws", "gcp")))} <= {"aws", "gcp"}
    regions = ("us-east-1", "eastus")
    assert {q.offer.region for q in all_of(ask(provider=("aws", "azure"), region=regions))} <= set(regions)


def test_filters_compose(ask: Ask, world: Known) -> None:
    """What passes two filters is what passes each of them."""
    kinds = {t.provider: t.kind for t in world.tables}
    for provider_class in (ProviderClass.HYPERSCALER, ProviderClass.CLOUD, ProviderClass.MARKETPLACE):
        answer = ask(gpu=("h100", "l40s"), provider_class=(provider_class,), max_price_age_s=400 * 86400.0, day=A_DAY)
        for quote in all_of(answer):
            assert kinds[quote.offer.instance.provider] is provider_class
            assert quote.offer.instance.accelerator in ("H100-SXM5-80GB", "L40S")
            for price in (quote.offer.on_demand, quote.offer.spot):
                assert price is None or 0 <= (price.age_days(A_DAY) or 0) <= 400


def test_every_bundled_provider_has_a_class(world: Known) -> None:
    kinds = {t.provider: t.kind for t in world.tables}
    assert [name for name, kind in kinds.items() if kind is ProviderClass.UNKNOWN] == []
    assert {name: kinds[name] for name in CLASSES} == CLASSES


def test_what_is_excluded_is_never_shown(ask: Ask) -> None:
    left: set[str] = set()
    for _ in range(5):
        answer = ask(exclude_provider=tuple(left))
        shown = {q.offer.instance.provider for q in all_of(answer)}
        assert not shown & left
        left |= shown


def test_the_whole_cluster_costs_no_more_an_hour(ask: Ask) -> None:
    most = 40.0
    for billing in Billing:
        for quote in all_of(ask(max_usd_per_h=most, billing=billing)):
            price = quote.offer.price(billing)
            assert price is not None
            assert price.usd_per_h * quote.nodes <= most


def test_old_prices_are_left_out_and_counted(ask: Ask) -> None:
    answer = ask(max_price_age_s=150 * 86400.0, day=A_DAY)
    for quote in all_of(answer):
        prices = [p for p in (quote.offer.on_demand, quote.offer.spot) if p]
        assert prices
        assert all(p.as_of and (A_DAY - p.as_of).days <= 150 for p in prices)
    assert any("are older than --max-price-age" in line for line in answer.left_out)
    assert not any("--max-price-age" in line for line in ask().left_out)


@pytest.mark.parametrize(
    "options",
    [
        {"gpu": ("tpu-v4",), "provider": ("aws",)},
        {"gpu": ("tpu-v4",), "exclude_provider": ("gcp",)},
        {"gpu": ("tpu-v4",), "provider_class": (ProviderClass.MARKETPLACE,)},
        {"max_usd_per_h": 0.001},
        {"max_price_age_s": 1.0},
    ],
)
def test_where_nothing_passes_the_answer_is_no_in_a_line(ask: Ask, options: dict[str, Any]) -> None:
    with pytest.raises(NoFit, match="no offer in the price tables") as caught:
        ask(**options)
    assert caught.value.hint


@pytest.mark.parametrize("field", ["gpu", "provider", "exclude_provider", "region"])
def test_a_name_that_nobody_has_names_where_they_are_listed(ask: Ask, field: str) -> None:
    with pytest.raises(UnknownName) as caught:
        ask(**{field: ("m0",)})
    assert "V100" not in caught.value.hint
    listing = "zenplan accelerators" if field == "gpu" else "zenplan prices"
    assert f"'{listing}'" in caught.value.hint


# --- how large


def test_what_is_on_demand_is_what_is_quoted(ask: Ask) -> None:
    for options in ({}, {"provider_class": (ProviderClass.MARKETPLACE,)}, {"params": 7e9}, {"billing": Billing.SPOT}):
        answer = ask(**options)
        for quote in all_of(answer):
            assert quote.on_demand is not None
            assert quote.devices <= quote.on_demand.devices
            assert quote.beyond_on_demand is None
        stated = [f for f in answer.plan.facts if f.name == "largest cluster on demand"]
        assert stated
        assert all(f.why and f.origin in (Origin.ASSUMED, Origin.PUBLISHED) for f in stated)


def test_marketplaces_rent_single_machines(ask: Ask) -> None:
    answer = ask(provider_class=(ProviderClass.MARKETPLACE,))
    assert max(q.devices for q in all_of(answer)) <= 8


def test_a_given_number_is_kept_and_flagged(ask: Ask) -> None:
    answer = ask(gpu=("h100",), gpus=512)
    assert {q.devices for q in all_of(answer)} == {512}
    assert {q.beyond_on_demand for q in all_of(answer)} == {64}
    assert {q.beyond_on_demand for q in all_of(ask(gpu=("h100",), gpus=64))} == {None}


def test_a_given_most_lifts_the_limit(ask: Ask) -> None:
    answer = ask(gpu=("h100",), params=7e9, max_gpus=512)
    assert max(q.devices for q in all_of(answer)) > 64
    assert all((q.beyond_on_demand is not None) == (q.devices > 64) for q in all_of(answer))


def test_how_often_an_offers_own_source_says_that_it_is_taken_counts(ask: Ask) -> None:
    def expected(taken: Interruptions | None) -> tuple[float, Interruptions | None]:
        (offer,) = machine("aws", 20.0, A_DAY).offers
        spot = replace(offer, on_demand=None, spot=offer.on_demand, interruptions=taken)
        quote = all_of(ask([PriceTable(provider="aws", offers=(spot,))], A_DAY, billing=Billing.SPOT, gpus=8))[0]
        bill = quote.bill(Billing.SPOT)
        assert bill is not None
        return bill.run.interruptions, quote.interruptions

    rates = Range(low=1e-6, mid=1e-5, high=1e-4)
    rarely = Interruptions(per_node_s=rates, what="a feed", as_of=A_DAY, source="a page")
    often = replace(rarely, per_node_s=rates * 10.0)
    assert expected(rarely)[1] == rarely
    assert expected(often)[0] > expected(rarely)[0]
    assert expected(None)[1] != rarely


def test_larger_clusters_are_looked_at_only_where_nothing_on_demand_does_it(ask: Ask) -> None:
    # It does not fit on 64 devices of 80 GB; and 64 of them are too slow.
    (first, *_) = ask(model="llama3.1-405b", params=None, gpu=("h100",)).ranked
    assert first.quote.beyond_on_demand == 64
    in_time = ask(params=70e9, tokens=1e12, gpu=("h100",), deadline_s=60 * 86400.0)
    assert in_time.met
    assert in_time.recommended.quote.beyond_on_demand == 64
    # Where more would not help either, what is had on demand is the nearest.
    late = ask(params=70e9, tokens=1e12, gpu=("h100",), deadline_s=60.0)
    assert not late.met
    assert late.recommended.quote.beyond_on_demand is None


# --- how old


def leads_while_fresh_is_near(answer: Answer, ranked: Ranked) -> bool:
    """Whether a plan of an old price is shown while fresh ones of the frontier are near in dollars, and in time."""
    price = ranked.quote.offer.price(ranked.bill.billing)
    if price is None or not price.is_old(answer.today):
        return False
    assert ranked.total_usd is not None
    fresh = []
    for other in answer.frontier:
        seen = other.quote.offer.price(other.bill.billing)
        if seen is not None and not seen.is_old(answer.today):
            fresh.append(other)
    if not fresh:
        return False
    usd, time_s = ranked.total_usd.mid, ranked.wall_clock_s.mid
    near_usd = min(r.total_usd.mid for r in fresh if r.total_usd) <= OLD_WITHIN * usd
    near_s = min(r.wall_clock_s.mid for r in fresh) <= OLD_WITHIN * time_s
    cost = Wish.of(answer.request).cost
    least = min(float(cost(np.array(r.total_usd.mid), np.array(r.wall_clock_s.mid))) for r in fresh if r.total_usd)
    return near_usd and near_s and least <= OLD_WITHIN * float(cost(np.array(usd), np.array(time_s)))


@pytest.mark.parametrize("billing", list(Billing))
@pytest.mark.parametrize("day", [date(2026, 6, 1), date(2026, 11, 29), A_YEAR_ON])
def test_an_old_price_never_leads_while_a_fresh_one_is_near(ask: Ask, billing: Billing, day: date) -> None:
    for options in ({"params": 1e8}, {"params": 7e9}, {"gpu": ("h100", "a100", "a100-40gb")}):
        answer = ask(billing=billing, day=day, **options)
        assert [r for r in (*answer.ranked, *answer.frontier) if leads_while_fresh_is_near(answer, r)] == []


def test_the_two_thirds_price_of_two_years_ago_stands_behind(ask: Ask) -> None:
    day = date(2026, 11, 29)
    fresh, old = day - timedelta(days=30), day - timedelta(days=842)
    for as_of in (old, None):
        near = ask([machine("new", 16.0, fresh), machine("old", 10.0, as_of)], day=day)
        assert {r.quote.offer.instance.provider for r in near.ranked} == {"new"}
        assert any("ranked behind" in line for line in near.left_out)
        # A third of it is worth a look, and is marked.
        far = ask([machine("new", 30.0, fresh), machine("old", 10.0, as_of)], day=day)
        cheapest = far.labelled(Label.CHEAPEST)
        assert cheapest is not None
        assert cheapest.quote.offer.instance.provider == "old"


def test_an_old_price_leads_where_it_alone_meets_what_was_asked(ask: Ask) -> None:
    day = date(2026, 11, 29)
    tables = [machine("new", 16.0, day), machine("old", 10.0, None)]
    free = ask(tables, day=day).recommended
    assert free.total_usd is not None
    budget = free.total_usd.mid * 0.8
    answer = ask(tables, day=day, budget_usd=budget)
    assert answer.met
    assert answer.recommended.quote.offer.instance.provider == "old"


def test_where_all_prices_are_old_they_are_ranked_as_they_are(ask: Ask) -> None:
    a_year_ago = date(2025, 11, 29)
    tables = [machine("dear", 16.0, a_year_ago), machine("cheap", 10.0, a_year_ago - timedelta(days=365))]
    answer = ask(tables, day=date(2026, 11, 29))
    assert {r.quote.offer.instance.provider for r in answer.ranked} == {"cheap"}
    assert not any("ranked behind" in line for line in answer.left_out)


# --- no price


def can_be_planned_with(sheet: Accelerator) -> bool:
    """A peak of fp8 or fp4 alone is of no use: what stays in a wider format has none."""
    return any(sheet.can_run(precision) for precision in PRECISIONS.values())


def test_every_accelerator_that_trains_is_answered_by_name(ask: Ask, world: Known) -> None:
    rented = {o.instance.accelerator for t in world.tables for o in t.offers if o.on_demand}
    # A Graphcore IPU has 0.9 GB on the chip: no training step fits.
    trains = [a for a in world.catalogue if a.trains and can_be_planned_with(a) and a.memory_bytes > 2e9]
    assert len(trains) > 100
    failed = []
    for sheet in trains:
        for day in (today(), A_YEAR_ON):
            try:
                answer = ask(params=1e7, tokens=1e7, gpu=(sheet.name,), day=day)
            except NoFit as error:
                failed.append((sheet.name, error.message))
                continue
            for ranked in answer.ranked:
                assert ranked.quote.offer.instance.accelerator == sheet.name
                assert (ranked.total_usd is None) == (sheet.name not in rented)
    assert failed == []


def test_what_has_no_published_peak_says_so(ask: Ask, world: Known) -> None:
    for sheet in world.catalogue:
        if sheet.trains and not can_be_planned_with(sheet):
            with pytest.raises(NoFit, match=f"the data sheet of {sheet.name} has no peak"):
                ask(gpu=(sheet.name,))


def test_without_a_price_time_and_memory_are_answered_and_dollars_are_not(ask: Ask) -> None:
    answer = ask(gpu=("H800",), gpus=16, budget_usd=1.0)
    (ranked,) = answer.ranked
    assert (ranked.quote.offer.instance.provider, ranked.quote.devices) == (OWN, 16)
    assert ranked.total_usd is None
    assert ranked.wall_clock_s.mid > 0
    assert ranked.quote.energy is not None
    facts = {f.name: f for f in answer.plan.facts}
    assert "H800-SXM5-80GB" in facts["machine"].value
    assert facts["price"].value == "not known"


def test_without_a_number_the_sizes_are_those_of_a_usual_machine(ask: Ask, world: Known) -> None:
    for name in ("H800", "GTX-1080-Ti", "RTX-2070-Max-Q"):
        sheet = world.catalogue.by_name(name)
        answer = ask(params=1e8, gpu=(name,))
        assert max(q.devices for q in all_of(answer)) <= sheet.node_devices
        fastest = answer.labelled(Label.FASTEST)
        assert fastest is not None


def test_a_price_of_ones_own_stands_for_all_offers(ask: Ask) -> None:
    answer = ask(gpu=("H100",), gpus=8, usd_per_h=2.5)
    (ranked,) = answer.ranked
    price = ranked.quote.offer.price(Billing.ON_DEMAND)
    assert price is not None
    assert (price.usd_per_h, price.as_of) == (20.0, today())
    assert ranked.total_usd is not None
    assert ranked.total_usd.mid == pytest.approx(ranked.bill.billed_h * 20.0)


def test_free_is_nothing_and_not_unknown(ask: Ask) -> None:
    answer = ask(gpu=("H100",), gpus=8, usd_per_h=0.0, budget_usd=1.0)
    (ranked,) = answer.ranked
    assert ranked.total_usd is not None
    assert (ranked.total_usd.low, ranked.total_usd.high) == (0, 0)
    assert ranked.quote.energy is not None
    assert ranked.quote.energy.kwh.mid > 0
    assert answer.met
    several = ask(gpu=("H100",), usd_per_h=0.0)
    fastest = several.labelled(Label.FASTEST)
    assert fastest is not None
    assert fastest.wall_clock_s.mid == min(r.wall_clock_s.mid for r in several.ranked)


def test_what_has_no_price_is_told_beside_what_has(ask: Ask) -> None:
    answer = ask(gpu=("H100", "H800"))
    assert {q.offer.instance.accelerator for q in all_of(answer)} == {"H100-SXM5-80GB"}
    assert any("nobody has a price for H800-SXM5-80GB" in line for line in answer.left_out)


@pytest.mark.parametrize("gpu", [(), ("H100", "A100")])
def test_a_price_is_of_one_accelerator(ask: Ask, gpu: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="goes with one --gpu"):
        ask(gpu=gpu, usd_per_h=2.0)


def test_an_offer_without_a_data_sheet_is_told_as_that(ask: Ask) -> None:
    with pytest.raises(NoFit, match="no data sheet of Nova-1") as caught:
        ask([machine("p", 10.0, today(), accelerator="Nova-1")])
    assert "zenplan accelerators" in caught.value.hint
    with pytest.raises(NoFit, match="no data sheet of Nova-1"):
        ask([machine("p", 10.0, today(), accelerator="Nova-1")], gpus=16)
