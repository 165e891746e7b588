"""Laws of a run that is going on: checkpoints, money, time left, drift, limits."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.domain.measured.training_run import REHEARSED, STORED, RunPrediction
from zenplan.domain.range import Range
from zenplan.errors import DataError
from zenplan.planning.watch.checkpoints import MOST_SHARE, interval_s, interval_steps
from zenplan.planning.watch.drift import LEAST, Cause, StepTime, cores_of, drift_of
from zenplan.planning.watch.evaluations import MOST, assumed_evaluate_s, evaluations_apart
from zenplan.planning.watch.evaluations import MOST_SHARE as MOST_EVALUATED
from zenplan.planning.watch.limits import MAX_HOURS, MAX_USD, RunLimits, must_stop
from zenplan.planning.watch.money import Tariff
from zenplan.planning.watch.progress import Left, mean_step_s, time_left
from zenplan.planning.watch.rehearsal import corrected, in_a_crowd, step_of

seconds = st.floats(min_value=1e-3, max_value=1e6)


# --- checkpoints


def cost(apart_s: float, checkpoint_s: float, mtbf_s: float) -> float:
    """Daly 2006, equation 20, without restart: the run's length over that of its work."""
    return mtbf_s * math.expm1((apart_s + checkpoint_s) / mtbf_s) / apart_s


@given(seconds, st.floats(min_value=1.0, max_value=1e8))
def test_no_other_interval_costs_less(checkpoint_s: float, mtbf_s: float) -> None:
    if checkpoint_s > mtbf_s / 10.0:
        return
    best = interval_s(checkpoint_s, mtbf_s)
    for factor in (0.5, 0.8, 1.25, 2.0):
        assert cost(best, checkpoint_s, mtbf_s) <= cost(best * factor, checkpoint_s, mtbf_s) * (1.0 + 1e-9)


def test_young_is_the_limit_of_quick_checkpoints() -> None:
    assert interval_s(1.0, 1e9) == pytest.approx(math.sqrt(2e9), rel=1e-4)
    assert interval_s(10.0, 3600.0) == pytest.approx(math.sqrt(72_000.0), rel=0.04)


def test_ends_of_the_interval() -> None:
    assert interval_s(0.0, 3600.0) == 0.0
    assert interval_s(7200.0, 3600.0) == 3600.0
    assert math.isinf(interval_s(1.0, math.inf))


@given(seconds, st.floats(min_value=1e-4, max_value=1e3), st.floats(min_value=10.0, max_value=1e9))
def test_checkpoints_take_little_and_are_at_least_a_step_apart(checkpoint_s: float, step_s: float, mtbf: float) -> None:
    steps = interval_steps(checkpoint_s, mtbf, step_s)
    assert steps >= 1
    # Rounding to whole steps moves it by half a step.
    assert checkpoint_s / ((steps + 0.5) * step_s) <= MOST_SHARE * (1.0 + 1e-9)


def test_work_that_may_be_lost_is_bounded() -> None:
    assert interval_steps(1.0, math.inf, 1.0) == 1800
    assert interval_steps(1.0, math.inf, 1.0, most_apart_s=60.0) == 60


# --- money


def test_an_offer_comes_before_power() -> None:
    assert Tariff(usd_per_h=2.5, usd_per_kwh=0.1, power_w=700.0).hourly_usd == 2.5
    assert Tariff(usd_per_kwh=0.1, power_w=1000.0).hourly_usd == pytest.approx(0.1)


def test_what_is_not_known_is_not_nothing() -> None:
    assert Tariff().hourly_usd is None
    assert Tariff(usd_per_kwh=0.1).hourly_usd is None
    assert Tariff(usd_per_h=0.0).hourly_usd == 0.0


# --- time left

PREDICTED = Range(low=0.8, mid=1.0, high=1.25)


def test_before_the_first_step_the_prediction_is_all() -> None:
    left = time_left(Left(steps=100, evaluations=2, evaluate_s=5.0), PREDICTED, ())
    assert left is not None
    assert left.mid == pytest.approx(110.0)
    assert left.low == pytest.approx(90.0, rel=0.01)
    assert left.high == pytest.approx(135.0, rel=0.01)


def test_nothing_known_is_no_time() -> None:
    assert time_left(Left(steps=100), None, ()) is None
    assert time_left(Left(steps=0), PREDICTED, ()) == Range(low=0.0, mid=0.0, high=0.0)


