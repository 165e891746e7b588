"""Where nothing meets what was asked, what would: each change that is told of is tried."""

import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from zenplan.commands.estimate.screen import plans, price_age
from zenplan.domain.answer.answer import Answer, Label
from zenplan.domain.market.offer import Billing
from zenplan.errors import NoFit
from zenplan.units import DAY_S, HOUR_S, parse_duration_s, parse_usd

Ask = Callable[..., Answer]
FIELDS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "--billing": ("billing", Billing),
    "--budget": ("budget_usd", parse_usd),
    "--deadline": ("deadline_s", parse_duration_s),
    "--horizon": ("horizon_s", parse_duration_s),
}


def changed(change: str) -> dict[str, Any]:
    words = shlex.split(change)
    return {FIELDS[flag][0]: FIELDS[flag][1](value) for flag, value in zip(words[::2], words[1::2], strict=True)}


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ({"params": 7e9, "budget_usd": 500.0}, "--budget"),
        ({"params": 7e9, "deadline_s": HOUR_S}, "--deadline"),
        ({"params": 7e9, "deadline_s": HOUR_S, "budget_usd": 100.0}, "--budget --deadline"),
        ({"params": 7e9, "deadline_s": 3 * DAY_S, "budget_usd": 5000.0}, "--budget"),
        ({"params": 7e9, "deadline_s": DAY_S, "budget_usd": 7000.0}, "--deadline"),
        ({"params": 1e9, "budget_usd": 90.0}, "--budget --billing"),
        ({"params": 1e9, "billing": Billing.SPOT, "gpu": "b300", "budget_usd": 1.0}, "--budget"),
        ({"params": 1e6, "tokens": 1e8, "budget_usd": 0.001}, "--budget"),
        ({"model": "llama3-70b", "tokens": 1.5e13, "gpu": "h100"}, "--horizon"),
        ({"model": "llama3-70b", "tokens": 1.5e13, "gpu": "h100", "budget_usd": 1e6}, "--horizon --budget"),
        ({"params": 1e9, "horizon_s": 60.0}, "--horizon"),
        ({"params": 1e9, "horizon_s": 60.0, "deadline_s": 120.0}, ""),
        ({"params": 7e9, "gpu": "l40s", "gpus": 8, "deadline_s": DAY_S}, "--deadline"),
    ],
    ids=str,
)
def test_what_would_help_does(ask: Ask, options: dict[str, Any], flags: str) -> None:
    answer = ask(**options)
    assert Label.NEAREST in answer.ranked[0].labels
    assert answer.verdict
    told = " ".join(way.change for way in answer.would_help)
    assert set(flags.split()) <= set(told.split())
    assert answer.would_help
    for way in answer.would_help:
        found = ask(**{**options, **changed(way.change)})
        assert found.met
        if not {"horizon_s", "deadline_s"} <= options.keys():
            assert Label.RECOMMENDED in found.ranked[0].labels
        # It is the least that is enough: what was told of is there, and next to nothing is left of the limit.
        assert way.usd is not None
        for field, value, limit in (("budget_usd", way.usd, 1.011), ("deadline_s", way.wall_clock_s, 1.011)):
            if field in changed(way.change):
                assert value <= changed(way.change)[field] <= limit * value


@pytest.mark.parametrize(
    "options",
    [
        {"params": 7e9, "budget_usd": 500.0},
        {"params": 7e9, "deadline_s": 31 * DAY_S, "budget_usd": 5000.0},
        {"params": 13e9, "deadline_s": 20 * DAY_S, "budget_usd": 3000.0},
        {"params": 1e9, "budget_usd": 90.0},
    ],
    ids=str,
)
def test_nothing_that_is_told_of_is_nearer_than_the_nearest(ask: Ask, options: dict[str, Any]) -> None:
    answer = ask(**options)
    assert Label.NEAREST in answer.ranked[0].labels
    enough = [
        way.usd for way in answer.would_help if way.change.startswith("--budget") and "--billing" not in way.change
    ]
    assert enough
    assert answer.ranked[0].total_usd is not None
    assert enough[0] is not None
    # But for an old price, which leads where it helps to keep the budget, and else stands behind fresh ones.
    old = [", price " in way.text for way in answer.would_help if way.change.startswith("--budget")]
    assert old[0] or answer.ranked[0].total_usd.mid <= enough[0] * (1 + 1e-9)


