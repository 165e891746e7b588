"""What must hold for every request, over the bundled tables."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.commands.shared.training_plan import training_plan
from zenplan.domain.answer.answer import Answer
from zenplan.domain.market.offer import Billing, Offer, PriceTable, Terms
from zenplan.domain.training.layout import Layout
from zenplan.domain.training.request import Request
from zenplan.errors import NoFit
from zenplan.planning.physics.columns import Layouts
from zenplan.planning.physics.memory import peak_memory
from zenplan.plugins import load_plugins

LAZY = settings(max_examples=20, deadline=None, derandomize=True)
Ask = Callable[..., Answer]


def least(answer: Answer, billing: Billing = Billing.ON_DEMAND) -> tuple[float, float]:
    """Dollars of the cheapest, and seconds of the fastest, of the quotes shown."""
    bills = [b for r in answer.ranked if (b := r.quote.bill(billing)) is not None]
    return min(b.total_usd.mid for b in bills), min(b.run.wall_clock_s.mid for b in bills)


SIZES = st.floats(7.5, 10.5).map(lambda exponent: 10**exponent)


@LAZY
@given(params=SIZES, tokens=st.floats(1e7, 1e12), more=st.floats(1, 20), billing=st.sampled_from(list(Billing)))
def test_more_tokens_are_neither_cheaper_nor_faster(
    ask: Ask, of_today: Callable[[PriceTable], PriceTable], params: float, tokens: float, more: float, billing: Billing
) -> None:
    # On 8 devices of one kind, so that the same machines are compared and the best of them shown. Whether an old price
    # stands behind fresh ones depends on the dollars and the time of both, so on the tokens: all are as fresh here.
    options = {"params": params, "gpu": "h100", "gpus": 8, "billing": billing, "top": 50}
    try:
        few, many = (ask(of_today, tokens=t, **options) for t in (tokens, tokens * more))
    except NoFit:
        return
    for less, greater in zip(least(few, billing), least(many, billing), strict=True):
        assert less <= greater * (1 + 1e-9)


@LAZY
@given(params=SIZES, factor=st.floats(0.05, 20))
def test_dollars_are_linear_in_the_price(ask: Ask, params: float, factor: float) -> None:
    def dearer(offer: Offer) -> Offer:
        prices = {
            n: replace(p, usd_per_h=p.usd_per_h * factor)
            for n in ("on_demand", "spot")
            if (p := getattr(offer, n)) is not None
        }
        return replace(offer, **prices)

    def plain(table: PriceTable) -> PriceTable:
        # Storage and egress are not a machine's: without them every dollar is.
        free = dict.fromkeys(
            ("storage_usd_per_byte_s", "disk_usd_per_byte_s", "egress_usd_per_byte", "ingress_usd_per_byte"), 0.0
        )
        terms = Terms(provider=table.provider, granularity_s=1.0, **free, source="made up")
        return replace(table, terms=terms)

    options = {"params": params, "gpu": "a100-80gb", "max_gpus": 64}
    one = ask(plain, **options)
    other = ask(lambda t: replace(plain(t), offers=tuple(map(dearer, t.offers))), **options)
    for before, after in zip(one.ranked, other.ranked, strict=True):
        assert after.labels == before.labels
        for a, b in zip(before.quote.bills, after.quote.bills, strict=True):
            assert b.compute_usd.mid == pytest.approx(factor * a.compute_usd.mid)
            assert b.run == a.run


@LAZY
@given(params=SIZES, tokens=st.floats(1e6, 1e13), billing=st.sampled_from(list(Billing)))
def test_every_range_is_in_order(ask: Ask, params: float, tokens: float, billing: Billing, ranges: Any) -> None:
    answer = ask(params=params, tokens=tokens, billing=billing)
    for ranked in answer.ranked:
        found = ranges(ranked.quote)
        assert len(found) >= 4
        assert all(0 < r.low <= r.mid <= r.high for r in found)
        for bill in ranked.quote.bills:
            assert bill.run.wall_clock_s.mid > bill.run.steady_s.mid
            assert 0 < bill.run.goodput < 1
        assert sum(ranked.quote.estimate.step.parts().values()) == pytest.approx(ranked.quote.estimate.step_s.mid)


@LAZY
@given(params=SIZES, deadline=st.floats(3600, 1e7), tighter=st.floats(0.1, 1))
def test_a_tighter_deadline_is_not_cheaper(ask: Ask, params: float, deadline: float, tighter: float) -> None:
    loose, tight = (ask(params=params, deadline_s=d, max_gpus=256) for d in (deadline, deadline * tighter))
    if tight.met:
        assert loose.met
        dollars = []
        for answer in (loose, tight):
            bill = answer.ranked[0].quote.bill(Billing.ON_DEMAND)
            assert bill is not None
            dollars.append(bill.total_usd.mid)
        assert dollars[0] <= dollars[1] * (1 + 1e-9)


@LAZY
@given(params=SIZES, micro_batch=st.sampled_from([1, 2, 4, 16]), seq_len=st.sampled_from([512, 2048]))
def test_memory_grows_with_the_micro_batch_and_the_sequence(params: float, micro_batch: int, seq_len: int) -> None:
    families = load_plugins({"ZENPLAN_PLUGINS": ""}).workloads()

    def needs(micro: int, length: int) -> float:
        plan = training_plan(Request(params=params, seq_len=length), families)
        return float(peak_memory(plan, Layouts.of([Layout(micro_batch=micro)])).total_bytes[0])

    here = needs(micro_batch, seq_len)
    assert here < needs(2 * micro_batch, seq_len)
    assert here < needs(micro_batch, 2 * seq_len)
