"""Collectives by size and workers: what a fit of two says of more, and of links of another rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.domain.measured.collectives import ALL_REDUCE, COLLECTIVES, Collective, work
from zenplan.errors import DataError
from zenplan.planning.calibration.collectives import Timed, fitted, fitted_link

SIZES = (2.0**16, 2.0**20, 2.0**24)
MBIT = 1e6 / 8


def timed(truth: Collective, workers: int, rate: float | None = None) -> list[Timed]:
    return [
        Timed(workers=workers, size_bytes=s, seconds=truth.seconds(s, workers), link_bytes_per_s=rate) for s in SIZES
    ]


@given(st.sampled_from(COLLECTIVES), st.floats(1e-6, 1e-2), st.floats(1e-11, 1e-7))
def test_a_fit_of_two_workers_says_what_more_take(name, latency_s, s_per_byte):
    truth = Collective(name=name, latency_s=latency_s, s_per_byte=s_per_byte)
    found = fitted(name, timed(truth, 2))
    assert found.spread == pytest.approx(0.0, abs=1e-6)
    for workers in (2, 4, 512):
        assert found.seconds(1e7, workers) == pytest.approx(truth.seconds(1e7, workers), rel=1e-5)


@pytest.mark.parametrize("name", COLLECTIVES)
def test_an_all_reduce_is_a_reduce_scatter_and_an_all_gather(name):
    exchanges, share = work(name, 8)
    times = 2 if name == ALL_REDUCE else 1
    assert (exchanges, share) == (7 * times, pytest.approx(7 / 8 * times))
    assert work(name, 1) == (0, 0.0)


def test_small_ones_count_as_much_as_large_ones():
    """The relative error is what is least: a large one that is off does not hide the latency."""
    rows = [(1e4, 2e-3), (1e4, 2e-3), (1e8, 0.11)]
    found = fitted(ALL_REDUCE, [Timed(workers=2, size_bytes=b, seconds=s) for b, s in rows])
    assert found.latency_s == pytest.approx(1e-3, rel=0.02)


@given(st.floats(1e-6, 1e-2), st.floats(1e-11, 1e-8), st.floats(1.0, 1.2))
def test_two_links_say_what_another_takes(latency_s, host, carried):
    def over(mbit: float) -> Collective:
        return Collective(name=ALL_REDUCE, latency_s=latency_s, s_per_byte=host + carried / (mbit * MBIT))

    slow, fast = timed(over(200), 2, 200 * MBIT), timed(over(2000), 2, 2000 * MBIT)
    found = fitted_link(ALL_REDUCE, [*slow, *fast])
    assert found.carried == pytest.approx(carried, rel=1e-3)
    for mbit in (100, 500, 1000):
        assert found.at(mbit * MBIT).seconds(4e6, 4) == pytest.approx(over(mbit).seconds(4e6, 4), rel=1e-3)
    parts = found.host.seconds(4e6, 4) + found.on_link(100 * MBIT).seconds(4e6, 4)
    assert parts == pytest.approx(found.at(100 * MBIT).seconds(4e6, 4))


def test_what_says_too_little_is_refused():
    one = Timed(workers=2, size_bytes=1e6, seconds=0.1, link_bytes_per_s=1e8)
    with pytest.raises(DataError, match="one size"):
        fitted(ALL_REDUCE, [one, one])
    with pytest.raises(DataError, match="one rate"):
        fitted_link(ALL_REDUCE, [one, Timed(workers=2, size_bytes=2e6, seconds=0.1, link_bytes_per_s=1e8)])
    with pytest.raises(DataError, match="one worker"):
        fitted(ALL_REDUCE, [Timed(workers=1, size_bytes=size, seconds=0.1) for size in SIZES])
    with pytest.raises(DataError):
        Collective(name="all_hands", latency_s=0.0, s_per_byte=0.0)
