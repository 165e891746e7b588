"""The 80 % interval holds what it says, on errors that are drawn here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from zenplan.backtesting.runs import Run
from zenplan.domain.fit.efficiency import Interval, Spread
from zenplan.fitting.intervals import (
    Judged,
    LeftOut,
    Score,
    distinct,
    fit_interval,
    judged,
    quantile,
)
from zenplan.fitting.published import publisher
from zenplan.planning.physics.interval import BEYOND, UNSEEN

WIDE, UNMEASURED = "several nodes", UNSEEN["generation"]
NO_TRAITS: Mapping[str, float] = {}


@pytest.fixture
def drawn(toy: list[Run], as_if: Callable[..., Run]) -> Callable[..., list[LeftOut]]:
    """Errors of 400 publishers of twenty runs each: what its runs have in common and what each has, normal of 0.1 both;
    three times as wide with the trait."""
    makers = [
        [as_if(toy[0], publisher=f"publisher {i:03}", global_batch=batch) for batch in range(8, 28)] for i in range(400)
    ]

    def errors(seed: int) -> list[LeftOut]:
        draw = np.random.default_rng(seed)
        common, own = draw.normal(0.0, 0.1, (400, 1)), draw.normal(0.0, 0.1, (400, 20))
        # The second half of each publisher's runs has the trait.
        return [
            LeftOut(run, float(e) * (3.0 if i >= 10 else 1.0), {WIDE: 1.0} if i >= 10 else NO_TRAITS)
            for runs, mine in zip(makers, common + own, strict=True)
            for i, (run, e) in enumerate(zip(runs, mine, strict=True))
        ]

    return errors


def fitted(new: list[LeftOut], known: list[LeftOut] | None = None, far: list[LeftOut] | None = None) -> Interval:
    return fit_interval(new, known or [], far or [], "drawn")


def held(interval: Interval, observed: list[LeftOut]) -> Mapping[str, float]:
    """The share of each publisher's runs that are inside."""
    inside: dict[str, list[bool]] = {}
    for each in observed:
        spread = interval.of(each.traits)
        inside.setdefault(publisher(each.run), []).append(spread.low <= np.exp(each.error) <= spread.high)
    return {name: float(np.mean(mine)) for name, mine in inside.items()}


def test_it_holds_eighty_of_a_hundred_runs_of_a_new_publisher(drawn: Callable[..., list[LeftOut]]) -> None:
    """As a mean over publishers, although the errors of one come together."""
    interval = fitted(drawn(1))
    for seed in (2, 3):
        assert np.mean(list(held(interval, drawn(seed)).values())) == pytest.approx(0.8, abs=0.03)


def test_few_publishers_make_it_wider(drawn: Callable[..., list[LeftOut]]) -> None:
    """By the rank of one publisher more; of four and fewer the largest of their own quantiles is all that can be said."""
    errors = [o for o in drawn(1) if not o.traits]
    own = [sorted(abs(o.error) for o in errors[start : start + 10])[7] for start in (0, 10, 20)]
    assert fitted(errors[:30]).new == max(own)
    shares = [
        np.mean(list(held(fitted(errors[start : start + 50]), errors[2000:]).values())) for start in range(0, 2000, 50)
    ]
    assert np.mean(shares) >= 0.8


def test_each_trait_has_its_own_width(drawn: Callable[..., list[LeftOut]]) -> None:
    """Three times as wide, a little less: a factor is drawn to 1."""
    assert fitted(drawn(1)).factors[WIDE] == pytest.approx(3.0, rel=0.2)


def test_a_trait_never_narrows(drawn: Callable[..., list[LeftOut]]) -> None:
    turned = [LeftOut(o.run, o.error, NO_TRAITS if o.traits else {WIDE: 1.0}) for o in drawn(1)]
    assert fitted(turned).factors[WIDE] == 1.0


