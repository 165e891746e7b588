"""A server's rules of batching, replayed: what must come out whatever was measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from zenplan.domain.answer.run_serving import ServerTimes
from zenplan.errors import DataError
from zenplan.planning.serving.replay import limit_per_s, predicted, written

TIMES = ServerTimes(
    calls_s={1: 0.004, 2: 0.006, 4: 0.010, 8: 0.018, 16: 0.034},
    padded=False,
    request_s=2e-4,
    batch_s=3e-4,
    apart_s=5e-4,
    wait_s=0.002,
)


def test_a_request_alone_takes_the_sum_of_its_parts() -> None:
    alone = 0.002 + 0.004 + 2e-4 + 3e-4 + 5e-4
    assert predicted(TIMES, clients=1).p99_s == pytest.approx(alone)
    assert predicted(TIMES, rate_per_s=0.1).p50_s == pytest.approx(alone)


def test_at_its_limit_all_calls_are_full() -> None:
    busy = predicted(TIMES, clients=64)
    assert busy.batch == pytest.approx(16, rel=0.01)
    assert limit_per_s(TIMES) == pytest.approx(16 / 0.034, rel=0.02)
    # Little's law: what is in flight is the rate times the time of each.
    assert busy.rate_per_s * busy.mean_s == pytest.approx(64, rel=0.02)


def test_latency_grows_with_the_rate_and_the_tail_is_above_the_middle() -> None:
    found = [predicted(TIMES, rate_per_s=rate) for rate in (10, 100, 300, 420)]
    means = [each.mean_s for each in found]
    assert means == sorted(means)
    assert all(each.p50_s <= each.p99_s for each in found)
    assert [each.rate_per_s for each in found] == pytest.approx([10, 100, 300, 420], rel=0.05)


def test_a_queue_of_single_calls_is_that_of_the_textbook() -> None:
    """Calls of one sample, nothing else: M/D/1, whose mean is s · (1 + ρ / (2 · (1 − ρ)))."""
    times = ServerTimes(calls_s={1: 0.01}, padded=True, request_s=0.0, batch_s=0.0, apart_s=0.0, wait_s=0.0)
    for busy in (0.3, 0.6):
        expected = 0.01 * (1.0 + busy / (2.0 * (1.0 - busy)))
        assert predicted(times, rate_per_s=busy / 0.01).mean_s == pytest.approx(expected, rel=0.06)


def test_padded_calls_take_as_long_as_the_next_size() -> None:
    assert TIMES.call_s(3) == pytest.approx(0.008)
    assert replace(TIMES, padded=True).call_s(3) == 0.010
    assert predicted(replace(TIMES, padded=True), clients=24).rate_per_s <= predicted(TIMES, clients=24).rate_per_s


def test_cores_that_are_shared_make_it_slower() -> None:
    assert limit_per_s(replace(TIMES, shared=True)) < limit_per_s(TIMES)


def test_texts_step_together() -> None:
    alone, many = written(TIMES, 64, clients=1), written(TIMES, 64, clients=16)
    assert alone.p50_s == pytest.approx(64 * 0.004 + 7e-4)
    assert many.p50_s == pytest.approx(64 * 0.034 + 7e-4)
    assert many.rate_per_s == pytest.approx(limit_per_s(TIMES, 64), rel=0.05)
    slow, fast = written(TIMES, 64, rate_per_s=0.5), written(TIMES, 64, rate_per_s=6.0)
    assert 1.0 <= slow.batch < fast.batch <= 16
    assert slow.p50_s < fast.p50_s


@pytest.mark.parametrize("wrong", [{"calls_s": {}}, {"calls_s": {0: 1.0}}, {"calls_s": {1: 0.0}}, {"apart_s": -1.0}])
def test_times_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="server"):
        replace(TIMES, **wrong)


@pytest.mark.parametrize("load", [{"rate_per_s": 0.0}, {"clients": 0}])
def test_a_load_of_nothing_is_refused(load: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="load"):
        predicted(TIMES, **load)
