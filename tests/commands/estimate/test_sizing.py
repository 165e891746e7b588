"""Without a model: the largest one that money, time or data are enough for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from zenplan import units
from zenplan.domain.answer.answer import Answer
from zenplan.domain.market.offer import Billing
from zenplan.errors import NoFit, UsageError
from zenplan.units import DAY_S

Ask = Callable[..., Answer]
Call = Callable[..., Any]


def high_ends(answer: Answer) -> list[tuple[float, float]]:
    """High dollars and high seconds of everything on the frontier."""
    return [(r.total_usd.high, r.wall_clock_s.high) for r in answer.frontier]


def size_of(answer: Answer) -> float:
    assert answer.request.params
    fact = next(f for f in answer.plan.facts if f.name == "parameters")
    assert fact.origin == "derived"
    assert "largest" in fact.why
    assert units.parse_count(fact.value) == pytest.approx(answer.request.params, rel=0.01)
    return answer.request.params


@pytest.mark.parametrize("budget", [50.0, 5000.0, 250_000.0])
def test_a_budget_alone_is_enough_for_a_size(ask: Ask, budget: float) -> None:
    answer = ask(budget_usd=budget)
    size = size_of(answer)
    assert answer.plan.tokens == pytest.approx(20 * size, rel=0.02)
    kept = [usd for usd, time_s in high_ends(answer) if usd <= budget and time_s <= 90 * units.DAY_S]
    assert kept
    # And not much more would have been.
    larger = ask(params=1.3 * size, budget_usd=budget)
    assert not [usd for usd, time_s in high_ends(larger) if usd <= budget and time_s <= 90 * units.DAY_S]


def test_more_money_is_a_larger_model(ask: Ask) -> None:
    sizes = [size_of(ask(budget_usd=budget)) for budget in (10.0, 100.0, 1e3, 1e4, 1e5)]
    assert sizes == sorted(set(sizes))


def test_a_budget_and_a_deadline_are_both_met(ask: Ask) -> None:
    alone, both = ask(budget_usd=500.0), ask(budget_usd=500.0, deadline_s=2 * units.DAY_S)
    assert size_of(both) <= size_of(alone)
    assert both.met
    assert [usd for usd, time_s in high_ends(both) if usd <= 500 and time_s <= 2 * units.DAY_S]


def test_a_deadline_on_so_many_devices(ask: Ask) -> None:
    week, month = (ask(gpu="H100", gpus=64, deadline_s=days * units.DAY_S) for days in (7, 30))
    assert size_of(week) < size_of(month)
    assert min(time_s for _, time_s in high_ends(week)) <= 7 * units.DAY_S


@pytest.mark.parametrize("given", [{"tokens": 20e9}, {"dataset_bytes": 80e9}])
def test_data_alone_are_enough_for_a_size(ask: Ask, given: dict[str, float]) -> None:
    answer = ask(**given)
    assert size_of(answer) == pytest.approx(1e9, rel=0.03)
    assert answer.plan.tokens == pytest.approx(20e9)


def test_data_and_a_budget_are_both_kept(ask: Ask) -> None:
    rich, poor = ask(tokens=20e9, budget_usd=1e6), ask(tokens=20e9, budget_usd=20.0)
    assert size_of(rich) == pytest.approx(1e9, rel=0.03)
    assert size_of(poor) < 5e8
    assert [usd for usd, _ in high_ends(poor) if usd <= 20.0]


def test_spot_is_enough_for_more(ask: Ask) -> None:
    assert size_of(ask(budget_usd=5000.0, billing=Billing.SPOT)) > size_of(ask(budget_usd=5000.0))


def test_a_cent_is_enough_for_nothing(ask: Ask) -> None:
    with pytest.raises(NoFit, match=r"no compute-optimal model .* \$0\.00"):
        ask(budget_usd=0.001)


def test_what_is_no_question_of_size_is_refused(ask: Ask) -> None:
    with pytest.raises(UsageError, match="nothing says what to train"):
        ask()
    with pytest.raises(UsageError, match="nothing says what to train"):
        ask(budget_usd=5000.0, samples=1000.0)
    with pytest.raises(UsageError, match="nothing says what to fine-tune"):
        ask(budget_usd=5000.0, method="lora")


def test_the_command_answers_a_budget(called: Call) -> None:
    ended = called("estimate", "--budget", "$5,000", "--gpu", "H100")
    assert ended.code == 0
    assert "parameters" in ended.out


@pytest.mark.parametrize(("budget_usd", "days"), [(5e3, 30), (2e4, 62), (2e4, 90), (1e5, 45)])
def test_the_plan_of_a_size_that_was_found_keeps_what_it_was_found_for(
    ask: Callable[..., Answer], budget_usd: float, days: float
) -> None:
    answer = ask(budget_usd=budget_usd, deadline_s=days * DAY_S)
    best = answer.recommended
    assert best.total_usd is not None
    assert best.total_usd.high <= budget_usd
    assert best.wall_clock_s.high <= days * DAY_S
