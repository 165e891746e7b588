from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.domain.market.offer import OLD_WITHIN
from zenplan.planning.money.candidates import behind

AMOUNT = st.floats(0.01, 1e6, allow_nan=False)
PLANS = st.lists(st.tuples(AMOUNT, AMOUNT, st.booleans(), st.booleans()), min_size=1, max_size=30)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(plans=PLANS)
def test_behind_is_what_a_search_by_hand_finds(plans: list[tuple[float, float, bool, bool]]) -> None:
    usd, time_s, old, meets = (np.array(column) for column in zip(*plans, strict=True))
    by_hand = [
        is_old
        and any(
            not other_old and u <= OLD_WITHIN * own_usd and t <= OLD_WITHIN * own_s and (other_meets or not own_meets)
            for u, t, other_old, other_meets in plans
        )
        for own_usd, own_s, is_old, own_meets in plans
    ]
    assert behind(usd, time_s, old, meets).tolist() == by_hand


@settings(max_examples=100, deadline=None, derandomize=True)
@given(plans=PLANS, scale=st.sampled_from([2.0**-10, 0.5, 4.0, 2.0**20]))
def test_units_do_not_matter(plans: list[tuple[float, float, bool, bool]], scale: float) -> None:
    usd, time_s, old, meets = (np.array(column) for column in zip(*plans, strict=True))
    first = behind(usd, time_s, old, meets).tolist()
    assert behind(scale * usd, time_s, old, meets).tolist() == first
    assert behind(usd, scale * time_s, old, meets).tolist() == first


def test_a_price_that_is_not_known_puts_nothing_behind() -> None:
    usd, time_s = np.array([np.nan, 1.0]), np.array([1.0, 1.0])
    assert behind(usd, time_s, np.array([False, True]), np.array([True, True])).tolist() == [False, False]
    assert behind(np.array([1.0]), np.array([1.0]), np.array([True]), np.array([True])).tolist() == [False]
