import math
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.domain.answer.estimate import Quote
from zenplan.domain.market.offer import Billing, Instance, Offer, Price, Terms
from zenplan.domain.training.operations import Operations
from zenplan.planning.money.options import Option
from zenplan.planning.money.quotes import Market, market
from zenplan.planning.money.run import run_time
from zenplan.planning.search.search import search

LAZY = settings(max_examples=30, deadline=None, derandomize=True)
TERMS = Terms(
    provider="p", granularity_s=1.0, storage_usd_per_byte_s=1e-14, egress_usd_per_byte=1e-10, pue=1.1, source="made up"
)
MODEL = {"layers": 16, "width": 2048, "heads": 16, "ff_width": 8192, "vocab": 32_000}


def no_grid(provider: str, region: str) -> None:
    return None


def offer(devices: int, usd: float | None, spot_usd: float | None = None) -> Offer:
    on_demand, spot = (
        Price(usd_per_h=p, as_of=date(2026, 1, 1), source="made up") if p else None for p in (usd, spot_usd)
    )
    machine = Instance(provider="p", name=f"m{devices}", accelerator="Round-80GB", devices=devices)
    return Offer(instance=machine, region="here", on_demand=on_demand, spot=spot)


def stand(
    make: Any,
    plan: Any = None,
    usd: float | None = 20.0,
    spot_usd: float | None = 8.0,
    used: int = 8,
    operations: Operations | None = None,
    sheet: dict[str, Any] | None = None,
) -> Market:
    """Machines of eight devices, of which ``used`` are in use: one, two and four of them."""
    clusters = [make.cluster(nodes=n, node_devices=used, sheet=sheet) for n in (1, 2, 4)]
    options = [Option(offer=offer(8, usd, spot_usd), terms=TERMS, nodes=n, cluster=i) for i, n in enumerate((1, 2, 4))]
    chosen = plan or make.plan(make.workload(**MODEL), samples=1e6, global_batch=512)
    return market(chosen, operations or Operations(), clusters, options)


def quotes(found: Market) -> list[Quote]:
    return [found.quote(i, Billing.ON_DEMAND, no_grid) for i in range(len(found.options))]


