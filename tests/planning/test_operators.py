from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from zenplan.domain.layout import Layout, Recompute
from zenplan.domain.operators import Attention, Lookup, MatMul, Split, Stream
from zenplan.domain.workload import Block
from zenplan.planning.operators import Work, block_passes, operator_work
from zenplan.planning.step import step_time

# 10³ × 10³ by 10³ × 10³: 2e9 FLOP are 20 µs at 100 TFLOP/s; three matrices of 2 MB are 6 µs at 1 TB/s.
SQUARE = MatMul(name="square", rows=1000, inner=1000, columns=1000, split=Split.COLUMNS)
# A single row: 2e6 FLOP are 0.02 µs, but the weight of 2 MB and two rows of 2 kB are 2.004 µs.
THIN = replace(SQUARE, rows=1)


def work(make: Any, op: Any, layout: Layout | None = None, place: str = "middle", precision: str = "bf16",
         **changes: Any) -> tuple[Work, Work]:  # fmt: skip
    cluster = make.cluster(**{k: changes.pop(k) for k in ("efficiency", "sheet") if k in changes})
    plan = make.plan(precision=precision, **changes)
    block = Block(name="test", operators=(op,), place=place)
    hw = make.hardware(cluster, precision=precision)
    return operator_work(op, block, plan, make.columns(layout or Layout()), hw)


def seconds(part: Work) -> tuple[float, float, float]:
    return float(part.compute_s[0]), float(part.memory_s[0]), float(part.overhead_s[0])


def test_a_large_product_is_limited_by_arithmetic(make: Any) -> None:
    forward, backward = work(make, SQUARE)
    assert seconds(forward) == pytest.approx((20e-6, 0, 0))
    assert seconds(backward) == pytest.approx((40e-6, 0, 0))


def test_a_thin_product_is_limited_by_memory(make: Any) -> None:
    forward, backward = work(make, THIN)
    assert seconds(forward) == pytest.approx((0.02e-6, 2.004e-6 - 0.02e-6, 0))
    assert float(backward.total_s[0]) == pytest.approx(2 * 2.004e-6)


def test_what_is_reached_of_the_data_sheet_divides_the_rate(make: Any) -> None:
    assert seconds(work(make, SQUARE, efficiency={"matmul": 0.5})[0])[0] == pytest.approx(40e-6)
    slow = float(work(make, THIN, efficiency={"memory": 0.5})[0].total_s[0])
    assert slow == pytest.approx(4.008e-6)


def test_the_fixed_cost_makes_the_saturating_efficiency_curve(make: Any) -> None:
    # A product of F FLOP reaches e·F / (F + P·e·t0) of the peak: half of e where F = P·e·t0.
    t0, e, peak = 10e-6, 0.8, 100e12
    half = replace(SQUARE, rows=int(peak * e * t0 / (2 * 1000 * 1000)))
    forward, backward = work(make, half, efficiency={"matmul": e, "operator_s": t0})
    assert half.flop / float(forward.total_s[0]) / peak == pytest.approx(e / 2, rel=0.01)
    assert seconds(backward)[2] == pytest.approx(2 * t0)  # one product for the input, one for the weight


def test_a_frozen_product_has_no_weight_gradient(make: Any) -> None:
    _, backward = work(make, replace(SQUARE, trainable=False))
    assert seconds(backward)[0] == pytest.approx(20e-6)


def test_a_weight_in_four_bits_is_expanded_before_the_product(make: Any) -> None:
    frozen = replace(SQUARE, trainable=False)
    forward, _ = work(make, frozen, weight_bytes=0.5, method="qlora")
    # A million weights are read at half a byte and written at two: 2.5 MB beside the product's 20 µs.
    assert float(forward.total_s[0]) == pytest.approx(22.5e-6)


@pytest.mark.parametrize(
    ("split", "moved_elements"),
    [
        (Split.COLUMNS, 1000 * (1000 + 250) + 250_000),  # whole input, a quarter of the output
        (Split.ROWS, 1000 * (250 + 1000) + 250_000),  # a quarter of the input, whole (partial) output
    ],
)
def test_tensor_parallelism_divides_a_product(make: Any, split: Split, moved_elements: int) -> None:
    forward, _ = work(make, replace(SQUARE, split=split), Layout(tp=4))
    assert seconds(forward)[0] == pytest.approx(5e-6)
    forward, _ = work(
        make, replace(SQUARE, split=split), Layout(tp=4), sheet={"peak_flop_per_s": {"bf16": 1e30}}
    )
    assert float(forward.total_s[0]) == pytest.approx(2 * moved_elements / 1e12)


def test_an_undivided_product_is_done_by_every_device(make: Any) -> None:
    forward, _ = work(make, replace(SQUARE, split=Split.NONE), Layout(tp=4))
    assert seconds(forward)[0] == pytest.approx(20e-6)


def test_micro_batch_and_context_parallelism_change_the_rows(make: Any) -> None:
    assert seconds(work(make, SQUARE, Layout(micro_batch=6, cp=2))[0])[0] == pytest.approx(60e-6)


