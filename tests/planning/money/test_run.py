import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.domain.training.operations import Operations
from zenplan.errors import DataError
from zenplan.planning.money.run import Runs, checkpoint_bytes, production_share, run_time, runs_on
from zenplan.planning.search.search import search
from zenplan.units import DAY_S, HOUR_S, YEAR_S

NOTHING = Operations(
    startup_s=0, restart_s=0, evaluation_share=0, preemptions_per_node_s=(0, 0, 0), production=(1, 1, 1)
)


def column(*values: float) -> Any:
    return np.array(values, dtype=float)


def run(make: Any, operations: Operations, days: float, devices: float = 8, spot: bool = False, **plan: Any) -> Runs:
    """A run of that many days in steps of 100 seconds, with a tenth less and more at its ends."""
    steps = days * DAY_S / 100
    chosen = make.plan(samples=64 * steps, **plan)
    step_s = column(90, 100, 110)[:, None]
    return run_time(chosen, operations, step_s, column(64), column(devices), column(devices / 8), spot)


def daly_s(work_s: float, interval_s: float, write_s: float, mtbf_s: float, restart_s: float) -> float:
    """Daly 2006, equation 20: the expected time under exponential failures, without approximation."""
    segment = math.expm1((interval_s + write_s) / mtbf_s)
    return mtbf_s * math.exp(restart_s / mtbf_s) * segment * work_s / interval_s


def test_steps_are_whole_and_one_after_another(make: Any) -> None:
    plan = make.plan(samples=1000, global_batch=64)
    runs = run_time(plan, NOTHING, column(1, 2, 3)[:, None], column(64), column(8), column(1), spot=False)
    assert runs.steady_s[:, 0] == pytest.approx([16, 32, 48])  # 15.6 steps are 16


def test_a_checkpoint_has_weights_masters_and_moments(make: Any) -> None:
    plan = make.plan()
    assert checkpoint_bytes(plan) == pytest.approx((2 + 4 + 8) * plan.workload.parameters)
    runs = run(make, replace(NOTHING, checkpoint_bytes_per_s=1e6), 10, devices=32)
    assert float(runs.checkpoint_write_s[0]) == pytest.approx(checkpoint_bytes(plan) / (1e6 * 4))  # 4 nodes write


def test_llama3_has_its_466_interruptions(make: Any) -> None:
    # Dubey et al. 2024, section 3.3.4: 54 days on 16,384 H100.
    runs = run(make, replace(Operations(), startup_s=0), 54, devices=16_384)
    per_day = float(runs.interruptions[0] / (runs.wall_clock_s[1, 0] / DAY_S))
    assert per_day * 54 == pytest.approx(466, rel=1e-6)


@pytest.mark.parametrize("devices", [8, 256, 4096, 16_384])
@pytest.mark.parametrize("write_rate", [1e6, 1e8])
def test_the_interval_between_checkpoints_is_the_best(make: Any, devices: int, write_rate: float) -> None:
    operations = replace(NOTHING, checkpoint_bytes_per_s=write_rate)
    runs = run(make, operations, 100, devices=devices)
    mtbf = operations.device_mtbf_s / devices
    write, tau = float(runs.checkpoint_write_s[0]), float(runs.checkpoint_interval_s[0])
    tried = np.geomspace(tau / 20, tau * 20, 2001)
    times = [daly_s(100 * DAY_S, t, write, mtbf, 0) for t in tried]
    assert daly_s(100 * DAY_S, tau, write, mtbf, 0) <= 1.001 * min(times)
    assert float(tried[int(np.argmin(times))]) == pytest.approx(tau, rel=0.1)


@pytest.mark.parametrize("devices", [8, 256, 4096, 16_384])
def test_the_calendar_is_dalys_where_failures_are_rare(make: Any, devices: int) -> None:
    operations = replace(NOTHING, restart_s=600)
    runs = run(make, operations, 100, devices=devices)
    mtbf = operations.device_mtbf_s / devices
    write, tau = float(runs.checkpoint_write_s[0]), float(runs.checkpoint_interval_s[0])
    expected = daly_s(100 * DAY_S, tau, write, mtbf, 600)
    assert float(runs.wall_clock_s[1, 0]) == pytest.approx(expected, rel=0.01)


def test_the_calendar_is_dalys_equation(make: Any) -> None:
    """To the digit, restarts and all: on machines that stay, nothing is waited for but the restart."""
    operations = replace(NOTHING, restart_s=600, replace_s=9000, production=(1, 1, 1))
    runs = run(make, operations, 100, devices=16_384)
    write, tau = float(runs.checkpoint_write_s[0]), float(runs.checkpoint_interval_s[0])
    expected = daly_s(100 * DAY_S, tau, write, operations.device_mtbf_s / 16_384, 600)
    assert float(runs.wall_clock_s[1, 0]) == pytest.approx(expected, rel=1e-9)


