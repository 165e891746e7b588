from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from zenplan.domain.model.operators import (
    Attention,
    Convolution,
    Elementwise,
    ElementwiseKind,
    Embedding,
    Function,
    MatMul,
    Split,
)
from zenplan.domain.model.workload import Block
from zenplan.domain.software import Software
from zenplan.domain.training.layout import Layout, Recompute
from zenplan.domain.training.tuning import Tuning
from zenplan.planning.explain.method import with_adapters
from zenplan.planning.physics.blocks import block_passes
from zenplan.planning.physics.operators import expert_tensor, operator_work
from zenplan.planning.physics.step import step_time
from zenplan.planning.physics.work import Work

# Sides of 1024 in 16 bits are rows of 2048 bytes, which tensor cores take at full speed. A side has 1024, a
# matrix 1024² elements.
SIDE, MATRIX = 1024, 1024**2
SQUARE = MatMul(name="square", rows=SIDE, inner=SIDE, columns=SIDE, split=Split.COLUMNS)
# 2 · 1024³ FLOP at 100 TFLOP/s, about 21 µs; three matrices of 2 MB are about 6 µs at 1 TB/s.
SQUARE_S = 2 * SIDE**3 / 100e12
# A single row has a thousandth of the FLOP, but the weight of 2 MB and two rows of 2 kB are still moved.
THIN = replace(SQUARE, rows=1)
THIN_MOVED_S = 2 * (MATRIX + 2 * SIDE) / 1e12

MIXED = replace(SQUARE, experts=8, active=2)
BALANCED = Tuning(balanced=True)


def work(
    make: Any, op: Any, layout: Layout | None = None, place: str = "middle", precision: str = "bf16", **changes: Any
) -> tuple[Work, Work]:
    cluster = make.cluster(**{k: changes.pop(k) for k in ("efficiency", "sheet") if k in changes})
    plan = make.plan(precision=precision, **changes)
    block = Block(name="test", operators=(op,), place=place)
    hw = make.hardware(cluster, precision=precision)
    return operator_work(op, block, plan, make.columns(layout or Layout()), hw)


def seconds(part: Work) -> tuple[float, float, float]:
    return float(part.compute_s[0]), float(part.memory_s[0]), float(part.overhead_s[0])


def test_a_large_product_is_limited_by_arithmetic(make: Any) -> None:
    forward, backward = work(make, SQUARE)
    assert seconds(forward) == pytest.approx((SQUARE_S, 0, 0))
    assert seconds(backward) == pytest.approx((2 * SQUARE_S, 0, 0))


def test_a_thin_product_is_limited_by_memory(make: Any) -> None:
    forward, backward = work(make, THIN)
    assert seconds(forward) == pytest.approx((SQUARE_S / SIDE, THIN_MOVED_S - SQUARE_S / SIDE, 0))
    assert float(backward.total_s[0]) == pytest.approx(2 * THIN_MOVED_S)


def test_what_is_reached_of_the_data_sheet_divides_the_rate(make: Any) -> None:
    assert seconds(work(make, SQUARE, efficiency={"matmul": 0.5})[0])[0] == pytest.approx(2 * SQUARE_S)
    slow = float(work(make, THIN, efficiency={"memory": 0.5})[0].total_s[0])
    assert slow == pytest.approx(2 * THIN_MOVED_S)


def test_the_fixed_cost_makes_the_saturating_efficiency_curve(make: Any) -> None:
    # A product of F FLOP reaches e·F / (F + P·e·t0) of the peak: half of e where F = P·e·t0.
    t0, e, peak = 10e-6, 0.8, 100e12
    half = replace(SQUARE, rows=int(peak * e * t0 / (2 * MATRIX)))
    forward, backward = work(make, half, efficiency={"matmul": e, "operator_s": t0})
    assert half.flop / float(forward.total_s[0]) / peak == pytest.approx(e / 2, rel=0.01)
    assert seconds(backward)[2] == pytest.approx(2 * t0)  # one product for the input, one for the weight


