"""What to measure: depths below the target's, and points that say the most for their time."""

from __future__ import annotations

import pytest

from zenplan.planning.design import SweepPoint, chosen, depths_for


@pytest.mark.parametrize(("depth", "superlinear", "depths"), [
    (32, False, (1, 2, 4)),
    (4, False, (1, 2, 3)),
    (3, False, (1, 2)),
    (16, True, (1, 2, 4, 10)),
    (2, False, (1,)),
    (1, False, (1,)),
])  # fmt: skip
def test_depths(depth, superlinear, depths):
    assert depths_for(depth, superlinear) == depths


@pytest.mark.parametrize("depth", range(3, 130))
def test_a_program_that_grows_faster_is_run_deeper_but_never_whole(depth):
    found = depths_for(depth, superlinear=True)
    assert max(found) < depth
    assert max(found) >= round(0.6 * depth)
    assert len(found) >= min(3, depth - 1)


def point(name: str, **features: float) -> SweepPoint:
    return SweepPoint(builder="product", arguments={"name": name}, family="operator", batch=1,
                      flop=features.get("product_flop", 1.0), features=features)  # fmt: skip


def test_the_first_points_differ_in_what_they_tell():
    twins = [point(f"t{i}", product_flop=1e9) for i in range(5)]
    stream = point("s", stream_elements=1e8)
    expected = {p.key: 0.1 for p in (*twins, stream)}
    first_two = chosen([*twins, stream], expected, budget_s=1.0, rounds=5)[:2]
    assert stream in first_two


def test_the_budget_holds():
    every = [point(f"t{i}", product_flop=1e9 * (1 + i)) for i in range(20)]
    expected = {p.key: 0.1 * (1 + i) for i, p in enumerate(every)}
    taken = chosen(every, expected, budget_s=10.0, rounds=4)
    assert 0 < 4 * sum(expected[p.key] for p in taken) <= 10.0
    assert chosen(every, expected, budget_s=0.1, rounds=4) == ()
