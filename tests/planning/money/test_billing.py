import math
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.adapters.prices.table import bundled_tables
from zenplan.domain.market.credit import Credit
from zenplan.domain.market.emissions import Making, Site
from zenplan.domain.market.offer import Billing, Terms
from zenplan.domain.provenance import Origin
from zenplan.domain.range import Range
from zenplan.domain.training.operations import Operations
from zenplan.planning.money.beside import NAMES, credited_usd
from zenplan.planning.money.quotes import Around, Bills, bills, energy
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
    around: Around | None = None,
) -> Bills:
    runs = Runs(
        steady_s=np.array([[wall_clock_s]] * 3),
        work_s=np.array([[wall_clock_s]] * 3),
        wall_clock_s=np.array([[wall_clock_s * x] for x in (0.5, 1.0, 2.0)]),
        checkpoint_interval_s=np.array([1.0]),
        checkpoint_write_s=np.array([1.0]),
        checkpoint_bytes=checkpoint_bytes,
        interruptions=np.array([0.0]),
    )
    price, count = np.array([usd_per_h]), np.array([nodes])
    return bills(make.plan(), Operations(), runs, Billing.ON_DEMAND, price, count, [own], around)


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


FREE = dict.fromkeys(
    ("storage_usd_per_byte_s", "disk_usd_per_byte_s", "egress_usd_per_byte", "ingress_usd_per_byte"), 0.0
)
DATA = Around(data_bytes=Range(low=1e11, mid=1e11, high=1e11), today=date(2026, 11, 1))


def test_what_is_not_known_is_a_range_and_what_is_free_is_nothing(make: Any) -> None:
    for own in (None, terms()):
        found = bill(make, HOUR_S, own=own, checkpoint_bytes=1e9, around=DATA).at(0)
        assert {part.name for part in found.beside} == set(NAMES)
        assert all(part.origin is Origin.ASSUMED for part in found.beside)
        assert all(part.low_usd < part.high_usd for part in found.beside)
    free = bill(make, HOUR_S, own=terms(**FREE), checkpoint_bytes=1e9, around=DATA).at(0)
    assert free.beside == ()
    assert free.total_usd == free.compute_usd


def test_the_unknown_is_between_the_least_and_the_most_that_anybody_asks(make: Any) -> None:
    """So a provider whose prices are known is never outside of what it would be taken for without them."""
    tables = [t.terms for t in bundled_tables() if t.terms]
    unknown = bill(make, 1e6, own=terms(), checkpoint_bytes=1e12, around=DATA).at(0)
    for each in tables:
        known = bill(make, 1e6, own=replace(each, granularity_s=1.0, minimum_s=0.0), checkpoint_bytes=1e12, around=DATA)
        for part in known.at(0).beside:
            around = unknown.part(part.name)
            assert around is not None
            assert around.low_usd <= part.low_usd * (1 + 1e-6), (each.provider, part.name)
            assert part.high_usd <= around.high_usd * (1 + 1e-6), (each.provider, part.name)


def test_each_part_is_recomputed_by_hand(make: Any) -> None:
    own = terms(
        storage_usd_per_byte_s=1e-15, disk_usd_per_byte_s=2e-15, egress_usd_per_byte=1e-10, ingress_usd_per_byte=3e-11
    )
    found = bill(make, 10_000, nodes=4, own=own, checkpoint_bytes=2e9, around=DATA)
    one = found.at(0)
    by_hand = {
        "checkpoint storage": 3 * 2e9 * 10_000 * 1e-15,
        "data set storage": 1e11 * 10_000 * 1e-15,
        "disks": 4 * 200e9 * 10_000 * 2e-15,
        "data in": 1e11 * 3e-11,
        "egress of the weights": 2 * make.plan().workload.parameters * 1e-10,
    }
    assert {part.name: pytest.approx(part.mid_usd) for part in one.beside} == by_hand
    assert one.total_usd.mid == pytest.approx(one.compute_usd.mid + sum(by_hand.values()))
    assert found.total_usd[:, 0] == pytest.approx([one.total_usd.low, one.total_usd.mid, one.total_usd.high])


# --- credits


def credit(usd: float, until: date | None = None) -> Credit:
    return Credit(provider="p", usd=usd, until=until, source="a grant")


def test_credits_pay_for_what_is_spent_while_they_last(make: Any) -> None:
    # $10 an hour for ten days from 1 November, $2,400 in all; low and high are half and twice as long.
    days = 240 * HOUR_S
    own = terms(**FREE, credits=(credit(1000.0),))
    found = bill(make, days, own=own, around=DATA)
    assert found.total_usd[:, 0] == pytest.approx([200.0, 1400.0, 3800.0])
    # Until the 3rd: three days of it, $720, of which $500 are there.
    early = replace(own, credits=(credit(500.0, date(2026, 11, 3)),))
    assert bill(make, days, own=early, around=DATA).at(0).total_usd.mid == pytest.approx(1900.0)
    # More than is spent by then expires.
    late = replace(own, credits=(credit(5000.0, date(2026, 11, 3)),))
    assert bill(make, days, own=late, around=DATA).at(0).total_usd.mid == pytest.approx(1680.0)
    gone = replace(own, credits=(credit(5000.0, date(2026, 10, 31)),))
    assert bill(make, days, own=gone, around=DATA).at(0).total_usd.mid == pytest.approx(2400.0)


def test_what_expires_first_is_used_first(make: Any) -> None:
    both = (credit(1000.0), credit(300.0, date(2026, 11, 2)))
    own = terms(**FREE, credits=both)
    assert bill(make, 240 * HOUR_S, own=own, around=DATA).at(0).total_usd.mid == pytest.approx(1100.0)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    usd=st.floats(0, 1e6),
    time_s=st.floats(1, 1e8),
    amounts=st.lists(st.tuples(st.floats(0.01, 1e6), st.integers(-10, 400)), max_size=5),
)
def test_credits_never_pay_more_than_there_is(usd: float, time_s: float, amounts: list[tuple[float, int]]) -> None:
    day = date(2026, 11, 1)
    credits = [credit(amount, day + timedelta(days=until)) for amount, until in amounts]
    used = float(credited_usd(np.array(usd), np.array(time_s), credits, day))
    assert -1e-9 <= used <= min(usd, sum(amount for amount, _ in amounts)) + 1e-6
    more = float(credited_usd(np.array(usd), np.array(time_s), [*credits, credit(10.0)], day))
    assert more >= used - 1e-9


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


@pytest.mark.parametrize("site", [None, Site(kg_per_j=0.4 / 3.6e6, source="grid")])
@pytest.mark.parametrize("kg_per_kwh", [0.0, 0.05])
def test_a_grid_of_ones_own_stands_for_every_region(site: Site | None, kg_per_kwh: float) -> None:
    hour = Range(low=HOUR_S, mid=HOUR_S, high=HOUR_S)
    found = energy(Operations(grid_kg_per_j=kg_per_kwh / 3.6e6), hour, 1, 0, 500.0, 1.0, site)
    assert found is not None
    assert found.co2e_kg is not None
    assert found.co2e_kg.mid == pytest.approx(kg_per_kwh * found.kwh.mid)
    assert found.grid_source == "given"


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