def test_each_of_three_products_loses_by_what_it_sums_over(make: Any) -> None:
    # 512 are lost: the product sums over 1024, the input's gradient over 2048 columns, the weight's over 256 rows.
    op = replace(SQUARE, rows=256, columns=2048)
    once = 2 * 256 * 1024 * 2048 / 100e12
    quick = {"memory_bytes_per_s": make.no_limit}
    forward, backward = work(make, op, efficiency={"fill_elements": 512}, sheet=quick)
    assert seconds(forward)[0] == pytest.approx(once * 1.5)
    assert seconds(backward)[0] == pytest.approx(once * (1.25 + 3))
    # What tensor parallelism divides is summed over in parts: 2048 columns over four devices are 512.
    forward, backward = work(make, op, Layout(tp=4), efficiency={"fill_elements": 512}, sheet=quick)
    assert seconds(forward)[0] == pytest.approx(once / 4 * 1.5)
    assert seconds(backward)[0] == pytest.approx(once / 4 * (2 + 3))


def test_a_pipeline_fills_in_clocks(make: Any) -> None:
    # At a quarter of the FLOP a clock of an A100's multiprocessor, half of the elements are lost while it fills.
    vision = replace(make.plan().workload, family="vision transformer")
    for share in (1.0, 0.5, 0.0625):
        sheet = {"multiprocessors": 100, "clock_hz": 100e12 / (100 * 2048 * share), "compute_capability": "8.0"}
        for workload in (vision, make.plan().workload):
            forward, _ = work(make, SQUARE, efficiency={"fill_elements": 512}, sheet=sheet, workload=workload)
            assert seconds(forward)[0] == pytest.approx(SQUARE_S * (1 + 0.5 * share**0.5))


def test_a_weights_gradient_sums_over_the_rows_of_its_expert(make: Any) -> None:
    # 1024 rows meet 2 of 8 experts: 256 rows each; on four devices each expert has those of all four.
    op = replace(SQUARE, experts=8, active=2)
    quick = {"memory_bytes_per_s": make.no_limit}
    for layout, depth, computed in ((Layout(), 256, 2 + 1 / 2), (Layout(dp=4, ep=4), 1024, 2 + 1 / 8)):
        _, backward = work(make, op, layout, efficiency={"fill_elements": 512}, sheet=quick, tuning=BALANCED)
        # Half a tile of 128 rows more for each expert: 8 of them, or 2.
        assert seconds(backward)[0] == pytest.approx(computed * SQUARE_S * (1.5 + 1 + 512 / depth))


@pytest.mark.parametrize(
    ("inner", "columns", "left"),
    [
        (1024, 1024, 1.0),
        (1024, 1032, 0.85),  # rows of 2064 bytes: multiples of 16, not of 128
        (1032, 1024, 0.85),
        (1024, 1025, 0.5),  # rows of 2050 bytes
        (1032, 1025, 0.5),  # the worse of the two
    ],
)
def test_products_of_odd_widths_are_slower(make: Any, inner: int, columns: int, left: float) -> None:
    op = replace(SQUARE, inner=inner, columns=columns)
    assert seconds(work(make, op)[0])[0] == pytest.approx(op.flop / 100e12 / left)


def test_older_tensor_cores_want_shorter_rows(make: Any) -> None:
    # 16 bytes before compute capability 8 (V100), 128 since.
    op = replace(SQUARE, columns=1032)
    for capability, left in (("7.0", 1.0), ("8.0", 0.85), ("10.0", 0.85)):
        forward, _ = work(make, op, sheet={"compute_capability": capability})
        assert seconds(forward)[0] == pytest.approx(op.flop / 100e12 / left)


def test_tensor_parallelism_can_make_a_width_odd(make: Any) -> None:
    # 1040 columns are rows of 2080 bytes, an eighth of them rows of 260.
    op = replace(SQUARE, columns=1040)
    whole, eighth = (seconds(work(make, op, Layout(tp=t))[0])[0] for t in (1, 8))
    assert eighth / whole == pytest.approx(0.85 / 0.5 / 8)


def test_weights_of_four_bits_are_expanded_by_a_kernel_of_their_own(make: Any) -> None:
    """Read at half a byte, written at two, before the product of each pass; only what is frozen is kept so."""
    frozen = replace(SQUARE, trainable=False)
    plan = {"method": "qlora", "weight_bytes": 0.5, "efficiency": {"operator_s": 1e-6}}
    forward, backward = work(make, frozen, **plan)
    assert (float(forward.launches[0]), float(backward.launches[0])) == (2, 2)
    for one_pass in (forward, backward):
        assert seconds(one_pass) == pytest.approx((SQUARE_S, 2.5 * MATRIX / 1e12, 2e-6))
    trained, _ = work(make, SQUARE, **plan)
    assert seconds(trained) == pytest.approx((SQUARE_S, 0, 1e-6))


