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
from zenplan.fitting.production import Pair, calendar, fit_production, left_out_calendars, pairs_of
from zenplan.fitting.published import rows_of

PUBLISHED = Path(__file__).parents[2] / "benchmarks" / "published"
# A run as it is read; the tests put figures of their own in.
RUN = pairs_of(rows_of(PUBLISHED / "full_runs.csv")[:1], read_coefficients())[0][0].run
LONG_H = 2 * Operations().production_ramp_device_s / 3600


def pair(ratio: float, group: str, hours: float = LONG_H) -> Pair:
    """A run that took so many times what the bare calendar says."""
    predicted = Range(low=0.9 * hours, mid=hours, high=1.2 * hours)

    def whole(calendar_h: Range) -> PredictedWholeRun:
        return replace(RUN, measured_gpu_hours=ratio * hours, steady_gpu_hours=predicted, calendar_gpu_hours=calendar_h)

    return Pair(run=whole(predicted), bare=whole(predicted), publisher=group)


def group(name: str, ratios: Sequence[float]) -> list[Pair]:
    return [pair(ratio, name) for ratio in ratios]


def test_low_middle_and_high_are_percentiles_of_what_was_measured() -> None:
    ratios = [1.0 + i / 100 for i in range(101)]
    assert fit_production(group("a", ratios)) == pytest.approx((1.1, 1.5, 1.9), abs=0.01)


def test_a_group_of_many_runs_weighs_as_much_as_one_of_few() -> None:
    few = group("a", [1.1]) + group("b", [1.3]) + group("c", [1.5])
    many = group("a", [1.1]) + group("b", [1.3]) + group("c", [1.5] * 50)
    assert fit_production(many)[1] == pytest.approx(fit_production(few)[1], abs=0.02)


def test_short_runs_say_nothing_and_have_a_part_of_it() -> None:
    long = group("a", [1.4, 1.5, 1.6])
    short = pair(9.0, "a", hours=LONG_H / 8)
    assert fit_production([*long, short]) == fit_production(long)
    assert short.share == pytest.approx(0.25)
    assert calendar(short, (1.0, 1.4, 2.0)).mid == pytest.approx(1.1 * LONG_H / 8)


def test_the_figures_stay_plausible() -> None:
    assert fit_production(group("a", [0.1, 0.2, 0.3])) == (0.5, 1.0, 1.0)
    assert fit_production(group("a", [5.0, 6.0, 7.0]))[2] == 3.0


def test_a_group_is_predicted_from_the_others_alone() -> None:
    """Ratios of 2 in one group and 1.2 in the others: each is predicted with the figures of the rest."""
    pairs = group("odd", [2.0] * 5) + group("b", [1.2] * 5) + group("c", [1.2] * 5)
    found = left_out_calendars(pairs)
    assert [each.mid / LONG_H for each in found[:5]] == pytest.approx([1.2] * 5)
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
