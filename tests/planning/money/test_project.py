"""The bill around a run adds up, and nothing that is not known is in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.domain.answer.answer import Answer
from zenplan.domain.training.project_plan import ProjectPlan
from zenplan.errors import UsageError
from zenplan.planning.money.project import project


@pytest.fixture(scope="module")
def answer(ask: Callable[..., Answer]) -> Answer:
    return ask(params=7e9, gpu="H100", gpus=64)


def around(answer: Answer, labelled: float | None = None, today: date = date(2026, 11, 29), **known: Any) -> Any:
    return project(ProjectPlan(**known), answer.plan, answer.recommended.bill, labelled, today)


def test_a_run_alone_costs_what_it_costs(answer: Answer) -> None:
    found, bill = around(answer), answer.recommended.bill
    assert found.total_usd == bill.total_usd
    assert found.wall_clock_s == bill.run.wall_clock_s
    beside = {cost.name: cost for cost in found.costs if not cost.counted}
    assert beside["experiments"].usd.high > beside["experiments"].usd.low > 0
    assert beside["data"].usd is None


@pytest.mark.parametrize(
    ("known", "runs", "more"),
    [
        ({"repeat": 3}, 3.0, 0.0),
        ({"trials": 20, "trial_share": 0.05}, 2.0, 0.0),
        ({"trials": 20}, 2.0, 0.0),
        ({"failed_runs": 4}, 3.0, 0.0),
        ({"data_usd": 20_000.0}, 1.0, 20_000.0),
        ({"label_hours": 40.0, "label_usd_per_h": 25.0}, 1.0, 1000.0),
        ({"label_usd": 0.05, "labelled": 50_000.0}, 1.0, 2500.0),
        ({"repeat": 2, "trials": 10, "trial_share": 0.1, "failed_runs": 2, "data_usd": 10.0}, 4.0, 10.0),
    ],
)
def test_what_was_given_is_counted(answer: Answer, known: dict[str, Any], runs: float, more: float) -> None:
    found, bill = around(answer, **known), answer.recommended.bill
    assert found.total_usd.mid == pytest.approx(bill.total_usd.mid * runs + more)
    assert found.total_usd.low == pytest.approx(bill.total_usd.low * runs + more)
    assert found.wall_clock_s.mid == pytest.approx(bill.run.wall_clock_s.mid * runs)


def test_labels_of_ones_own_data_are_a_range_where_nothing_is_given(answer: Answer, ask: Callable[..., Answer]) -> None:
    assert "labels" not in {cost.name for cost in around(answer, labelled=1000.0).costs}
    of_images = ask(model="resnet50", samples=1000, gpu="L4", gpus=1).project
    (labels,) = (cost for cost in of_images.costs if cost.name == "labels")
    assert labels.usd is not None
    assert not labels.counted
    assert 0 < labels.usd.low < labels.usd.high


@given(day=st.dates(date(2026, 1, 1), date(2099, 12, 31)), runs=st.integers(1, 40))
def test_months_follow_each_other_and_add_up(answer: Answer, day: date, runs: int) -> None:
    found = around(answer, repeat=runs, today=day)
    names = [month.month for month in found.months]
    assert names[0] == f"{day:%Y-%m}"
    assert names == sorted(set(names))
    assert sum(month.usd for month in found.months) == pytest.approx(answer.recommended.total_usd.mid * runs)


def test_a_budget_is_for_the_whole_project(ask: Callable[..., Answer]) -> None:
    whole = ask(params=1e9, budget_usd=1000.0, project=ProjectPlan(repeat=2, data_usd=200.0))
    one = ask(params=1e9, budget_usd=400.0)
    assert whole.recommended == one.recommended
    assert whole.project.total_usd is not None
    assert whole.project.total_usd.mid <= 1000.0
    with pytest.raises(UsageError, match="leave nothing of the budget"):
        ask(params=1e9, budget_usd=1000.0, project=ProjectPlan(data_usd=1000.0))


def test_a_deadline_is_for_all_runs_one_after_another(ask: Callable[..., Answer]) -> None:
    whole = ask(params=1e9, deadline_s=30 * 86400.0, project=ProjectPlan(repeat=3))
    assert whole.met
    assert whole.project.wall_clock_s.mid <= 30 * 86400.0


def labels_of(answer: Answer) -> Any:
    return next((cost for cost in answer.project.costs if cost.name == "labels"), None)


@pytest.mark.parametrize(
    "model", ["dlrm", "recommender", "ncf", "wide-and-deep", "sdxl", "stable-diffusion", "dit-s-8"]
)
def test_nobody_labels_clicks_ratings_or_what_is_drawn(model: str, ask: Callable[..., Answer]) -> None:
    assert labels_of(ask(model=model, samples=1000, gpu="H100", gpus=1)) is None
    given = ask(model=model, samples=1000, gpu="H100", gpus=1, project=ProjectPlan(label_usd=0.5))
    assert labels_of(given).usd.mid == 500.0


def test_a_picture_is_labelled_for_as_much_whatever_learns_from_it(ask: Callable[..., Answer]) -> None:
    costs = {
        model: labels_of(ask(model=model, samples=1000, gpu="H100", gpus=1)).usd
        for model in ("densenet121", "vit-large", "swin-base", "mixer-b16", "unet", "sam-vit-h")
    }
    assert costs["densenet121"] == costs["vit-large"] == costs["swin-base"] == costs["mixer-b16"]
    assert costs["unet"].high > costs["densenet121"].high


def test_the_data_are_stored_for_something(ask: Callable[..., Answer]) -> None:
    """20 GB of text for half a year is less than $3, a thousand times as much a thousand times that; never nothing:
    what the run itself stores is in its bill."""
    for given_bytes in (2e10, 2e13):
        answer = ask(params=1e9, dataset_bytes=given_bytes, epochs=1, gpu="H100", gpus=8)
        found = answer.project
        of_the_run = answer.recommended.bill.part("data set storage")
        assert of_the_run is not None
        assert 0 < of_the_run.low_usd <= of_the_run.mid_usd <= of_the_run.high_usd
        (stored,) = (cost for cost in found.costs if cost.name == "data storage")
        assert stored.usd is not None
        assert 0 <= stored.usd.low <= stored.usd.mid <= stored.usd.high
        assert not stored.counted
        months = max(6.0 - found.wall_clock_s.low / (30 * 86400.0), 0.0)
        assert stored.usd.high == pytest.approx(given_bytes / 1e9 * 0.023 * months)
