"""``Operations.production`` from whole runs that are made here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.backtesting.whole_runs import PredictedWholeRun
from zenplan.domain.range import Range
from zenplan.domain.training.operations import Operations
from zenplan.fitting.production import Pair, calendar, fit_production, left_out_calendars, pairs_of, two_level
from zenplan.fitting.published import rows_of

PUBLISHED = Path(__file__).parents[2] / "benchmarks" / "published"
# A run as it is read; the tests put figures of their own in.
RUN = pairs_of(rows_of(PUBLISHED / "full_runs.csv")[:1], read_coefficients())[0][0].run
# On so many devices, for so long, that a run has all of production.
MANY, LONG_H = 1_000_000, 1e12


def pair(ratio: float, group: str, hours: float = LONG_H, devices: int = MANY) -> Pair:
    """A run that took so many times what the bare calendar says."""
    predicted = Range(low=0.9 * hours, mid=hours, high=1.2 * hours)

    def whole(calendar_h: Range) -> PredictedWholeRun:
        return replace(
            RUN,
            devices=devices,
            measured_gpu_hours=ratio * hours,
            steady_gpu_hours=predicted,
            calendar_gpu_hours=calendar_h,
        )

    return Pair(run=whole(predicted), bare=whole(predicted), publisher=group)


def group(name: str, ratios: Sequence[float]) -> list[Pair]:
    return [pair(ratio, name) for ratio in ratios]


def test_the_middle_is_the_factor_with_the_least_error() -> None:
    assert fit_production(group("a", [1.3, 1.5, 1.9]))[1] == pytest.approx(1.5, abs=0.01)


def test_a_group_of_many_runs_weighs_as_much_as_one_of_few() -> None:
    few = group("a", [1.1]) + group("b", [1.3]) + group("c", [1.5])
    many = group("a", [1.1]) + group("b", [1.3]) + group("c", [1.5] * 50)
    assert fit_production(many) == pytest.approx(fit_production(few), abs=0.02)


def test_the_range_is_that_of_publishers_and_not_of_runs() -> None:
    """Nine groups with no error and one that is twice as slow: however many runs it has, a new group is none like it;
    of four like it in ten, it may be one."""
    even = [each for name in "abcdefghi" for each in group(name, [1.5])]
    low, mid, high = fit_production(even + group("odd", [3.0] * 100))
    assert (low, high) == pytest.approx((mid, mid), rel=0.01)
    odd = [each for name in "jklm" for each in group(name, [3.0])]
    low, mid, high = fit_production(even[:6] + odd)
    assert (low, high) == pytest.approx((mid / 2, mid * 2), rel=0.01)


def test_two_levels_take_the_quantile_of_quantiles() -> None:
    assert two_level([], 0.8) == 0.0
    # Of one group, its own: the fifth of five is at most 80 % of the way.
    assert two_level([[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]], 0.8) == pytest.approx(4.0)
    # Of nine, the eighth; of four, the largest: with a new group there are ten, and five.
    assert two_level([[float(i)] for i in range(1, 10)], 0.8) == 8.0
    assert two_level([[float(i)] for i in range(1, 5)], 0.8) == 4.0


def test_small_runs_have_a_part_of_it() -> None:
    small = pair(1.0, "a", hours=LONG_H, devices=1)
    assert small.share == 0.0
    assert calendar(small, (1.0, 1.4, 2.0)) == small.bare.calendar_gpu_hours
    some = pair(1.0, "a", devices=17)
    assert calendar(some, (1.0, 1.4, 2.0)).mid == pytest.approx((1 + 0.4 * some.share) * LONG_H)
    assert 0.4 < some.share < 0.5


@pytest.mark.parametrize(("devices", "days", "small"), [(8, 30.0, True), (512, 0.5, True), (16, 1.5, False)])
def test_a_small_run_is_of_few_devices_or_of_a_day(devices: int, days: float, small: bool) -> None:
    one = pair(1.0, "a", devices=devices)
    measured = replace(one.run.measured, days=days)
    assert replace(one, run=replace(one.run, measured=measured, measured_days=days)).small is small


def test_the_figures_stay_plausible() -> None:
    assert fit_production(group("a", [0.1, 0.2, 0.3]))[:2] == (0.5, 1.0)
    assert fit_production(group("a", [5.0, 6.0, 7.0]))[2] == 3.0


def test_a_group_is_predicted_from_the_others_alone() -> None:
    """Ratios of 2 in one group and 1.2 in the others: each is predicted with the figures of the rest."""
    pairs = group("odd", [2.0] * 5) + group("b", [1.2] * 5) + group("c", [1.2] * 5)
    found = left_out_calendars(pairs)
    assert [each.mid / LONG_H for each in found[:5]] == pytest.approx([1.2] * 5, rel=1e-4)
    # To the rest of b both odd and c belong, which weigh alike.
    assert all(1.2 < each.mid / LONG_H < 2.0 for each in found[5:])


def test_rows_are_predicted_with_and_without_it() -> None:
    rows = rows_of(PUBLISHED / "full_runs.csv")[:4]
    pairs, skipped = pairs_of([*rows, {**rows[0], "id": "nothing", "accelerator": "Abacus-1"}], read_coefficients())
    assert len(pairs) == 4
    assert [name for name, _ in skipped] == ["nothing"]
    assert "Abacus-1" in skipped[0][1]
    for each in pairs:
        assert each.bare.calendar_gpu_hours.mid < each.run.calendar_gpu_hours.mid
        usual = calendar(each, Operations().production)
        assert usual.mid == pytest.approx(each.run.calendar_gpu_hours.mid, rel=1e-9)