def test_a_publisher_of_many_rows_weighs_as_much_as_one_of_few(
    drawn: Callable[..., list[LeftOut]], as_if: Callable[..., Run]
) -> None:
    once = drawn(1)
    mine = [o for o in once if publisher(o.run) == "publisher 007"]
    # The same again and again, as other configurations.
    often = [LeftOut(as_if(o.run, dp=n), o.error, o.traits) for n in range(2, 9) for o in mine]
    one, other = fitted(once), fitted([*once, *often])
    assert other.new == pytest.approx(one.new, rel=0.02)
    assert other.factors[WIDE] == pytest.approx(one.factors[WIDE], rel=1e-6)


def test_a_configuration_counts_once(drawn: Callable[..., list[LeftOut]], as_if: Callable[..., Run]) -> None:
    first = drawn(1)[0]
    releases = [LeftOut(as_if(first.run, release=str(n)), e, {}) for n, e in enumerate((0.1, 0.9, 0.2))]
    assert [o.error for o in distinct(releases)] == [0.2]


def test_what_is_further_away_than_anything_fitted_is_wider_and_never_narrower(
    drawn: Callable[..., list[LeftOut]],
) -> None:
    """Errors of generations that were left out whole widen the interval, and leave that of the others alone."""
    near = drawn(1)
    far = [LeftOut(o.run, 4.0 * o.error, {UNMEASURED: 1.0}) for o in near if not o.traits]
    close = [LeftOut(o.run, 0.01 * o.error, {BEYOND: 1.0}) for o in near if not o.traits]
    found, plain_one = fitted(near, far=far), fitted(near)
    assert found.factors[UNMEASURED] == pytest.approx(4.0, rel=0.2)
    assert fitted(near, far=close).factors[BEYOND] == 1.0
    assert found.new == plain_one.new


def test_known_publishers_have_a_width_of_their_own_which_is_no_wider(drawn: Callable[..., list[LeftOut]]) -> None:
    new = drawn(1)
    half = [LeftOut(o.run, o.error / 2.0, o.traits) for o in new]
    twice = [LeftOut(o.run, o.error * 2.0, o.traits) for o in new]
    assert fitted(new, half).known == pytest.approx(fitted(new).new / 2.0, rel=1e-6)
    assert fitted(new, twice).known == fitted(new).new == fitted(new).known


def test_a_publisher_is_judged_by_the_others_alone(drawn: Callable[..., list[LeftOut]]) -> None:
    """One whose errors are far out is not held by the interval of the others, which it would widen itself."""
    usual = drawn(1)[:200]
    odd = [LeftOut(o.run, o.error + 5.0, o.traits) if publisher(o.run) == "publisher 003" else o for o in usual]
    mine = [o for o in odd if publisher(o.run) == "publisher 003"]
    found = judged(odd, [], [], mine, is_known=False)
    assert len(found) == len(mine)
    assert not any(j.held for j in found)
    score = Score.of(judged(odd, [], [], [o for o in odd if o not in mine], is_known=False))
    assert (score.publishers, score.runs) == (9, 180)


def test_a_score_is_a_mean_over_publishers(toy: list[Run], as_if: Callable[..., Run]) -> None:
    spread = Spread(low=0.8, high=1.25, basis="drawn")
    errors = {"one": [0.1, 0.1, 0.1, 0.1, -0.9], "other": [0.3]}
    score = Score.of([Judged(as_if(toy[0], publisher=name), e, spread) for name, es in errors.items() for e in es])
    assert (score.runs, score.publishers) == (6, 2)
    assert score.error == pytest.approx(0.2)
    # Where it took longer than predicted, the prediction was too short.
    assert score.bias == pytest.approx(-0.2)
    assert score.coverage == pytest.approx(0.4)
    assert score.half_width == pytest.approx(math.log(1.25))
    assert score.error_range[0] <= score.error <= score.error_range[1]


@pytest.mark.parametrize(
    ("share_", "expected"), [(0.0, 1.0), (0.24, 1.0), (0.25, 1.0), (0.26, 2.0), (0.5, 2.0), (0.51, 3.0), (1.0, 3.0)]
)
def test_a_quantile_is_by_weight(share_: float, expected: float) -> None:
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([2.0, 1.0, 1.0])
    assert quantile(values, weights, share_) == expected