def test_half_an_interval_is_lost_with_each_failure(make: Any) -> None:
    # Checkpoints that take 1/800 of the time between failures: the best interval is 1/20 of it. Writing costs a
    # fortieth of the run and lost work another; to second order that is Daly's.
    mtbf = NOTHING.device_mtbf_s / 1024
    write_rate = checkpoint_bytes(make.plan()) / (mtbf / 800 * 128)
    runs = run(make, replace(NOTHING, checkpoint_bytes_per_s=write_rate), 100, devices=1024)
    assert float(runs.checkpoint_interval_s[0]) == pytest.approx(mtbf / 20)
    excess = float(runs.wall_clock_s[1, 0]) / (100 * DAY_S) - 1
    assert excess == pytest.approx(daly_s(1, mtbf / 20, mtbf / 800, mtbf, 0) - 1, rel=0.05)
    assert excess == pytest.approx(2 / 40, rel=0.05)


def test_start_up_and_evaluation_are_on_the_calendar(make: Any) -> None:
    safe = replace(NOTHING, device_mtbf_s=1e30, checkpoint_bytes_per_s=1e30)
    base = run(make, safe, 1)
    assert base.wall_clock_s == pytest.approx(base.steady_s)
    assert run(make, replace(safe, startup_s=500), 1).wall_clock_s == pytest.approx(base.steady_s + 500)
    assert run(make, replace(safe, evaluation_share=0.05), 1).wall_clock_s == pytest.approx(1.05 * base.steady_s)


# All of production, whatever the devices and the days.
WHOLE = {"production_half_devices": 1e-9, "production_half_s": 1e-9}
SAFE = replace(NOTHING, device_mtbf_s=1e30, checkpoint_bytes_per_s=1e30, **WHOLE)


def test_a_run_of_days_takes_what_production_takes(make: Any) -> None:
    # 10 days in steps 0.9 to 1.1 times as long. Production at 1.0 to 1.9 is wider than those: its ends are the run's.
    runs = run(make, replace(SAFE, production=(1.0, 1.3, 1.9)), 10)
    assert runs.wall_clock_s[:, 0] == pytest.approx([10 * DAY_S, 13 * DAY_S, 19 * DAY_S])


def test_the_wider_of_two_spreads_counts_and_never_their_product(make: Any) -> None:
    # Production is nearly certain: the ends are those of the steps, times its middle.
    runs = run(make, replace(SAFE, production=(1.29, 1.3, 1.31)), 10)
    assert runs.wall_clock_s[:, 0] == pytest.approx([9 * 1.3 * DAY_S, 13 * DAY_S, 11 * 1.3 * DAY_S])


def test_nothing_is_faster_than_the_low_end_of_the_steps(make: Any) -> None:
    runs = run(make, replace(SAFE, production=(0.6, 1.2, 1.5)), 10)
    assert float(runs.wall_clock_s[0, 0]) == pytest.approx(9 * DAY_S)


USUAL = Operations()
OF_SIZE = {n: getattr(USUAL, n) for n in ("production", "production_half_devices", "production_half_s")}


@pytest.mark.parametrize(
    ("devices", "time_s", "share"),
    [
        (1 + USUAL.production_half_devices, USUAL.production_half_s, 0.25),
        (1 + USUAL.production_half_devices, 1e15, 0.5),
        (1e12, USUAL.production_half_s, 0.5),
        (1e12, 1e15, 1.0),
        (1, 1e15, 0.0),
    ],
)
def test_production_grows_with_devices_and_days_from_nothing(devices: float, time_s: float, share: float) -> None:
    assert production_share(USUAL, devices, time_s) == pytest.approx(share, abs=1e-6)


@given(st.floats(1, 1e5), st.floats(1, 1e8), st.floats(1, 2))
def test_more_devices_or_days_never_have_less_of_it(devices: float, time_s: float, more: float) -> None:
    share = production_share(USUAL, devices, time_s)
    assert 0 <= share < 1
    assert production_share(USUAL, devices * more, time_s) >= share
    assert production_share(USUAL, devices, time_s * more) >= share


def test_a_run_of_one_person_takes_little_over_its_steps(make: Any) -> None:
    small, large = (run(make, replace(SAFE, **OF_SIZE), 0.5, devices=n).wall_clock_s[1, 0] for n in (1, 512))
    assert float(small) == pytest.approx(0.5 * DAY_S)
    assert float(large) > 0.5 * DAY_S * (1 + 0.6 * (USUAL.production[1] - 1))