@pytest.mark.parametrize(("budget", "met"), [(130.0, True), (95.0, False), (40.0, False)])
def test_an_old_price_leads_where_it_keeps_the_budget_and_nowhere_else(ask: Ask, budget: float, met: bool) -> None:
    answer = ask(params=1e9, budget_usd=budget)
    assert answer.met is met
    price = answer.recommended.price
    assert price is not None
    assert price.is_old(answer.today) is met
    assert ("no plan of a fresh price does" in answer.verdict) is met


def test_no_budget_that_is_smaller_is_enough(ask: Ask) -> None:
    (way,) = (w for w in ask(params=7e9, budget_usd=500.0).would_help if w.change.startswith("--budget"))
    assert way.usd is not None
    assert not ask(params=7e9, budget_usd=0.999 * way.usd).met


def test_no_earlier_day_is_met_at_that_budget(ask: Ask) -> None:
    options = {"params": 7e9, "budget_usd": 9000.0}
    (way,) = (w for w in ask(**options, deadline_s=DAY_S).would_help if w.change.startswith("--deadline"))
    assert not ask(**options, deadline_s=0.999 * way.wall_clock_s).met
    assert re.match(r"the soonest at that budget is \d+ \w+ \d{4}: \$", way.text)


def test_the_other_billing_is_told_of_where_it_would_do(ask: Ask) -> None:
    (way,) = (w for w in ask(params=1e9, budget_usd=90.0).would_help if w.change == "--billing spot")
    assert way.usd is not None
    assert way.usd <= 90.0
    assert way.text.startswith("spot would: $")


def test_a_price_that_nobody_has_says_what_the_other_costs(ask: Ask) -> None:
    with pytest.raises(NoFit, match="no offer that fits has a price under spot") as caught:
        ask(params=1e9, billing=Billing.SPOT, provider="lambda")
    assert re.fullmatch(r"try --billing on-demand: \$[\d,.]+ in .+, on [\d,]+ × .+ of lambda", caught.value.hint)


def test_what_is_met_needs_no_help(ask: Ask) -> None:
    assert ask(params=1e9).would_help == ()
    assert ask(params=1e9, deadline_s=DAY_S, budget_usd=1e6).would_help == ()


# --- the horizon


def test_nobody_waits_beyond_the_horizon(ask: Ask) -> None:
    answer = ask(params=30e9, top=50, max_gpus=64, provider="nebius", gpu="b200")
    assert answer.request.longest_s == 90 * DAY_S
    assert all(r.wall_clock_s.mid <= 90 * DAY_S for r in (*answer.ranked, *answer.frontier))
    assert any("take longer than 90.0 d" in line for line in answer.left_out)
    (fact,) = (fact for fact in answer.plan.facts if fact.name == "horizon")
    assert (fact.value, fact.origin) == ("90.0 d", "assumed")
    patient = ask(params=30e9, top=50, max_gpus=64, provider="nebius", gpu="b200", horizon_s=2000 * DAY_S)
    assert patient.ranked[0].quote == answer.ranked[0].quote
    assert not any("take longer than" in line for line in patient.left_out)


def test_a_later_deadline_is_a_later_horizon(ask: Ask) -> None:
    options = {"model": "llama3-70b", "tokens": 1.5e13, "gpu": "h100"}
    assert "nothing finishes within 90.0 d; the nearest takes" in ask(**options).verdict
    answer = ask(**options, deadline_s=400 * DAY_S)
    assert answer.request.longest_s == 400 * DAY_S
    assert answer.met
    assert Label.RECOMMENDED in answer.ranked[0].labels


def test_what_is_cheaper_by_an_old_price_is_said_beside_the_cheapest(ask: Ask) -> None:
    """Prices that are fresh stand before old ones; an old one that costs less is named where cheap is what was asked for."""
    answer = ask(params=7e9, budget_usd=800.0)
    named = answer.labelled(Label.CHEAPEST)
    assert named is not None
    assert named.total_usd is not None
    assert price_age(answer, named) == ""
    said = re.fullmatch(r"\$([\d,]+) on .+, price \d+ days old", answer.cheaper_old)
    assert said is not None
    assert float(said[1].replace(",", "")) < named.total_usd.mid
    assert plans(answer).caption == f"cheapest: of fresh prices; {answer.cheaper_old}"
    assert ask(params=7e9).cheaper_old == ""
