"""Ranges: what comes beside one, and its ends."""

import math

import pytest

from zenplan.domain.range import Range

STEPS = Range(low=90.0, mid=100.0, high=120.0)


def test_half_widths_of_what_varies_on_its_own_add_up_as_squares() -> None:
    found = STEPS.with_beside((10.0, 3.0), (5.0, 4.0))
    assert found.mid == 115.0
    assert found.ends == pytest.approx((115.0 - math.hypot(10.0, 5.0), 115.0, 115.0 + math.hypot(20.0, 5.0)))


def test_what_is_in_no_doubt_moves_a_range_and_widens_it_not() -> None:
    assert STEPS.with_beside((10.0, 0.0)) == STEPS + 10.0
    assert STEPS.with_beside() == STEPS


def test_it_is_never_below_zero() -> None:
    assert STEPS.with_beside((1.0, 1e6)).low == 0.0


def test_a_figure_in_no_doubt_has_one_end() -> None:
    assert set(Range.exactly(7.0).ends) == {7.0}


def test_the_total_is_of_each_end_alone_and_nothing_of_none() -> None:
    assert Range.total((STEPS, STEPS, Range.exactly(1.0))) == STEPS * 2.0 + 1.0
    assert Range.total(()) == Range.exactly(0.0)
