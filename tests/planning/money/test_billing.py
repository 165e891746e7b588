import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.domain.market.emissions import Making, Site
from zenplan.domain.market.offer import Billing, Terms
from zenplan.domain.range import Range
from zenplan.domain.training.operations import Operations
from zenplan.planning.money.quotes import Bills, bills, energy
from zenplan.planning.money.run import Runs
from zenplan.units import HOUR_S


def terms(**changes: Any) -> Terms:
    return Terms(**{"provider": "p", "granularity_s": 1.0, "source": "made up", **changes})


def bill(
    make: Any,
    wall_clock_s: float,
    usd_per_h: float = 10.0,
    nodes: float = 1.0,
    own: Terms | None = None,
    checkpoint_bytes: float = 0.0,
) -> Bills:
    runs = Runs(
        steady_s=np.array([[wall_clock_s]] * 3),
        wall_clock_s=np.array([[wall_clock_s * x] for x in (0.5, 1.0, 2.0)]),
        checkpoint_interval_s=np.array([1.0]),
        checkpoint_write_s=np.array([1.0]),
        checkpoint_bytes=checkpoint_bytes,
        interruptions=np.array([0.0]),
    )
    price, count = np.array([usd_per_h]), np.array([nodes])
    return bills(make.plan(), Operations(), runs, Billing.ON_DEMAND, price, count, [own])


@pytest.mark.parametrize(
    ("granularity_s", "wall_clock_s", "billed_s"),
    [(1, 5000.2, 5001), (60, 5000, 5040), (600, 5000, 5400), (3600, 5000, 7200), (3600, 3600, 3600)],
)
def test_time_is_rounded_up(make: Any, granularity_s: float, wall_clock_s: float, billed_s: float) -> None:
    found = bill(make, wall_clock_s, own=terms(granularity_s=granularity_s))
    assert found.at(0).billed_h * HOUR_S == pytest.approx(billed_s)
    assert found.at(0).compute_usd.mid == pytest.approx(billed_s / 3600 * 10)


def test_a_minimum_is_paid_for_in_any_case(make: Any) -> None:
    found = bill(make, 20, own=terms(minimum_s=60))
    assert found.billed_s[:, 0] == pytest.approx([60, 60, 60])
    assert bill(make, 100, own=terms(minimum_s=60)).billed_s[1, 0] == pytest.approx(100)


@pytest.mark.parametrize("own", [None, terms(granularity_s=None)])
def test_where_the_rounding_is_not_known_it_is_to_the_hour(make: Any, own: Terms | None) -> None:
    assert bill(make, 3601, own=own).at(0).billed_h == 2


def test_every_machine_is_paid_for(make: Any) -> None:
    # The price is a machine's: how many of its devices are in use does not enter.
    assert bill(make, HOUR_S, nodes=7, own=terms()).at(0).compute_usd.mid == pytest.approx(70)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(calendar=st.floats(1, 1e8), usd=st.floats(0.01, 1000), factor=st.floats(0.01, 100))
def test_machines_are_linear_in_the_price(make: Any, calendar: float, usd: float, factor: float) -> None:
    one, other = (bill(make, calendar, usd_per_h=p, own=terms()).compute_usd for p in (usd, usd * factor))
    np.testing.assert_allclose(other, one * factor, rtol=1e-12)
    assert one[0, 0] <= one[1, 0] <= one[2, 0]


def test_an_unknown_price_is_no_bill(make: Any) -> None:
    assert np.isnan(bill(make, HOUR_S, usd_per_h=math.nan).compute_usd).all()


def test_what_is_not_known_is_none_and_what_is_free_is_zero(make: Any) -> None:
    unknown, free = terms(), terms(storage_usd_per_byte_s=0.0, egress_usd_per_byte=0.0)
    for own, expected in ((None, None), (unknown, None), (free, 0.0)):
        found = bill(make, HOUR_S, own=own, checkpoint_bytes=1e9).at(0)
        assert (found.storage_usd, found.egress_usd) == (expected, expected)
        assert found.total_usd == found.compute_usd


