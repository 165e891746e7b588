"""Which quote is recommended, cheapest and fastest, over the bundled tables; what may and may not move the first."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from zenplan.adapters.clock import today
from zenplan.domain.answer.answer import Answer, Label, Ranked
from zenplan.domain.market.offer import Billing, Offer, Price, PriceTable, Terms
from zenplan.planning.money.ranking import Wish
from zenplan.units import DAY_S, HOUR_S

Ask = Callable[..., Answer]
FEW: list[dict[str, Any]] = [
    {"params": 1e8, "tokens": 1e8},
    {"params": 1e9},
    {"params": 7e9},
    {"params": 70e9},
    {"model": "llama3-8b", "method": "lora", "tokens": 40e6},
    {"model": "llama3-8b", "tokens": 1e10},
    {"model": "llama3-70b", "method": "qlora", "tokens": 1e8},
    {"params": 1e9, "billing": Billing.SPOT},
    {"params": 3e9, "day_usd": 300.0},
    {"model": "resnet50", "gpu": "h100"},
]
MANY: list[dict[str, Any]] = [
    *FEW,
    {"params": 3.5e8},
    {"params": 3e9, "max_gpus": 64},
    {"params": 13e9},
    {"params": 4e11, "tokens": 1.5e13},
    {"params": 1e6, "tokens": 1e8},
    {"model": "gpt3-175b"},
    {"model": "bert-large"},
    {"model": "unet"},
    {"model": "whisper-large-v3", "samples": 1e5},
    {"params": 1e9, "gpu": "h100", "gpus": 8},
    {"params": 7e9, "gpu": "a100-80gb"},
    {"params": 1e9, "provider": "aws"},
    {"params": 1e9, "gpus": 64},
    {"params": 1e9, "deadline_s": HOUR_S},
    {"params": 1e9, "deadline_s": 60.0},
    {"params": 1e9, "budget_usd": 150.0},
    {"params": 1e9, "budget_usd": 1000.0, "deadline_s": 6 * HOUR_S},
    {"params": 1e9, "budget_usd": 1.0},
    {"params": 7e9, "deadline_s": 3 * DAY_S, "budget_usd": 5000.0},
    {"params": 1e9, "horizon_s": 2 * HOUR_S},
    {"params": 1e9, "horizon_s": 60.0},
    {"model": "llama3-70b", "tokens": 1.5e13, "gpu": "h100", "deadline_s": 300 * DAY_S},
]


def name(options: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in options.items())


def what(quote: Ranked) -> tuple[str, str, str, int]:
    offer = quote.quote.offer
    return offer.instance.provider, offer.instance.name, offer.region, quote.quote.nodes


def cost(answer: Answer, usd: float, time_s: float) -> float:
    return float(Wish.of(answer.request).cost(np.array(usd), np.array(time_s)))


def beats(one: Ranked, other: Ranked) -> bool:
    """Whether it is as good in time and dollars, at their middles and high ends, and better in one."""
    pairs = [
        (getattr(of_one, end), getattr(of_other, end))
        for of_one, of_other in ((one.total_usd, other.total_usd), (one.wall_clock_s, other.wall_clock_s))
        for end in ("mid", "high")
    ]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs[::2])


def every(change: Callable[[Offer, Price], float], fresh: bool = False) -> Callable[[PriceTable], PriceTable]:
    """A table whose prices are changed, and of today if ``fresh``: an old one may lead once it is half a fresh one."""

    def changed(offer: Offer) -> Offer:
        kinds = {n: p for n in ("on_demand", "spot") if (p := getattr(offer, n)) is not None}
        return replace(
            offer,
            **{
                n: replace(p, usd_per_h=change(offer, p), as_of=today() if fresh else p.as_of) for n, p in kinds.items()
            },
        )

    # Storage and egress keep their price: without them every dollar is a machine's.
    free = dict.fromkeys(
        ("storage_usd_per_byte_s", "disk_usd_per_byte_s", "egress_usd_per_byte", "ingress_usd_per_byte"), 0.0
    )
    terms = Terms(provider="any", **free, source="made up")
    return lambda table: replace(table, terms=terms, offers=tuple(map(changed, table.offers)))


@pytest.mark.parametrize("options", MANY, ids=name)
def test_labels_say_what_is_true(ask: Ask, options: dict[str, Any]) -> None:
    answer = ask(**options, top=50)
    seen = (*answer.ranked, *answer.frontier)
    fastest, cheapest = answer.labelled(Label.FASTEST), answer.labelled(Label.CHEAPEST)
    assert fastest is not None
    assert cheapest is not None
    assert all(fastest.wall_clock_s.mid <= r.wall_clock_s.mid for r in seen)
    assert all(cheapest.total_usd.mid <= r.total_usd.mid for r in seen)
    best = answer.ranked[0]
    assert what(best) in map(what, answer.frontier)
    assert (Label.RECOMMENDED in best.labels) == (Label.NEAREST not in best.labels)
    assert not any(beats(r, best) for r in seen)
    if Label.RECOMMENDED in best.labels:
        assert all(r.wall_clock_s.mid <= answer.request.longest_s for r in seen)
        assert all(r.wall_clock_s.mid <= (answer.request.deadline_s or np.inf) for r in seen)
        assert all(r.total_usd.mid <= (answer.request.budget_usd or np.inf) for r in seen)
        assert answer.would_help == ()
    else:
        assert answer.would_help


@pytest.mark.parametrize("options", FEW, ids=name)
def test_what_must_not_move_the_recommended(ask: Ask, options: dict[str, Any]) -> None:
    def best(prices: Callable[[PriceTable], PriceTable] = lambda table: table, **more: Any) -> Ranked:
        return ask(prices, **options, **more, top=1).ranked[0]

    def with_a_dearer_one(table: PriceTable) -> PriceTable:
        dear = (replace(o, region="dear") for o in every(lambda _, price: 1.05 * price.usd_per_h)(table).offers)
        return replace(table, offers=(*dear, *table.offers))

    free = best()
    high = free.total_usd.high
    assert what(best(with_a_dearer_one)) == what(free)
    for budget in (1.001 * high, 10.0 * high):
        assert what(best(budget_usd=budget)) == what(free)
    assert what(best(horizon_s=1.001 * free.wall_clock_s.mid)) == what(free)
    assert what(best(horizon_s=1000 * DAY_S, deadline_s=90 * DAY_S)) == what(free)


@pytest.mark.parametrize("options", FEW, ids=name)
def test_prices_move_the_recommended_within_their_per_cents(ask: Ask, options: dict[str, Any]) -> None:
    plain, euros = (ask(every(lambda _, p, f=f: f * p.usd_per_h, fresh=True), **options, top=1) for f in (1.0, 0.92))
    before = plain.ranked[0]
    if "day_usd" not in options:
        assert what(euros.ranked[0]) == what(before)
    provider = before.quote.offer.instance.provider
    for factor in (1.02, 0.98):
        after = ask(
            every(lambda o, p, f=factor: (f if o.instance.provider == provider else 1 / f) * p.usd_per_h, fresh=True),
            **options,
            top=1,
        ).ranked[0]
        own = factor if after.quote.offer.instance.provider == provider else 1 / factor
        old = cost(plain, before.total_usd.mid, before.wall_clock_s.mid)
        new = cost(plain, after.total_usd.mid / own, after.wall_clock_s.mid)
        assert old * (1 - 1e-9) <= new <= old * 1.02**2 * (1 + 1e-9)


def test_a_run_of_a_dollar_is_recommended_for_about_a_dollar(ask: Ask) -> None:
    answer = ask(model="llama3-8b", method="lora", tokens=40e6, budget_usd=500.0)
    cheapest = answer.labelled(Label.CHEAPEST)
    assert cheapest is not None
    assert answer.recommended.total_usd.mid <= 2.0 * cheapest.total_usd.mid
    assert "meets the budget of $500, even at its high end" in answer.verdict


def test_a_day_that_is_worth_more_is_not_slower(ask: Ask) -> None:
    times = [ask(params=3e9, day_usd=worth, top=1).ranked[0].wall_clock_s.mid for worth in (1.0, 100.0, 1e4, 1e8)]
    assert times == sorted(times, reverse=True)
    assert times[0] > times[-1]
    answer = ask(params=1e9, day_usd=500.0)
    facts = {fact.name: fact for fact in answer.plan.facts}
    assert "$500" in answer.rule
    assert (facts["value of time"].value, facts["value of time"].origin) == ("$500 a day", "given")
