"""When to train again: both costs balance where the loss is even, and nothing near the answer costs less."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from zenplan.domain.answer.retraining import EXPONENTIAL, LINEAR, Decay
from zenplan.domain.provenance import Origin
from zenplan.errors import DataError
from zenplan.planning.watch.retraining import best_interval, fitted, reached

RATES = st.floats(1e-4, 0.02)
COSTS = st.floats(1.0, 1e4)


def decay(form: str = LINEAR, rate: float = 0.001, rises: bool = False, **changes: Any) -> Decay:
    values: dict[str, Any] = {"low": rate, "mid": rate, "high": rate, "start": 0.9, **changes}
    return Decay(metric="m", rises=rises, form=form, origin=Origin.GIVEN, why="made up", **values)


@settings(deadline=None)
@given(rate=RATES, cost=COSTS, worth=st.floats(100.0, 1e5))
def test_an_even_loss_costs_as_much_as_the_runs(rate: float, cost: float, worth: float) -> None:
    even = decay(rate=rate)
    days = best_interval(even, cost, worth).mid
    expected = math.sqrt(2.0 * cost / (rate * worth))
    assume(expected < 36_000.0)
    assert days == pytest.approx(expected, rel=1e-6)
    assert worth * even.lost_until(days, rate) / days == pytest.approx(cost / days, rel=1e-6)


@settings(deadline=None)
@given(form=st.sampled_from([LINEAR, EXPONENTIAL]), rises=st.booleans(), rate=RATES, cost=COSTS)
def test_no_interval_beside_it_costs_less(form: str, rises: bool, rate: float, cost: float) -> None:
    worse = decay(form, rate, rises)
    days = best_interval(worse, cost, 5000.0).mid
    assume(days is not None)

    def a_day(interval: float) -> float:
        return (cost + 5000.0 * worse.lost_until(interval, rate)) / interval

    assert days is not None
    assert a_day(days) <= min(a_day(0.95 * days), a_day(1.05 * days)) * (1.0 + 1e-9)


@settings(deadline=None)
@given(form=st.sampled_from([LINEAR, EXPONENTIAL]), cost=COSTS, more=st.floats(1.1, 4.0))
def test_dearer_runs_are_rarer_and_faster_decay_is_more_often(form: str, cost: float, more: float) -> None:
    worse = decay(form, low=0.001, mid=0.002, high=0.004)
    found, dearer = (best_interval(worse, each, 1e5) for each in (cost, cost * more))
    assert found.low is not None
    assert found.mid is not None
    assert found.high is not None
    assert found.low < found.mid < found.high
    assert dearer.mid is not None
    assert dearer.mid > found.mid


def test_it_never_pays_where_all_that_can_be_lost_is_less_than_a_run() -> None:
    assert best_interval(decay(EXPONENTIAL, 0.01), 1e9, 1.0).mid is None


def test_a_low_end_that_may_be_no_decay_never_comes() -> None:
    found = reached(decay(low=-0.001, mid=0.001, high=0.003), 0.87)
    assert found.high is None
    assert found.mid == pytest.approx(30.0)
    assert found.low == pytest.approx(10.0)


def test_a_limit_that_is_passed_is_reached_at_once() -> None:
    assert reached(decay(), 0.95).mid == 0.0
    assert reached(decay(rises=True), 0.5).mid == 0.0


@settings(deadline=None)
@given(rate=RATES, rises=st.booleans(), form=st.sampled_from([LINEAR, EXPONENTIAL]))
def test_what_was_planted_is_fitted(rate: float, rises: bool, form: str) -> None:
    planted = decay(form, rate, rises)
    rows = [(7.0 * n, 0.9 + (1 if rises else -1) * planted.lost(7.0 * n, rate)) for n in range(10)]
    found = fitted("m", rises, rows)
    assert found.start == pytest.approx(0.9, rel=1e-6)
    # Where hardly anything is lost, a line and an exponential are the same.
    assert found.lost(60.0, found.mid) == pytest.approx(planted.lost(60.0, rate), rel=1e-3)


def test_noise_widens_the_range() -> None:
    rows = [(float(n), 0.9 - 0.001 * n) for n in range(20)]
    noisy = [(age, value + 0.004 * (-1) ** int(age)) for age, value in rows]
    exact, wide = fitted("m", False, rows), fitted("m", False, noisy)
    assert wide.high - wide.low > exact.high - exact.low
    assert wide.low < 0.001 < wide.high


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [(0.0, 0.9), (1.0, 0.8)],
        [(0.0, 0.9)] * 5,
        [(0.0, 0.9), (1.0, 0.9), (2.0, 0.9)],
        [(0.0, 0.8), (1.0, 0.9), (2.0, 1.0)],
    ],
)
def test_what_says_nothing_of_a_decay_is_refused(rows: list[tuple[float, float]]) -> None:
    with pytest.raises(DataError):
        fitted("m", False, rows)
