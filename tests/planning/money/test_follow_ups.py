"""What follows a training takes no less the more is asked, and nothing where nothing is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.domain.answer.answer import Answer
from zenplan.domain.provenance import Origin
from zenplan.domain.range import Range
from zenplan.domain.training.follow_up import FOLLOW_UPS, FollowUp
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.project_plan import ProjectPlan
from zenplan.planning.money.follow_ups import Following, Serving, follow
from zenplan.planning.money.parts import bill_parts
from zenplan.planning.money.run import Runs

SERVED = {"p": Serving(usd_per_h=Range(low=1.0, mid=2.0, high=4.0), why="made up")}
ALL = ("export", "compress", "explain", "serve:30d")


def followed(make: Any, *asked: FollowUp, hours: float = 10.0, runs: float = 1.0, provider: str = "p") -> Any:
    steps = np.array([[0.8], [1.0], [1.3]]) * hours * 3600.0
    made = Runs(
        steady_s=steps,
        work_s=steps,
        wall_clock_s=steps,
        checkpoint_interval_s=np.array([1.0]),
        checkpoint_write_s=np.array([1.0]),
        checkpoint_bytes=1.0,
        interruptions=np.array([0.0]),
    )
    following = Following(asked=asked, runs=runs, serving=SERVED)
    return follow(make.plan(), Operations(), following, made, np.array([10.0]), np.array([4.0]), [provider])


def test_nothing_follows_where_nothing_is_asked(make: Any) -> None:
    assert followed(make) == ()


@settings(max_examples=20, deadline=None)
@given(name=st.sampled_from(FOLLOW_UPS), amount=st.floats(1e-3, 1e3), more=st.floats(1.0, 10.0))
def test_more_of_it_takes_no_less(make: Any, name: str, amount: float, more: float) -> None:
    (less,), (greater,) = (followed(make, FollowUp(name=name, amount=each)) for each in (amount, amount * more))
    assert (less.time_s <= greater.time_s * (1.0 + 1e-12)).all()
    assert (less.usd <= greater.usd * (1.0 + 1e-12)).all()
    assert (np.diff(greater.usd[:, 0]) >= 0.0).all()


def test_compression_is_its_share_of_the_steps_on_all_machines(make: Any) -> None:
    (found,) = followed(make, FollowUp(name="compress", amount=0.05))
    assert found.time_s[1, 0] == pytest.approx(0.05 * 36_000.0)
    assert found.usd[1, 0] == pytest.approx(0.05 * 10.0 * 10.0 * 4.0)


def test_serving_is_paid_by_the_hour_and_takes_no_time(make: Any) -> None:
    (found,) = followed(make, FollowUp(name="serve", amount=86_400.0))
    assert found.usd[:, 0] == pytest.approx([24.0, 48.0, 96.0])
    assert not found.time_s.any()


def test_what_several_runs_have_in_common_is_shared(make: Any) -> None:
    asked = [FollowUp(name=name, amount=1.0 if name == "serve" else None) for name in FOLLOW_UPS]
    for one, third in zip(followed(make, *asked), followed(make, *asked, runs=3.0), strict=True):
        assert third.usd == pytest.approx(one.usd / 3.0)
        assert third.time_s == pytest.approx(one.time_s / 3.0)


def test_a_provider_without_a_machine_for_it_has_no_dollars(make: Any) -> None:
    (found,) = followed(make, FollowUp(name="serve", amount=1.0), provider="q")
    assert math.isnan(found.usd[1, 0])


# --- in an answer


@pytest.fixture(scope="module")
def pair(ask: Callable[..., Answer]) -> tuple[Answer, Answer]:
    asked: Any = {"params": 1e9, "gpu": "H100", "gpus": 8, "provider": "lambda"}
    follow_ups = tuple(FollowUp(name=n.split(":")[0], amount=30 * 86_400.0 if ":" in n else None) for n in ALL)
    return ask(**asked), ask(**asked, then=follow_ups)


def test_it_is_in_time_and_bill_and_the_parts_add_up(pair: tuple[Answer, Answer]) -> None:
    plain, more = (each.recommended for each in pair)
    assert [each.name for each in more.bill.followed] == ["export", "compression", "explanations", "serving"]
    assert more.bill.run == plain.bill.run
    assert plain.bill.wall_clock_s == plain.bill.run.wall_clock_s
    took = sum(each.time_s.mid for each in more.bill.followed)
    assert more.wall_clock_s.mid == pytest.approx(plain.wall_clock_s.mid + took)
    assert more.total_usd is not None
    assert plain.total_usd is not None
    added = sum(part.mid_usd for part in more.bill.followed_parts)
    assert added > 0.0
    assert more.total_usd.mid == pytest.approx(plain.total_usd.mid + added)
    parts = bill_parts(pair[1].operations, more.quote, more.bill)
    assert sum(part.high_usd for part in parts) == pytest.approx(more.total_usd.high)


def test_its_assumptions_are_facts(pair: tuple[Answer, Answer]) -> None:
    facts = {fact.name: fact for fact in pair[1].plan.facts}
    assert facts["compression"].origin is Origin.ASSUMED
    assert facts["serving"].origin is Origin.GIVEN
    assert "serving" not in {fact.name for fact in pair[0].plan.facts}


def test_the_project_has_it_once(ask: Callable[..., Answer]) -> None:
    asked: Any = {"params": 1e9, "gpu": "H100", "gpus": 8, "provider": "lambda"}
    serve = (FollowUp(name="serve", amount=864_000.0),)
    once, thrice = (ask(**asked, then=serve, project=ProjectPlan(repeat=n)) for n in (1, 3))
    costs = [{cost.name: cost for cost in answer.project.costs} for answer in (once, thrice)]
    assert costs[1]["after the training"].usd.mid == pytest.approx(costs[0]["after the training"].usd.mid)
    assert costs[1]["runs"].usd.mid == pytest.approx(3.0 * costs[0]["runs"].usd.mid)
    assert once.project.total_usd is not None
    assert once.recommended.total_usd is not None
    assert once.project.total_usd.mid == pytest.approx(once.recommended.total_usd.mid)


def test_a_deadline_counts_what_follows(ask: Callable[..., Answer], pair: tuple[Answer, Answer]) -> None:
    """A deadline that the run alone keeps is missed where half of it again follows."""
    asked: Any = {"params": 1e9, "gpu": "H100", "gpus": 8, "provider": "lambda"}
    deadline_s = 1.2 * pair[0].recommended.wall_clock_s.mid
    assert ask(**asked, deadline_s=deadline_s).met
    assert not ask(**asked, deadline_s=deadline_s, then=(FollowUp(name="compress", amount=0.5),)).met
