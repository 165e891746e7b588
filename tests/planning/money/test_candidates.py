from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.domain.market.offer import OLD_WITHIN
from zenplan.planning.money.candidates import behind

AMOUNT = st.floats(0.01, 1e6, allow_nan=False)
PLANS = st.lists(st.tuples(AMOUNT, AMOUNT, st.booleans()), min_size=1, max_size=30)
Plan = tuple[float, float, bool]


def found(plans: list[Plan], scale: float = 1.0) -> list[bool]:
    usd, time_s, old = (np.array(column) for column in zip(*plans, strict=True))
    answer: list[bool] = behind((scale * usd, time_s), old).tolist()
    return answer


@settings(max_examples=200, deadline=None, derandomize=True)
@given(plans=PLANS)
def test_behind_is_what_a_search_by_hand_finds(plans: list[Plan]) -> None:
    by_hand = []
    for usd, time_s, old in plans:
        fresh = [p for p in plans if not p[2]]
        near = bool(fresh) and all(
            any(p[place] <= OLD_WITHIN * own for p in fresh) for place, own in ((0, usd), (1, time_s))
        )
        by_hand.append(old and near)
    assert found(plans) == by_hand


@settings(max_examples=100, deadline=None, derandomize=True)
@given(plans=PLANS, scale=st.sampled_from([2.0**-10, 0.5, 4.0, 2.0**20]))
def test_units_do_not_matter(plans: list[Plan], scale: float) -> None:
    assert found(plans, scale) == found(plans)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(plans=PLANS)
def test_fresh_prices_are_never_behind_and_old_ones_alone_are_not(plans: list[Plan]) -> None:
    assert not any(is_behind and not plan[2] for is_behind, plan in zip(found(plans), plans, strict=True))
    assert not any(found([(usd, time_s, True) for usd, time_s, _ in plans]))


def test_a_price_that_is_not_known_puts_nothing_behind() -> None:
    both = (np.array([np.nan, 1.0]), np.array([1.0, 1.0]))
    assert behind(both, np.array([False, True])).tolist() == [False, False]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(plans=PLANS, data=st.data())
def test_a_fresh_plan_that_is_not_allowed_puts_nothing_behind_that_is(plans: list[Plan], data: st.DataObject) -> None:
    meets = data.draw(st.lists(st.booleans(), min_size=len(plans), max_size=len(plans)))
    usd, time_s, old = (np.array(column) for column in zip(*plans, strict=True))
    told = behind((usd, time_s), old, np.array(meets)).tolist()
    kept = [place for place in range(len(plans)) if meets[place]]
    assert [told[place] for place in kept] == (found([plans[place] for place in kept]) if kept else [])
    # An old price that does not do what was asked either is as it is where nothing was asked.
    missed = [place for place in range(len(plans)) if not meets[place]]
    assert [told[place] for place in missed] == [found(plans)[place] for place in missed]