@pytest.mark.parametrize(
    ("software", "passes"),
    [
        (None, 4),
        (Software.EAGER, 21),
        (Software.PATCHED, 4),
        (Software.FUSED, 4),
        (Software.COMPILED, 4),
        (Software.JAX, 4),
    ],
)
def test_eager_software_moves_what_every_kernel_of_its_own_reads_and_writes(
    make: Any, software: Software | None, passes: float
) -> None:
    norm = Elementwise(name="norm", elements=MATRIX, passes=4, eager_passes=21, split=Split.SEQUENCE)
    forward, backward = work(make, norm, software=software)
    assert seconds(forward)[1] == pytest.approx(passes * 2 * MATRIX / 1e12)
    assert seconds(backward)[1] == pytest.approx(1.5 * passes * 2 * MATRIX / 1e12)


def test_where_nothing_is_known_of_its_kernels_eager_software_moves_the_same(make: Any) -> None:
    plain = Elementwise(name="sum", elements=MATRIX, passes=3, split=Split.SEQUENCE)
    eager, fused = (work(make, plain, software=s)[0] for s in (Software.EAGER, Software.FUSED))
    assert seconds(eager) == seconds(fused)


def test_models_written_layer_by_layer_call_each_layer(make: Any) -> None:
    joined = replace(SQUARE, parts=3)
    calls = [float(work(make, joined, software=s)[0].launches[0]) for s in (Software.EAGER, Software.FUSED)]
    assert calls == [3, 1]


def test_a_frozen_product_has_no_weight_gradient(make: Any) -> None:
    _, backward = work(make, replace(SQUARE, trainable=False))
    assert seconds(backward)[0] == pytest.approx(SQUARE_S)


def test_a_weight_in_four_bits_is_expanded_before_the_product(make: Any) -> None:
    frozen = replace(SQUARE, trainable=False)
    forward, _ = work(make, frozen, weight_bytes=0.5, method="qlora")
    # A million weights are read at half a byte and written at two, beside the product.
    assert float(forward.total_s[0]) == pytest.approx(SQUARE_S + 2.5 * MATRIX / 1e12)


@pytest.mark.parametrize(
    ("split", "moved_elements"),
    [
        (Split.COLUMNS, SIDE * (SIDE + 256) + MATRIX / 4),  # whole input, a quarter of the output
        (Split.ROWS, SIDE * (256 + SIDE) + MATRIX / 4),  # a quarter of the input, whole (partial) output
    ],
)
def test_tensor_parallelism_divides_a_product(make: Any, split: Split, moved_elements: float) -> None:
    forward, _ = work(make, replace(SQUARE, split=split), Layout(tp=4))
    assert seconds(forward)[0] == pytest.approx(SQUARE_S / 4)
    forward, _ = work(make, replace(SQUARE, split=split), Layout(tp=4), sheet={"peak_flop_per_s": {"bf16": 1e30}})
    assert float(forward.total_s[0]) == pytest.approx(2 * moved_elements / 1e12)


def test_an_undivided_product_is_done_by_every_device(make: Any) -> None:
    forward, _ = work(make, replace(SQUARE, split=Split.NONE), Layout(tp=4))
    assert seconds(forward)[0] == pytest.approx(SQUARE_S)


def test_micro_batch_and_context_parallelism_change_the_rows(make: Any) -> None:
    assert seconds(work(make, SQUARE, Layout(micro_batch=6, cp=2))[0])[0] == pytest.approx(3 * SQUARE_S)


def test_biases_of_experts_are_added_expert_by_expert(make: Any) -> None:
    """28 bytes of each element forward and 40 backward, of rows that meet two experts; not where the activation fuses
    them, nor in other software."""
    plain = replace(SQUARE, experts=8, active=2, split=Split.ROWS)
    sheet = {"peak_flop_per_s": {"bf16": 1e30}}
    for split, software, sizes in (
        (Split.ROWS, Software.FUSED, (28, 40)),
        (Split.COLUMNS, Software.FUSED, (0, 0)),
        (Split.ROWS, Software.EAGER, (0, 0)),
    ):
        without, biased = (
            work(make, replace(plain, split=split, bias=bias), sheet=sheet, software=software) for bias in (False, True)
        )
        for one, other, size in zip(without, biased, sizes, strict=True):
            added = float(other.total_s[0] - one.total_s[0])
            assert added == pytest.approx(size * 2 * MATRIX / 1e12, abs=1e-12)