@pytest.mark.parametrize("bad", [(1.2, 1.1, 1.5), (0.4, 1.1, 1.5), (1.0, 1.1, 3.5), (0.7, 0.8, 0.9)])
def test_production_has_bounds(bad: tuple[float, float, float]) -> None:
    with pytest.raises(DataError, match="production"):
        Operations(production=bad)


def test_a_run_of_each_cluster_in_its_layout(make: Any) -> None:
    clusters = [make.cluster(nodes=n) for n in (1, 4)]
    plan = make.plan(samples=64 * 1e5)
    found = search(plan, clusters)
    runs = runs_on(plan, NOTHING, clusters, found)
    useful = np.minimum(found.layouts.samples, plan.global_batch)
    steps = found.steps.total_s * np.ceil(plan.samples / useful)
    assert runs.steady_s[1] == pytest.approx(steps)
    # The spread of the made-up efficiency is 0.8 to 1.25.
    assert runs.steady_s[0] == pytest.approx(0.8 * steps)
    assert runs.steady_s[2] == pytest.approx(1.25 * steps)
    per_s = runs.interruptions / runs.wall_clock_s[1]
    assert float(per_s[1] / per_s[0]) == pytest.approx(4)  # four times the devices fail four times as often


def test_a_short_run_writes_one_checkpoint(make: Any) -> None:
    operations = replace(NOTHING, device_mtbf_s=1e30, checkpoint_bytes_per_s=1e6)
    runs = run(make, operations, 0.01)
    assert float(runs.checkpoint_interval_s[0]) == pytest.approx(0.01 * DAY_S, rel=0.1)
    assert float(runs.wall_clock_s[1, 0] - runs.steady_s[1, 0]) == pytest.approx(float(runs.checkpoint_write_s[0]))


@pytest.mark.parametrize("devices", [8, 512])
def test_spot_takes_longer(make: Any, devices: int) -> None:
    kept, taken = (run(make, Operations(), 3, devices=devices, spot=spot) for spot in (False, True))
    assert (taken.wall_clock_s > kept.wall_clock_s).all()
    assert taken.interruptions > kept.interruptions


def test_preemptions_are_counted_by_machine(make: Any) -> None:
    operations = replace(NOTHING, device_mtbf_s=1e30, preemptions_per_node_s=(0.0, 1 / DAY_S, 2 / DAY_S))
    runs = run(make, operations, 1, devices=16, spot=True)
    assert float(runs.interruptions[0]) == pytest.approx(2 * float(runs.wall_clock_s[1, 0]) / DAY_S)


def test_a_run_that_is_always_interrupted_never_ends(make: Any) -> None:
    operations = replace(NOTHING, restart_s=HOUR_S, preemptions_per_node_s=(0.0, 0.5 / HOUR_S, 1.0 / HOUR_S))
    low, middle, high = run(make, operations, 10, spot=True).wall_clock_s[:, 0]
    # It is slow long before it is hopeless: Daly's equation has no cliff.
    assert low < middle < high < math.inf
    worse = run(make, replace(operations, restart_s=YEAR_S), 10, spot=True)
    assert math.isinf(worse.wall_clock_s[1, 0])
    assert worse.at(0).goodput == 0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    days=st.floats(0.001, 500),
    more=st.floats(1, 5),
    devices=st.integers(1, 2000).map(lambda n: 8 * n),
    spot=st.booleans(),
)
def test_a_longer_run_ends_later(make: Any, days: float, more: float, devices: int, spot: bool) -> None:
    short, long = (run(make, Operations(), d, devices=devices, spot=spot) for d in (days, days * more))
    for one in (short, long):
        assert (one.wall_clock_s[0] <= one.wall_clock_s[1]).all()
        assert (one.wall_clock_s[1] <= one.wall_clock_s[2]).all()
        assert (one.wall_clock_s > one.steady_s).all()
    assert (long.wall_clock_s >= short.wall_clock_s).all()


def test_a_run_as_a_noun(make: Any) -> None:
    one = run(make, Operations(), 10, devices=4096).at(0)
    assert one.goodput == pytest.approx(one.steady_s.mid / one.wall_clock_s.mid)
    assert 0.9 / USUAL.production[1] < one.goodput < 1.03 / USUAL.production[1]
    assert (one.steady_s.low, one.steady_s.high) == pytest.approx((9 * DAY_S, 11 * DAY_S))