def test_the_run_itself_soon_outweighs_the_prediction_and_the_interval_narrows() -> None:
    random.seed(1)
    steps = [2.0 * random.lognormvariate(0.0, 0.1) for _ in range(400)]
    widths, off = [], []
    for n in (0, 3, 20, 100, 400):
        found = mean_step_s(PREDICTED, steps[:n])
        assert found is not None
        widths.append(found.high / found.low)
        off.append(abs(math.log(found.mid / 2.0)))
    assert widths == sorted(widths, reverse=True)
    assert off[-1] < 0.02 < off[0]


def test_without_noise_it_is_still_not_certain() -> None:
    found = mean_step_s(None, [1.0] * 1000)
    assert found is not None
    assert 1.02 < found.high / found.low < 1.04


def test_the_interval_holds_four_in_five_machines_that_are_noisy_in_stretches() -> None:
    """Noise of neighbouring steps is alike: as of a machine on which others come and go."""
    random.seed(7)
    held = 0
    for _ in range(200):
        slow, steps = 0.0, []
        for _ in range(2000):
            slow = 0.9 * slow + random.gauss(0.0, 0.02)
            steps.append(math.exp(slow + random.gauss(0.0, 0.05)))
        found = mean_step_s(None, steps[:400])
        assert found is not None
        held += found.low <= sum(steps[400:]) / 1600 <= found.high
    assert held >= 150


def blocks_of(steps: list[float]) -> tuple[list[float], int]:
    """As a run keeps them: a hundred means of neighbours at most."""
    of = 1
    while len(steps) >= 100:
        steps = [(a + b) / 2.0 for a, b in zip(steps[::2], steps[1::2], strict=False)]
        of *= 2
    return steps, of