def test_experts_compute_for_the_active_and_read_them_all(make: Any) -> None:
    op = replace(SQUARE, experts=8, active=2)
    assert seconds(work(make, op)[0])[0] == pytest.approx(2.5 * SQUARE_S)  # half a tile of 128 rows more for each
    # Inputs and outputs of two experts a row, and the weights of all: 8 here, 2 on each of four devices.
    fast = {"peak_flop_per_s": {"bf16": 1e30}}
    alone = float(work(make, op, sheet=fast)[0].total_s[0])
    assert alone == pytest.approx(2 * (2 * 2 * MATRIX + 8 * MATRIX) / 1e12)
    shared = float(work(make, op, Layout(dp=4, ep=4), sheet=fast)[0].total_s[0])
    assert shared == pytest.approx(2 * (2 * 2 * MATRIX + 2 * MATRIX) / 1e12)


@pytest.mark.parametrize(
    ("layout", "share"),
    [
        (Layout(tp=8, dp=4, ep=4), 8),
        (Layout(tp=8, dp=2, ep=4), 4),  # twice as many as there are replicas: over two halves of the tensor group
        (Layout(tp=8, dp=2, ep=16), 1),  # each device of a tensor group has experts of its own
        (Layout(tp=4, dp=2, cp=2, ep=4), 4),  # context groups count as replicas
        (Layout(tp=1, dp=8, ep=8), 1),
    ],
)
def test_large_expert_groups_fold_over_the_tensor_groups(make: Any, layout: Layout, share: int) -> None:
    assert expert_tensor(make.columns(layout)).tolist() == [share]
    # 16 experts of a million weights are divided by both. Devices that share an expert have all of their tensor
    # group's rows for it, a part of its columns each; where fewer share it, they have that many rows fewer.
    op = replace(SQUARE, rows=4, experts=16)
    fast = {"peak_flop_per_s": {"bf16": 1e30}}
    rows = 4 / layout.cp * share / layout.tp
    moved = rows * (SIDE + SIDE / share) + 16 * MATRIX / (layout.ep * share)
    assert float(work(make, op, layout, sheet=fast)[0].total_s[0]) == pytest.approx(2 * moved / 1e12)


# Of eight bits, with no time for what is moved.
NARROW: dict[str, Any] = {"precision": "fp8", "sheet": {"memory_bytes_per_s": 1e30}}


def test_under_fp8_the_layers_run_in_it_and_the_ends_do_not(make: Any) -> None:
    assert seconds(work(make, SQUARE, **NARROW)[0])[0] == pytest.approx(SQUARE_S / 2)
    assert seconds(work(make, SQUARE, place="last", **NARROW)[0])[0] == pytest.approx(SQUARE_S)
    router = replace(SQUARE, split=Split.NONE)
    assert seconds(work(make, router, **NARROW)[0])[0] == pytest.approx(SQUARE_S)


def test_what_stays_wide_under_fp8_has_its_own_efficiency(make: Any) -> None:
    reached = {"efficiency": {"matmul": 0.5, "wide_matmul": 0.8}, **NARROW}
    assert seconds(work(make, SQUARE, **reached)[0])[0] == pytest.approx(SQUARE_S / 2 / 0.5)
    assert seconds(work(make, SQUARE, place="last", **reached)[0])[0] == pytest.approx(SQUARE_S / 0.8)


def test_4_bit_training_leaves_fifteen_percent_of_the_products_wide(make: Any) -> None:
    # At 400 TFLOP/s, of which half is reached, 85 %; at 100 TFLOP/s, of which 0.8 is reached, 15 %.
    sheet = {"peak_flop_per_s": {"bf16": 100e12, "fp4": 400e12}, "memory_bytes_per_s": 1e30}
    reached: dict[str, Any] = {"precision": "nvfp4", "sheet": sheet, "efficiency": {"matmul": 0.5, "wide_matmul": 0.8}}
    expected = 0.85 * 2 * SIDE**3 / 200e12 + 0.15 * 2 * SIDE**3 / 80e12
    forward, backward = work(make, SQUARE, **reached)
    assert seconds(forward)[0] == pytest.approx(expected)
    assert seconds(backward)[0] == pytest.approx(2 * expected)
    # The ends of the model are wide in any case.
    assert seconds(work(make, SQUARE, place="last", **reached)[0])[0] == pytest.approx(SQUARE_S / 0.8)


