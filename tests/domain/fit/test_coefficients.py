"""Fitted numbers: one for all runs, times what the groups of a run make of it, within physical bounds."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.domain.fit.coefficients import OTHERS, Coefficient, Coefficients, precision_class
from zenplan.domain.fit.efficiency import Interval
from zenplan.domain.precision import PRECISIONS
from zenplan.domain.software import Software
from zenplan.errors import DataError

LAZY = settings(max_examples=60, deadline=None, derandomize=True)
PLAIN = {
    "matmul": 0.6,
    "attention": 0.5,
    "convolution": 0.5,
    "feed": 500.0,
    "memory": 0.8,
    "streams": 0.7,
    "link": 0.7,
    "pcie": 0.5,
    "staged": 0.2,
    "network": 0.6,
    "fill_elements": 200.0,
    "operator_s": 5e-6,
    "launch_s": 5e-6,
    "host_s": 0.02,
    "loop_s": 0.002,
    "contention": 0.3,
    "variation": 0.02,
    "link_hop_s": 5e-6,
    "network_hop_s": 15e-6,
}


def coefficient(
    name: str = "matmul", value: float = 0.6, least: float = 0.1, most: float = 0.9, **factors: float
) -> Coefficient:
    named = {key.replace("__", "/"): factor for key, factor in factors.items()}
    return Coefficient(name=name, value=value, unit="1", meaning="made up", least=least, most=most, factors=named)


def coefficients(**factors: Any) -> Coefficients:
    """Round numbers; those of products have the factors."""
    values = {n: coefficient(n, v, least=0.0, most=1e3) for n, v in PLAIN.items()}
    interval, other = (Interval(new=0.2, known=0.2, basis=basis) for basis in ("made up", "of others"))
    return Coefficients(
        all={**values, "matmul": coefficient(**factors)}, interval=interval, other_interval=other, source="a fit"
    )


def test_each_group_of_a_run_has_its_factor() -> None:
    one = coefficient(generation__Ampere=1.1, software__eager=0.5, precision__fp8=1.2)
    assert one.of() == 0.6
    assert one.of("generation/Ampere") == pytest.approx(0.66)
    assert one.of("generation/Ampere", "software/eager") == pytest.approx(0.33)
    # What was not measured has the common value, and order does not matter.
    assert one.of("generation/Rubin", "") == 0.6
    assert one.of("software/eager", "generation/Ampere") == one.of("generation/Ampere", "software/eager")


def test_bounds_hold_for_the_product_of_the_factors() -> None:
    # 0.6 · 2 · 0.7 = 0.84 is within them, though 0.6 · 2 alone is not.
    one = coefficient(generation__A=2.0, software__eager=0.7, precision__fp8=0.01)
    assert one.of("generation/A") == 0.9
    assert one.of("generation/A", "software/eager") == pytest.approx(0.84)
    assert one.of("precision/fp8") == 0.1


@LAZY
@given(value=st.floats(0.1, 0.9), factors=st.lists(st.floats(0.01, 100), max_size=4))
def test_nothing_leaves_the_bounds(value: float, factors: list[float]) -> None:
    named: Any = {f"g{i}": f for i, f in enumerate(factors)}
    one = coefficient(value=value, **named)
    assert 0.1 <= one.of(*one.factors) <= 0.9


@pytest.mark.parametrize("value", [0.09, 0.91, float("nan")])
def test_a_value_outside_its_own_bounds(value: float) -> None:
    with pytest.raises(DataError, match=r"matmul: .* is not in 0.1..0.9"):
        coefficient(value=value)


def test_an_efficiency_is_made_of_all_of_them() -> None:
    found = coefficients().of("Ampere", PRECISIONS["bf16"], None, "decoder")
    plain = {name: value for name, value in PLAIN.items() if name not in OTHERS}
    assert {name: getattr(found, name) for name in plain} == plain
    assert (found.architecture, found.source, found.interval.basis) == ("Ampere", "a fit", "made up")


@pytest.mark.parametrize(
    ("architecture", "software", "precision", "matmul"),
    [
        ("Ampere", Software.EAGER, "bf16", 0.6 * 1.2 * 0.5),
        ("Ampere", None, "bf16", 0.6 * 1.2),
        ("Ampere", Software.XLA, "bf16", 0.6 * 1.2),  # not measured
        ("Volta", Software.EAGER, "fp16", 0.6 * 0.5),
        ("Volta", None, "tf32", 0.6 * 1.3),
    ],
)
def test_generation_software_and_precision_make_it(
    architecture: str, software: Software | None, precision: str, matmul: float
) -> None:
    fitted = coefficients(generation__Ampere=1.2, software__eager=0.5, precision__tf32=1.3)
    found = fitted.of(architecture, PRECISIONS[precision], software, "decoder")
    assert found.matmul == pytest.approx(matmul)
    # Nothing but products has the factors here.
    assert found.memory == 0.8


def test_kinds_of_software_share_a_group_where_one_stands_for_the_other() -> None:
    fitted = coefficients(software__eager=0.5, software__xla=0.8, software__jax=0.9)

    def matmul(software: Software, family: str) -> float:
        return fitted.of("Ampere", PRECISIONS["bf16"], software, family).matmul / 0.6

    assert [matmul(Software.PATCHED, f) for f in ("decoder", "convnet")] == pytest.approx([0.5, 0.5])
    assert [matmul(Software.JAX, f) for f in ("decoder", "convnet")] == pytest.approx([0.9, 0.8])
    assert [matmul(Software.XLA, f) for f in ("decoder", "convnet")] == pytest.approx([0.8, 0.8])


def test_16_bit_formats_run_alike() -> None:
    assert precision_class("fp16") == precision_class("bf16") == "16-bit"
    assert [precision_class(d) for d in ("fp8", "tf32", "fp32")] == ["fp8", "tf32", "fp32"]


def test_what_stays_wide_under_fp8_reaches_what_16_bits_reach() -> None:
    factors = {"generation__Hopper": 1.1, "software__fused": 0.9, "precision__fp8": 0.7, "precision__16-bit": 1.2}
    fitted = coefficients(**factors)
    narrow = fitted.of("Hopper", PRECISIONS["fp8"], Software.FUSED, "decoder")
    common = 0.6 * 1.1 * 0.9
    assert (narrow.matmul, narrow.wide_matmul) == pytest.approx((common * 0.7, common * 1.2))
    for name in ("bf16", "fp32"):
        alike: Any = fitted.of("Hopper", PRECISIONS[name], None, "decoder")
        assert alike.wide_matmul == alike.matmul


def test_a_family_that_is_no_language_model_has_its_factor_and_its_interval() -> None:
    fitted = coefficients(family__convnet=0.5)
    found = fitted.of("Ampere", PRECISIONS["bf16"], None, "convnet")
    assert (found.matmul, found.interval.basis) == (0.3, "of others")
    assert (found.memory, found.host_s) == (PLAIN["streams"], PLAIN["loop_s"])
    assert fitted.of("Ampere", PRECISIONS["bf16"], None, "moe-decoder").matmul == 0.6
