"""The use case on the bundled tables. Prices change; what holds for any of them is tested."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from zenplan.domain.answer.answer import Answer
from zenplan.domain.answer.estimate import Quote
from zenplan.domain.answer.fit import PLANNED_UP_TO
from zenplan.domain.market.offer import Billing, PriceTable
from zenplan.domain.provenance import Origin
from zenplan.errors import NoFit, UnknownName, UsageError
from zenplan.units import duration, parse_bytes

Ask = Callable[..., Answer]


def quotes(answer: Answer) -> list[Quote]:
    return [r.quote for r in answer.ranked]


def usd(quote: Quote, billing: Billing = Billing.ON_DEMAND) -> float:
    bill = quote.bill(billing)
    assert bill is not None
    return bill.total_usd.mid


def wall_clock_s(quote: Quote, billing: Billing = Billing.ON_DEMAND) -> float:
    bill = quote.bill(billing)
    assert bill is not None
    return bill.run.wall_clock_s.mid


def test_a_size_alone_is_answered(ask: Ask) -> None:
    answer = ask(params=1e9)
    assert answer.met
    assert answer.verdict == ""
    assert 1 <= len(answer.ranked) <= 5
    assert answer.plan.workload.parameters == pytest.approx(1e9, rel=0.02)
    assert answer.plan.tokens == pytest.approx(20e9, rel=0.02)  # Hoffmann et al. 2022
    assert answer.options > 1000
    labels = [label for ranked in answer.ranked for label in ranked.labels]
    assert sorted(labels) == ["cheapest", "fastest", "recommended"]
    assert "recommended" in answer.ranked[0].labels
    # Behind it, and on the frontier, from cheap to fast.
    for found in (answer.ranked[1:], answer.frontier):
        dollars = [usd(r.quote) for r in found]
        assert dollars == sorted(dollars)
        times = [wall_clock_s(r.quote) for r in found]
        assert times == sorted(times, reverse=True)


def test_every_quote_fits_and_holds_together(ask: Ask) -> None:
    for quote in quotes(ask(model="llama3-8b", top=20)):
        estimated = quote.estimate
        assert estimated.memory.total_bytes <= estimated.cluster.accelerator.memory_bytes
        assert estimated.layout.devices == estimated.cluster.devices
        assert quote.devices == estimated.layout.devices + quote.idle_devices
        assert 0 < estimated.mfu < 1
        assert estimated.cluster.accelerator.name == quote.offer.instance.accelerator
        bill = quote.bill(Billing.ON_DEMAND)
        assert bill is not None
        price = quote.offer.price(Billing.ON_DEMAND)
        assert price is not None
        assert bill.compute_usd.mid == pytest.approx(bill.billed_h * price.usd_per_h * quote.nodes)
        assert bill.billed_h * 3600 >= bill.run.wall_clock_s.mid * (1 - 1e-12)


@pytest.mark.parametrize("name", ["h100", "H100-SXM5-80GB", "NVIDIA H100 80GB HBM3"])
def test_one_accelerator(ask: Ask, name: str) -> None:
    found = quotes(ask(params=1e9, gpu=name, top=20))
    assert {q.offer.instance.accelerator for q in found} == {"H100-SXM5-80GB"}


def test_one_provider(ask: Ask) -> None:
    assert {q.offer.instance.provider for q in quotes(ask(params=1e9, provider="aws", top=20))} == {"aws"}


def test_one_region(ask: Ask) -> None:
    found = quotes(ask(params=1e9, provider="aws", region="us-east-1", top=20))
    assert {q.offer.region for q in found} == {"us-east-1"}


def test_a_number_of_devices(ask: Ask) -> None:
    for quote in quotes(ask(params=1e9, gpus=16, top=20)):
        assert quote.estimate.layout.devices == 16


def test_twelve_devices_of_machines_with_eight_leave_four_idle(ask: Ask) -> None:
    answer = ask(params=1e9, gpus=12, gpu="h100", top=20)
    eights = [q for q in quotes(answer) if q.offer.instance.devices == 8]
    assert eights
    for quote in eights:
        assert quote.nodes == 2
        assert quote.estimate.cluster.devices == 12
        assert (quote.devices, quote.idle_devices) == (16, 4)
        bill, price = quote.bill(Billing.ON_DEMAND), quote.offer.price(Billing.ON_DEMAND)
        assert bill is not None
        assert price is not None
        assert bill.compute_usd.mid == pytest.approx(bill.billed_h * price.usd_per_h * 2)


@pytest.mark.parametrize("most", [8, 64, 256])
def test_the_largest_cluster(ask: Ask, most: int) -> None:
    found = quotes(ask(model="llama3-8b", gpu="h100", max_gpus=most, top=50))
    assert max(q.devices for q in found) == most
    assert all(q.devices <= most for q in found)


def test_top_is_the_most_that_is_shown(ask: Ask) -> None:
    for top in (1, 2, 7):
        assert len(ask(params=1e9, top=top).ranked) <= top
    assert ask(params=1e9, top=1).ranked[0].labels[0] == "recommended"


def test_spot_is_ranked_by_spot(ask: Ask) -> None:
    found = ask(params=1e9, billing=Billing.SPOT)
    dollars = [usd(q, Billing.SPOT) for q in quotes(found)[1:]]
    assert dollars == sorted(dollars)
    for quote in quotes(found):
        if quote.bill(Billing.ON_DEMAND) is not None:
            assert wall_clock_s(quote, Billing.SPOT) > wall_clock_s(quote)


def test_a_deadline_that_can_be_met(ask: Ask) -> None:
    free = ask(params=1e9)
    deadline = 0.5 * wall_clock_s(free.ranked[0].quote)
    bound = ask(params=1e9, deadline_s=deadline)
    best = bound.ranked[0]
    assert bound.met
    assert "recommended" in best.labels
    assert best.wall_clock_s.high <= deadline
    assert usd(best.quote) >= usd(free.ranked[0].quote)
    assert f"meets the deadline of {duration(deadline)}, even at its high end" in bound.verdict
    assert all(r.wall_clock_s.mid <= deadline for r in (*bound.ranked, *bound.frontier))


def test_a_deadline_that_cannot_be_met(ask: Ask) -> None:
    answer = ask(params=1e9, deadline_s=60.0)
    assert not answer.met
    assert "misses the deadline of 1.00 min by" in answer.verdict
    assert {"nearest", "fastest"} <= set(answer.ranked[0].labels)
    fastest = next(r for r in ask(params=1e9, top=50).ranked if "fastest" in r.labels)
    assert wall_clock_s(answer.ranked[0].quote) <= wall_clock_s(fastest.quote)


def test_a_budget_that_can_be_met(ask: Ask) -> None:
    answer = ask(params=1e9, budget_usd=1000.0)
    assert answer.met
    assert usd(answer.ranked[0].quote) <= 1000
    assert "meets the budget of $1,000" in answer.verdict
    larger = ask(params=1e9, budget_usd=3000.0)
    assert wall_clock_s(larger.ranked[0].quote) <= wall_clock_s(answer.ranked[0].quote)


def test_a_budget_that_cannot_be_met(ask: Ask, of_today: Callable[[PriceTable], PriceTable]) -> None:
    # Fresh prices that miss the budget hold no old one back, where without a budget they do: all are as fresh here.
    answer = ask(of_today, params=1e9, budget_usd=1.0)
    assert not answer.met
    cheapest = usd(next(r.quote for r in ask(of_today, params=1e9).ranked if "cheapest" in r.labels))
    assert usd(answer.ranked[0].quote) == pytest.approx(cheapest)
    assert "misses the budget of $1.00 by" in answer.verdict


@pytest.mark.parametrize(
    ("options", "kind", "meant"),
    [
        ({"gpu": "h10"}, "accelerator", "H100"),
        ({"provider": "awss"}, "provider", "aws"),
        ({"provider": "aws", "region": "us-east1"}, "region of aws", "us-east-1"),
        ({"optimizer": "adam"}, "optimizer", "adamw"),
        ({"method": "loraa"}, "method", "lora"),
        ({"precision": "bf61"}, "precision", "bf16"),
    ],
)
def test_an_unknown_name_has_a_hint(ask: Ask, options: dict[str, Any], kind: str, meant: str) -> None:
    with pytest.raises(UnknownName, match=f"unknown {kind} '") as caught:
        ask(params=1e9, **options)
    assert caught.value.hint.startswith("did you mean ")
    assert meant.casefold() in caught.value.hint.casefold()


def test_an_unknown_model_has_a_hint(ask: Ask) -> None:
    with pytest.raises(UnknownName, match="unknown model 'lama3-8b'") as caught:
        ask(model="lama3-8b")
    assert "llama3-8b" in caught.value.hint


def test_known_names_that_nobody_has_together(ask: Ask) -> None:
    with pytest.raises(NoFit, match="no offer in the price tables has TPU-v4 aws"):
        ask(params=1e9, gpu="tpu-v4", provider="aws")


def test_what_does_not_fit_says_by_how_much(ask: Ask) -> None:
    with pytest.raises(NoFit, match="does not fit: 1 × H100-SXM5-80GB needs ") as caught:
        ask(model="llama3-70b", gpu="h100", gpus=1)
    needs, has, short = (parse_bytes(x) for x in re.findall(r"[\d.]+ [GT]B", caught.value.message))
    assert needs - PLANNED_UP_TO * has == pytest.approx(short, rel=0.01)
    # 18 bytes for each of 70.6 billion parameters are the least of it.
    assert needs > 18 * 70.6e9
    assert has < 86e9
    assert "more --gpus" in caught.value.hint
    assert caught.value.exit_code == 3


def test_a_v100_has_no_bf16_but_fp16(ask: Ask) -> None:
    with pytest.raises(NoFit) as caught:
        ask(params=1e8, gpu="v100", precision="bf16")
    assert caught.value.hint == "try --precision fp16; V100-SXM2-16GB has fp16, fp32"
    answer = ask(params=1e8, gpu="v100")
    assert {q.offer.instance.accelerator for q in quotes(answer)} == {"V100-SXM2-16GB"}
    (fact,) = (f for f in answer.plan.facts if f.name == "precision")
    assert (fact.value, fact.origin) == ("fp16", Origin.ASSUMED)
    # With another that has the usual precision, that is kept.
    assert ask(params=1e8, gpu=("v100", "a100")).plan.precision.name == "bf16"


def test_fine_tuning_needs_less_memory(ask: Ask) -> None:
    with pytest.raises(NoFit):
        ask(model="llama3-8b", gpu="h100", gpus=1)
    lora, qlora = (
        quotes(ask(model="llama3-8b", gpu="h100", gpus=1, method=m, tokens=1e8))[0].estimate.memory
        for m in ("lora", "qlora")
    )
    # 8 billion weights in 16 bits, and in a little over four with the two tables of a billion in 16.
    assert lora.weights_bytes == pytest.approx(16.1e9, rel=0.02)
    assert qlora.weights_bytes == pytest.approx(7.0e9 * 4.127 / 8 + 2 * 1.05e9, rel=0.03)
    assert lora.optimizer_bytes < 1e9


def test_the_data_may_be_given_in_bytes_and_read_several_times(ask: Ask) -> None:
    # Four bytes a token of English text.
    assert ask(params=1e9, dataset_bytes=4e9).plan.tokens == pytest.approx(1e9)
    assert ask(params=1e9, dataset_bytes=4e9, epochs=3.0).plan.tokens == pytest.approx(3e9)
    assert ask(params=1e9, tokens=2e9, epochs=2.0).plan.tokens == pytest.approx(4e9)


def test_the_batch_may_be_given(ask: Ask) -> None:
    answer = ask(params=1e9, seq_len=1024, global_batch_tokens=1e6)
    # 976.6 sequences: 1,024 is within 5 % and divides among any usual number of devices.
    assert answer.plan.global_batch == 1024
    for quote in quotes(answer):
        layout = quote.estimate.layout
        assert 1024 <= layout.global_batch < 1024 + layout.dp * layout.micro_batch


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "nothing says what to train"),
        ({"params": 1e9, "model": "llama3-8b"}, "--params and --model contradict"),
        ({"params": 1e9, "tokens": 1e9, "dataset_bytes": 1e9}, "contradict"),
        ({"model": "llama3-8b", "active_params": 1e9}, "active parameters do not go with a model"),
        ({"params": 1e9, "tokens": 1e18, "epochs": 10.0}, "beyond what zenplan plans for"),
        ({"params": 1e9, "global_batch_tokens": 100.0}, "less than one sequence"),
    ],
)
def test_a_request_that_cannot_be_meant(ask: Ask, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        ask(**options)
    assert caught.value.hint


def test_what_was_assumed_is_said(ask: Ask) -> None:
    facts = {f.name: f for f in ask(params=1e9, tokens=1e9).plan.facts}
    assert facts["tokens"].origin == "given"
    assert facts["precision"].origin == "assumed"
    assert {"global batch", "optimizer", "method", "attention", "sequence length"} <= set(facts)


def test_what_was_left_out_is_said(ask: Ask) -> None:
    lines = ask(params=1e9).left_out
    assert any(line.startswith("no bf16 peak in the data sheet: ") and "V100-SXM2-16GB" in line for line in lines)
    assert any("clusters do not fit; the nearest: " in line for line in lines)


def test_a_mixture_of_experts_is_priced_by_what_is_active(ask: Ask) -> None:
    dense, mixed = (
        ask(params=8e9, tokens=1e10, gpu="h100", gpus=64, seq_len=4096, global_batch_tokens=2**21, **more)
        for more in ({}, {"active_params": 2e9})
    )
    assert usd(mixed.ranked[0].quote) < 0.8 * usd(dense.ranked[0].quote)


def test_fewer_devices_are_told_of_where_they_are_faster_and_cheaper(ask: Ask) -> None:
    options = {"model": "llama3-8b", "gpu": "h100", "tokens": 1e11, "provider": "nebius", "top": 1}
    # A batch of its own divides over 1,001 devices as well as over 1,000; one that is given does not.
    options["global_batch_tokens"] = 2**22
    odd = ask(gpus=1001, **options)
    told = [line for line in odd.left_out if "not asked for" in line]
    assert len(told) == 1
    found = re.search(r"([\d,]+) of these devices would take (\d+) % less time and cost (\d+) % less", told[0])
    assert found is not None
    fewer = ask(gpus=int(found[1].replace(",", "")), **options).ranked[0].bill
    own = odd.ranked[0].bill
    assert int(found[2]) == pytest.approx(100 * (1 - fewer.run.wall_clock_s.mid / own.run.wall_clock_s.mid), abs=1)
    assert int(found[3]) == pytest.approx(100 * (1 - fewer.total_usd.mid / own.total_usd.mid), abs=1)
    for gpus in (3, 64, 1000):
        assert not any("not asked for" in line for line in ask(gpus=gpus, **options).left_out)


def test_a_processor_is_planned_with_where_it_is_asked_for_and_says_so(ask: Ask) -> None:
    answer = ask(params=124e6, tokens=1e8, gpu=("graviton4",))
    assert {q.offer.instance.provider for q in quotes(answer)} == {"aws"}
    facts = {fact.name: fact for fact in answer.plan.facts}
    assert "CPU" in facts["processor"].why
    assert facts["precision"].value == "fp32"
    best = answer.recommended.quote
    assert best.estimate.grounds == "assumed"
    assert best.estimate.cluster.accelerator.memory_bytes == best.offer.instance.ram_bytes
    span = best.estimate.step_s
    on_gpus = ask(params=124e6, tokens=1e8, gpu=("h100",)).recommended.quote.estimate.step_s
    assert span.high / span.mid > 1.5 * on_gpus.high / on_gpus.mid
    anywhere = ask(params=124e6, tokens=1e8, top=50)
    assert not any(q.estimate.cluster.accelerator.is_processor for q in quotes(anywhere))


def test_ranges_of_devices_without_a_fitted_run_of_their_maker_are_assumed(ask: Ask) -> None:
    for gpu, grounds in (("M2-Max", "assumed"), ("Gaudi3", "published"), ("L4", "published")):
        assert ask(model="resnet50", samples=20_000.0, gpu=(gpu,)).recommended.quote.estimate.grounds == grounds


def test_what_moves_it_cuts_texts_as_the_plan_does(ask: Ask) -> None:
    options: dict[str, Any] = {"model": "llama3-8b", "method": "lora", "samples": 50_000.0, "gpu": ("h100",)}
    options |= {"data_kind": "documents", "seq_len": 512}
    changed = [e for e in ask(**options).sensitivity if e.input == "tokens of a sample"]
    assert not changed  # 540 and 1,800 tokens are both cut to 512, as 700 are
    (wide,) = (e for e in ask(**{**options, "seq_len": 1024}).sensitivity if e.input == "tokens of a sample")
    assert [change.value for change in wide.changes] == ["540", "1.02K"]


def test_what_moves_it_names_the_assumed_price_that_makes_the_bill_wide(ask: Ask) -> None:
    answer = ask(model="dlrm", samples=1e9)
    best = answer.recommended
    assert best.total_usd is not None
    assert best.total_usd.high > 10 * best.total_usd.mid
    first = answer.sensitivity[0]
    assert first.input == "data in"
    low, high = (change.usd for change in first.changes)
    assert low is not None
    assert high is not None
    assert low < best.total_usd.mid < high <= best.total_usd.high
    # At the low end nothing waits for samples, too: they were prepared in advance.
    assert best.total_usd.low <= low < 0.1 * best.total_usd.mid


def test_ones_own_processor_is_planned_with_without_a_price(ask: Ask) -> None:
    answer = ask(params=124e6, tokens=1e8, gpu=("i9-13900K",))
    assert {q.offer.instance.provider for q in quotes(answer)} == {"own"}
    assert "assumed" in next(fact.why for fact in answer.plan.facts if fact.name == "memory of the machine")