def test_fp8_operands_are_one_byte_each(make: Any) -> None:
    # Input and weight of one byte, the output of two; the cast reads two and writes one. All of a million elements.
    fast = {"peak_flop_per_s": {"bf16": 1e30, "fp8": 1e30}}
    narrow, wide = (work(make, SQUARE, precision=p, sheet=fast)[0] for p in ("fp8", "bf16"))
    assert float(narrow.total_s[0]) == pytest.approx((1 + 2 + 1 + 3) * MATRIX / 1e12)
    assert float(wide.total_s[0]) == pytest.approx((2 + 2 + 2) * MATRIX / 1e12)


@pytest.mark.parametrize(("inner", "left"), [(1024, 1.0), (1088, 0.85), (1032, 0.5)])
def test_fp8_operands_need_twice_as_many_elements_a_row(make: Any, inner: int, left: float) -> None:
    # 1088 are 8.5 times 128 bytes, and 17 times in 16 bits; 1032 are not a multiple of 16 bytes.
    op = replace(SQUARE, inner=inner)
    assert seconds(work(make, op, **NARROW)[0])[0] == pytest.approx(op.flop / 200e12 / left)


@pytest.mark.parametrize(("precision", "moved"), [("fp8", 3), ("mxfp8", 4), ("fp8-rowwise", 6), ("fp8-block", 6)])
def test_finer_scales_take_longer_casts(make: Any, precision: str, moved: float) -> None:
    op = replace(SQUARE, rows=4096, columns=2048)
    sheet = {"peak_flop_per_s": {"bf16": 50e12, "fp8": 100e12}}
    forward, backward = work(make, op, precision=precision, sheet=sheet)
    assert seconds(forward)[1] == pytest.approx(moved * 4096 * 1024 / 1e12)
    assert seconds(backward)[1] == pytest.approx(moved * 4096 * 2048 / 1e12)
    whole = work(make, op, precision="fp8", sheet=sheet)[0]
    assert seconds(forward)[0] >= seconds(whole)[0]


def test_the_fullest_device_of_an_unbalanced_mixture_is_waited_for(make: Any) -> None:
    spread, even = (
        seconds(work(make, MIXED, Layout(dp=4, ep=4), tuning=Tuning(balanced=b))[0])[0] for b in (False, True)
    )
    assert even < spread < 1.5 * even
    # A device that has all experts has all rows.
    assert work(make, MIXED)[0].total_s == work(make, MIXED, tuning=BALANCED)[0].total_s


def test_rows_of_a_mixture_are_permuted_in_fewer_passes_by_a_fused_kernel(make: Any) -> None:
    op = Elementwise(name="permutation", kind=ElementwiseKind.PERMUTATION, elements=1e6, passes=3, split=Split.SEQUENCE)
    fused, unfused = (work(make, op, tuning=Tuning(permutation=p)) for p in (True, False))
    assert fused[0].memory_s == pytest.approx(3 * 2 * 1e6 / 1e12)
    assert unfused[0].memory_s > 2 * fused[0].memory_s
    assert unfused[0].launches > 2 * fused[0].launches
    # What comes from other devices is put in order once more.
    assert work(make, op, Layout(dp=4, ep=4))[0].memory_s == pytest.approx(2 * fused[0].memory_s)


def test_fp8_casts_inputs_and_gradients(make: Any) -> None:
    # Read in 16 bits and written in 8: three bytes an element of the input, and of the output's gradient.
    op = replace(SQUARE, rows=4096, columns=2048)
    sheet = {"peak_flop_per_s": {"bf16": 50e12, "fp8": 100e12}}
    narrow, wide = (work(make, op, precision=p, sheet=sheet) for p in ("fp8", "bf16"))
    assert seconds(narrow[0])[1] == pytest.approx(3 * 4096 * 1024 / 1e12)
    assert seconds(narrow[1])[1] == pytest.approx(3 * 4096 * 2048 / 1e12)
    assert seconds(wide[0])[1] == seconds(wide[1])[1] == 0