@pytest.mark.parametrize("kind", ["trend", "neighbours", "wandering"])
def test_the_range_of_the_time_left_holds_about_four_in_five_runs_that_drift(kind: str) -> None:
    """At several points of the run, with evaluations that have noise of their own, and a prediction that is a little off."""
    draw, count, runs, every = np.random.default_rng(5), 600, 60, 60
    keeps, moves = {"trend": (0.0, 0.0), "neighbours": (0.97, 0.012), "wandering": (1.0, 0.003)}[kind]
    held: dict[float, int] = {}
    for _ in range(runs):
        slow, steps, trend = 0.0, [], draw.normal(0.0, 0.1) if kind == "trend" else 0.0
        for step in range(count):
            slow = keeps * slow + draw.normal(0.0, moves)
            steps.append(math.exp(slow + trend * step / count + draw.normal(0.0, 0.05)))
        evaluations = [8.0 * math.exp(draw.normal(0.0, 0.1)) for _ in range(count // every)]
        mean = sum(steps) / count * math.exp(draw.normal(0.0, 0.05))
        predicted = Range(low=mean * math.exp(-0.064), mid=mean, high=mean * math.exp(0.064))
        for share in (0.1, 0.3, 0.5, 0.8):
            done = int(count * share)
            seen = evaluations[: done // every]
            left = Left(
                steps=count - done,
                evaluations=len(evaluations) - len(seen),
                evaluate_s=sum(seen) / len(seen) if seen else 8.0,
                beside_spread=0.25 / math.sqrt(1 + len(seen)),
            )
            found = time_left(left, predicted, *blocks_of(steps[:done]))
            assert found is not None
            actual = sum(steps[done:]) + sum(evaluations[len(seen) :])
            held[share] = held.get(share, 0) + (found.low <= actual <= found.high)
    assert all(0.6 * runs <= each <= runs for each in held.values()), held
    assert 0.72 <= sum(held.values()) / (4 * runs) <= 0.97, held


def test_what_is_beside_steps_is_in_the_time_left_and_in_its_range() -> None:
    steps = [1.0] * 100
    alone = time_left(Left(steps=100), PREDICTED, steps)
    more = time_left(Left(steps=100, evaluations=3, evaluate_s=10.0, checkpoints=2, checkpoint_s=5.0), PREDICTED, steps)
    assert alone is not None
    assert more is not None
    assert more.mid == pytest.approx(alone.mid + 40.0)
    assert more.high - more.mid > alone.high - alone.mid
    known = time_left(Left(steps=100, evaluations=4, evaluate_s=10.0, beside_spread=0.0), PREDICTED, steps)
    assert known is not None
    assert known.high - known.mid == pytest.approx(alone.high - alone.mid)


def test_a_run_that_gets_slower_is_not_taken_to_go_on_as_its_mean() -> None:
    slower = [1.0 + 0.2 * step / 400 for step in range(200)]
    found = mean_step_s(None, slower, 200)
    assert found is not None
    assert found.low <= 1.15 <= found.high
    assert found.mid > 1.1


# --- evaluations


@given(
    st.integers(min_value=1, max_value=10**6),
    st.floats(min_value=1e-4, max_value=1e4),
    st.integers(min_value=0, max_value=1),
)
def test_evaluations_are_ten_at_most_and_cost_a_tenth_of_the_steps_unless_one_is_more(
    steps: int, cost: float, beside: int
) -> None:
    every = evaluations_apart(steps, cost, beside)
    made = math.ceil(steps / every) if every else 1
    assert made <= MOST
    assert made == 1 or (made + beside) * cost <= MOST_EVALUATED * steps * (1.0 + 1e-9)
    # No more of them would be allowed, but for what whole steps make of it.
    if not every and steps >= 2:
        assert (2 + beside) * cost > MOST_EVALUATED * steps


def test_an_evaluation_that_nobody_timed_is_taken_for_the_way_forward() -> None:
    assert assumed_evaluate_s(300, 100, 2.0) == pytest.approx(2.0)
    assert evaluations_apart(200, assumed_evaluate_s(50 * 8, 8, 1.0)) == 0
    assert evaluations_apart(20_000, assumed_evaluate_s(50 * 8, 8, 1.0)) == 2000


# --- drift


def steps(wall_s: float, count: int = 50, wait_s: float = 0.0, cpu_s: float | None = None) -> list[StepTime]:
    return [StepTime(wall_s=wall_s, wait_s=wait_s, cpu_s=cpu_s) for _ in range(count)]


@given(st.floats(min_value=0.8, max_value=1.25))
def test_within_the_interval_there_is_no_drift(wall_s: float) -> None:
    assert drift_of(steps(wall_s), PREDICTED) is None


def test_few_steps_or_a_single_slow_one_are_no_drift() -> None:
    assert drift_of(steps(9.0, LEAST - 1), PREDICTED) is None
    assert drift_of([*steps(1.0), StepTime(wall_s=99.0)], PREDICTED) is None
    assert drift_of(steps(9.0), None) is None


@pytest.mark.parametrize(
    ("window", "more", "cause"),
    [
        (steps(2.0, wait_s=1.0), {}, Cause.INPUT),
        (steps(2.0, wait_s=0.0), {"held_down": "heat"}, Cause.THROTTLED),
        (steps(2.0, cpu_s=2.0), {"cores_then": 2.0}, Cause.CONTENDED),
        (steps(2.0, cpu_s=4.0), {"cores_then": 2.0}, Cause.UNKNOWN),
        # The processor waits for a GPU: its own clock says nothing.
        (steps(2.0, cpu_s=2.0), {"cores_then": 2.0, "on_cpu": False}, Cause.UNKNOWN),
        (steps(0.5), {"held_down": "heat"}, Cause.UNKNOWN),
    ],
)
def test_the_cause_is_what_was_measured(window: list[StepTime], more: dict[str, object], cause: Cause) -> None:
    found = drift_of(window, PREDICTED, **more)  # type: ignore[arg-type]  # of the table above
    assert found is not None
    assert found.cause is cause
    assert (found.ratio > 1.0) == ("slower" in found.text)


def test_waiting_is_no_sign_of_others() -> None:
    """What a step waits for its batch is not taken for time that others took away."""
    assert cores_of(steps(2.0, wait_s=1.0, cpu_s=2.0)) == 2.0
    assert cores_of(steps(2.0)) is None


# --- limits


@given(
    st.floats(min_value=0.01, max_value=1e4),
    st.floats(min_value=0.1, max_value=100.0),
    st.floats(min_value=0.0, max_value=100.0),
    st.floats(min_value=0.0, max_value=100.0),
)
def test_what_is_left_pays_for_the_step_and_its_checkpoint(
    usd: float, price: float, step_s: float, ckpt: float
) -> None:
    """The run goes on only while a step and a checkpoint more stay within the money."""
    limits, t = RunLimits(usd=usd), 0.0
    most_s = usd / price * 3600.0
    for t in (most_s * share for share in (0.0, 0.3, 0.6, 0.9, 0.99, 1.0, 1.5)):
        if not must_stop(limits, t, price, step_s, ckpt):
            assert t + step_s + ckpt <= most_s
    assert must_stop(limits, most_s, price, step_s, ckpt) == MAX_USD


def test_leaving_is_paid_for_and_is_never_all_of_a_short_limit() -> None:
    limits = RunLimits(hours=100.0 / 3600.0)
    assert must_stop(limits, 89.0, None, 1.0, 1.0) == ""
    assert must_stop(limits, 89.0, None, 1.0, 1.0, 9.0) == MAX_HOURS
    assert must_stop(limits, 70.0, None, 1.0, 1.0, 1e9) == ""


def test_the_first_limit_counts_and_none_is_none() -> None:
    assert RunLimits(usd=10.0, hours=1.0).ends_at_s(100.0) == (360.0, MAX_USD)
    assert RunLimits(usd=10.0, hours=1.0).ends_at_s(1.0) == (3600.0, MAX_HOURS)
    assert RunLimits(usd=10.0).ends_at_s(None) is None
    assert must_stop(RunLimits(), 1e9, 1.0) == ""


def test_a_short_limit_is_not_over_before_it_began() -> None:
    """Nobody has timed a checkpoint yet: half of the time is for steps all the same."""
    limits = RunLimits(hours=4.0 / 3600.0)
    assert must_stop(limits, 1.0, None) == ""
    assert must_stop(limits, 2.5, None) == MAX_HOURS


# --- before the run


def test_the_rehearsal_is_the_mean_of_undisturbed_steps() -> None:
    assert step_of([1.0, 1.0, 1.0, 1.0, 50.0]).mid == pytest.approx(1.0)
    assert step_of([0.9, 1.1, 1.0, 1.0]).mid == pytest.approx(1.0)
    with pytest.raises(DataError):
        step_of([])


def test_more_and_quieter_steps_are_surer() -> None:
    def width(walls: list[float]) -> float:
        found = step_of(walls)
        return found.high / found.low

    assert width([1.0] * 3) > width([1.0] * 12)
    assert step_of([1.0] * 12, busy=True).high > step_of([1.0] * 12).high
    quiet = step_of([1.0] * 12)
    assert (in_a_crowd(quiet).mid, in_a_crowd(quiet).high > quiet.high) == (quiet.mid, True)
    assert width([0.8, 1.2] * 6) > width([0.98, 1.02] * 6)
    assert width([0.8, 1.2] * 3) > width([0.8, 1.2] * 30)


def test_earlier_runs_move_the_middle_and_the_width() -> None:
    plain = step_of([1.0] * 12)
    assert corrected(plain, []) == plain
    always = corrected(plain, [1.2] * 20)
    assert 1.1 < always.mid / plain.mid < 1.2
    assert corrected(plain, [1.2]).mid < always.mid
    wild = corrected(plain, [0.7, 1.4] * 10)
    assert wild.mid == pytest.approx(plain.mid, rel=0.02)
    assert wild.high / wild.low > 1.5 * plain.high / plain.low
    right = corrected(plain, [1.0] * 20)
    assert right.high / right.low < plain.high / plain.low


def test_the_whole_run_is_the_sum_of_its_parts_and_its_doubts_add_up_as_squares() -> None:
    now = datetime(2026, 11, 30, tzinfo=UTC)
    beside = {"evaluations": 2, "evaluate_s": 3.0, "checkpoints": 1, "checkpoint_s": 2.0, "ending_s": 2.0}
    run = RunPrediction(
        origin=REHEARSED, why="", made_at=now, steps=100, step_s=PREDICTED, setup_s=9.0, rehearsal_s=1.0, **beside
    )
    found = run.run_s
    assert found is not None
    assert found.mid == pytest.approx(100.0 + 9.0 + 1.0 + 6.0 + 2.0 + 2.0)
    assert found.high == pytest.approx(found.mid + math.hypot(25.0, 0.25 * 8.0, 0.25 * 2.0))
    # What a stored prediction says of setting up is doubtful, too.
    stored = replace(run, origin=STORED).run_s
    assert stored is not None
    assert stored.mid == found.mid
    assert stored.high > found.high
    assert replace(run, step_s=None).run_s is None


def test_what_had_passed_is_in_no_doubt() -> None:
    """Of a rehearsal all until its end, else what the command took until then; the rest is what is predicted."""
    now = datetime(2026, 11, 30, tzinfo=UTC)
    run = RunPrediction(
        origin=STORED, why="", made_at=now, steps=100, step_s=PREDICTED, start_s=4.0, setup_s=9.0, rehearsal_s=1.0
    )
    assert (run.known_s, replace(run, origin=REHEARSED).known_s) == (4.0, 10.0)
    for each in (run, replace(run, origin=REHEARSED)):
        assert each.run_s is not None
        assert each.unknown_s is not None
        assert each.run_s.mid == pytest.approx(110.0)
        assert each.run_s.mid - each.unknown_s.mid == pytest.approx(each.known_s)
        assert each.run_s.high - each.run_s.mid == pytest.approx(each.unknown_s.high - each.unknown_s.mid)
