"""The interval of a prediction: as wide as the traits of a run make it, never narrower than its floor."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.domain.fit.efficiency import Interval, Spread
from zenplan.errors import DataError

LAZY = settings(max_examples=60, deadline=None, derandomize=True)
# Half and twice; several nodes are twice as unsure.
HALF_OR_TWICE = math.log(2)
FACTORS = {"several nodes": 2.0, "a long sequence": 3.0}


def interval(**changes: Any) -> Interval:
    return Interval(
        **{"new": HALF_OR_TWICE, "known": HALF_OR_TWICE / 2, "factors": FACTORS, "basis": "9 runs", **changes}
    )


@pytest.mark.parametrize(
    ("traits", "times"),
    [
        ({}, 2),
        ({"several nodes": 1}, 4),
        ({"several nodes": 2}, 16),  # twice as much of it: twice the factor
        ({"a long sequence": 1, "several nodes": 1}, 2**6),
        ({"a trait without a factor": 5}, 2),
    ],
)
def test_traits_scale_the_logarithm(traits: dict[str, float], times: float) -> None:
    found, known = interval().of(traits), interval().of(traits, known=True)
    assert (found.low, found.high) == pytest.approx((1 / times, times))
    assert (known.low, known.high) == pytest.approx((times**-0.5, times**0.5))


def test_no_interval_is_narrower_than_the_floor() -> None:
    # 4 % of time is what two versions of one framework differ by, however alike the measured runs were.
    sure = interval(new=0.001, known=0.001).of({})
    assert (sure.low, sure.high) == pytest.approx((math.exp(-0.04), math.exp(0.04)))


def test_the_basis_says_what_makes_it_wider() -> None:
    traits = {"several nodes": 1.0, "unheard of": 1.0}
    assert interval().of(traits).basis == "9 runs; wider for several nodes"
    assert interval().of({}).basis == "9 runs"


AMOUNTS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.floats(0, 1))
FACTOR = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.floats(1, 2))


@LAZY
@given(traits=AMOUNTS, more=AMOUNTS, factors=FACTOR, width=st.floats(0.001, 0.5))
def test_more_of_what_makes_it_wider_never_makes_it_narrower(
    traits: dict[str, float], more: dict[str, float], factors: dict[str, float], width: float
) -> None:
    one = interval(new=width, factors=factors)
    greater = {name: traits.get(name, 0) + more.get(name, 0) for name in {*traits, *more}}
    assert one.scale(greater) >= one.scale(traits) * (1 - 1e-12)
    narrow, wide = one.of(traits), one.of(greater)
    assert wide.low <= narrow.low * (1 + 1e-12) <= 1 + 1e-12
    assert wide.high >= narrow.high * (1 - 1e-12) >= 1 - 1e-12


@LAZY
@given(one=AMOUNTS, other=AMOUNTS, factors=FACTOR)
def test_scales_of_traits_multiply(one: dict[str, float], other: dict[str, float], factors: dict[str, float]) -> None:
    both = {name: one.get(name, 0) + other.get(name, 0) for name in {*one, *other}}
    scale = interval(factors=factors).scale
    assert scale(both) == pytest.approx(scale(one) * scale(other))


@pytest.mark.parametrize(
    "changes", [{"new": 0.0}, {"known": -0.1}, {"new": float("nan")}, {"factors": {"a": 0.9}}, {"basis": ""}]
)
def test_what_is_no_interval(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="interval"):
        interval(**changes)


@pytest.mark.parametrize(("low", "high"), [(1.1, 1.2), (0.8, 0.9), (0.0, 1.1), (-1.0, 2.0)])
def test_a_spread_encloses_the_prediction(low: float, high: float) -> None:
    with pytest.raises(DataError, match="enclose"):
        Spread(low=low, high=high, basis="x")
    assert Spread(low=1, high=1, basis="x").low == 1