@pytest.mark.parametrize(
    ("op", "changes", "launches"),
    [
        (SQUARE, {}, (1, 2)),
        (replace(SQUARE, trainable=False), {}, (1, 1)),
        (SQUARE, {"precision": "fp8"}, (4, 5)),  # and three for a cast each way
        (MIXED, {}, (8, 16)),  # one for each expert
        (MIXED, {"layout": Layout(dp=4, ep=4)}, (2, 4)),
        (MIXED, {"tuning": Tuning(grouped=True)}, (1, 2)),
        (Elementwise(name="norm", elements=1e6, passes=4, split=Split.SEQUENCE), {}, (1, 1)),
    ],
)
def test_kernels_that_the_host_launches(make: Any, op: Any, changes: Any, launches: tuple[int, int]) -> None:
    forward, backward = work(make, op, **changes)
    assert (forward.launches.tolist(), backward.launches.tolist()) == ([launches[0]], [launches[1]])


def seen_by_mask(length: int, keys: int, causal: bool, window: int | None) -> int:
    """Scores that a mask lets through, counted one by one."""
    seen = 0
    for query in range(length):
        for key in range(keys):
            late = causal and key > query
            far = window is not None and causal and query - key >= window
            seen += not (late or far)
    return seen


@pytest.mark.parametrize("window", [None, 1, 2, 5, 12, 40])
@pytest.mark.parametrize("length", [1, 2, 7, 12, 33])
def test_causal_attention_counts_what_the_mask_lets_through(length: int, window: int | None) -> None:
    op = Attention(
        name="a", heads=3, kv_heads=1, key_dim=16, value_dim=8, queries=length, keys=length, causal=True, window=window
    )
    # Scores: a product of width 16 and one of width 8 for each, 2 FLOP an element, in each of 3 heads.
    assert op.flop == pytest.approx(2 * 3 * (16 + 8) * seen_by_mask(length, length, True, window))
    assert op.full_flop == 2 * 3 * (16 + 8) * length * length


def test_attention_without_a_mask_counts_all() -> None:
    op = Attention(name="a", heads=2, kv_heads=2, key_dim=4, value_dim=4, queries=5, keys=9, causal=False)
    assert op.flop == op.full_flop == 2 * 2 * 8 * seen_by_mask(5, 9, False, None)


HEADS = Attention(name="a", heads=8, kv_heads=8, key_dim=64, value_dim=64, queries=1000, keys=1000, causal=False)


def test_fused_attention_computes_its_scores_again(make: Any) -> None:
    # 2 · 1000² · 8 · 128 FLOP forward; five products to two backward (Dao et al. 2022).
    forward, backward = work(make, HEADS)
    assert seconds(forward)[0] == pytest.approx(2.048e9 / 100e12)
    assert seconds(backward)[0] == pytest.approx(2.5 * 2.048e9 / 100e12)


def test_unfused_attention_also_moves_the_scores(make: Any) -> None:
    forward, backward = work(make, HEADS, fused_attention=False)
    # 8 million scores of 2 bytes, six times forward (96 MB) and eight backward (128 MB).
    assert float(forward.total_s[0]) == pytest.approx(20.48e-6 + 96e-6)
    assert float(backward.total_s[0]) == pytest.approx(40.96e-6 + 128e-6)


def test_tensor_and_context_parallelism_divide_attention(make: Any) -> None:
    forward, _ = work(make, HEADS, Layout(tp=4, cp=2))
    assert seconds(forward)[0] == pytest.approx(2.048e9 / 8 / 100e12)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(("width", "times"), [(80, 1), (64, 1), (36, 10), (100, 10)])
def test_a_head_of_odd_width_is_ten_times_slower(make: Any, fused: bool, width: int, times: int) -> None:
    # 64 and 80 elements are 8 and 10 rows of 16 bytes; 36 and 100 are not whole ones.
    op = replace(HEADS, key_dim=width, value_dim=width)
    forward, backward = work(make, op, fused_attention=fused)
    once = 2 * 1000 * 1000 * 8 * 2 * width / 100e12
    assert seconds(forward)[0] == pytest.approx(times * once)
    assert seconds(backward)[0] == pytest.approx((2.5 if fused else 2.0) * times * once)


@pytest.mark.parametrize(("key", "value"), [(36, 64), (64, 36)])
def test_keys_and_values_of_odd_width_alike_are_slower(make: Any, key: int, value: int) -> None:
    forward, _ = work(make, replace(HEADS, key_dim=key, value_dim=value))
    assert seconds(forward)[0] == pytest.approx(10 * 2 * 1000 * 1000 * 8 * (36 + 64) / 100e12)


