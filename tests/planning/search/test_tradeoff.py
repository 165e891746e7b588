"""The frontier, the list and the runner-up, held against plain loops over the same layouts."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from zenplan.planning.search.search import Found, sample_s, survey
from zenplan.planning.search.tradeoff import frontier, listed, part_name, runner_up, why

REAL = {"operator_s": 10e-6, "link_hop_s": 5e-6, "network_hop_s": 15e-6, "matmul": 0.6, "memory": 0.7}


@pytest.fixture(scope="module")
def case(make: Any) -> tuple[Any, Found]:
    shape = {"layers": 16, "width": 4096, "heads": 32, "ff_width": 16_384, "vocab": 32_000, "seq_len": 2048}
    plan = make.plan(make.workload(**shape), global_batch=96)
    cluster = make.cluster(sheet={"memory_bytes": 24e9}, efficiency=REAL, nodes=3)
    return plan, survey(plan, cluster)


def fitting(case: tuple[Any, Found]) -> list[tuple[float, float, int]]:
    """Seconds a sample, bytes and place of each layout that fits."""
    plan, found = case
    each_s, needs = sample_s(plan, found.layouts, found.steps), found.memory.total_bytes
    return [(float(each_s[i]), float(needs[i]), int(i)) for i in np.flatnonzero(found.fits)]


def test_nothing_beats_what_is_on_the_frontier_and_all_that_is_unbeaten_is_there(case: Any) -> None:
    every = fitting(case)
    points = {(s, b) for s, b, _ in every}
    unbeaten = {(s, b) for s, b in points if not any(t <= s and c <= b and (t, c) != (s, b) for t, c in points)}
    by_place = {i: (s, b) for s, b, i in every}
    on_it = [by_place[i] for i in frontier(*case).tolist()]
    assert len(unbeaten) > 5
    assert set(on_it) == unbeaten
    assert on_it == sorted(on_it)


def test_the_list_has_of_each_degrees_what_is_unbeaten_among_them(case: Any) -> None:
    plan, found = case
    by_place = {i: (s, b) for s, b, i in fitting(case)}

    def degrees(i: int) -> tuple[float, ...]:
        return tuple(float(getattr(found.layouts, n)[i]) for n in ("dp", "tp", "pp", "cp", "ep"))

    places = listed(plan, found, "time", 20).tolist()
    assert len(places) == 20
    assert [by_place[i][0] for i in places] == sorted(by_place[i][0] for i in places)
    for place in places:
        own = by_place[place]
        alike = [by_place[i] for i in by_place if degrees(i) == degrees(place)]
        assert not any(s <= own[0] and b <= own[1] and (s, b) != own for s, b in alike)
    leanest = listed(plan, found, "memory", 1).tolist()[0]
    assert by_place[leanest][1] == min(b for _, b in by_place.values())


def test_the_runner_up_is_the_next_that_is_laid_out_otherwise(case: Any) -> None:
    plan, found = case
    order = sorted(fitting(case))
    first, second = found.layouts.at(order[0][2]), runner_up(plan, found)
    assert second is not None
    names = ("dp", "tp", "pp", "cp", "ep", "zero")
    other = next(
        (s, i)
        for s, _, i in order
        if s > order[0][0] * (1 + 1e-9) and any(getattr(found.layouts.at(i), n) != getattr(first, n) for n in names)
    )
    assert second.slower == pytest.approx(other[0] / order[0][0] - 1)
    assert sum(second.parts.values()) == pytest.approx(second.slower)
    assert any(getattr(second.layout, n) != getattr(first, n) for n in names)


def test_a_layout_that_takes_as_long_is_no_runner_up(case: Any) -> None:
    plan, found = case
    same = {f.name: np.ones_like(getattr(found.steps, f.name)) for f in fields(found.steps)}
    layouts = replace(found.layouts, dp=found.layouts.dp * 0 + 96, micro_batch=found.layouts.dp * 0 + 1)
    alike = replace(found, steps=type(found.steps)(**same), layouts=layouts)
    assert runner_up(plan, alike) is None


def test_where_nothing_fits_there_is_neither(case: Any) -> None:
    plan, found = case
    none = replace(found, fits=np.zeros_like(found.fits), tight=np.zeros_like(found.fits))
    assert runner_up(plan, none) is None
    assert len(frontier(plan, none)) == 0
    assert len(listed(plan, none, "time", 10)) == 0


def test_why_it_lost_names_the_largest_parts_first(case: Any) -> None:
    second = runner_up(*case)
    assert second is not None
    made_up = replace(second, slower=0.041, parts={"bubble_s": -0.019, "data_s": 0.06, "optimizer_s": 0.0001})
    assert why(made_up) == "loses 4.1 %: data-parallel +6.0 %, bubble −1.9 %"
    assert why(replace(made_up, parts={})) == "loses 4.1 %"
    assert re.match(r"loses \d", why(second))


def test_parts_have_names_for_people() -> None:
    assert [part_name(n) for n in ("tensor_s", "bubble_s", "launch_s")] == ["tensor-parallel", "bubble", "launch"]
