"""Whether processors keep up with devices, and what else limits a step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from zenplan.domain.answer.estimate import Quote
from zenplan.domain.market.offer import Billing, Instance, Offer, Price
from zenplan.domain.model.operators import Convolution, Elementwise, Recurrent, Split
from zenplan.domain.model.workload import INPUTS, Block
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.explain.derivation import LIMITS, derive
from zenplan.planning.explain.line import Line
from zenplan.planning.money.options import Option
from zenplan.planning.money.quotes import market
from zenplan.planning.physics.input_pipeline import PREPARATIONS, supply

CONVOLUTION = Convolution(
    name="3 × 3",
    positions=3136,
    window=9,
    inputs=64,
    outputs=64,
    groups=2,
    input_elements=200_704,
    output_elements=200_704,
)
NORM = Elementwise(name="norm", elements=200_704, passes=3, split=Split.NONE, saved=200_704, weights=128)
STEPS = Recurrent(name="state", steps=50, inner=512, columns=2048, kernels=12)


def made(make: Any, *operators: Any, kind: str = "image") -> TrainingPlan:
    """A plan of one block with these operators."""
    load = replace(make.only(*operators), unit="images", input=kind)
    plan: TrainingPlan = make.plan(load, samples=1e6, global_batch=256)
    return plan


def quoted(make: Any, plan: TrainingPlan, vcpus: int | None = 96, nodes: int = 1, **efficiency: float) -> Quote:
    machine = Instance(
        provider="p", name="m8", accelerator="Round-80GB", devices=8, vcpus=vcpus, network_bytes_per_s=10e9
    )
    offer = Offer(instance=machine, region="here", on_demand=Price(usd_per_h=20.0, as_of=None, source="a list"))
    option = Option(offer=offer, terms=None, nodes=nodes, cluster=0)
    found = market(plan, Operations(), [make.cluster(nodes=nodes, efficiency=efficiency)], [option])
    quote: Quote = found.quote(0, Billing.ON_DEMAND, lambda provider, region: None)
    return quote


def derived(plan: TrainingPlan, quote: Quote) -> dict[tuple[str, str], Line]:
    bill = quote.bill(Billing.ON_DEMAND)
    assert bill is not None
    return {(line.group, line.quantity): line for line in derive(plan, Operations(), quote, bill)}


# --- the input pipeline


def test_every_kind_of_input_has_a_figure_with_its_source() -> None:
    assert set(PREPARATIONS) == set(INPUTS) - {""}
    for preparation in PREPARATIONS.values():
        assert 1e-7 < preparation.vcpu_s < 1.0
        assert len(preparation.source) > 20


def test_processors_of_all_machines_count(make: Any) -> None:
    plan = made(make, CONVOLUTION)
    one, two = (supply(plan.workload, quoted(make, plan, nodes=n)) for n in (1, 2))
    assert one is not None
    assert two is not None
    assert (one.vcpus, two.vcpus) == (96, 192)
    assert one.prepared_per_s == pytest.approx(96 * 125)
    assert two.prepared_per_s == pytest.approx(2 * one.prepared_per_s)
    assert one.taken_per_s == quoted(make, plan).estimate.samples_per_s


def test_where_processors_are_too_few_the_devices_would_wait(make: Any) -> None:
    plan = made(make, CONVOLUTION)
    few, many = (supply(plan.workload, quoted(make, plan, vcpus=v)) for v in (8, 10**7))
    assert few is not None
    assert many is not None
    assert few.share == pytest.approx(1000 / few.taken_per_s)
    assert few.share < 1 < many.share
    assert few.waits == pytest.approx(1 - few.share)
    assert many.waits == 0


def test_what_is_not_known_or_needs_nothing_has_no_figure(make: Any) -> None:
    plan, text = made(make, CONVOLUTION), made(make, CONVOLUTION, kind="")
    assert supply(plan.workload, quoted(make, plan, vcpus=None)) is None
    assert supply(text.workload, quoted(make, text)) is None


def test_the_step_is_the_same_whatever_the_processors(make: Any) -> None:
    plan = made(make, CONVOLUTION)
    assert quoted(make, plan, vcpus=1).estimate == quoted(make, plan, vcpus=None).estimate


def test_a_run_is_as_long_as_its_processors_need(make: Any) -> None:
    plan = made(make, CONVOLUTION)
    few, many = (quoted(make, plan, vcpus=v) for v in (8, 10**7))
    slow, fast = (each.bill(Billing.ON_DEMAND) for each in (few, many))
    assert slow is not None
    assert fast is not None
    assert slow.run.steady_s.mid == pytest.approx(plan.samples / (8 * 125), rel=1e-3)
    assert slow.run.steady_s.high > slow.run.steady_s.mid > fast.run.steady_s.high
    # They may have been prepared in advance.
    assert slow.run.steady_s.low == fast.run.steady_s.low


# --- what limits a step


def test_the_limits_share_out_every_part_of_a_step(make: Any) -> None:
    plan = made(make, CONVOLUTION, NORM)
    parts = [part for parts in LIMITS.values() for part in parts]
    assert sorted(parts) == sorted(quoted(make, plan).estimate.step.parts())


@pytest.mark.parametrize(
    ("operators", "efficiency", "limit"),
    [
        ((CONVOLUTION,), {}, "compute"),
        ((NORM,), {}, "memory bandwidth"),
        ((STEPS,), {"operator_s": 1e-3}, "launches"),
        ((CONVOLUTION,), {"host_s": 10.0}, "launches"),
    ],
)
def test_what_limits_a_step_is_said(make: Any, operators: Any, efficiency: dict[str, Any], limit: str) -> None:
    plan = made(make, *operators)
    quote = quoted(make, plan, **efficiency)
    step = derived(plan, quote)["limit", "step"]
    seconds = quote.estimate.step.parts()
    share = sum(seconds[part] for part in LIMITS[limit]) / quote.estimate.step.total_s
    assert step.shown == limit
    assert step.value == pytest.approx(share)
    assert f"{limit} {share:.0%}".replace("%", " %") in step.formula


def test_each_block_has_its_own_limit(make: Any) -> None:
    load = replace(
        make.only(CONVOLUTION),
        blocks=(Block(name="products", operators=(CONVOLUTION,)), Block(name="norms", operators=(NORM,), repeat=3)),
    )
    plan = make.plan(load, samples=1e6, global_batch=256)
    lines = derived(plan, quoted(make, plan))
    assert lines["limit", "products × 1"].shown == "compute"
    assert lines["limit", "norms × 3"].shown == "memory bandwidth"
    assert lines["limit", "norms × 3"].value == pytest.approx(1.0)


def test_the_input_pipeline_is_among_the_limits_where_it_is_known(make: Any) -> None:
    plan, text = made(make, CONVOLUTION), made(make, CONVOLUTION, kind="")
    line = derived(plan, quoted(make, plan))["limit", "input pipeline"]
    found = supply(plan.workload, quoted(make, plan))
    assert found is not None
    assert line.value == found.share
    many = derived(plan, quoted(make, plan, vcpus=10**7))["limit", "input pipeline"]
    assert many.shown.startswith("keeps up ")
    assert derived(plan, quoted(make, plan, vcpus=1))["limit", "input pipeline"].shown.startswith("too slow: ")
    assert line.origin.startswith("assumed: ")
    assert ("limit", "input pipeline") not in derived(text, quoted(make, text))


# --- formulas of such operators


def test_each_operator_has_the_law_that_it_follows(make: Any) -> None:
    plan = made(make, CONVOLUTION, NORM, STEPS)
    lines = derived(plan, quoted(make, plan))
    laws = {name: lines["operator", f"only × 1: {name}"].origin for name in ("3 × 3", "norm", "state")}
    assert laws["3 × 3"].startswith("t0 + max(F/(P·e_c), Q/(W·e_m)); F ")
    assert laws["norm"] == "t0 + Q/(W·e_m)"
    assert laws["state"].startswith("50 steps · (12·t0 + max(F/(P·e), Q/(W·e_m))); F ")
    assert "e_c of convolutions" in {name for _, name in lines}
    formula = lines["model", "forward FLOP a sample"].formula
    assert "convolution" in formula
    assert "recurrent" in formula
    assert "attention" not in formula


def test_a_model_without_convolutions_has_none_of_their_lines(make: Any) -> None:
    plan = make.plan(samples=1e6)
    lines = derived(plan, quoted(make, plan))
    assert "e_c of convolutions" not in {name for _, name in lines}
    assert lines["model", "forward FLOP a sample"].formula == "Σ 2·m·n·k + attention 2·s·s̄·a·(d_k+d_v)"
