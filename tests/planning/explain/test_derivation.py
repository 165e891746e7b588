"""Whoever reads a derivation can compute each figure again from the lines before it."""

import re
from datetime import date
from typing import Any

import pytest

from zenplan.domain.answer.estimate import MemoryUse, StepTime
from zenplan.domain.market.offer import Billing, Instance, Offer, Price, Terms
from zenplan.domain.model.operators import MatMul, Split
from zenplan.domain.training.operations import Operations
from zenplan.planning.explain.derivation import _line, derive
from zenplan.planning.explain.line import Line
from zenplan.planning.money.options import Option
from zenplan.planning.money.quotes import market

TERMS = Terms(
    provider="p", granularity_s=60.0, storage_usd_per_byte_s=1e-14, egress_usd_per_byte=1e-10, source="its terms"
)


def lines_of(
    make: Any, terms: Terms | None = TERMS, as_of: date | None = date(2026, 1, 1), **plan: Any
) -> tuple[Any, Any, tuple[Line, ...]]:
    chosen = make.plan(**{"samples": 1e7, "global_batch": 100, **plan})
    machine = Instance(provider="p", name="m8", accelerator="Round-80GB", devices=8, network_bytes_per_s=10e9)
    price = Price(usd_per_h=20.0, as_of=as_of, source="a price list")
    offer = Offer(instance=machine, region="here", on_demand=price)
    found = market(
        chosen, Operations(), [make.cluster(nodes=3)], [Option(offer=offer, terms=terms, nodes=3, cluster=0)]
    )
    quote = found.quote(0, Billing.ON_DEMAND, lambda provider, region: None)
    bill = quote.bill(Billing.ON_DEMAND)
    assert bill is not None
    return quote, bill, derive(chosen, Operations(), quote, bill)


@pytest.fixture(scope="module")
def derived(make: Any) -> tuple[Any, Any, dict[tuple[str, str], Line]]:
    quote, bill, lines = lines_of(make)
    by_name = {(line.group, line.quantity): line for line in lines}
    assert len(by_name) == len(lines)
    return quote, bill, by_name


def value(derived: Any, group: str, quantity: str) -> float:
    return float(derived[2][group, quantity].value)


def test_every_line_says_where_it_is_from(derived: Any) -> None:
    for line in derived[2].values():
        assert line.origin
        assert line.shown
        assert "\n" not in line.shown + line.formula + line.origin


