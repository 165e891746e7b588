"""Which layers go on which stages of a pipeline: whole ones, and the ends of the model are work too."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.domain.training.layout import Layout
from zenplan.planning.physics.memory import peak_memory
from zenplan.planning.physics.stages import laid_out, stages
from zenplan.planning.physics.states import fullest
from zenplan.planning.physics.step import step_time

ENDS = st.floats(0, 5)


def slowest(layers: int, count: int, even: bool, first: float, last: float) -> float:
    head, inner, tail = laid_out(layers, count, even, first, last)
    return max(head + first, inner, tail + last)


def by_force(layers: int, count: int, first: float, last: float) -> float:
    """The least that the slowest stage can have, of all ways to give the ends so many layers."""
    found = []
    for head in range(layers + 1):
        for tail in range(layers + 1 - head):
            rest = layers - head - tail
            if rest and count == 2:
                continue
            inner = math.ceil(rest / (count - 2)) if count > 2 else 0
            found.append(max(head + first, inner, tail + last))
    return min(found)


@given(st.integers(1, 24), st.integers(2, 8), ENDS, ENDS)
def test_the_slowest_stage_is_as_fast_as_it_can_be(layers: int, count: int, first: float, last: float) -> None:
    assert slowest(layers, count, False, first, last) == pytest.approx(by_force(layers, count, first, last))


@given(st.integers(1, 200), st.integers(1, 32), ENDS, ENDS)
def test_all_layers_find_a_place(layers: int, count: int, first: float, last: float) -> None:
    for even in (False, True):
        head, inner, tail = laid_out(layers, count, even, first, last)
        assert min(head, inner, tail) >= 0
        assert count == 1 or head + (count - 2) * inner + tail >= layers


@given(st.integers(1, 200), st.integers(2, 32), ENDS, ENDS)
def test_a_layer_less_is_never_slower(layers: int, count: int, first: float, last: float) -> None:
    less, more = (slowest(n, count, False, first, last) for n in (layers, layers + 1))
    assert less <= more + 1e-9


@given(st.integers(1, 200), st.integers(2, 32), ENDS, ENDS)
def test_equal_stages_are_never_faster(layers: int, count: int, first: float, last: float) -> None:
    assert slowest(layers, count, False, first, last) <= slowest(layers, count, True, first, last) + 1e-9


@pytest.mark.parametrize(
    ("layers", "count", "last", "expected"),
    [
        # Llama 3 405B: 126 layers on 16 stages of 8, one less on the first and on the last (Dubey et al. 2024).
        (126, 16, 0.66, (7, 8, 7)),
        # 80 layers on 4 stages: the head of a layer and a fifth is no reason to give another stage one more.
        (80, 4, 1.0, (20, 20, 20)),
        # A head as large as three layers takes their place.
        (24, 4, 3.0, (6, 7, 4)),
        (61, 4, 1.2, (15, 16, 14)),
    ],
)
def test_known_layouts(layers: int, count: int, last: float, expected: tuple[int, int, int]) -> None:
    assert laid_out(layers, count, False, 0.0, last) == expected


def test_equal_stages_have_whole_layers(make: Any) -> None:
    plan = make.plan(make.workload(layers=30))
    shares, _ = fullest(stages(plan, make.columns(*(Layout(pp=p, even=True) for p in (1, 4, 7, 30)))))
    assert shares == pytest.approx([1, 8 / 30, 5 / 30, 1 / 30])


def test_without_a_pipeline_one_stage_is_both_ends(make: Any) -> None:
    first, inner, last = stages(make.plan(), make.columns(Layout(), Layout(dp=8, even=True)))
    assert list(first) == list(last) == [1, 1]
    assert list(inner) == [0, 0]


def times(make: Any, layers: range, **layout: Any) -> Any:
    """Seconds of a step of models that differ in their depth, where nothing but arithmetic takes any time."""
    one = Layout(**layout)
    columns, slow = make.columns(one), {"peak_flop_per_s": {"bf16": 1e9}}
    hw = make.hardware(make.cluster(sheet=slow, nodes=max(one.devices // 8, 1)))
    plans = [make.plan(make.workload(layers=n, vocab=5000)) for n in layers]
    return np.array([float(step_time(plan, columns, hw).total_s[0]) for plan in plans])


@pytest.mark.parametrize("v", [1, 4])
def test_time_grows_with_depth_and_knows_no_cliff(make: Any, v: int) -> None:
    """Of 12 to 33 layers on 4 stages, one that does not divide is no slower than the next that does."""
    found = times(make, range(12, 34), pp=4, accumulation=8, interleave=v)
    assert (np.diff(found) >= -1e-9 * found[1:]).all()
    # A whole layer on every stage is the most that one more layer can cost.
    a_layer_each = times(make, range(16, 21), pp=4, accumulation=8, interleave=v)
    assert np.diff(found).max() <= (a_layer_each[-1] - a_layer_each[0]) * (1 + 1e-6)


def test_memory_grows_with_depth(make: Any) -> None:
    columns = make.columns(Layout(pp=4, accumulation=8, interleave=2))
    plans = [make.plan(make.workload(layers=n)) for n in range(12, 34)]
    needs = [float(peak_memory(plan, columns).total_bytes[0]) for plan in plans]
    # A whole layer more on each stage is more on any device.
    assert all(more > less for less, more in zip(needs, needs[4:], strict=False))


def test_interleaving_of_a_batch_that_does_not_divide_keeps_a_little_more(make: Any) -> None:
    """Groups of micro-batches are as small as they can be: 8 of 16, 9 of 17, and again 8 of 24 on 8 stages."""
    layouts = [Layout(pp=8, accumulation=m, interleave=2) for m in (16, 17, 24)]
    plan = make.plan(make.workload(layers=16))
    even, odd, again = peak_memory(plan, make.columns(*layouts)).activations_bytes
    assert even == pytest.approx(again)
    assert even < odd < 1.1 * even
