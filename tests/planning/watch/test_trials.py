"""The laws of a search: its trials, what money allows of them, and when one is given up."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from zenplan.errors import DataError
from zenplan.planning.watch.trials import LEAST_OTHERS, Between, affordable, drawn, grid, is_behind


def test_a_grid_is_every_combination_once() -> None:
    found = grid({"rate": (1.0, 2.0), "width": (8, 16, 32)})
    assert len(found) == 6 == len({tuple(each.items()) for each in found})
    assert found[0] == {"rate": 1.0, "width": 8}
    assert found[1] == {"rate": 1.0, "width": 16}


def test_more_random_trials_begin_with_those_of_fewer_and_none_is_there_twice() -> None:
    fields = {"rate": Between(low=1e-5, high=1e-1, log=True), "width": (8, 16)}
    few, many = drawn(fields, 5, 3), drawn(fields, 50, 3)
    assert many[:5] == few
    assert len({tuple(each.items()) for each in many}) == 50
    assert drawn(fields, 5, 4) != few
    assert len(drawn({"width": (8, 16)}, 50, 0)) == 2


def test_logarithms_are_drawn_evenly() -> None:
    rates = [each["rate"] for each in drawn({"rate": Between(low=1e-4, high=1e-1, log=True)}, 3000, 0)]
    decades = Counter(math.floor(math.log10(float(rate))) for rate in rates)
    assert set(decades) == {-4, -3, -2}
    assert all(900 < count < 1100 for count in decades.values())


def test_whole_numbers_reach_both_ends_evenly() -> None:
    field = Between(low=1, high=4, whole=True)
    counts = Counter(field.at((i + 0.5) / 1000) for i in range(1000))
    assert counts == {1: 250, 2: 250, 3: 250, 4: 250}
    assert {type(field.at(share)) for share in (0.0, 0.5, 1.0)} == {int}


@pytest.mark.parametrize("ends", [(2.0, 1.0, False), (1.0, 1.0, False), (0.0, 1.0, True), (math.nan, 1.0, False)])
def test_ends_with_nothing_between_are_refused(ends: tuple[float, float, bool]) -> None:
    low, high, log = ends
    with pytest.raises(DataError):
        Between(low=low, high=high, log=log)


def test_trials_are_run_while_there_is_money_for_the_next() -> None:
    assert affordable([1.0, 1.0, 1.0], 2.5) == 2
    assert affordable([1.0, 5.0, 1.0], 3.0) == 1
    assert affordable([2.0], 1.0) == 0
    assert affordable([1.0, 1.0], 2.0) == 2


def test_a_trial_is_behind_where_its_best_is_worse_than_the_median_of_the_others_means() -> None:
    others = [[(10, 4.0), (20, 2.0)], [(10, 3.0), (20, 1.0)], [(10, 5.0), (20, 3.0)]]
    assert is_behind(20, 3.1, others)
    assert not is_behind(20, 2.9, others)
    # At step 10 their means are 4, 3 and 5.
    assert not is_behind(10, 3.9, others)
    assert is_behind(10, 4.1, others)


def test_few_others_and_others_that_have_not_come_so_far_say_nothing() -> None:
    others = [[(10, 1.0), (20, 1.0)]] * LEAST_OTHERS
    assert is_behind(20, 9.0, others)
    assert not is_behind(20, 9.0, others[1:])
    assert not is_behind(30, 9.0, others)
