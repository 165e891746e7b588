"""A step of several workers: exact where the law holds, and refused where too little is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.domain.measured.collectives import ALL_REDUCE, Collective
from zenplan.domain.measured.prediction import StepPrediction
from zenplan.domain.range import Range
from zenplan.errors import DataError
from zenplan.planning.calibration.data_parallel import (
    EFFICIENT,
    MOST_WORKERS,
    Scaling,
    bucket_sizes,
    data_parallel_step,
    exposed_share,
    exposed_shares,
    gradient_bytes_at,
    late_s,
    reduce_s,
)

MIB = 2**20
COMPUTE = StepPrediction(step_s=Range(low=0.9, mid=1.0, high=1.2), method="depths 1, 2 at batch 4", stepping_s=3.0)


def link(latency_s: float = 0.0, s_per_byte: float = 0.0) -> Collective:
    return Collective(name=ALL_REDUCE, latency_s=latency_s, s_per_byte=s_per_byte)


@pytest.mark.parametrize(
    ("size", "count"), [(0, 1), (MIB, 1), (MIB + 1, 2), (26 * MIB, 2), (26 * MIB + 1, 3), (101 * MIB, 5)]
)
def test_the_first_bucket_is_small(size, count):
    assert len(bucket_sizes(size)) == count
    assert sum(bucket_sizes(size)) == size
    assert all(each <= 25 * MIB for each in bucket_sizes(size))


def test_each_bucket_has_its_latency():
    """Of two workers an all-reduce is two exchanges of half the bytes."""
    assert reduce_s(link(1e-3, 1e-9), 26 * MIB, 2) == pytest.approx(2 * 2e-3 + 26 * MIB * 1e-9)


@given(st.floats(0.0, 1e-6), st.floats(1.0, 1e9), st.floats(0.01, 10.0))
def test_what_is_late_is_no_more_than_all_and_no_less_than_the_last_bucket(s_per_byte, size, compute_s):
    on_link = link(s_per_byte=s_per_byte)
    late, whole = late_s(compute_s, on_link, size, 2), reduce_s(on_link, size, 2)
    last = on_link.seconds(bucket_sizes(size)[-1], 2)
    assert max(last, whole - compute_s * 2 / 3) <= late * (1 + 1e-9) + 1e-12
    assert late <= whole * (1 + 1e-9) + 1e-12


def test_of_many_buckets_the_backward_pass_hides_all_but_the_last():
    assert late_s(10.0, link(s_per_byte=1e-9), 101 * MIB, 2) == pytest.approx(25e-9 * MIB)


@given(st.floats(0.0, 3.0), st.floats(0.0, 3.0))
def test_the_shares_of_both_parts_are_found(host, on_link):
    compute_s, parts_s = [0.1, 0.2, 0.4, 0.3], [[0.02, 0.3], [0.03, 0.1], [0.05, 0.0], [0.0, 0.2]]
    step_s = [c + host * h + on_link * w for c, (h, w) in zip(compute_s, parts_s, strict=True)]
    assert exposed_shares(compute_s, parts_s, step_s) == pytest.approx([host, on_link], abs=1e-9)


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


# --- more workers


SCALING = Scaling(
    measured=2,
    alone=Range(low=0.95, mid=1.0, high=1.05),
    compute=Range(low=1.0, mid=1.05, high=1.1),
    all_reduce=link(1e-3, 2e-9),
    gradient_bytes=50e6,
    exposed=1.2,
    variation=0.016,
)


@given(st.integers(2, 2000), st.floats(0.0, 1e-2), st.floats(1e-12, 1e-8))
def test_more_workers_are_never_faster(workers, latency_s, s_per_byte):
    scaling = replace(SCALING, all_reduce=link(latency_s, s_per_byte))
    fewer, more = scaling.step(workers), scaling.step(workers + 1)
    assert more.step_s.mid >= fewer.step_s.mid * (1 - 1e-12)
    assert more.efficiency.mid <= fewer.efficiency.mid * (1 + 1e-12)
    assert 0 < more.step_s.low <= more.step_s.mid <= more.step_s.high


def test_those_that_were_measured_are_told_from_those_that_were_not():
    steps = SCALING.doublings()
    assert [each.workers for each in steps] == [2, 4, 8, 16, 32, 64]
    assert [each.measured for each in steps] == [True, *[False] * 5]
    widths = [each.step_s.high - each.step_s.low for each in steps]
    assert widths == sorted(widths)
    assert steps[0].step_s.high - steps[0].step_s.low == pytest.approx(0.1)


def test_one_worker_communicates_nothing():
    assert SCALING.step(1).efficiency.mid == 1.0


def test_the_efficient_number_is_the_last_that_keeps_the_share():
    found = SCALING.efficient()
    assert 1 < found.mid < MOST_WORKERS
    assert found.low < found.mid < found.high
    for end, most in zip(("low", "mid", "high"), map(int, found.ends), strict=True):
        shares = [getattr(SCALING.step(n).efficiency, end) for n in (most, most + 1)]
        assert shares[0] >= EFFICIENT > shares[1], end


def test_no_link_and_a_link_without_end():
    assert replace(SCALING, all_reduce=link(10.0)).efficient().high == 1
    assert replace(SCALING, all_reduce=link()).efficient().mid == MOST_WORKERS


def test_of_more_workers_the_slowest_is_slower():
    alike = replace(SCALING, variation=0.0, exposed=0.0)
    differ = replace(alike, variation=0.02)
    assert differ.step(2).step_s == alike.step(2).step_s
    later = [differ.step(n).step_s.mid / alike.step(n).step_s.mid - 1.0 for n in (8, 64, 512)]
    # Of 8 the slowest is 1.43 standard deviations behind, of 2 it is 0.59.
    assert later == pytest.approx([0.02 * (z - 0.59) for z in (1.43, 2.34, 3.03)], abs=2e-4)
