"""The first screen: it fits a terminal, its names are whole, and it says what the document says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from zenplan.adapters.formats import table
from zenplan.commands.estimate.report import estimate_report
from zenplan.commands.estimate.screen import day, plans, price_age, title, verdict
from zenplan.domain.answer.answer import Answer, Label
from zenplan.domain.answer.fit import Fit
from zenplan.domain.market.offer import OLD_DAYS
from zenplan.domain.provenance import Origin
from zenplan.domain.training.operations import Operations
from zenplan.errors import UsageError
from zenplan.planning.money.run import production_share
from zenplan.units import duration, usd

Ask = Callable[..., Answer]
# As different as they come: sizes from a table's network to 671B, given and assumed, met and missed, spot, idle devices.
ASKED: dict[str, dict[str, Any]] = {
    "a size": {"params": 1e9},
    "a small one": {"params": 3e6},
    "a large one": {"model": "llama3-405b"},
    "a mixture": {"model": "deepseek-v3"},
    "on spot": {"model": "mixtral-8x7b", "spot": True},
    "fine-tuning": {"model": "llama3-8b", "method": "lora", "tokens": 1e7},
    "images": {"model": "resnet50"},
    "few images": {"model": "unet", "samples": 5000, "epochs": 30, "batch": 16},
    "speech": {"model": "whisper-small", "samples": 1e5, "epochs": 3, "batch": 32},
    "a budget missed": {"params": 7e9, "budget_usd": 100.0},
    "a budget kept": {"params": 1e8, "budget_usd": 1000.0},
    "a deadline": {"params": 7e9, "deadline_s": 14 * 86400.0},
    "both": {"params": 7e9, "deadline_s": 86400.0, "budget_usd": 10.0},
    "devices that stand idle": {"params": 1e9, "gpus": 3},
    "one kind": {"params": 13e9, "gpu": "H100", "gpus": 64},
    # Names of inputs and notes on the amount that need more than a line each.
    "few texts": {"model": "llama3-8b", "samples": 50.0},
    "one text": {"params": 70e9, "samples": 1.0},
    "texts of a small one": {"params": 3e6, "samples": 5e4, "precision": "tf32"},
    "a provider of long names": {"params": 7e9, "samples": 1e6, "provider": "runpod"},
    "all of it given": {"params": 1e9, "tokens": 1e9, "seq_len": 2048, "precision": "bf16", "software": "fused"},
}


@pytest.fixture(scope="module", params=ASKED, ids=str)
def answer(request: pytest.FixtureRequest, ask: Callable[..., Answer]) -> Answer:
    from zenplan.domain.market.offer import Billing

    options = dict(ASKED[request.param])
    billing = Billing.SPOT if options.pop("spot", False) else Billing.ON_DEMAND
    return ask(billing=billing, **options)


@pytest.fixture(scope="module")
def screen(answer: Answer) -> str:
    return table(estimate_report(answer), width=80)


def test_it_fits_a_terminal(screen: str) -> None:
    lines = screen.splitlines()
    assert len(lines) <= 24, screen
    assert max(map(len, lines)) <= 80


def test_the_verdict_comes_first_and_is_of_the_recommended(answer: Answer, screen: str) -> None:
    verdict = " ".join(screen.partition("\n\n")[0].split())
    best = answer.recommended
    for told in (usd(best.total_usd.mid), duration(best.wall_clock_s.mid), duration(best.wall_clock_s.high)):
        assert told in verdict
    assert answer.finish is not None
    assert day(answer.finish) in verdict
    if not answer.met:
        assert "othing meets" in verdict


def test_names_are_whole(answer: Answer, screen: str) -> None:
    for label in Label:
        ranked = answer.labelled(label)
        if ranked:
            instance = ranked.quote.offer.instance
            assert label in screen
            assert instance.name in screen
            assert instance.accelerator in screen
            assert instance.provider in screen


def test_a_price_that_is_old_or_has_no_date_is_marked(answer: Answer, screen: str) -> None:
    for label in Label:
        ranked = answer.labelled(label)
        if ranked is None:
            continue
        price = ranked.quote.offer.price(ranked.bill.billing)
        assert price is not None
        fresh = price.as_of is not None and (answer.today - price.as_of).days <= OLD_DAYS
        assert ranked.total_usd is not None
        assert fresh == (price_age(answer, ranked) == "")
        figure = re.escape(usd(ranked.total_usd.mid))
        assert re.search(rf"{figure}{'' if fresh else '[*]'}(?![\d*])", screen.partition("\n\n")[2])


def test_what_moves_it_most_was_not_given(answer: Answer, screen: str) -> None:
    told = screen.partition("what moves it most")[2]
    given = [e.input for e in answer.sensitivity if e.origin is Origin.GIVEN]
    assert not [name for name in given if re.search(rf"^{name}: ", told, re.MULTILINE)]
    assumed = [e for e in answer.sensitivity if e.origin is not Origin.GIVEN]
    # What would meet a wish that nothing meets may take the room.
    assert bool(told) or not assumed or not answer.met
    if told:
        assert assumed[0].input in told


def test_effects_are_what_another_request_finds(ask: Callable[..., Answer]) -> None:
    """On the same machines and in the same batch, an effect and an estimate of its own say the same."""
    pinned = {"params": 1e9, "gpu": "H100", "gpus": 8, "provider": "aws", "batch": 128, "seq_len": 4096}
    answer = ask(**pinned, tokens=2e10)
    (effect,) = (e for e in answer.sensitivity if e.input == "tokens")
    for change, tokens in zip(effect.changes, (1e10, 4e10), strict=True):
        alone = ask(**pinned, tokens=tokens).recommended
        assert change.wall_clock_s == pytest.approx(alone.wall_clock_s.mid, rel=1e-6)
        assert change.usd == pytest.approx(alone.total_usd.mid, rel=1e-6)
    (effect,) = (e for e in answer.sensitivity if e.input == "software")
    alone = ask(**pinned, tokens=2e10, software="eager").recommended
    assert effect.changes[0].wall_clock_s == pytest.approx(alone.wall_clock_s.mid, rel=1e-6)


def test_a_change_that_may_run_out_of_memory_says_so(ask: Callable[..., Answer]) -> None:
    asked: dict[str, Any] = {"model": "llama3-8b", "tokens": 1e9, "gpu": "3090", "gpus": 8}
    (effect,) = (e for e in ask(**asked).sensitivity if e.input == "software")
    (change,) = effect.changes
    assert change.tight == (ask(**asked, software=change.value).recommended.quote.estimate.fit is Fit.TIGHT) is True
    assert not any(c.tight for e in ask(params=1e9).sensitivity for c in e.changes)


def test_effects_come_farthest_first_and_in_order(answer: Answer) -> None:
    best = answer.recommended
    times = {e.input: [c.wall_clock_s for c in e.changes] for e in answer.sensitivity}
    for name in ("tokens", "images", "samples", "overhead", "start-up"):
        if name in times:
            less, more = times[name]
            assert less <= best.wall_clock_s.mid <= more
    if "MFU" in times:
        slow, fast = times["MFU"]
        assert slow >= best.wall_clock_s.mid >= fast


def test_the_range_of_one_plan_does_not_stand_beside_another_name(answer: Answer) -> None:
    """Of a plan with several labels, all but the first say that they are that plan."""
    for first, *others in (row[0].splitlines() for row in plans(answer).rows):
        assert first in set(Label)
        assert all(name.startswith("= ") and name.removeprefix("= ") in set(Label) for name in others)


def test_passes_are_said_where_there_are_several(answer: Answer) -> None:
    told, plan = title(answer), answer.plan
    assert (f"({plan.epochs:.3g} " in told) == (plan.epochs > 1)
    assumed = any(fact.name == "epochs" and fact.origin is Origin.ASSUMED for fact in plan.facts)
    assert ("assumed passes" in told) == (assumed and plan.epochs > 1)
    assert ("passes over the data" in {each.input for each in answer.sensitivity}) == assumed


def test_own_machines_for_nothing_have_no_dollars(ask: Ask) -> None:
    own = ask(params=1e9, gpu="H100", gpus=8, usd_per_h=0.0)
    told = table(estimate_report(own), width=80)
    verdict = told.partition("\n\n")[0]
    assert "at $0 an hour" in " ".join(verdict.split())
    assert "$0.00" not in verdict
    assert "experiments" not in told
    assert "$" not in told.partition("what moves it most")[2]


def test_what_has_no_price_says_so_in_a_sentence_of_its_own(ask: Ask) -> None:
    told = " ".join(verdict(ask(params=1e9, gpu="H20", gpus=8)).split())
    assert "takes about no price" not in told
    assert "--usd-per-hour" in told


@pytest.mark.parametrize("wish", [{"tokens": 1e10}, {"budget_usd": 5000.0}])
def test_a_size_that_was_found_is_said_on_the_screen(wish: dict[str, float], ask: Ask) -> None:
    said = ask(**wish).judgement[0]
    assert "the largest" in said
    assert "--params" in said


@pytest.mark.parametrize(("params", "gpus"), [(4e8, 8), (7e9, 8), (7e9, 512)])
def test_the_overhead_is_that_of_a_run_of_its_size(params: float, gpus: int, ask: Ask) -> None:
    answer = ask(params=params, gpu="H100", gpus=gpus)
    (effect,) = (e for e in answer.sensitivity if e.input == "overhead")
    operations = Operations()
    steady_s = answer.ranked[0].bill.run.steady_s.mid
    usual = 1 + (operations.production[1] - 1) * production_share(operations, float(gpus), steady_s)
    assert float(effect.value.removeprefix("× ")) == pytest.approx(usual, abs=0.01)
    least, most = effect.changes
    assert least.wall_clock_s < most.wall_clock_s


@pytest.mark.parametrize(("variables", "coloured"), [({"FORCE_COLOR": "1"}, True), ({}, False)])
def test_colour_can_be_asked_for(
    called: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], coloured: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    out = called("estimate", "--params", "1e9").out
    assert ("\x1b[" in out) == coloured
    if coloured:
        (row,) = (line for line in out.splitlines() if "recommended" in line and "×" in line)
        assert "\x1b[1;32m" in row


def test_what_no_software_has_is_not_offered(ask: Ask) -> None:
    """Products of weights of four bits are in bf16, and convolutions in nothing narrower."""
    tuned: dict[str, Any] = {"model": "llama3-70b", "samples": 1e4, "gpu": "H100", "gpus": 1, "method": "qlora"}
    for asked in (tuned, {"model": "sdxl", "samples": 1e4, "gpu": "H100", "gpus": 1}):
        assert "precision" not in {effect.input for effect in ask(**asked).sensitivity}
    with pytest.raises(UsageError, match="qlora in fp8"):
        ask(**tuned, precision="fp8", software="axolotl")


def test_what_decides_a_wide_range_of_dollars_is_said(ask: Ask) -> None:
    wide, narrow = ask(model="dlrm", gpu="RTX-4090", gpus=1), ask(params=1e9, gpu="H100", gpus=8)
    total = wide.recommended.total_usd
    assert total is not None
    assert total.high > 10 * total.low
    assert "What makes that so wide is data in" in verdict(wide)
    assert "so wide" not in verdict(narrow)
