"""Scores against numbers worked out by hand."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.domain.answer.backtest import Kind, ScoredRow, Summary, size_of
from zenplan.domain.range import Range
from zenplan.errors import DataError
from zenplan.planning.explain.scores import groups_of, macro


def row(ratio: float, source: str = "s", width: float = 1.2, **more: Any) -> ScoredRow:
    """A row whose prediction is so many times its measurement of 100."""
    mid = 100.0 * ratio
    values: dict[str, Any] = {
        "id": "r",
        "line": 2,
        "kind": Kind.THROUGHPUT,
        "source": source,
        "model": "m",
        "family": "decoder",
        "size": "up to 1B",
        "accelerator": "T4",
        "generation": "Turing",
        "precision": "fp16",
        "software": "",
        "framework": "",
        "task": "",
        "scale": "one node",
        "devices": 1,
        "measured": 100.0,
        "predicted": Range(low=mid / width, mid=mid, high=mid * width),
    }
    return ScoredRow(**(values | more))


def test_a_summary_by_hand() -> None:
    s = Summary.of([math.log(r) for r in (1.0, 1.1, 0.8, 1.4)], [True, True, False, False], [1.2, 1.4, 1.6, 2.0])
    assert s.rows == 4
    assert s.median == pytest.approx((math.log(1.1) - math.log(0.8)) / 2)
    assert s.bias == pytest.approx(math.log(1.1) / 2)
    assert s.mape == pytest.approx((0.0 + 0.1 + 0.2 + 0.4) / 4)
    assert (s.within_10, s.within_20, s.within_25, s.within_30) == (0.5, 0.75, 0.75, 0.75)
    assert (s.coverage, s.width) == (0.5, 1.5)


def test_without_intervals_there_is_no_coverage() -> None:
    s = Summary.of([0.1])
    assert (s.coverage, s.width) == (None, None)
    assert macro([s, s]).coverage is None


def test_sources_weigh_alike_however_many_rows_they_have() -> None:
    rows = [row(1.05, "many")] * 9 + [row(2.0, "few")]
    (whole,) = groups_of(rows, ())
    assert (whole.by, whole.name, whole.sources, whole.summary.rows) == ("all", "all", 2, 10)
    assert whole.summary.within_10 == 0.5
    assert whole.summary.mape == pytest.approx((0.05 + 1.0) / 2)
    assert whole.summary.median == pytest.approx((math.log(1.05) + math.log(2)) / 2)
    assert whole.summary.coverage == 0.5
    assert whole.summary.width == pytest.approx(1.44)


def test_a_table_for_each_key() -> None:
    rows = [row(1.0, accelerator="T4"), row(1.5, accelerator="A100", software="fused"), row(1.1, accelerator="T4")]
    groups = groups_of(rows, ["accelerator", "software"])
    assert [(g.by, g.name, g.summary.rows) for g in groups] == [
        ("all", "all", 3),
        ("accelerator", "A100", 1),
        ("accelerator", "T4", 2),
        ("software", "fused", 1),
        ("software", "not known", 2),
    ]
    assert groups_of([], ["accelerator"]) == ()


def test_whole_runs_have_scores_of_their_steps_too() -> None:
    steady = Range(low=50.0, mid=50.0, high=50.0)
    (whole,) = groups_of([row(1.0, kind=Kind.WHOLE_RUN, steady=steady, tokens_per_sample=None)], ())
    assert whole.summary.bias == 0
    assert whole.steady
    assert whole.steady.bias == pytest.approx(math.log(0.5))


def test_sizes() -> None:
    assert [size_of(n) for n in (1e6, 1e9, 1.1e9, 20e9, 21e9, 1e13)] == [
        "up to 1B",
        "up to 1B",
        "1B to 20B",
        "1B to 20B",
        "above 20B",
        "above 20B",
    ]


def test_a_measurement_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="measured must be above zero"):
        row(1.0, measured=0.0)


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=30))
def test_summaries_hang_together(errors: list[float]) -> None:
    s = Summary.of(errors)
    assert 0 <= s.within_10 <= s.within_20 <= s.within_25 <= s.within_30 <= 1
    assert abs(s.bias) <= s.median + max(map(abs, errors))
    assert min(map(abs, errors)) <= s.median <= max(map(abs, errors))
    # The same rows twice say the same.
    assert macro([s, s]).median == pytest.approx(s.median)
    assert macro([s, s]).rows == 2 * s.rows