def test_the_steps_are_those_of_the_batch_that_was_asked_for(derived: Any) -> None:
    # 100 samples on 24 devices: the layout computes more, which is no progress; the last step is a whole one.
    batch = value(derived, "model", "B samples a step")
    assert batch == 100
    assert value(derived, "model", "computed a step") == derived[0].estimate.layout.global_batch > 100
    assert value(derived, "model", "steps") == -(-10_000_000 // int(batch))
    steady = value(derived, "model", "steps") * value(derived, "step", "step")
    assert value(derived, "run", "steady") == pytest.approx(steady)


def test_the_parts_add_up(derived: Any) -> None:
    step = sum(value(derived, "step", n.removesuffix("_s")) for n in StepTime.__dataclass_fields__)
    assert value(derived, "step", "step") == pytest.approx(step)
    parts = [n.removesuffix("_bytes") for n in MemoryUse.__dataclass_fields__]
    assert value(derived, "memory", "total") == pytest.approx(sum(value(derived, "memory", p) for p in parts))
    of_bill = derived[1]
    bill = sum(value(derived, "bill", p) for p in ("machines", *(part.name for part in of_bill.beside)))
    assert value(derived, "bill", "total") == pytest.approx(bill)


def test_mfu_follows_from_the_lines(derived: Any) -> None:
    assert value(derived, "model", "training FLOP a sample") == pytest.approx(
        3 * value(derived, "model", "forward FLOP a sample")
    )
    useful = value(derived, "model", "training FLOP a sample") * value(derived, "model", "B samples a step")
    peak = value(derived, "accelerator", "P dense bf16 peak")
    assert value(derived, "step", "MFU") == pytest.approx(useful / (value(derived, "step", "step") * 24 * peak))


def test_the_bill_follows_from_the_lines(derived: Any) -> None:
    hours, price = (value(derived, "bill", "billed hours"), value(derived, "bill", "on-demand price of a machine"))
    assert hours * 3600 >= value(derived, "run", "calendar")
    assert hours * 60 == pytest.approx(round(hours * 60))
    assert value(derived, "bill", "machines") == pytest.approx(hours * price * 3)
    assert value(derived, "run", "GPU-hours") == pytest.approx(24 * value(derived, "run", "calendar") / 3600)


def test_the_interval_follows_from_the_lines(derived: Any) -> None:
    rate = value(derived, "run", "interruptions") / value(derived, "run", "calendar")
    interval = min((2 * value(derived, "run", "δ checkpoint") / rate) ** 0.5, value(derived, "run", "steady"))
    assert value(derived, "run", "τ between checkpoints") == pytest.approx(interval)


def test_what_is_not_known_is_assumed_and_says_so(make: Any) -> None:
    _, _, lines = lines_of(make, terms=None)
    origins = {line.quantity: line.origin for line in lines}
    assert origins["checkpoint storage"].startswith("assumed")
    assert origins["egress of the weights"].startswith("assumed")
    rounding = next(line for line in lines if line.quantity == "billed hours")
    assert "not known" in rounding.origin


def named(lines: tuple[Line, ...], group: str, quantity: str) -> Line:
    return next(line for line in lines if (line.group, line.quantity) == (group, quantity))


def test_a_price_says_its_date_or_that_it_has_none(make: Any) -> None:
    for as_of, told in ((date(2026, 1, 1), "as of 2026-01-01"), (None, "date not known")):
        _, _, lines = lines_of(make, as_of=as_of)
        assert named(lines, "bill", "on-demand price of a machine").origin == f"a price list, {told}"


def test_under_fp8_there_are_two_peaks(make: Any) -> None:
    _, _, lines = lines_of(make, precision="fp8")
    peaks = {dtype: named(lines, "accelerator", f"P dense {dtype} peak") for dtype in ("fp8", "bf16")}
    assert {dtype: line.value for dtype, line in peaks.items()} == {"fp8": 200e12, "bf16": 100e12}
    assert {dtype: line.shown for dtype, line in peaks.items()} == {"fp8": "200 TFLOP/s", "bf16": "100 TFLOP/s"}


def test_the_formulas_of_memory_are_those_of_the_plan(make: Any, derived: Any) -> None:
    plain = derived[2]["memory", "weights"].formula
    assert plain.startswith("N·2 bytes/")
    _, _, lines = lines_of(make, method="qlora", weight_bytes=0.516)
    assert named(lines, "memory", "weights").formula.startswith("N·0.516 (frozen products) or 2 bytes/")
    assert "b·s·vocabulary·" in derived[2]["memory", "logits"].formula
    product = MatMul(name="head", rows=1, inner=1024, columns=1024, split=Split.COLUMNS)
    _, _, lines = lines_of(make, workload=make.only(product))
    assert "b·classes·" in named(lines, "memory", "logits").formula


def test_operators_take_what_the_step_computes(make: Any, derived: Any) -> None:
    """Seconds of one micro-batch, forward and backward: with one stage, all layers and both ends."""
    estimate, lines = derived[0].estimate, derived[2]
    assert (estimate.layout.pp, estimate.step.recompute_s) == (1, 0)
    total = 0.0
    for (group, quantity), line in lines.items():
        if group == "operator":
            repeat = int(quantity.split(": ")[0].split(" × ")[1])
            total += repeat * line.value
    step = estimate.step
    one = (step.compute_s + step.memory_s + step.overhead_s) / estimate.layout.accumulation
    assert total == pytest.approx(one)


def test_an_operator_says_what_takes_its_time(derived: Any) -> None:
    formulas = [line.formula for (group, _), line in derived[2].items() if group == "operator"]
    part = r"\S+ \S+ (arithmetic|memory|fixed)( \+ \S+ \S+ (arithmetic|memory|fixed))*"
    assert formulas
    for formula in formulas:
        assert re.fullmatch(rf"forward ({part}|0 s), backward ({part}|0 s)", formula), formula
    assert any("arithmetic" in formula for formula in formulas)


def test_production_has_the_share_of_the_runs_devices_and_days(make: Any) -> None:
    """Of 24 devices for T; the usual whole run takes p times its steps."""
    operations = Operations()
    shares = []
    for samples in (1e5, 1e9):
        _, _, lines = lines_of(make, samples=samples)
        steady = named(lines, "run", "steady").value
        ramp = 23 / (23 + operations.production_half_devices) * steady / (steady + operations.production_half_s)
        expected = 1 + (operations.production[1] - 1) * ramp
        assert named(lines, "run", "π production").value == pytest.approx(expected)
        shares.append(ramp)
    assert shares[0] < shares[1] < 23 / (23 + operations.production_half_devices)


def test_the_largest_share_is_the_limit(derived: Any) -> None:
    line = derived[2]["limit", "step"]
    shares = {name: float(share) for name, share in re.findall(r"([a-z ]+?) ([\d.]+)\s?%", line.formula)}
    shares = {name.strip(): share for name, share in shares.items()}
    assert len(shares) > 1
    assert line.shown == max(shares, key=lambda name: shares[name]) == next(iter(shares))
    assert 100 * line.value == pytest.approx(shares[line.shown], abs=1)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_what_takes_no_time_is_limited_by_nothing() -> None:
    line = _line("a block", {"compute": 0.0, "launches": 0.0}, "parts")
    assert (line.shown, line.value, line.formula) == ("nothing", 0.0, "")
    # What takes less than half a percent is not named.
    line = _line("a block", {"compute": 0.004, "launches": 0.996}, "parts")
    assert (line.shown, line.value) == ("launches", 0.996)
    assert "compute" not in line.formula


def test_attention_is_that_of_its_kernel_at_the_plans_length(make: Any, derived: Any) -> None:
    (line,) = (each for (_, quantity), each in derived[2].items() if quantity.startswith("e of attention ("))
    # The ideal kernel reaches the peak, but for the half tile at the diagonal of a causal mask.
    assert line.quantity == "e of attention (ideal)"
    assert line.value == pytest.approx(512 / (512 + 64), rel=0.01)
    assert value(derived, "accelerator", "e of attention in a step, of the kernel alone") == 1.0
    unfused = lines_of(make, fused_attention=False)[2]
    assert not [each for each in unfused if each.group == "accelerator" and "attention" in each.quantity]
