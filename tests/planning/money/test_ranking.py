"""What the labels mean, and what may and may not move the recommended plan."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.planning.money.ranking import SAFETY, Ranking, Wish, pareto, rank
from zenplan.units import DAY_S, HOUR_S, MINUTE_S

LAZY = settings(max_examples=200, deadline=None, derandomize=True)
# Few different values, so that equals and ties are common.
FIGURES = st.sampled_from([1.0, 2.0, 3.0, 5.0, 8.0, 13.0])
# By how much the high end is above the middle, of dollars and of time.
ENDS = st.sampled_from([1.0, 1.3, 2.0])
Option = tuple[float, float, float, float]
OPTIONS = st.lists(st.tuples(FIGURES, FIGURES, ENDS, ENDS), min_size=1, max_size=25)
LIMITS = st.one_of(st.none(), st.sampled_from([0.5, 1.0, 2.5, 5.0, 20.0]))
HORIZONS = st.sampled_from([0.5, 4.0, 90.0])
WISHES = st.builds(Wish, horizon_s=HORIZONS, deadline_s=LIMITS, budget_usd=LIMITS, day_usd=LIMITS)
# As real ones: dollars and time of many sizes.
RUNS = st.lists(
    st.tuples(st.floats(0.01, 1e6), st.floats(60.0, 80 * DAY_S), st.floats(1, 2), st.floats(1, 2)),
    min_size=1,
    max_size=40,
)
FREE = Wish(horizon_s=90 * DAY_S)


def columns(options: list[Option]) -> tuple[np.ndarray, np.ndarray]:
    usd, time_s, dear, late = (np.array(each) for each in zip(*options, strict=True))
    return np.array([usd / dear, usd, usd * dear]), np.array([time_s / late, time_s, time_s * late])


def ranked(options: list[Option], wish: Wish = FREE, top: int = 25) -> Ranking:
    return rank(*columns(options), top, wish)


def pick(options: list[Option], wish: Wish = FREE) -> Option:
    return options[ranked(options, wish).order[0]]


def plain(*options: tuple[float, float]) -> list[Option]:
    return [(usd, time_s, 1.0, 1.0) for usd, time_s in options]


def beaten(one: Option, options: list[Option]) -> bool:
    return any(o[0] <= one[0] and o[1] <= one[1] and o[:2] != one[:2] for o in options)


def asked(options: list[Option], wish: Wish) -> list[Option]:
    """Those within what was asked; of none, all within the horizon; of none, those about as fast as the fastest."""
    soon = [o for o in options if o[1] <= wish.horizon_s] or [
        o for o in options if o[1] <= 1.02 * min(o[1] for o in options)
    ]
    kept = [
        o
        for o in soon
        if (not wish.budget_usd or o[0] <= wish.budget_usd) and (not wish.deadline_s or o[1] <= wish.deadline_s)
    ]
    return kept or soon


def by_label(options: list[Option], found: Ranking) -> dict[str, Option]:
    return {label: options[index] for index, labels in found.labels.items() for label in labels}


# --- one definition each


@LAZY
@given(options=OPTIONS)
def test_the_frontier_is_what_no_other_beats(options: list[Option]) -> None:
    usd, time_s = columns(options)
    front = [int(i) for i in pareto(usd[1], time_s[1])]
    assert {options[i][:2] for i in front} == {o[:2] for o in options if not beaten(o, options)}
    assert len({options[i][:2] for i in front}) == len(front)  # of equals one
    assert all(i == [o[:2] for o in options].index(options[i][:2]) for i in front)  # the first
    assert [options[i][0] for i in front] == sorted(options[i][0] for i in front)


@LAZY
@given(options=OPTIONS, wish=WISHES, top=st.integers(1, 8))
def test_labels_are_of_what_was_asked(options: list[Option], wish: Wish, top: int) -> None:
    found = ranked(options, wish, top)
    labels, within = by_label(options, found), asked(options, wish)
    assert labels["cheapest"][:2] == min(o[:2] for o in within)
    assert labels["fastest"][:2] == min((o[:2] for o in within), key=lambda o: (o[1], o[0]))
    assert found.in_time == any(o[1] <= wish.horizon_s for o in options)
    good = found.met and found.in_time
    assert ("recommended" in labels, "nearest" in labels) == (good, not good)
    assert labels["recommended" if good else "nearest"] == options[found.order[0]]
    assert set(found.labels) <= set(found.frontier)
    # Every label is of one option.
    assert len(labels) == sum(map(len, found.labels.values())) == 3


@LAZY
@given(options=OPTIONS, wish=WISHES)
def test_the_frontier_is_of_what_was_asked(options: list[Option], wish: Wish) -> None:
    found = ranked(options, wish)
    within = asked(options, wish)
    front = {options[i][:2] for i in found.frontier}
    best = {o[:2] for o in within if not beaten(o, within)}
    assert best <= front <= best | {options[found.order[0]][:2]}
    assert [options[i][0] for i in found.frontier] == sorted(options[i][0] for i in found.frontier)


@LAZY
@given(options=OPTIONS, wish=WISHES, top=st.integers(1, 8))
def test_what_is_shown_is_of_the_frontier(options: list[Option], wish: Wish, top: int) -> None:
    found = ranked(options, wish, top)
    assert 1 <= len(found.order) <= top
    assert len(set(found.order)) == len(found.order)
    assert set(found.order) <= set(found.frontier)
    behind = [options[i][0] for i in found.order[1:]]
    assert behind == sorted(behind)


@LAZY
@given(options=OPTIONS, wish=WISHES)
def test_the_recommended_is_a_search_by_hand(options: list[Option], wish: Wish) -> None:
    found = ranked(options, wish)
    chosen, within = options[found.order[0]], asked(options, wish)
    if not found.met:
        # The smallest overrun, of two limits their product.
        over = [
            max(o[1] / (wish.deadline_s or o[1]), 1) * max(o[0] / (wish.budget_usd or o[0]), 1)
            for o in (chosen, *within)
        ]
        assert over[0] == pytest.approx(min(over))
        return
    keeps = [o for o in within if not wish.budget_usd or o[0] * o[2] <= wish.budget_usd]
    if keeps:
        within = keeps
        assert chosen in keeps
    safe = [o for o in within if not wish.deadline_s or o[1] * o[3] <= wish.deadline_s]
    if safe and cost_of(wish, safe) <= SAFETY * cost_of(wish, within):
        within = safe
        assert chosen in safe
    assert cost_of(wish, [chosen]) == pytest.approx(cost_of(wish, within))


def cost_of(wish: Wish, options: list[Option]) -> float:
    return min(float(wish.cost(np.array(o[0]), np.array(o[1]))) for o in options)


@LAZY
@given(options=RUNS)
def test_the_recommended_is_on_the_frontier(options: list[Option]) -> None:
    assert not beaten(pick(options), options)


# --- what must not move the pick


@LAZY
@given(options=RUNS, factor=st.floats(1e-3, 1e3))
def test_another_currency_moves_nothing(options: list[Option], factor: float) -> None:
    found = ranked(options)
    other = ranked([(o[0] * factor, *o[1:]) for o in options])
    costs = [float(FREE.cost(*np.array(options[r.order[0]][:2]))) for r in (found, other)]
    assert costs[0] == pytest.approx(costs[1])  # the same, or another that is as good


@LAZY
@given(options=RUNS, more=st.floats(1, 5), slower=st.floats(1, 5), place=st.integers(0, 40), of=st.integers(0, 39))
def test_a_plan_that_another_beats_moves_nothing(
    options: list[Option], more: float, slower: float, place: int, of: int
) -> None:
    better = options[of % len(options)]
    worse = (better[0] * (1.001 * more), better[1] * (1.001 * slower), *better[2:])
    assert pick([*options[:place], worse, *options[place:]]) == pick(options)


@LAZY
@given(options=RUNS, usd=st.floats(1e-3, 1e6), days=st.floats(90.1, 1e4))
def test_a_plan_beyond_the_horizon_moves_nothing(options: list[Option], usd: float, days: float) -> None:
    late = (usd, days * DAY_S, 1.0, 1.0)
    before, after = ranked(options), ranked([late, *options])
    assert by_label(options, before) == by_label([late, *options], after)


@LAZY
@given(options=RUNS, share=st.floats(0, 1), growth=st.floats(1, 100))
def test_a_budget_beyond_the_high_end_moves_nothing(options: list[Option], share: float, growth: float) -> None:
    free = pick(options)
    enough = free[0] * free[2]
    for budget in (enough * 1.0001, enough * (1.0001 + growth)):
        assert pick(options, replace(FREE, budget_usd=budget)) == free
    # A budget that binds: one that is smaller, and still above the high end of what was picked, picks the same.
    tight = free[0] * (0.1 + share)
    found = ranked(options, replace(FREE, budget_usd=tight))
    chosen = options[found.order[0]]
    high = chosen[0] * chosen[2]
    if found.met and high * 1.0001 < tight:
        assert pick(options, replace(FREE, budget_usd=high * 1.0001)) == chosen


@LAZY
@given(options=RUNS, deadline=st.floats(600, 80 * DAY_S), tighter=st.floats(0.01, 1))
def test_a_tighter_deadline_is_not_slower(options: list[Option], deadline: float, tighter: float) -> None:
    # All of one interval, as of one kind of hardware: then what is safe is what is faster.
    alike = [(usd, time_s, 1.4, 1.4) for usd, time_s, *_ in options]
    loose, tight = (pick(alike, replace(FREE, deadline_s=d)) for d in (deadline, deadline * tighter))
    assert tight[1] <= loose[1]


@LAZY
@given(
    options=RUNS, moves=st.lists(st.floats(0.98, 1.02), min_size=40, max_size=40), wish=st.sampled_from([FREE, None])
)
def test_prices_of_two_per_cent_move_it_within_those(
    options: list[Option], moves: list[float], wish: Wish | None
) -> None:
    wish = wish or replace(FREE, day_usd=200.0)
    after = [(o[0] * move, *o[1:]) for o, move in zip(options, moves, strict=False)]
    old, new = ranked(options, wish).order[0], ranked(after, wish).order[0]
    costs = [float(wish.cost(*np.array(options[i][:2]))) for i in (old, new)]
    assert costs[0] <= costs[1] * (1 + 1e-9)
    assert costs[1] <= costs[0] * 1.02 / 0.98 * (1 + 1e-9)


# --- what is worth its money


@LAZY
@given(options=RUNS)
def test_nobody_pays_more_for_next_to_nothing(options: list[Option]) -> None:
    chosen = pick(options)
    for other in options:
        # As soon, but for three hundredths or a quarter of an hour: then not a few per cent dearer.
        if other[1] <= max(1.03 * chosen[1], chosen[1] + 15 * MINUTE_S):
            assert chosen[0] <= 1.03 * other[0]
        # Not twice the dollars but for an eighth of the days, and a working day is soon.
        if chosen[0] > 2.01 * other[0]:
            assert other[1] > 8 * chosen[1]


@pytest.mark.parametrize(
    ("options", "best"),
    [
        # Minutes are worth nothing beside dollars, however few.
        ([(1.58, 20 * MINUTE_S), (45.0, 19 * MINUTE_S)], 0),
        ([(1.52, 1.9 * HOUR_S), (222.0, 11 * MINUTE_S)], 0),
        # Weeks are; hours are not worth twice the bill.
        ([(125.0, 13 * DAY_S), (146.0, DAY_S), (352.0, 1.7 * HOUR_S)], 1),
        ([(1.06e6, 62 * DAY_S), (1.23e6, 9 * DAY_S), (3.1e6, 7 * DAY_S)], 1),
    ],
)
def test_what_a_careful_colleague_would_take(options: list[tuple[float, float]], best: int) -> None:
    found = ranked(plain(*options))
    assert found.order[0] == best
    assert "recommended" in found.labels[best]


def test_a_day_may_be_given_its_worth() -> None:
    options = plain((100.0, 10 * DAY_S), (600.0, 2 * DAY_S), (1200.0, DAY_S))
    picks = [ranked(options, replace(FREE, day_usd=worth)).order[0] for worth in (1.0, 62.0, 63.0, 599.0, 601.0)]
    assert picks == [0, 0, 1, 1, 2]


# --- limits


SLOPE = plain((10.0, 100.0), (20.0, 30.0), (40.0, 20.0), (80.0, 15.0), (160.0, 1.0))


def test_a_limit_is_met_by_equality() -> None:
    assert ranked(SLOPE, replace(FREE, deadline_s=1.0)).met
    assert ranked(SLOPE, replace(FREE, budget_usd=10.0)).met


def test_without_a_way_the_nearest_miss_comes_first() -> None:
    for limits, first in (
        ({"deadline_s": 0.5}, 4),
        ({"budget_usd": 5.0}, 0),
        ({"deadline_s": 15.0, "budget_usd": 19.0}, 1),
    ):
        found = ranked(SLOPE, replace(FREE, **limits))
        assert (found.met, found.order[0]) == (False, first)
        assert "nearest" in found.labels[first]


def test_a_high_end_that_keeps_the_budget_comes_before_a_better_knee() -> None:
    sure, unsure = (90.0, 9 * DAY_S, 1.1, 1.1), (80.0, 5 * DAY_S, 1.5, 1.1)
    assert pick([sure, unsure]) == unsure
    assert pick([sure, unsure], replace(FREE, budget_usd=100.0)) == sure
    # Where none keeps it at its high end, the better knee of those that keep it by their middle.
    assert pick([sure, unsure], replace(FREE, budget_usd=95.0)) == unsure
    found = ranked([sure, unsure], replace(FREE, budget_usd=100.0))
    assert by_label([sure, unsure], found)["cheapest"] == unsure
    assert set(found.frontier) == {0, 1}


def test_beyond_the_horizon_only_what_is_about_as_fast_as_the_fastest_counts() -> None:
    options = plain((900.0, 400 * DAY_S), (300.0, 401 * DAY_S), (100.0, 1000 * DAY_S))
    found = ranked(options)
    assert (found.in_time, found.met) == (False, True)
    assert found.labels == {1: ("nearest", "cheapest"), 0: ("fastest",)}
    assert 2 not in found.frontier


def test_an_option_alone_is_everything() -> None:
    assert ranked(plain((3.0, 4.0))).labels == {0: ("recommended", "cheapest", "fastest")}


def test_of_equals_the_first_is_shown() -> None:
    found = ranked(plain((2.0, 2.0), (1.0, 1.0), (1.0, 1.0)))
    assert found.order == found.frontier == (1,)


def test_top_is_the_most_that_is_shown() -> None:
    for top in range(1, 8):
        assert len(ranked(SLOPE, top=top).order) == min(top, 5)


# --- dollars that are not known


def test_what_has_no_price_is_left_out_where_others_have_one() -> None:
    found = ranked(plain((np.nan, 1.0), (3.0, 4.0)))
    assert found.order == (1,)


@pytest.mark.parametrize("budget_usd", [None, 5.0])
def test_without_any_price_gpu_hours_stand_for_dollars_and_nothing_is_cheapest(budget_usd: float | None) -> None:
    usd, time_s = columns(plain((np.nan, 10 * DAY_S), (np.nan, DAY_S), (np.nan, 0.5 * DAY_S)))
    wish = replace(FREE, budget_usd=budget_usd)
    found = rank(usd, time_s, 5, wish, gpu_h=np.array([240.0, 250.0, 2000.0]))
    assert found.labels == {1: ("recommended",), 2: ("fastest",)}
    assert rank(usd, time_s, 5, wish).labels == {2: ("recommended", "fastest")}
    late = rank(usd, time_s, 5, replace(wish, deadline_s=HOUR_S))
    assert (late.met, late.labels) == (False, {2: ("nearest", "fastest")})


def test_what_costs_nothing_is_ranked_by_time() -> None:
    assert ranked(plain((0.0, 2.0), (0.0, 1.0))).order[0] == 1