def test_a_fused_kernel_is_one_launch_and_the_plain_one_five(make: Any) -> None:
    # Two products, and mask, softmax and dropout between them; backward four products and three.
    kernels = [[float(w.launches[0]) for w in work(make, HEADS, fused_attention=f)] for f in (True, False)]
    assert kernels == [[1, 2], [5, 7]]


def test_a_stream_is_bytes_over_bandwidth(make: Any) -> None:
    norm = Elementwise(name="norm", elements=1e6, passes=4, split=Split.SEQUENCE)
    forward, backward = work(make, norm, Layout(micro_batch=2, tp=2))
    assert seconds(forward) == pytest.approx((0, 8e-6, 0))
    assert seconds(backward) == pytest.approx((0, 12e-6, 0))
    wide = Elementwise(name="loss", elements=1e6, passes=1, split=Split.HEADS, element_bytes=4.0)
    assert seconds(work(make, wide)[0]) == pytest.approx((0, 4e-6, 0))


def test_streams_are_divided_only_with_sequence_parallelism(make: Any) -> None:
    # Four passes over a million elements of 2 bytes. Between two divided products they are divided anyway.
    for split, sequence, devices in (
        (Split.SEQUENCE, True, 4),
        (Split.SEQUENCE, False, 1),
        (Split.HEADS, False, 4),
        (Split.NONE, True, 1),
    ):
        stream = Elementwise(name="norm", elements=1e6, passes=4, split=split)
        forward, _ = work(make, stream, Layout(tp=4, sequence=sequence))
        assert seconds(forward)[1] == pytest.approx(8e-6 / devices)


def test_a_look_up_reads_and_writes_rows_not_the_table(make: Any) -> None:
    table = Embedding(name="embedding", entries=10**9, width=500, rows=1000)
    assert seconds(work(make, table)[0]) == pytest.approx((0, 2e-6, 0))


def test_what_is_computed_again(make: Any) -> None:
    layer = Block(name="layer", operators=(SQUARE, HEADS))
    end = Block(name="head", operators=(SQUARE,), place="last")
    layouts = make.columns(
        *(Layout(recompute=r) for r in (Recompute.NONE, Recompute.SELECTIVE, Recompute.HALF, Recompute.FULL))
    )
    hw = make.hardware(*[make.cluster()] * 4)
    forward_s, attention_s = SQUARE_S + 20.48e-6, 20.48e-6 + 96e-6
    # A fused kernel computes its scores again in any case.
    ahead = block_passes(layer, make.plan(), layouts, hw)
    assert ahead.again.total_s == pytest.approx([0, 0, forward_s / 2, forward_s])
    assert ahead.again.launches == pytest.approx([0, 0, 1, 2])
    unfused = block_passes(layer, make.plan(fused_attention=False), layouts, hw)
    assert unfused.again.total_s[1] == pytest.approx(attention_s)
    assert not block_passes(end, make.plan(), layouts, hw).again.total_s.any()


def arithmetic(make: Any, plan: Any, layout: Layout) -> tuple[float, float]:
    """FLOP of a step, and those of them done again, by a device that nothing but arithmetic limits."""
    hw = make.hardware(make.cluster(sheet={"memory_bytes_per_s": make.no_limit}))
    step = step_time(plan, make.columns(layout), hw)
    return float(step.compute_s[0]) * 100e12, float(step.recompute_s[0]) * 100e12


