"""A step of several workers: exact where the law holds, and refused where too little is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.domain.measured.prediction import StepPrediction
from zenplan.domain.range import Range
from zenplan.errors import DataError
from zenplan.planning.calibration.data_parallel import (
    AllReduce,
    buckets,
    data_parallel_step,
    exposed_share,
    fitted_all_reduce,
    gradient_bytes_at,
)

MIB = 2**20
COMPUTE = StepPrediction(step_s=Range(low=0.9, mid=1.0, high=1.2), method="depths 1, 2 at batch 4", stepping_s=3.0)


@given(st.floats(0.0, 1e-2), st.floats(1e-11, 1e-8))
def test_the_line_of_an_all_reduce_is_found(latency_s, s_per_byte):
    sizes = [2.0**16, 2.0**20, 2.0**24, 25.0 * MIB]
    found = fitted_all_reduce(sizes, [latency_s + s_per_byte * size for size in sizes])
    assert found.latency_s == pytest.approx(latency_s, rel=1e-6, abs=1e-12)
    assert found.s_per_byte == pytest.approx(s_per_byte, rel=1e-6)


def test_small_all_reduces_count_as_much_as_large_ones():
    """The relative error is what is least: a large one that is off does not hide the latency."""
    found = fitted_all_reduce([1e4, 1e4, 1e8], [1e-3, 1e-3, 0.11])
    assert found.latency_s == pytest.approx(1e-3, rel=0.02)


def test_one_size_is_not_enough():
    with pytest.raises(DataError, match="one size"):
        fitted_all_reduce([1e6, 1e6], [0.1, 0.1])


@pytest.mark.parametrize(
    ("size", "count"), [(0, 1), (MIB, 1), (MIB + 1, 2), (26 * MIB, 2), (26 * MIB + 1, 3), (101 * MIB, 5)]
)
def test_the_first_bucket_is_small(size, count):
    assert buckets(size) == count


def test_each_bucket_has_its_latency():
    link = AllReduce(latency_s=1e-3, s_per_byte=1e-9)
    assert link.seconds(26 * MIB) == pytest.approx(2e-3 + 26 * MIB * 1e-9)


@given(st.floats(0.0, 3.0))
def test_the_exposed_share_is_found(share):
    compute_s, reduce_s = [0.1, 0.2, 0.4], [0.02, 0.03, 0.05]
    step_s = [c + share * r for c, r in zip(compute_s, reduce_s, strict=True)]
    assert exposed_share(compute_s, reduce_s, step_s) == pytest.approx(share, abs=1e-9)


def test_a_step_that_is_faster_together_exposes_nothing():
    assert exposed_share([0.2], [0.1], [0.19]) == 0.0


def test_gradients_grow_by_the_same_for_each_block():
    assert gradient_bytes_at(12, {1: 10e6, 2: 13e6, 4: 19e6}) == pytest.approx(43e6)
    with pytest.raises(DataError, match="one depth"):
        gradient_bytes_at(12, {1: 10e6})


def test_communication_moves_the_interval_and_does_not_widen_it():
    found = data_parallel_step(COMPUTE, 0.2, 1.5)
    assert (found.step_s.low, found.step_s.mid, found.step_s.high) == pytest.approx((1.2, 1.3, 1.5))
    assert found.method == "depths 1, 2 at batch 4; all-reduce × 1.50"
    assert found.stepping_s == COMPUTE.stepping_s
