"""The fit on a toy table: it finds what the table was made from, and no more than the table says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from zenplan.backtesting.runs import Run
from zenplan.domain.fit.coefficients import FAMILY, GENERATION, SOFTWARE, Coefficients
from zenplan.fitting.fit import errors_of, fitted_to, groups_of
from zenplan.fitting.model import FIELDS, Model
from zenplan.fitting.prior import STAGES, START, Stage, start
from zenplan.planning.physics.step import Question, fastest

AMPERE, HOPPER = f"{GENERATION}/Ampere", f"{GENERATION}/Hopper"


def test_the_fit_recovers_what_the_table_was_made_from(
    toy: list[Run], stage: Stage, true_coefficients: Coefficients
) -> None:
    fitted, true = fitted_to(toy, stage, start()), true_coefficients
    for run in toy[:2]:
        groups = groups_of(run).values()
        assert fitted.all["matmul"].of(*groups) == pytest.approx(true.all["matmul"].of(*groups), rel=0.03)
    assert fitted.all["host_s"].value == pytest.approx(true.all["host_s"].value, rel=0.15)
    # Both are far from where the fit began, so that it is the table that moved them.
    assert abs(math.log(START["matmul"].of(HOPPER) / true.all["matmul"].of(HOPPER))) > 0.3
    assert abs(math.log(START["host_s"].value / true.all["host_s"].value)) > 1.0


def test_what_is_left_of_the_errors_is_the_noise(toy: list[Run], stage: Stage) -> None:
    before = [abs(error) for _, error in errors_of(toy, start())]
    after = [abs(error) for _, error in errors_of(toy, fitted_to(toy, stage, start()))]
    assert max(after) < 0.03 < np.median(before)


def test_a_stage_moves_its_own_coefficients_alone(toy: list[Run], stage: Stage) -> None:
    fitted = fitted_to(toy, stage, start())
    moved = {name for name in START if fitted.all[name] != START[name]}
    assert moved == {"matmul", "host_s"}


def test_a_group_without_rows_keeps_the_common_value(toy: list[Run], stage: Stage) -> None:
    matmul = fitted_to(toy, stage, start()).all["matmul"]
    assert f"{GENERATION}/Blackwell" not in matmul.factors
    assert matmul.of(f"{GENERATION}/Blackwell") == matmul.value
    assert {AMPERE, HOPPER} <= matmul.factors.keys()


@pytest.mark.parametrize(("makers", "has_factor"), [(1, False), (2, True)])
def test_a_family_that_one_publisher_measured_keeps_the_common_value(
    toy: list[Run], stage: Stage, as_if: Callable[..., Run], makers: int, has_factor: bool
) -> None:
    """Its runs cannot tell the family from the publisher; two publishers can."""
    runs = [as_if(run, publisher=f"maker {i % makers}") for i, run in enumerate(toy)]
    family = f"{FAMILY}/{toy[0].plan.workload.family}"
    by_family = replace(stage, groups={"matmul": {FAMILY: 0.3, GENERATION: 0.3}})
    factors = fitted_to(runs, by_family, start()).all["matmul"].factors
    assert (family in factors) is has_factor
    assert {AMPERE, HOPPER} <= factors.keys()


def test_a_group_that_an_earlier_stage_fitted_stands(toy: list[Run], stage: Stage) -> None:
    known = replace(START["matmul"], factors={AMPERE: 1.25})
    begin = replace(start(), all={**START, "matmul": known})
    assert fitted_to(toy, stage, begin).all["matmul"].factors[AMPERE] == 1.25


def test_a_strong_pull_keeps_a_factor_at_one(toy: list[Run], stage: Stage) -> None:
    drawn = fitted_to(toy, replace(stage, pull=1e6), start())
    free = fitted_to(toy, stage, start())
    assert all(f == pytest.approx(1.0, abs=1e-3) for f in drawn.all["matmul"].factors.values())
    assert abs(math.log(free.all["matmul"].factors[AMPERE] / free.all["matmul"].factors[HOPPER])) > 0.1


def test_a_value_stays_within_its_bounds(toy: list[Run], stage: Stage) -> None:
    slow = [replace(run, tokens_per_s=run.tokens_per_s / 50) for run in toy]
    fitted = fitted_to(slow, replace(stage, common=("matmul",), groups={}), start())
    assert fitted.all["matmul"].value == START["matmul"].least


def test_a_source_of_many_rows_weighs_as_much_as_one_of_few(toy: list[Run], stage: Stage) -> None:
    """One source is 30 % faster: copies of its rows do not pull the common value towards it."""
    common = replace(stage, groups={})
    quick = [replace(r, tokens_per_s=r.tokens_per_s * (1.3 if r.measured.source == "maker0:log" else 1.0)) for r in toy]
    many = quick + [r for r in quick if r.measured.source == "maker0:log"] * 20
    once, often = (fitted_to(runs, common, start()).all["matmul"].value for runs in (quick, many))
    assert often == pytest.approx(once, rel=1e-6)


def test_a_run_is_predicted_as_the_planner_does(toy: list[Run], true_coefficients: Coefficients) -> None:
    """The model of the fit and the search are one physics: the same speed under the same efficiency."""
    for run, error in errors_of(toy, true_coefficients):
        plan, cluster = run.plan, run.cluster
        efficiency = true_coefficients.of(
            cluster.accelerator.architecture, plan.precision, plan.software, plan.workload.family
        )
        [[(_, samples_per_s)]] = fastest([Question(plan, [replace(cluster, efficiency=efficiency)], [run.layouts])])
        tokens_per_s = samples_per_s * plan.workload.tokens_per_sample
        assert math.exp(error) * run.tokens_per_s == pytest.approx(tokens_per_s, rel=1e-12)


def test_slopes_are_those_of_the_errors(toy: list[Run]) -> None:
    model = Model(toy, start())
    at = model.efficiencies(start())
    errors, slopes = model.slopes(at, ["matmul", "host_s", "convolution"])
    assert errors == pytest.approx(model.errors(at), rel=1e-12)
    more = at.copy()
    more[:, FIELDS.index("matmul")] *= 1.001
    measured = (model.errors(more) - model.errors(at)) / math.log(1.001)
    assert slopes[:, 0] == pytest.approx(measured, abs=0.01)
    # Faster products make a step faster, by less than themselves; more work of the host makes it slower.
    assert ((slopes[:, 0] > 0.2) & (slopes[:, 0] < 1.0)).all()
    assert (slopes[:, 1] < 0.0).all()
    assert slopes[:, 2] == pytest.approx(0.0, abs=1e-12)


def test_every_coefficient_of_a_stage_has_a_start_and_every_group_a_width() -> None:
    for each in STAGES:
        assert {*each.common, *each.groups} <= START.keys()
        assert all(width > 0 for kinds in each.groups.values() for width in kinds.values())
    fitted_twice = set(STAGES[0].common) & set(STAGES[1].common)
    assert fitted_twice == set()
    assert SOFTWARE in STAGES[0].groups["matmul"]