@pytest.mark.parametrize("width", [512, 1024, 4096])
def test_a_step_has_the_flop_of_narayanan(make: Any, width: int) -> None:
    # Narayanan et al. 2021 (arXiv 2104.04473), section 5.1: 72 B s l h² (1 + s/6h + V/12lh), with full
    # recomputation 96 B s l h² (1 + s/6h + V/16lh). They count every score, as unfused attention computes.
    h, s, layers, V, B = width, 1024, 4, 51_200, 8
    workload = make.workload(width=h, heads=h // 64, ff_width=4 * h, vocab=V)
    plan = make.plan(workload, global_batch=B, fused_attention=False)
    layout = Layout(micro_batch=2, accumulation=4)
    once, _ = arithmetic(make, plan, layout)
    assert once == pytest.approx(72 * B * s * layers * h**2 * (1 + s / (6 * h) + V / (12 * layers * h)), rel=1e-3)
    again = sum(arithmetic(make, plan, replace(layout, recompute=Recompute.FULL)))
    assert again == pytest.approx(96 * B * s * layers * h**2 * (1 + s / (6 * h) + V / (16 * layers * h)), rel=1e-3)


def test_dense_training_is_six_flop_a_parameter_and_token(make: Any) -> None:
    # Kaplan et al. 2020: without attention scores (a sequence of 8 has next to none).
    workload = make.workload(seq_len=8)
    flop, _ = arithmetic(make, make.plan(workload), Layout(accumulation=64))
    assert flop == pytest.approx(6 * workload.active_parameters * 64 * 8, rel=0.01)


def test_columns_do_not_depend_on_their_neighbours(make: Any) -> None:
    many = make.columns(Layout(tp=1), Layout(tp=2), Layout(tp=4))
    hw = make.hardware(*[make.cluster()] * 3)
    forward, _ = operator_work(SQUARE, Block(name="b", operators=(SQUARE,)), make.plan(), many, hw)
    assert forward.compute_s == pytest.approx(SQUARE_S / np.array([1, 2, 4]))


def test_autocast_norms_and_softmax_move_fp32(make: Any) -> None:
    # 2 bytes an element where a compiler fuses, 6 where the fp32 result is cast for the next product; not of
    # batch norm, which runs as it is.
    vision = replace(make.plan().workload, family="vision transformer")

    def moved(kind: ElementwiseKind, software: Software, **more: Any) -> float:
        op = Elementwise(name="e", kind=kind, elements=1e9, passes=1, split=Split.NONE, **more)
        forward, _ = work(make, op, software=software, workload=vision)
        return float(forward.total_s[0]) * 1e12 / 1e9

    assert moved(ElementwiseKind.NORM, Software.EAGER) == pytest.approx(6)
    assert moved(ElementwiseKind.ACTIVATION, Software.EAGER, function=Function.SOFTMAX) == pytest.approx(6)
    assert moved(ElementwiseKind.NORM, Software.COMPILED) == pytest.approx(2)
    assert moved(ElementwiseKind.BATCH_NORM, Software.EAGER) == pytest.approx(2)


def test_sizes_that_are_averages_are_not_held_to_be_odd(make: Any) -> None:
    odd, average = replace(SQUARE, inner=1025, columns=1025), replace(SQUARE, inner=1024.5, columns=1024.5)
    assert seconds(work(make, odd)[0])[0] == pytest.approx(odd.flop / 100e12 / 0.5)
    assert seconds(work(make, average)[0])[0] == pytest.approx(average.flop / 100e12)


def test_channels_are_done_in_tiles(make: Any) -> None:
    def share(outputs: float, groups: float = 1) -> float:
        op = Convolution(
            name="c",
            positions=1e6,
            window=9,
            inputs=512,
            outputs=outputs,
            groups=groups,
            input_elements=1,
            output_elements=1,
        )
        forward, _ = work(make, op)
        return op.flop / float(forward.compute_s[0])

    whole = share(128)
    assert share(80) == pytest.approx(whole * 80 / 128)
    assert share(64) == pytest.approx(whole)
    # Groups of few channels have kernels of their own, and averages are no number of channels.
    assert share(512, 512) == pytest.approx(share(512, 64))
    assert share(80.5) == pytest.approx(whole)


@pytest.mark.parametrize("software", [Software.EAGER, Software.PATCHED, Software.FUSED, Software.JAX, None])
@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_block_takes_what_its_operators_do(make: Any, software: Software | None, method: str) -> None:
    """Operators that are alike are evaluated once: the work is that of each by itself."""
    workload = make.workload(gated=True)
    plan = make.plan(with_adapters(workload) if method == "lora" else workload, software=software)
    layouts, hw = make.columns(Layout(), Layout(micro_batch=4)), make.hardware(*[make.cluster()] * 2)
    for block in plan.workload.blocks:
        passes = block_passes(block, plan, layouts, hw)
        each = [operator_work(op, block, plan, layouts, hw) for op in block.operators]
        for end, found in enumerate((passes.forward, passes.backward)):
            for name in ("compute_s", "memory_s", "overhead_s", "launches"):
                assert getattr(found, name) == pytest.approx(sum(getattr(pair[end], name) for pair in each)), name
