"""Whoever reads a derivation can compute each figure again from the lines before it."""

from datetime import date
from typing import Any

import pytest

from zenplan.domain.answer.estimate import MemoryUse, StepTime
from zenplan.domain.market.offer import Billing, Instance, Offer, Price, Terms
from zenplan.domain.training.operations import Operations
from zenplan.planning.explain.derivation import Line, derive
from zenplan.planning.money.quotes import Option, market

TERMS = Terms(
    provider="p", granularity_s=60.0, storage_usd_per_byte_s=1e-14, egress_usd_per_byte=1e-10, source="its terms"
)


def lines_of(make: Any, terms: Terms | None = TERMS, **plan: Any) -> tuple[Any, Any, tuple[Line, ...]]:
    chosen = make.plan(**{"samples": 1e7, "global_batch": 100, **plan})
    machine = Instance(provider="p", name="m8", accelerator="Round-80GB", devices=8, network_bytes_per_s=10e9)
    price = Price(usd_per_h=20.0, as_of=date(2026, 1, 1), source="a price list")
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
    bill = sum(value(derived, "bill", p) for p in ("machines", "checkpoint storage", "egress of the weights"))
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


def test_what_is_not_known_has_no_line(make: Any) -> None:
    _, _, lines = lines_of(make, terms=None)
    names = {line.quantity for line in lines}
    assert "checkpoint storage" not in names
    assert "egress of the weights" not in names
    rounding = next(line for line in lines if line.quantity == "billed hours")
    assert "not known" in rounding.origin