def test_three_checkpoints_are_stored_all_the_time_and_the_weights_leave(make: Any) -> None:
    own = terms(storage_usd_per_byte_s=1e-15, egress_usd_per_byte=1e-10)
    found = bill(make, 10_000, own=own, checkpoint_bytes=2e9)
    one = found.at(0)
    assert one.storage_usd == pytest.approx(3 * 2e9 * 10_000 * 1e-15)
    assert one.egress_usd == pytest.approx(2 * make.plan().workload.parameters * 1e-10)
    assert one.total_usd.mid == pytest.approx(one.compute_usd.mid + one.storage_usd + one.egress_usd)
    assert found.total_usd[:, 0] == pytest.approx([one.total_usd.low, one.total_usd.mid, one.total_usd.high])


@pytest.mark.parametrize("storage", [None, 0.0, 1e-15])
def test_a_run_that_never_ends_has_no_finite_bill(make: Any, storage: float | None) -> None:
    found = bill(make, math.inf, own=terms(storage_usd_per_byte_s=storage), checkpoint_bytes=1e9)
    assert np.isinf(found.compute_usd).all()


def test_energy_is_power_by_time_by_the_data_centre() -> None:
    calendar = Range(low=HOUR_S, mid=2 * HOUR_S, high=4 * HOUR_S)
    # Ten devices of 500 W at 60, 80 and 100 % and 100 W of host each.
    found = energy(Operations(), calendar, 10, 0, 500.0, 1.5, Site(kg_per_j=0.4 / 3.6e6, source="grid"))
    assert found is not None
    assert (found.kwh.low, found.kwh.mid, found.kwh.high) == pytest.approx((4 * 1.5, 5 * 2 * 1.5, 6 * 4 * 1.5))
    assert found.co2e_kg is not None
    assert found.co2e_kg.mid == pytest.approx(0.4 * 15)
    assert found.grid_source == "grid"


def test_the_data_centre_of_the_region_comes_before_that_of_the_provider() -> None:
    hour = Range(low=HOUR_S, mid=HOUR_S, high=HOUR_S)
    found = [energy(Operations(), hour, 1, 0, 500.0, pue, Site(pue=own)) for own, pue in ((1.1, 1.5), (None, 1.5))]
    assert [each.pue for each in found if each] == [1.1, 1.5]
    assert all(each and each.co2e_kg is None for each in found)


def test_what_making_the_machines_emitted_is_of_all_that_are_paid_for_and_apart() -> None:
    calendar = Range(low=HOUR_S, mid=2 * HOUR_S, high=4 * HOUR_S)
    making = Making(kg=500.0, life_s=1000 * HOUR_S, source="a sheet")
    found = energy(Operations(), calendar, 6, 2, 500.0, 1.5, Site(kg_per_j=0.4 / 3.6e6, source="grid"), making)
    without = energy(Operations(), calendar, 6, 2, 500.0, 1.5, Site(kg_per_j=0.4 / 3.6e6, source="grid"))
    assert found is not None
    assert without is not None
    assert found.embodied_kg is not None
    assert (found.embodied_kg.low, found.embodied_kg.mid, found.embodied_kg.high) == pytest.approx((4, 8, 16))
    assert (found.embodied_source, found.co2e_kg) == ("a sheet", without.co2e_kg)
    assert (without.embodied_kg, without.embodied_source) == (None, "")


def test_devices_that_stand_by_draw_little() -> None:
    hour = Range(low=HOUR_S, mid=HOUR_S, high=HOUR_S)
    all_used = energy(Operations(), hour, 8, 0, 500.0, 1.0, None)
    half_used = energy(Operations(), hour, 4, 4, 500.0, 1.0, None)
    assert all_used is not None
    assert half_used is not None
    # 12 % of the limit, and their share of the host as any.
    assert all_used.kwh.mid - half_used.kwh.mid == pytest.approx(4 * 0.5 * (0.8 - 0.12))


def test_energy_that_is_not_known_is_not_guessed() -> None:
    calendar = Range(low=1, mid=1, high=1)
    assert energy(Operations(), calendar, 1, 0, None, None, None) is None
    found = energy(Operations(), calendar, 1, 0, 100.0, None, None)
    assert found is not None
    assert found.co2e_kg is None
    assert found.pue == 1.2
