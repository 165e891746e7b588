"""The parts of a bill: they add up, and each is what its name says."""

from collections.abc import Callable
from typing import Any

import pytest

from zenplan.domain.answer.answer import Answer
from zenplan.domain.market.offer import Billing
from zenplan.planning.money.parts import bill_parts

Ask = Callable[..., Answer]

REQUESTS: tuple[dict[str, Any], ...] = (
    {"params": 1e9, "tokens": 2e8, "gpu": "H100", "gpus": 8},
    {"params": 1e9, "tokens": 2e8, "gpu": "H100", "gpus": 3},
    {"params": 7e9, "gpu": "a100-80gb", "max_gpus": 64, "billing": Billing.SPOT},
    {"model": "resnet50", "gpu": "H100", "gpus": 8},
    {"params": 1e9, "gpu": "H100", "gpus": 16, "usd_per_h": 2.5},
    {"model": "llama3-8b", "tokens": 1e12, "gpu": "H100", "gpus": 512},
)


@pytest.mark.parametrize("request_", REQUESTS)
def test_each_case_adds_up_to_that_end_of_the_total(ask: Ask, request_: dict[str, Any]) -> None:
    answer = ask(**request_)
    for ranked in answer.ranked:
        for bill in ranked.quote.bills:
            parts = bill_parts(answer.operations, ranked.quote, bill)
            total = bill.total_usd
            if total is None:
                assert parts == ()
                continue
            for case in ("low", "mid", "high"):
                found = sum(getattr(part, f"{case}_usd") for part in parts)
                assert found == pytest.approx(getattr(total, case), rel=1e-9, abs=5e-3)
            assert all(part.low_usd >= -1e-6 for part in parts if part.name != "rounding and minimum")


def test_bare_metal_is_billed_its_minimum(ask: Ask) -> None:
    best = ask(params=1e9, tokens=2e8, gpu="H100", gpus=8, provider="oci").recommended
    assert best.wall_clock_s.high < 1800
    assert best.bill.billed_h == pytest.approx(1.0)
    assert best.price is not None
    assert best.bill.compute_usd is not None
    assert best.bill.compute_usd.mid == pytest.approx(best.price.usd_per_h)
    # A virtual machine of the same provider is billed by the second.
    small = ask(params=1e8, tokens=2e6, gpu="A10", gpus=1, provider="oci").recommended
    assert small.bill.billed_h * 3600 == pytest.approx(small.wall_clock_s.mid, abs=1.0)


def test_devices_that_stand_idle_are_a_part(ask: Ask) -> None:
    answer = ask(params=1e8, tokens=1e9, gpu="H100", gpus=3, provider="oci")
    quote, bill = answer.recommended.quote, answer.recommended.bill
    assert quote.idle_devices
    parts = {part.name: part for part in bill_parts(answer.operations, quote, bill)}
    assert bill.compute_usd is not None
    share = quote.idle_devices / quote.devices
    assert parts["idle devices"].mid_usd == pytest.approx(share * bill.compute_usd.mid)


def test_spot_loses_more_to_failed_attempts(ask: Ask) -> None:
    answer = ask(params=1e9, tokens=2e10, gpu="a100-80gb", gpus=8, billing=Billing.SPOT, top=20)
    quote = next(ranked.quote for ranked in answer.ranked if len(ranked.quote.bills) == 2)
    lost = {}
    for bill in quote.bills:
        parts = {part.name: part for part in bill_parts(answer.operations, quote, bill)}
        lost[bill.billing] = parts["failed attempts"].mid_usd / parts["training steps"].mid_usd
    assert lost[Billing.SPOT] > lost[Billing.ON_DEMAND] > 0
