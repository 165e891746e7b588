"""The 80 % interval holds what it says, on errors that are drawn here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from zenplan.backtesting.runs import Run
from zenplan.fitting.intervals import LeftOut, checked, fit_interval, inside, plain, quantile
from zenplan.fitting.published import source
from zenplan.planning.physics.interval import BEYOND, UNMEASURED

WIDE = "several nodes"
NO_TRAITS: Mapping[str, float] = {}


@pytest.fixture
def drawn(toy: list[Run], as_if: Callable[..., Run]) -> Callable[..., list[LeftOut]]:
    """Errors of 400 sources of ten runs: normal, of 0.1, three times as wide with the trait."""
    sources = [as_if(toy[0], source=f"source {i}") for i in range(400)]

    def errors(seed: int, middle: float = 0.0) -> list[LeftOut]:
        normal = np.random.default_rng(seed).normal(0.0, 0.1, (400, 10))
        # The second half of each source's runs has the trait.
        return [
            LeftOut(run, middle + float(e) * (3.0 if i >= 5 else 1.0), {WIDE: 1.0} if i >= 5 else NO_TRAITS)
            for run, mine in zip(sources, normal, strict=True)
            for i, e in enumerate(mine)
        ]

    return errors


def share(interval_of: list[LeftOut], judged: list[LeftOut]) -> float:
    interval = fit_interval(interval_of, "drawn")
    return float(np.mean([inside(each, interval.of(each.traits)) for each in judged]))


def test_the_interval_holds_eighty_of_a_hundred(drawn: Callable[..., list[LeftOut]]) -> None:
    assert share(drawn(1), drawn(1)) == pytest.approx(0.80, abs=0.01)
    fresh = [share(drawn(1), drawn(seed)) for seed in range(2, 5)]
    assert np.mean(fresh) == pytest.approx(0.80, abs=0.03)


def test_each_trait_has_its_own_width(drawn: Callable[..., list[LeftOut]]) -> None:
    """Three times as wide, a little less: a factor is drawn to 1. Both halves hold what they say."""
    found = fit_interval(drawn(1), "drawn")
    assert found.factors[WIDE] == pytest.approx(3.0, rel=0.2)
    for traits in (NO_TRAITS, {WIDE: 1.0}):
        mine = [each for seed in range(2, 5) for each in drawn(seed) if each.traits == traits]
        assert share(drawn(1), mine) == pytest.approx(0.80, abs=0.05)


def test_errors_to_one_side_make_the_interval_lopsided(drawn: Callable[..., list[LeftOut]]) -> None:
    found = fit_interval(drawn(1, middle=0.1), "drawn")
    assert found.up > 1.5 * found.down


def test_a_source_of_many_rows_weighs_as_much_as_one_of_few(drawn: Callable[..., list[LeftOut]]) -> None:
    once = drawn(1)
    often = once + [each for each in once if source(each.run) == "source 7"] * 9
    one, other = fit_interval(once, "drawn"), fit_interval(often, "drawn")
    assert (other.down, other.up) == pytest.approx((one.down, one.up), rel=1e-9)
    assert other.factors[WIDE] == pytest.approx(one.factors[WIDE], rel=1e-9)


def test_what_is_further_away_than_anything_fitted_is_wider_and_never_narrower(
    drawn: Callable[..., list[LeftOut]],
) -> None:
    """Errors of generations that were left out whole widen the interval, and leave that of the others alone."""
    near = drawn(1)
    far = [LeftOut(each.run, 4.0 * each.error, {UNMEASURED: 1.0}) for each in near if not each.traits]
    close = [LeftOut(each.run, 0.01 * each.error, {BEYOND: 1.0}) for each in near if not each.traits]
    found = fit_interval([*near, *far, *close], "drawn")
    assert found.factors[UNMEASURED] == pytest.approx(4.0, rel=0.2)
    assert found.factors[BEYOND] == 1.0
    assert (found.down, found.up) == (fit_interval(near, "near").down, fit_interval(near, "near").up)
    assert np.mean([inside(each, found.of(each.traits)) for each in far]) == pytest.approx(0.80, abs=0.03)


def test_a_group_is_judged_by_the_others_alone(drawn: Callable[..., list[LeftOut]]) -> None:
    """A source whose errors are far out is not held by the interval of the others, which it would widen itself."""
    usual = drawn(1)
    odd = [LeftOut(e.run, e.error + 5.0, e.traits) if source(e.run) == "source 3" else e for e in usual[:50]]
    mine = [each for each in odd if source(each.run) == "source 3"]
    assert share(odd, mine) > 0.3
    assert checked(odd, mine).coverage == 0.0
    some = checked(usual, usual[:300])
    assert some.coverage == pytest.approx(0.80, abs=0.05)
    # Normal errors of 0.1 and of 0.3: 0.13 and 0.39 from the middle, in ln; half of the runs have each.
    assert 0.12 < some.half_width < 0.42
    assert plain(mine) == [(each.run, each.error) for each in mine]


@pytest.mark.parametrize(
    ("share_", "expected"), [(0.0, 1.0), (0.24, 1.0), (0.25, 1.0), (0.26, 2.0), (0.5, 2.0), (0.51, 3.0), (1.0, 3.0)]
)
def test_a_quantile_is_by_weight(share_: float, expected: float) -> None:
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([2.0, 1.0, 1.0])
    assert quantile(values, weights, share_) == expected
