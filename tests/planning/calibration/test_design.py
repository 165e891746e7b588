"""What to measure: depths below the target's, and points that say the most for their time."""

from __future__ import annotations

import pytest

from zenplan.domain.measured.calibration import SweepPoint
from zenplan.planning.calibration.design import chosen, depths_for, expected_s, setup_s


@pytest.mark.parametrize(
    ("depth", "superlinear", "depths"),
    [
        (32, False, (1, 2, 4)),
        (4, False, (1, 2, 3)),
        (3, False, (1, 2)),
        (16, True, (1, 2, 4, 10)),
        (2, False, (1,)),
        (1, False, (1,)),
    ],
)
def test_depths(depth, superlinear, depths):
    assert depths_for(depth, superlinear) == depths


def test_a_program_that_grows_faster_is_run_deeper_but_never_whole():
    for depth in range(3, 130):
        found = depths_for(depth, superlinear=True)
        assert max(found) < depth, depth
        assert max(found) >= round(0.6 * depth), depth
        assert len(found) >= min(3, depth - 1), depth


def point(name: str, **features: float) -> SweepPoint:
    return SweepPoint(
        builder="product",
        arguments={"name": name},
        family="operator",
        batch=1,
        flop=features.get("product_flop", 1.0),
        features=features,
    )


def test_the_first_points_differ_in_what_they_tell():
    twins = [point(f"t{i}", product_flop=1e9) for i in range(5)]
    stream = point("s", stream_elements=1e8)
    expected = {p.key: 0.1 for p in (*twins, stream)}
    first_two = chosen([*twins, stream], expected, expected, budget_s=1.0)[:2]
    assert stream in first_two


def test_of_two_that_tell_the_same_the_cheaper_is_taken():
    cheap, dear = point("cheap", product_flop=1e9), point("dear", product_flop=1e9)
    step_s = {cheap.key: 0.1, dear.key: 0.1}
    assert chosen([dear, cheap], step_s, {cheap.key: 1.0, dear.key: 5.0}, budget_s=5.5) == (cheap,)


def test_what_tells_as_much_to_a_thousandth_is_as_good_and_the_cheaper_is_taken():
    cheap, dear = (point(f"{flop}", product_flop=flop, steps=1.0) for flop in (0.9999e9, 1e9))
    step_s = {cheap.key: 0.1, dear.key: 0.1}
    assert chosen([dear, cheap], step_s, {cheap.key: 1.0, dear.key: 5.0}, budget_s=5.5)[0] == cheap
    better = point("better", product_flop=2e9, steps=1.0)
    costs = {cheap.key: 1.0, better.key: 5.0}
    assert chosen([cheap, better], dict.fromkeys(costs, 0.1), costs, budget_s=5.5)[0] == better


def test_the_budget_holds():
    every = [point(f"t{i}", product_flop=1e9 * (1 + i)) for i in range(20)]
    expected = {p.key: 0.1 * (1 + i) for i, p in enumerate(every)}
    cost = {key: 4 * seconds for key, seconds in expected.items()}
    taken = chosen(every, expected, cost, budget_s=10.0)
    assert 0 < sum(cost[p.key] for p in taken) <= 10.0
    assert chosen(every, expected, cost, budget_s=0.1) == ()


def test_larger_points_are_expected_to_take_longer_and_compilers_to_look_at_every_operator():
    small, large = point("s", product_flop=1e9, operators=10), point("l", product_flop=1e11, operators=400)
    found = expected_s([small, large], 1e11)
    assert 1.0 < found[large.key] < 2.0, "a product alone would take one second"
    assert found[large.key] > 50 * found[small.key]
    assert setup_s(small, "jax") < setup_s(large, "jax")
    assert setup_s(large, "torch") < setup_s(large, "jax")
