"""The population stability index, and what of it is chance."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zenplan.domain.measured.drift import chance_index, population_stability_index


def test_by_hand() -> None:
    found = population_stability_index([50, 50], [25, 75])
    assert found == pytest.approx(-0.25 * math.log(0.5) + 0.25 * math.log(1.5))


def test_alike_is_nothing_and_it_is_the_same_both_ways() -> None:
    assert population_stability_index([10, 20, 30], [100, 200, 300]) == pytest.approx(0)
    one, other = [10.0, 20.0, 70.0], [30.0, 30.0, 40.0]
    assert population_stability_index(one, other) == pytest.approx(population_stability_index(other, one))


def test_bins_that_one_side_lacks_are_finite() -> None:
    assert 0 < population_stability_index([100, 0], [0, 100]) < math.inf
    assert population_stability_index([], []) == 0
    assert population_stability_index([1, 2], [0, 0]) == 0


@pytest.mark.parametrize("seen", [100, 400])
def test_chance_is_over_what_samples_of_one_distribution_come_to(seen: int) -> None:
    """Of a thousand times about one."""
    draw, limit = np.random.default_rng(0), chance_index(10, 5000, seen)
    over = 0
    for _ in range(400):
        reference, found = (draw.multinomial(count, [0.1] * 10).tolist() for count in (5000, seen))
        over += population_stability_index(reference, found) > limit
    assert over <= 3


def test_chance_is_the_quantile_of_chi_square() -> None:
    # scipy.stats.chi2.ppf(0.999, 9) is 27.877.
    assert chance_index(10, math.inf, 1) == pytest.approx(27.877, rel=0.01)
