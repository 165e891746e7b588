"""Convolutions: the law of products, feature maps as operands, and what feeding tensor cores takes."""

from dataclasses import replace
from typing import Any

import pytest

from zenplan.domain.model.operators import Convolution
from zenplan.domain.training.layout import Layout
from zenplan.planning.physics.operators import operator_work

# 2 · 56² · 9 · 256 · 256 FLOP; maps of 56² · 256 elements.
MAP = 56**2 * 256
THREE = Convolution(
    name="3 × 3", positions=56**2, window=9, inputs=256, outputs=256, input_elements=MAP, output_elements=MAP
)
ONE_S = 2 * 56**2 * 9 * 256**2 / 100e12
WEIGHTS = 9 * 256**2
PEAKS = {"peak_flop_per_s": {"bf16": 100e12, "fp32": 100e12}}
# One channel in each group: next to no arithmetic, the maps are all there is.
DEPTHWISE = replace(THREE, groups=256)


def seconds(
    make: Any,
    op: Convolution,
    precision: str = "bf16",
    sheet: Any = None,
    efficiency: Any = None,
    micro: int = 1,
    **changes: Any,
) -> tuple[float, float]:
    hw = make.hardware(make.cluster(sheet={**PEAKS, **(sheet or {})}, efficiency=efficiency), precision=precision)
    plan = make.plan(make.only(op), precision=precision, **changes)
    passes = operator_work(op, plan.workload.blocks[0], plan, make.columns(Layout(micro_batch=micro)), hw)
    return float(passes[0].total_s[0]), float(passes[1].total_s[0])


def test_a_large_one_is_limited_by_arithmetic_and_its_backward_pass_is_two_more(make: Any) -> None:
    assert seconds(make, THREE, micro=4) == pytest.approx((4 * ONE_S, 8 * ONE_S))


def test_a_depthwise_one_takes_what_its_maps_take(make: Any) -> None:
    moved = (2 * MAP + WEIGHTS / 256) * 2
    assert seconds(make, DEPTHWISE)[0] == pytest.approx(moved / 1e12)


def test_what_has_no_gradient_takes_no_time(make: Any) -> None:
    first, frozen = replace(THREE, input_gradient=False), replace(THREE, trainable=False)
    neither = replace(first, trainable=False)
    assert [seconds(make, op)[1] for op in (first, frozen, neither)] == pytest.approx([ONE_S, ONE_S, 0])


@pytest.mark.parametrize(("precision", "slower"), [("bf16", True), ("fp32", False)])
def test_channels_first_are_transposed_for_tensor_cores(make: Any, precision: str, slower: bool) -> None:
    last = seconds(make, THREE, precision)[0]
    first = seconds(make, THREE, precision, channels_last=False)[0]
    assert first - last == pytest.approx(2 * 2 * MAP * 2 / 1e12 if slower else 0)


def test_in_fp32_a_window_of_nine_takes_fewer_multiplications_where_it_meets_every_position(make: Any) -> None:
    wide = replace(THREE, window=1, inputs=9 * 256)  # as many FLOP, no window
    strided = replace(THREE, input_elements=4 * MAP)
    direct = seconds(make, wide, "fp32")[0]
    assert direct / seconds(make, THREE, "fp32")[0] == pytest.approx(1.7)
    assert seconds(make, strided, "fp32")[0] == pytest.approx(direct)
    assert seconds(make, THREE, "bf16")[0] == pytest.approx(ONE_S)


def test_cores_that_are_not_fed_wait(make: Any) -> None:
    # 100 multiprocessors at 1 GHz, fed 500 FLOP a clock: half of the 100 TFLOP/s of the cores, so three times as long.
    sheet = {"multiprocessors": 100, "clock_hz": 1e9, "tensor_clock_hz": None, "compute_capability": "8.0"}
    assert seconds(make, THREE, sheet=sheet, efficiency={"feed": 500.0})[0] == pytest.approx(3 * ONE_S)
    # Operands of four bytes are fed half as fast. The window makes the products fewer, and feeds fewer.
    fed = {"feed": 500.0}
    alone = seconds(make, THREE, "fp32", sheet=sheet)[0]
    assert seconds(make, THREE, "fp32", sheet=sheet, efficiency=fed)[0] == pytest.approx(alone + 4 * ONE_S / 1.7)


def test_what_has_no_multiprocessors_is_not_held_up(make: Any) -> None:
    sheet = {"multiprocessors": 8, "clock_hz": 1e9, "tensor_clock_hz": None, "compute_capability": None}
    assert seconds(make, THREE, sheet=sheet, efficiency={"feed": 1.0})[0] == pytest.approx(ONE_S)