def test_experts_compute_for_the_active_and_read_them_all(make: Any) -> None:
    op = replace(SQUARE, experts=8, active=2)
    assert seconds(work(make, op)[0])[0] == pytest.approx(40e-6)
    fast = {"peak_flop_per_s": {"bf16": 1e30}}
    alone = float(work(make, op, sheet=fast)[0].total_s[0])
    assert alone == pytest.approx(2 * (2 * 1000 * 2000 + 8 * 1e6) / 1e12)
    shared = float(work(make, op, Layout(dp=4, ep=4), sheet=fast)[0].total_s[0])
    assert shared == pytest.approx(2 * (2 * 1000 * 2000 + 2 * 1e6) / 1e12)


def test_under_fp8_the_layers_run_in_it_and_the_ends_do_not(make: Any) -> None:
    assert seconds(work(make, SQUARE, precision="fp8")[0])[0] == pytest.approx(10e-6)
    assert seconds(work(make, SQUARE, place="last", precision="fp8")[0])[0] == pytest.approx(20e-6)
    router = replace(SQUARE, split=Split.NONE)
    assert seconds(work(make, router, precision="fp8")[0])[0] == pytest.approx(20e-6)


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
    op = Attention(name="a", heads=3, kv_heads=1, key_dim=16, value_dim=8, queries=length, keys=length,
                   causal=True, window=window)  # fmt: skip
    # Scores: a product of width 16 and one of width 8 for each, 2 FLOP an element, in each of 3 heads.
    assert op.flop == pytest.approx(2 * 3 * (16 + 8) * seen_by_mask(length, length, True, window))
    assert op.full_flop == 2 * 3 * (16 + 8) * length * length


def test_attention_without_a_mask_counts_all() -> None:
    op = Attention(name="a", heads=2, kv_heads=2, key_dim=4, value_dim=4, queries=5, keys=9, causal=False)
    assert op.flop == op.full_flop == 2 * 2 * 8 * seen_by_mask(5, 9, False, None)


HEADS = Attention(
    name="a", heads=8, kv_heads=8, key_dim=64, value_dim=64, queries=1000, keys=1000, causal=False
)


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


def test_an_odd_head_leaves_the_tensor_cores(make: Any) -> None:
    odd = replace(HEADS, key_dim=36, value_dim=92)  # as many FLOP, but not in rows of 8
    assert seconds(work(make, odd)[0])[0] > 2 * seconds(work(make, HEADS)[0])[0]


def test_a_stream_is_bytes_over_bandwidth(make: Any) -> None:
    norm = Stream(name="norm", elements=1e6, passes=4, split=Split.SEQUENCE)
    forward, backward = work(make, norm, Layout(micro_batch=2, tp=2))
    assert seconds(forward) == pytest.approx((0, 8e-6, 0))
    assert seconds(backward) == pytest.approx((0, 12e-6, 0))
    wide = Stream(name="loss", elements=1e6, passes=1, split=Split.HEADS, element_bytes=4.0)
    assert seconds(work(make, wide)[0]) == pytest.approx((0, 4e-6, 0))


def test_a_look_up_reads_and_writes_rows_not_the_table(make: Any) -> None:
    table = Lookup(name="embedding", entries=10**9, width=500, rows=1000)
    assert seconds(work(make, table)[0]) == pytest.approx((0, 2e-6, 0))


def test_what_is_computed_again(make: Any) -> None:
    layer = Block(name="layer", operators=(SQUARE, HEADS))
    end = Block(name="head", operators=(SQUARE,), place="last")
    lay = make.columns(*(Layout(recompute=r) for r in Recompute))
    hw = make.hardware(*[make.cluster()] * 3)
    fused, unfused = make.plan(), make.plan(fused_attention=False)
    ahead = block_passes(layer, fused, lay, hw)
    none, selective, full = ahead.again.total_s
    assert (none, selective) == (0, 0)  # a fused kernel computes its scores again in any case
    assert full == pytest.approx(float(ahead.forward.total_s[0]))
    _, selective, _ = block_passes(layer, unfused, lay, hw).again.total_s
    assert selective == pytest.approx(20.48e-6 + 96e-6)
    assert not block_passes(end, fused, lay, hw).again.total_s.any()


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
    assert once == pytest.approx(
        72 * B * s * layers * h**2 * (1 + s / (6 * h) + V / (12 * layers * h)), rel=1e-3
    )
    again = sum(arithmetic(make, plan, replace(layout, recompute=Recompute.FULL)))
    assert again == pytest.approx(
        96 * B * s * layers * h**2 * (1 + s / (6 * h) + V / (16 * layers * h)), rel=1e-3
    )


def test_dense_training_is_six_flop_a_parameter_and_token(make: Any) -> None:
    # Kaplan et al. 2020: without attention scores (a sequence of 8 has next to none).
    workload = make.workload(seq_len=8)
    flop, _ = arithmetic(make, make.plan(workload), Layout(accumulation=64))
    assert flop == pytest.approx(6 * workload.active_parameters * 64 * 8, rel=0.01)


def test_columns_do_not_depend_on_their_neighbours(make: Any) -> None:
    many = make.columns(Layout(tp=1), Layout(tp=2), Layout(tp=4))
    hw = make.hardware(*[make.cluster()] * 3)
    forward, _ = operator_work(SQUARE, Block(name="b", operators=(SQUARE,)), make.plan(), many, hw)
    assert forward.compute_s == pytest.approx(np.array([20e-6, 10e-6, 5e-6]))
