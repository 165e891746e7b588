import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.planning.money.ranking import WORTHWHILE, Ranking, pareto, rank

LAZY = settings(max_examples=200, deadline=None, derandomize=True)
# Few different values, so that equals and ties are common.
FIGURES = st.sampled_from([1.0, 2.0, 3.0, 5.0, 8.0, 13.0])
OPTIONS = st.lists(st.tuples(FIGURES, FIGURES), min_size=1, max_size=25)
LIMITS = st.one_of(st.none(), st.sampled_from([0.5, 1.0, 2.5, 5.0, 20.0]))


def columns(options: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    usd, time_s = zip(*options, strict=True)
    return np.array(usd), np.array(time_s)


def beaten(one: tuple[float, float], options: list[tuple[float, float]]) -> bool:
    return any(o[0] <= one[0] and o[1] <= one[1] and o != one for o in options)


@LAZY
@given(options=OPTIONS)
def test_the_frontier_is_what_no_other_beats(options: list[tuple[float, float]]) -> None:
    front = [int(i) for i in pareto(*columns(options))]
    assert {options[i] for i in front} == {o for o in options if not beaten(o, options)}
    assert len({options[i] for i in front}) == len(front)  # of equals one
    assert all(i == options.index(options[i]) for i in front)  # the first
    assert [options[i][0] for i in front] == sorted(options[i][0] for i in front)


@LAZY
@given(options=OPTIONS, top=st.integers(1, 8), deadline=LIMITS, budget=LIMITS)
def test_a_ranking_is_what_a_search_by_hand_finds(
    options: list[tuple[float, float]], top: int, deadline: float | None, budget: float | None
) -> None:
    found = rank(*columns(options), top, deadline, budget)
    shown = [options[i] for i in found.order]
    allowed = [o for o in options if (not budget or o[0] <= budget) and (not deadline or o[1] <= deadline)]
    assert found.met == bool(allowed)
    assert 1 <= len(shown) <= top
    assert len(set(found.order)) == len(found.order) == len(found.labels)
    first = shown[0]
    if not deadline and not budget:
        assert first == min(options)
    elif allowed and deadline:
        assert first == min(allowed)  # the cheapest in time
    elif allowed:
        assert first == min(allowed, key=lambda o: (o[1], o[0]))  # the fastest for the money
    else:
        # The smallest overrun, of several limits their product.
        def overrun(o: tuple[float, float]) -> float:
            return max(o[1] / deadline if deadline else 1, 1) * max(o[0] / budget if budget else 1, 1)

        assert overrun(first) == pytest.approx(min(map(overrun, options)))
    # Behind the first, from cheap to fast.
    assert shown[1:] == sorted(shown[1:])


@LAZY
@given(options=OPTIONS, deadline=LIMITS, budget=LIMITS)
def test_labels_say_what_is_true(
    options: list[tuple[float, float]], deadline: float | None, budget: float | None
) -> None:
    found = rank(*columns(options), 25, deadline, budget)
    by_label = {label: options[i] for i, labels in zip(found.order, found.labels, strict=True) for label in labels}
    assert by_label["cheapest"] == min(options)
    assert by_label["fastest"] == min(options, key=lambda o: (o[1], o[0]))
    assert not beaten(by_label["balanced"], options)
    product = by_label["balanced"][0] * by_label["balanced"][1]
    assert product == pytest.approx(min(o[0] * o[1] for o in options))
    first = "best" if found.met else "nearest"
    assert {"best", "nearest"} & by_label.keys() == ({first} if deadline or budget else set())
    if deadline or budget:
        assert first in found.labels[0]
    assert found.frontier == len({o for o in options if not beaten(o, options)})
    # With room for all, the whole frontier is there.
    assert {o for o in options if not beaten(o, options)} <= {options[i] for i in found.order}


def ranked(
    options: list[tuple[float, float]], top: int = 5, deadline: float | None = None, budget: float | None = None
) -> Ranking:
    return rank(*columns(options), top, deadline, budget)


SLOPE = [(10.0, 100.0), (20.0, 30.0), (40.0, 20.0), (80.0, 15.0), (160.0, 1.0)]


def test_the_cheapest_comes_first_and_the_fastest_last() -> None:
    found = ranked(SLOPE)
    assert found.order == (0, 1, 2, 3, 4)
    assert found.labels == (("cheapest",), (), (), (), ("balanced", "fastest"))
    assert found.met


def test_a_deadline_puts_the_cheapest_in_time_first() -> None:
    found = ranked(SLOPE, deadline=25.0)
    assert found.order[0] == 2
    assert found.labels[0] == ("best",)
    assert found.met


def test_a_budget_puts_the_fastest_for_it_first() -> None:
    assert ranked(SLOPE, budget=100.0).order[0] == 3


def test_both_put_the_cheapest_that_meets_them_first() -> None:
    assert ranked(SLOPE, deadline=35.0, budget=100.0).order[0] == 1


def test_a_limit_is_met_by_equality() -> None:
    assert ranked(SLOPE, deadline=1.0).met
    assert ranked(SLOPE, budget=10.0).met


def test_without_a_way_the_nearest_miss_comes_first() -> None:
    assert ranked(SLOPE, deadline=0.5).order[0] == 4
    assert not ranked(SLOPE, deadline=0.5).met
    assert ranked(SLOPE, budget=5.0).order[0] == 0
    # 20 dollars and 30 seconds overrun both limits by less together than any other.
    assert ranked(SLOPE, deadline=15.0, budget=19.0).order[0] == 1


def test_top_is_the_most_that_is_shown() -> None:
    for top in range(1, 8):
        assert len(ranked(SLOPE, top=top).order) == min(top, 5)
    assert ranked(SLOPE, top=1).order == (0,)


def test_an_option_alone_is_everything() -> None:
    assert ranked([(3.0, 4.0)]).labels == (("cheapest", "balanced", "fastest"),)


def test_of_equals_the_first_is_shown() -> None:
    found = ranked([(2.0, 2.0), (1.0, 1.0), (1.0, 1.0)])
    assert found.order == (1,)
    assert found.frontier == 1


def test_nobody_pays_more_for_next_to_nothing() -> None:
    # A dearer option is on the frontier only where it saves at least a fiftieth of the time.
    assert WORTHWHILE == 0.02
    assert pareto(*columns([(10.0, 100.0), (20.0, 98.5)])).tolist() == [0]
    assert pareto(*columns([(10.0, 100.0), (20.0, 97.5)])).tolist() == [0, 1]