def test_a_quote_is_its_clusters_best_layout_its_run_and_its_bill(make: Any) -> None:
    plan = make.plan(make.workload(**MODEL), samples=1e6, global_batch=512)
    quote = stand(make, plan).quote(1, Billing.ON_DEMAND, no_grid)
    best = search(plan, [make.cluster(nodes=2)])
    assert quote.estimate.layout == best.layouts.at(0)
    step_s = quote.estimate.step.total_s
    assert step_s == pytest.approx(float(best.steps.total_s[0]))
    assert quote.estimate.samples_per_s == pytest.approx(512 / step_s)
    bill = quote.bill(Billing.ON_DEMAND)
    assert bill is not None
    assert bill.run.steady_s.mid == pytest.approx(-(-1_000_000 // 512) * step_s)
    by_hand = run_time(
        plan, Operations(), np.array([[step_s]] * 3), np.array([512.0]), np.array([16.0]), np.array([2.0]), spot=False
    )
    assert bill.run.wall_clock_s.mid == pytest.approx(float(by_hand.wall_clock_s[1, 0]))
    assert bill.compute_usd.mid == pytest.approx(bill.billed_h * 20.0 * 2)


def test_the_spread_of_published_runs_is_around_the_prediction(make: Any) -> None:
    estimate = stand(make).quote(0, Billing.ON_DEMAND, no_grid).estimate
    assert estimate.step_s.low == pytest.approx(0.8 * estimate.step_s.mid)
    assert estimate.step_s.high == pytest.approx(1.25 * estimate.step_s.mid)


def test_mfu_counts_useful_work_over_the_dense_peak(make: Any) -> None:
    # 72 B s l h² (1 + s/12h + V/12lh): causal attention counts half of its scores.
    B, s, layers, h, V = 512, 1024, 16, 2048, 32_000
    estimate = stand(make).quote(0, Billing.ON_DEMAND, no_grid).estimate
    useful = 72 * B * s * layers * h**2 * (1 + s / (12 * h) + V / (12 * layers * h))
    assert estimate.mfu == pytest.approx(useful / (estimate.step.total_s * 8 * 100e12), rel=1e-3)
    assert 0 < estimate.mfu < 1


def test_what_fills_up_the_last_micro_batches_is_no_progress(make: Any) -> None:
    # 512 samples on 12 devices: 43 for each of the fullest replicas, so at least 516 are computed.
    found = stand(make, used=6)
    quote = found.quote(1, Billing.ON_DEMAND, no_grid)
    estimate, samples = quote.estimate, found.plan.samples
    assert estimate.layout.global_batch > 512
    step_s = estimate.step.total_s
    assert estimate.samples_per_s == pytest.approx(512 / step_s)
    flop = found.plan.workload.training_flop_per_sample * 512
    assert estimate.mfu == pytest.approx(flop / (step_s * 12 * 100e12))
    # Dollars and time are those of as many steps as the batch that was asked for needs.
    bill = quote.bill(Billing.ON_DEMAND)
    assert bill is not None
    assert bill.run.steady_s.mid == pytest.approx(math.ceil(samples / 512) * step_s)
    assert samples / estimate.samples_per_s == pytest.approx(bill.run.steady_s.mid, rel=1e-3)


def test_idle_devices_are_paid_for(make: Any) -> None:
    quote = stand(make, used=6).quote(1, Billing.ON_DEMAND, no_grid)
    assert quote.estimate.layout.devices == 12
    assert (quote.devices, quote.idle_devices) == (16, 4)
    bill = quote.bill(Billing.ON_DEMAND)
    assert bill is not None
    assert bill.compute_usd.mid == pytest.approx(bill.billed_h * 2 * 20.0)
    # They draw a little power too.
    assert quote.energy is not None
    hours = bill.run.wall_clock_s.mid / 3600
    assert quote.energy.kwh.mid == pytest.approx((12 * (0.8 * 500 + 100) + 4 * (0.12 * 500 + 100)) / 1000 * 1.1 * hours)


def test_a_price_that_is_not_known_has_no_bill(make: Any) -> None:
    found = stand(make, spot_usd=None)
    assert found.usable(Billing.ON_DEMAND).all()
    assert not found.usable(Billing.SPOT).any()
    assert [q.bill(Billing.SPOT) for q in quotes(found)] == [None] * 3
    only_spot = stand(make, usd=None)
    assert [len(q.bills) for q in quotes(only_spot)] == [1] * 3
    assert [q.bills[0].billing for q in quotes(only_spot)] == [Billing.SPOT] * 3


def test_what_does_not_fit_is_not_usable(make: Any) -> None:
    found = stand(make, sheet={"memory_bytes": 1.6e9})
    assert not found.usable(Billing.ON_DEMAND).any()
    assert not found.found.fits.any()


def test_a_run_that_would_never_end_is_not_usable(make: Any) -> None:
    taken = Operations(preemptions_per_node_s=(0.0, 0.001, 1.0))
    found = stand(make, operations=taken)
    assert not found.usable(Billing.SPOT).any()
    assert found.usable(Billing.ON_DEMAND).all()


def test_spot_takes_longer_than_on_demand(make: Any) -> None:
    for quote in quotes(stand(make)):
        kept, taken = (quote.bill(b) for b in (Billing.ON_DEMAND, Billing.SPOT))
        assert kept is not None
        assert taken is not None
        assert taken.run.wall_clock_s.mid > kept.run.wall_clock_s.mid
        assert taken.run.steady_s == kept.run.steady_s


@LAZY
@given(factor=st.floats(0.1, 40), usd=st.floats(0.1, 100))
def test_dollars_for_machines_are_linear_in_their_price(make: Any, factor: float, usd: float) -> None:
    one, other = (stand(make, usd=p) for p in (usd, usd * factor))
    np.testing.assert_allclose(other.on_demand.compute_usd, factor * one.on_demand.compute_usd, rtol=1e-9)
    np.testing.assert_array_equal(other.on_demand.runs.wall_clock_s, one.on_demand.runs.wall_clock_s)


@LAZY
@given(samples=st.floats(1, 1e9), more=st.floats(1, 50))
def test_more_data_is_neither_cheaper_nor_faster(make: Any, samples: float, more: float) -> None:
    plan = make.plan(make.workload(**MODEL), samples=samples, global_batch=512)
    less, full = stand(make, plan), stand(make, replace(plan, samples=samples * more))
    for billing in Billing:
        a, b = less.bills(billing), full.bills(billing)
        assert (a.total_usd <= b.total_usd).all()
        assert (a.runs.wall_clock_s <= b.runs.wall_clock_s).all()


@LAZY
@given(samples=st.floats(1, 1e8), usd=st.floats(0.1, 100), used=st.integers(1, 8))
def test_every_range_is_in_order(make: Any, samples: float, usd: float, used: int, ranges: Any) -> None:
    plan = make.plan(make.workload(**MODEL), samples=samples, global_batch=512)
    for quote in quotes(stand(make, plan, usd=usd, used=used)):
        found = ranges(quote)
        assert len(found) >= 8  # step, energy, and of two bills steady, calendar and dollars
        assert all(r.low <= r.mid <= r.high for r in found)
        assert all(r.low > 0 for r in found)
