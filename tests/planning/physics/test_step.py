from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.domain.answer.estimate import StepTime
from zenplan.domain.model.operators import MatMul, Split
from zenplan.domain.software import Software
from zenplan.domain.training.layout import Layout, Recompute
from zenplan.domain.training.tuning import TensorOverlap, Tuning
from zenplan.families.transformer.shape import Experts
from zenplan.planning.explain.method import with_adapters
from zenplan.planning.physics.columns import Layouts
from zenplan.planning.physics.step import FORMULAS, OVERLAP, step_time

LAZY = settings(max_examples=60, deadline=None, derandomize=True)
LAYERS, H, S = 4, 512, 1024
# One sample between two layers, in 16 bits.
BOUNDARY = 2 * S * H
# So much arithmetic in one step that nothing else takes time beside it, and so little that all is exposed.
WAITS = Tuning(tensor=TensorOverlap.NONE)
SLOW, FAST = ({"peak_flop_per_s": {"bf16": p}} for p in (1e9, 1e30))


def step(make: Any, layout: Layout, plan: Any = None, **cluster: Any) -> StepTime:
    cluster = {"nodes": max(layout.devices // 8, 1), **cluster}
    return step_time(plan or make.plan(), make.columns(layout), make.hardware(make.cluster(**cluster))).at(0)


def without_ends(make: Any, layers: int = LAYERS) -> Any:
    """A plan whose model is its layers alone."""
    load = make.workload(layers=layers)
    return make.plan(replace(load, blocks=tuple(b for b in load.blocks if b.place == "middle")))


def stages_s(one: StepTime) -> float:
    """What every stage of a pipeline does for all micro-batches of a step."""
    return (
        one.compute_s
        + one.memory_s
        + one.overhead_s
        + one.launch_s
        + one.recompute_s
        + one.tensor_s
        + one.expert_s
        + one.context_s
    )


@pytest.mark.parametrize("name", [f.name for f in fields(StepTime)])
def test_every_part_has_a_formula(name: str) -> None:
    formula, source = FORMULAS[name]
    assert formula
    assert source


def test_one_device_has_nobody_to_talk_to(make: Any) -> None:
    one = step(make, Layout(accumulation=64))
    assert (one.tensor_s, one.pipeline_s, one.data_s, one.expert_s, one.context_s, one.bubble_s) == (0,) * 6


def test_micro_batches_come_one_after_another(make: Any) -> None:
    one, eight = (step(make, Layout(accumulation=m)) for m in (1, 8))
    assert eight.compute_s == pytest.approx(8 * one.compute_s)
    assert eight.optimizer_s == one.optimizer_s


@pytest.mark.parametrize(
    "layout", [Layout(), Layout(accumulation=64), Layout(pp=4, accumulation=8), Layout(dp=8, zero=3, accumulation=4)]
)
def test_the_host_takes_its_time_once_a_step(make: Any, layout: Layout) -> None:
    # Whatever the micro-batches and stages: not in the bubble, and nothing hides behind it.
    none, some = (step(make, layout, efficiency={**LATENCY, "variation": 0.0, "host_s": h}) for h in (0.0, 0.25))
    assert some == replace(none, host_s=0.25)
    assert some.total_s == pytest.approx(none.total_s + 0.25)


APART = Tuning(apart=True)


@pytest.mark.parametrize(
    ("optimizer", "bias", "kernels"),
    [("sgd", False, 2), ("sgd-momentum", False, 6), ("adamw", False, 10), ("adamw", True, 20)],
)
def test_an_update_that_goes_tensor_by_tensor_is_launched_so(
    make: Any, optimizer: str, bias: bool, kernels: int
) -> None:
    """Half of a launch for each kernel of each tensor, whatever the batch."""
    op = MatMul(name="dense", rows=1, inner=H, columns=H, split=Split.NONE, bias=bias)
    load = replace(make.only(op), family="convnet")
    plan = make.plan(load, software=Software.EAGER, optimizer=optimizer, tuning=APART)
    found = [step(make, Layout(accumulation=m), plan, efficiency={"launch_s": 1e-5}).host_s for m in (1, 8)]
    at_once = step(make, Layout(), replace(plan, tuning=Tuning()), efficiency={"launch_s": 1e-5}).host_s
    assert [f - at_once for f in found] == pytest.approx([kernels * 0.5e-5] * 2)


@pytest.mark.parametrize(
    ("software", "family"), [(Software.FUSED, "convnet"), (None, "convnet"), (Software.EAGER, "decoder")]
)
def test_what_is_fused_or_a_language_model_has_no_launches_of_the_update(
    make: Any, software: Software | None, family: str
) -> None:
    op = MatMul(name="dense", rows=1, inner=H, columns=H, split=Split.NONE)
    plan = make.plan(replace(make.only(op), family=family), software=software, tuning=APART)
    one, other = (
        step(make, Layout(), replace(plan, tuning=t), efficiency={"launch_s": 1e-5}) for t in (APART, Tuning())
    )
    assert one.host_s == other.host_s


def test_the_update_moves_30_bytes_a_parameter(make: Any) -> None:
    # AdamW: the fp32 gradient read (4); both moments and the master read and written (24); the weight (2).
    plan = make.plan()
    assert step(make, Layout()).optimizer_s == pytest.approx(30 * plan.workload.parameters / 1e12)
    divided = step(make, Layout(dp=4, tp=2, zero=1)).optimizer_s
    assert divided == pytest.approx(30 * plan.workload.parameters / 8 / 1e12)


@pytest.mark.parametrize(("recompute", "sums"), [(Recompute.NONE, 4), (Recompute.HALF, 5), (Recompute.FULL, 6)])
@pytest.mark.parametrize("tp", [2, 8])
def test_a_layer_has_four_all_reduces(make: Any, recompute: Recompute, sums: int, tp: int) -> None:
    # Shoeybi et al. 2019: two forward and two backward, of b·s·h elements; two more when all is
    # computed again, one when half is.
    one = step(make, Layout(tp=tp, micro_batch=2, accumulation=3, recompute=recompute), make.plan(tuning=WAITS))
    ring = 2 * (tp - 1) / tp * 2 * BOUNDARY / 100e9
    assert one.tensor_s == pytest.approx(3 * LAYERS * sums * ring)


@pytest.mark.parametrize(("sequence", "hidden"), [(False, 2), (True, 1)])
def test_a_gradient_travels_while_that_of_the_weight_is_computed(make: Any, sequence: bool, hidden: int) -> None:
    # Two of four all-reduces; with sequence parallelism of each the scatter, as the gather comes before.
    layout, ring = Layout(tp=4, sequence=sequence), 2 * 3 / 4 * BOUNDARY / 100e9
    slow, fast = (step(make, layout, sheet=s, efficiency={"contention": 0.0}).tensor_s for s in (SLOW, FAST))
    assert slow == pytest.approx(LAYERS * (4 - hidden) * ring)
    assert fast == pytest.approx(LAYERS * 4 * ring, rel=0.2)  # next to nothing to hide behind but memory's time


def test_exchanges_in_pieces_leave_the_first_one(make: Any) -> None:
    layout, plan = Layout(tp=4, sequence=True), make.plan(tuning=Tuning(tensor=TensorOverlap.PIPELINED))
    ring = 2 * 3 / 4 * BOUNDARY / 100e9
    assert step(make, layout, plan, sheet=SLOW, efficiency={"contention": 0.0}).tensor_s == pytest.approx(LAYERS * ring)
    # Without sequence parallelism it is as if only the backward pass overlapped.
    whole = replace(layout, sequence=False)
    assert step(make, whole, plan, sheet=SLOW).tensor_s == step(make, whole, sheet=SLOW).tensor_s


@pytest.mark.parametrize("tp", [2, 4, 8])
@pytest.mark.parametrize("sequence", [False, True])
def test_overlap_is_never_worse_than_waiting(make: Any, tp: int, sequence: bool) -> None:
    plans = [make.plan(tuning=Tuning(tensor=overlap)) for overlap in TensorOverlap]
    layout, some = Layout(tp=tp, sequence=sequence, recompute=Recompute.FULL), {"contention": 0.3}
    waits, back, pieces = (step(make, layout, plan, efficiency=some).tensor_s for plan in plans)
    assert waits >= back >= pieces > 0


def test_what_is_gathered_for_narrow_products_travels_narrow(make: Any) -> None:
    plan, layout = make.plan(precision="fp8", tuning=WAITS), Layout(tp=4, sequence=True)
    hw = make.hardware(make.cluster(), precision="fp8")
    narrow = step_time(plan, make.columns(layout), hw).tensor_s
    assert narrow == pytest.approx(0.75 * step(make, layout, make.plan(tuning=WAITS)).tensor_s)


def test_the_host_launches_experts_when_the_router_has_run(make: Any) -> None:
    # A long wait for attention does not hide the launches of experts, unless their rows are fixed beforehand.
    workload = make.workload(experts=MIXTURE)
    behind = {"launch_s": 50e-6}
    waits, ahead, replayed = (
        step(make, Layout(), make.plan(workload, tuning=tuning), efficiency=behind).launch_s
        for tuning in (Tuning(), Tuning(dropless=False), Tuning(grouped=True, replayed=1.0))
    )
    assert waits >= ahead > replayed == 0


def test_tokens_travel_to_far_experts_under_computation_in_part(make: Any) -> None:
    workload = make.workload(experts=MIXTURE)
    far, near = Layout(dp=16, ep=8), Layout(dp=8, ep=8)
    for layout, less in ((near, False), (far, True)):
        cluster = {"node_devices": 4 if less else 8, "nodes": 4 if less else 1, "efficiency": {"contention": 0.0}}
        waits, hides = (
            step(make, layout, make.plan(workload, tuning=Tuning(experts=e)), sheet=SLOW, **cluster).expert_s
            for e in (False, True)
        )
        assert (hides < waits) is less
        assert hides > 0.5 * waits


@pytest.mark.parametrize(("pp", "m", "v"), [(2, 8, 1), (4, 8, 1), (4, 4, 1), (2, 8, 2), (4, 32, 1)])
def test_the_bubble_is_p_minus_1_over_v_m(make: Any, pp: int, m: int, v: int) -> None:
    # Narayanan et al. 2021, section 2.2: a fraction (p-1)/(v·m) of the ideal time, where all stages are alike.
    one = step(make, Layout(pp=pp, accumulation=m, interleave=v, tp=2), without_ends(make))
    assert one.bubble_s / stages_s(one) == pytest.approx((pp - 1) / (v * m))


@pytest.mark.parametrize("v", [1, 2])
def test_the_bubble_is_what_the_other_stages_do_with_one_micro_batch(make: Any, v: int) -> None:
    """1F1B: a micro-batch meets every stage before the slowest has the next one; so does the last gradient."""
    layouts = (Layout(pp=pp, accumulation=8, interleave=v if pp > 1 else 1) for pp in (1, 4))
    alone, four = (step(make, layout, make.plan(make.workload(vocab=50_000)), sheet=SLOW) for layout in layouts)
    assert four.bubble_s == pytest.approx((stages_s(alone) - stages_s(four)) / 8 / v)


def test_more_micro_batches_amortise_the_bubble(make: Any) -> None:
    shares = [(one := step(make, Layout(pp=4, accumulation=m))).bubble_s / one.total_s for m in (4, 8, 32, 128)]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < 0.03


def test_a_pipeline_sends_each_micro_batch_on(make: Any) -> None:
    # Forward and backward, m micro-batches through p stages: 2 (m + p - 1) sends, here within a node.
    one = step(make, Layout(pp=4, accumulation=8))
    assert one.pipeline_s == pytest.approx(2 * (8 + 3) * BOUNDARY / 100e9)
    # Between virtual stages a device has another one to compute: only filling and draining are exposed.
    two = step(make, Layout(pp=2, accumulation=8, interleave=2))
    assert two.pipeline_s == pytest.approx(2 * 1 * BOUNDARY / 100e9)
    # Stages of 8 devices are in other nodes, and each of the 8 sends an eighth over its own share.
    apart = step(make, Layout(pp=4, tp=8, accumulation=8), nodes=4)
    assert apart.pipeline_s == pytest.approx(2 * 11 * BOUNDARY / 8 / 10e9)


@pytest.mark.parametrize("v", [1, 2])
def test_without_sequence_parallelism_a_group_gathers_what_it_was_sent_in_parts(make: Any, v: int) -> None:
    """Narayanan et al. 2021, section 4.1: an eighth over each network card, and an all-gather over the links."""
    layout = Layout(pp=2, tp=8, accumulation=8, interleave=v, sequence=False)
    sends = 2 * 1 if v > 1 else 2 * 9
    one = step(make, layout, nodes=2)
    assert one.pipeline_s == pytest.approx(sends * (BOUNDARY / 8 / 10e9 + 7 / 8 * BOUNDARY / 100e9))
    assert one.pipeline_s > step(make, replace(layout, sequence=True), nodes=2).pipeline_s


def test_without_sequence_parallelism_norms_are_not_divided(make: Any) -> None:
    # With an endless peak only bytes take time. A norm has 4 passes, the input of attention and of the feed-forward
    # 1 each, a dropout 2: 14 a layer. The embedding's dropout and the last norm are 6 more, the rows looked up in two
    # tables 4. All in 16 bits, and half as much again backward.
    parts, whole = (step(make, Layout(tp=4, sequence=s), sheet=FAST).memory_s for s in (True, False))
    passes = LAYERS * 14 + 6 + 4
    assert whole - parts == pytest.approx(2.5 * 3 / 4 * passes * BOUNDARY / 1e12)


# 2 · 1024³ FLOP, forward once and backward twice, at 100 TFLOP/s; and three launches.
SQUARE = MatMul(name="square", rows=1024, inner=1024, columns=1024, split=Split.COLUMNS)
SQUARES_S = 3 * 2 * 1024**3 / 100e12


@pytest.mark.parametrize("layers", [1, 7])
def test_the_host_costs_time_only_where_it_falls_behind(make: Any, layers: int) -> None:
    plan = make.plan(make.only(SQUARE, repeat=layers))
    layout = Layout(accumulation=5)
    ahead = step(make, layout, plan, efficiency={"launch_s": 0.99 * SQUARES_S / 3})
    assert ahead.launch_s == 0
    behind = step(make, layout, plan, efficiency={"launch_s": 100e-6})
    assert behind.launch_s == pytest.approx(5 * layers * (300e-6 - SQUARES_S))
    assert behind.compute_s == ahead.compute_s
    # What is computed again is launched again, on both sides of the comparison.
    again = step(make, replace(layout, recompute=Recompute.FULL), plan, efficiency={"launch_s": 100e-6})
    assert again.launch_s == pytest.approx(5 * layers * (400e-6 - SQUARES_S * 4 / 3))


def test_a_pipeline_waits_for_the_host_too(make: Any) -> None:
    plan = make.plan(make.only(SQUARE, repeat=4))
    one = step(make, Layout(pp=4, accumulation=4), plan, efficiency={"launch_s": 100e-6})
    assert one.launch_s == pytest.approx(4 * (300e-6 - SQUARES_S))
    assert one.bubble_s == pytest.approx(3 * 300e-6)


@pytest.mark.parametrize("part", ["compute_s", "tensor_s"])
def test_the_slowest_stage_sets_the_pace(make: Any, part: str) -> None:
    # Six layers on four stages: two on the slowest, as with eight.
    six, eight = (without_ends(make, n) for n in (6, 8))
    layout = Layout(pp=4, tp=2, accumulation=8)
    assert getattr(step(make, layout, six), part) == pytest.approx(getattr(step(make, layout, eight), part))


def test_a_stage_of_a_pipeline_has_one_end_of_the_model(make: Any) -> None:
    """Bytes alone take time. Layers, head and embedding of one stage, two and four: M + h + e, M/2 + h, M/4 + h.

    Of the embedding, the rows of two tables are 4 passes over a sample's states and its dropout 2; half as much again
    backward.
    """
    one, two, four = (step(make, Layout(pp=p), sheet=FAST).memory_s for p in (1, 2, 4))
    assert one - 3 * two + 2 * four == pytest.approx(2.5 * 6 * BOUNDARY / 1e12)


def test_gradients_are_hidden_behind_a_long_backward_pass(make: Any) -> None:
    assert step(make, Layout(dp=8, accumulation=8), sheet=SLOW).data_s == 0


@pytest.mark.parametrize("zero", [0, 1, 2])
def test_gradients_are_exposed_beyond_the_backward_pass(make: Any, zero: int) -> None:
    # An all-reduce of N gradients in 16 bits on 8 devices, less four fifths of the last backward pass.
    plan = make.plan()
    sheet = {**FAST, "memory_bytes_per_s": 1e30, "link_bytes_per_s": 1e9}
    one = step(make, Layout(dp=8, zero=zero), plan, sheet=sheet)
    assert one.data_s == pytest.approx(2 * 7 / 8 * 2 * plan.workload.parameters / 1e9)
    assert OVERLAP == 0.8
    # Arithmetic of one micro-batch: a third forward, two thirds backward, but attention five of seven.
    slower = step(make, Layout(dp=8, zero=zero), plan, sheet={**sheet, "peak_flop_per_s": {"bf16": 100e12}})
    hidden = one.data_s - slower.data_s
    assert 0.8 * 2 / 3 * slower.compute_s < hidden < 0.8 * 5 / 7 * slower.compute_s


@pytest.mark.parametrize(
    ("layout", "precision", "widths"),
    [
        # A reduce-scatter and an all-gather of gradients; with ZeRO the weights are gathered, in 16 bits; with ZeRO-3
        # twice, and of the first of the layers once more.
        (Layout(dp=8), "bf16", 4 + 4),
        (Layout(dp=8, zero=1), "bf16", 4 + 2),
        (Layout(dp=8, zero=3), "bf16", 2 + 2 + 4 + (2 + 4) / LAYERS),
        (Layout(dp=8, zero=1), "fp16", 2 + 2),
    ],
)
def test_gradients_that_are_summed_in_fp32_are_twice_as_wide(
    make: Any, layout: Layout, precision: str, widths: float
) -> None:
    plan = make.plan(precision=precision, tuning=Tuning(sums_wide=True))
    sheet = {**FAST, "memory_bytes_per_s": 1e30, "link_bytes_per_s": 1e9}
    one = step(make, layout, plan, sheet={**sheet, "peak_flop_per_s": {"bf16": 1e30, "fp16": 1e30}})
    assert one.data_s == pytest.approx(widths * 7 / 8 * plan.workload.parameters / 1e9)


def test_latency_of_a_dense_all_reduce_is_counted_once(make: Any) -> None:
    # Without experts there is no second group: 2 · 7 hops on 8 devices.
    sheet = {**FAST, "memory_bytes_per_s": 1e30, "link_bytes_per_s": 1e30}
    one = step(make, Layout(dp=8), sheet=sheet, efficiency={"link_hop_s": 1e-6})
    assert one.data_s == pytest.approx(14e-6)


def test_zero3_is_exposed_only_beyond_the_computation(make: Any) -> None:
    plan = make.plan()
    hidden = step(make, Layout(dp=8, zero=3, accumulation=4), plan, sheet=SLOW)
    one_pass = 7 / 8 * 2 * plan.workload.parameters / 100e9
    # Nothing comes before the first of 4 layers: its gather and the last one's scatter stay.
    assert hidden.data_s == pytest.approx(2 * one_pass / LAYERS)
    sheet = {**FAST, "memory_bytes_per_s": 1e30}
    bare = step(make, Layout(dp=8, zero=3, accumulation=4), plan, sheet=sheet)
    # Two gathers and a scatter of every micro-batch.
    assert bare.data_s == pytest.approx((4 * 3 + 2 / LAYERS) * one_pass)


def test_zero3_gathers_frozen_products_as_they_are_kept(make: Any) -> None:
    """4 bits of a product under QLoRA; tables, norms and adapters travel wide, and adapters alone have gradients."""
    workload = with_adapters(make.workload())
    layers = [o for b in workload.blocks if b.place == "middle" for o in b.operators]
    frozen = LAYERS * sum(o.parameters for o in layers if isinstance(o, MatMul) and not o.trainable)
    wide, narrow = (
        step(
            make,
            Layout(dp=8, zero=3),
            make.plan(workload, method=method, weight_bytes=each),
            sheet={**FAST, "memory_bytes_per_s": 1e30},
        ).data_s
        for method, each in (("lora", 2.0), ("qlora", 0.5))
    )
    # A gather for each pass, and that of the first of 4 layers.
    assert wide - narrow == pytest.approx((2 + 1 / LAYERS) * 7 / 8 * 1.5 * frozen / 100e9)


@pytest.mark.parametrize(("zero", "moves"), [(0, 2), (1, 2), (3, 3)])
def test_hidden_communication_costs_its_share(make: Any, zero: int, moves: int) -> None:
    # A quarter of what computation hides, and all that nothing hides: of ZeRO-3 the first of 4 layers.
    plan = make.plan()
    one = step(make, Layout(dp=8, zero=zero), plan, sheet=SLOW, efficiency={"contention": 0.25})
    once = 7 / 8 * 2 * plan.workload.parameters / 100e9
    alone = 2 / LAYERS if zero == 3 else 0
    assert one.data_s == pytest.approx((0.25 * moves + alone) * once)


def test_what_is_not_hidden_is_paid_once(make: Any) -> None:
    sheet = {**FAST, "memory_bytes_per_s": 1e30}
    free, full = (step(make, Layout(dp=8), sheet=sheet, efficiency={"contention": c}).data_s for c in (0.0, 1.0))
    assert full == pytest.approx(free)


def test_hybrid_sharding_gathers_near_and_sums_far(make: Any) -> None:
    # Two nodes of 8: gathers and scatters within each, and an all-reduce of each device's eighth between them.
    plan = make.plan()
    sheet = {**FAST, "memory_bytes_per_s": 1e30}
    weights = 2 * plan.workload.parameters
    one = step(make, Layout(dp=16, zero=3, shard=8, accumulation=4), plan, sheet=sheet)
    near = (4 * 3 + 2 / LAYERS) * 7 / 8 * weights / 100e9
    far = 2 * 1 / 2 * weights / 8 / 10e9
    assert one.data_s == pytest.approx(near + far)
    # Tensor groups of 2 leave 4 neighbours of a group in a node, and half of the weights on each device.
    two = step(make, Layout(dp=8, tp=2, zero=3, shard=4, accumulation=4), plan, sheet=sheet)
    near = (4 * 3 + 2 / LAYERS) * 3 / 4 * weights / 2 / 100e9
    far = 2 * 1 / 2 * weights / 2 / 4 / 10e9
    assert two.data_s == pytest.approx(near + far)


@pytest.mark.parametrize("once_s", [10e-6, 30e-6, 40e-6, 200e-6])
def test_backward_time_hides_one_collective_or_the_other(make: Any, once_s: float) -> None:
    # A trained product and a frozen one, of 2 MB each. Both are gathered within a node, forward and backward; one's
    # gradient is scattered there, and an eighth of it is summed with that of the other node.
    plan = make.plan(make.only(SQUARE, replace(SQUARE, trainable=False)))
    sheet = {"peak_flop_per_s": {"bf16": 2 * 1024**3 / once_s}, "memory_bytes_per_s": 1e30}
    one = step(make, Layout(dp=16, zero=3, shard=8), plan, sheet=sheet)
    weight = 2 * 1024**2
    gather, scatter, far = 7 / 8 * 2 * weight / 100e9, 7 / 8 * weight / 100e9, weight / 8 / 10e9
    near = max(gather - 2 * once_s, 0) + max(gather + scatter - 3 * once_s, 0) + gather + scatter
    left = max(OVERLAP * 3 * once_s - gather - scatter, 0)
    assert one.data_s == pytest.approx(near + max(far - left, 0))


def test_hybrid_sharding_divides_the_update_by_its_group(make: Any) -> None:
    plan = make.plan()
    one = step(make, Layout(dp=16, zero=3, shard=8), plan)
    assert one.optimizer_s == pytest.approx(30 * plan.workload.parameters / 8 / 1e12)


def test_layouts_come_back_from_their_columns() -> None:
    layouts = [Layout(recompute=r) for r in Recompute]
    layouts += [Layout(dp=8, zero=3, shard=4), Layout(dp=2, cp=2, shard=4), Layout(tp=2, sequence=False)]
    columns = Layouts.of(layouts)
    assert [columns.at(i) for i in range(len(layouts))] == layouts


MIXTURE = Experts(count=8, active=2, width=512)


@pytest.mark.parametrize("zero", [1, 3])
def test_experts_meet_only_those_that_have_the_same(make: Any, zero: int) -> None:
    # With 8 experts on 8 devices nobody shares an expert: only the rest is reduced or gathered.
    workload = make.workload(experts=MIXTURE)
    experts = LAYERS * 8 * (2 * H * 512 + 512 + H)
    sheet = {**FAST, "memory_bytes_per_s": 1e30}
    one = step(make, Layout(dp=8, ep=8, zero=zero), make.plan(workload), sheet=sheet)
    once = 7 / 8 * 2 * (workload.parameters - experts) / 100e9
    assert one.data_s == pytest.approx(once * (2 if zero == 1 else 3 + 2 / LAYERS))


def test_experts_are_summed_once_under_hybrid_sharding(make: Any) -> None:
    # Two nodes of 8, an eighth of the experts on each device. Its copy is in the other node, over which it is gathered
    # and scattered; the all-reduce between the groups is of the rest.
    workload = make.workload(experts=MIXTURE)
    experts = 2 * LAYERS * 8 * (2 * H * 512 + 512 + H)
    rest = 2 * workload.parameters - experts
    one = step(
        make, Layout(dp=16, ep=8, zero=3, shard=8), make.plan(workload), sheet={**FAST, "memory_bytes_per_s": 1e30}
    )
    once = 7 / 8 * rest / 100e9 + 1 / 2 * experts / 8 / 10e9
    assert one.data_s == pytest.approx((3 + 2 / LAYERS) * once + 2 * 1 / 2 * rest / 8 / 10e9)


def test_two_experts_are_a_mixture(make: Any) -> None:
    """One on each of two devices: half of the rows that go to two experts travel, and only the rest is summed."""
    workload = make.workload(experts=replace(MIXTURE, count=2))
    experts = LAYERS * 2 * (2 * H * 512 + 512 + H)
    sheet = {**FAST, "memory_bytes_per_s": 1e30}
    one = step(make, Layout(dp=2, ep=2, zero=1), make.plan(workload), sheet=sheet)
    assert one.expert_s == pytest.approx(LAYERS * 4 * 1 / 2 * 2 * BOUNDARY / 100e9)
    assert one.data_s == pytest.approx(2 * 1 / 2 * 2 * (workload.parameters - experts) / 100e9)


def test_a_stage_sums_the_gradients_of_its_own_layers_experts(make: Any) -> None:
    """Of two mixtures whose experts differ in width, on two stages: half of what they differ by, over two devices."""
    sheet = {**FAST, "memory_bytes_per_s": 1e30}
    wide, narrow = (make.workload(experts=replace(MIXTURE, width=w)) for w in (2048, 512))
    layout = Layout(dp=2, pp=2, zero=1, accumulation=2)
    seconds = [step(make, layout, make.plan(load), sheet=sheet).data_s for load in (wide, narrow)]
    more = (wide.parameters - narrow.parameters) / 2
    assert seconds[0] - seconds[1] == pytest.approx(2 * 1 / 2 * 2 * more / 100e9)


@pytest.mark.parametrize(
    ("dp", "ep", "zero", "dense_by", "experts_by"),
    # Copies of an expert are on every ep-th device only; ZeRO divides its states over those.
    [(8, 8, 0, 1, 8), (8, 4, 0, 1, 4), (8, 8, 1, 8, 8), (16, 4, 1, 16, 16)],
)
def test_a_device_updates_its_own_experts(
    make: Any, dp: int, ep: int, zero: int, dense_by: int, experts_by: int
) -> None:
    workload = make.workload(experts=MIXTURE)
    experts = LAYERS * 8 * (2 * H * 512 + 512 + H)
    own = (workload.parameters - experts) / dense_by + experts / experts_by
    one = step(make, Layout(dp=dp, ep=ep, zero=zero), make.plan(workload))
    assert one.optimizer_s == pytest.approx(30 * own / 1e12)


@pytest.mark.parametrize(("recompute", "exchanges"), [(Recompute.NONE, 4), (Recompute.FULL, 6)])
def test_tokens_go_to_their_experts_and_back(make: Any, recompute: Recompute, exchanges: int) -> None:
    # Each of s tokens goes to two experts, seven eighths of them elsewhere; forward and backward.
    plan = make.plan(make.workload(experts=MIXTURE))
    one = step(make, Layout(dp=8, ep=8, accumulation=3, recompute=recompute), plan)
    assert one.expert_s == pytest.approx(3 * LAYERS * exchanges * 7 / 8 * 2 * BOUNDARY / 100e9)


def test_keys_and_values_travel_under_the_attention(make: Any) -> None:
    # Ring attention (Liu et al. 2023): keys and values of 512 each for every token go round forward, and
    # with their gradients backward; long scores hide them, and nothing else would.
    sheet = {**FAST, "memory_bytes_per_s": 1e30}
    for cp in (2, 4):
        ring = (cp - 1) / cp * 2 * 2 * S * H / 100e9
        assert step(make, Layout(cp=cp), sheet=sheet).context_s == pytest.approx(LAYERS * 3 * ring)
    assert step(make, Layout(cp=4), sheet=SLOW).context_s == 0


def test_keys_and_values_travel_again_where_layers_are_computed_again(make: Any) -> None:
    sheet = {**FAST, "memory_bytes_per_s": 1e30}
    once, again = (
        step(make, Layout(cp=4, recompute=r), sheet=sheet).context_s for r in (Recompute.NONE, Recompute.FULL)
    )
    assert again == pytest.approx(4 / 3 * once)


def test_expert_groups_are_as_far_apart_as_tensor_groups(make: Any) -> None:
    # Tensor groups of 8 fill a node: experts of 4 of them are on 4 nodes. Of those a row's two experts are on
    # 4·(1 − (3/4)²) = 1.75, three quarters of which are others. Each device sends its eighth of the rows.
    plan = make.plan(make.workload(experts=MIXTURE))
    near, far = (step(make, Layout(dp=4, ep=4, tp=t), plan) for t in (1, 8))
    assert near.expert_s == pytest.approx(LAYERS * 4 * 2 * 3 / 4 * BOUNDARY / 100e9)
    assert far.expert_s == pytest.approx(LAYERS * 4 * 1.75 * 3 / 4 * BOUNDARY / 8 / 10e9)


def test_expert_groups_reach_over_context_groups(make: Any) -> None:
    # 8 context-parallel devices hold the same weights: experts on 4 of them are neighbours, with an eighth of the rows.
    plan = make.plan(make.workload(experts=MIXTURE))
    one = step(make, Layout(dp=4, ep=4, cp=8), plan)
    assert one.expert_s == pytest.approx(LAYERS * 4 * 2 * 3 / 4 * BOUNDARY / 8 / 100e9)


def test_expert_groups_fold_over_tensor_groups(make: Any) -> None:
    # One tensor group of 8 devices and 8 experts, one on each: neighbours, each with an eighth of the rows.
    workload = make.workload(experts=MIXTURE)
    one = step(make, Layout(tp=8, ep=8), make.plan(workload))
    assert one.expert_s == pytest.approx(LAYERS * 4 * 2 * 7 / 8 * BOUNDARY / 8 / 100e9)
    assert one.data_s == 0


@pytest.mark.parametrize(
    ("dp", "ep", "sharers"),
    # Two tensor groups of 8: an expert is divided over 8, 2 or 1 of their devices, and none has a copy elsewhere. Of
    # four groups two have the same.
    [(2, 2, 1), (2, 8, 1), (2, 16, 1), (4, 2, 2)],
)
def test_gradients_of_experts_are_summed_where_copies_are(make: Any, dp: int, ep: int, sharers: int) -> None:
    workload = make.workload(experts=MIXTURE)
    experts = LAYERS * 8 * (2 * H * 512 + 512 + H)
    rest = 2 * (workload.parameters - experts) / 8
    own = 2 * experts * sharers / (8 * dp)
    sheet = {**FAST, "memory_bytes_per_s": 1e30}
    one = step(make, Layout(dp=dp, tp=8, ep=ep, zero=1), make.plan(workload), sheet=sheet)
    expected = 2 * ((dp - 1) / dp * rest + (sharers - 1) / sharers * own) / 10e9
    assert one.data_s == pytest.approx(expected)


def test_a_mixture_computes_for_active_parameters(make: Any) -> None:
    # So many rows that the tiles which experts fill in part are few.
    workload = make.workload(experts=MIXTURE, seq_len=8)
    one = step(make, Layout(micro_batch=8192), make.plan(workload), sheet={"memory_bytes_per_s": 1e30})
    assert workload.active_parameters < 0.6 * workload.parameters
    assert one.compute_s * 100e12 == pytest.approx(6 * workload.active_parameters * 8 * 8192, rel=0.01)


LAYOUTS = st.builds(
    Layout,
    dp=st.sampled_from([1, 2, 8]),
    tp=st.sampled_from([1, 2, 4]),
    pp=st.sampled_from([1, 2, 4]),
    cp=st.sampled_from([1, 2]),
    zero=st.integers(0, 3),
    micro_batch=st.sampled_from([1, 2, 8]),
    accumulation=st.sampled_from([1, 2, 16]),
    recompute=st.sampled_from(list(Recompute)),
    sequence=st.booleans(),
)
LATENCY = {
    "operator_s": 10e-6,
    "link_hop_s": 5e-6,
    "network_hop_s": 15e-6,
    "matmul": 0.6,
    "network": 0.7,
    "launch_s": 10e-6,
    "host_s": 0.01,
    "contention": 0.3,
    "variation": 0.02,
    "fill_elements": 200.0,
}


@LAZY
@given(layout=LAYOUTS, fused=st.booleans(), mixed=st.booleans())
def test_every_part_is_a_time_and_they_add_up(make: Any, layout: Layout, fused: bool, mixed: bool) -> None:
    workload = make.workload(experts=MIXTURE if mixed else None)
    plan = make.plan(workload, fused_attention=fused)
    columns = step_time(plan, make.columns(layout), make.hardware(make.cluster(nodes=64, efficiency=LATENCY)))
    parts = columns.at(0).parts()
    assert all(value >= 0 for value in parts.values()), parts
    assert sum(parts.values()) == pytest.approx(columns.at(0).total_s)
    assert float(columns.total_s[0]) == pytest.approx(columns.at(0).total_s)


@LAZY
@given(
    layout=LAYOUTS,
    faster=st.sampled_from(["peak", "memory_bytes_per_s", "link_bytes_per_s", "network_bytes_per_s"]),
    factor=st.floats(1, 8),
)
def test_a_better_device_is_never_slower(make: Any, layout: Layout, faster: str, factor: float) -> None:
    def total(times: float) -> float:
        sheet: dict[str, Any] = {}
        cluster: dict[str, Any] = {}
        if faster == "peak":
            sheet = {"peak_flop_per_s": {"bf16": 100e12 * times}}
        elif faster == "network_bytes_per_s":
            cluster = {faster: 10e9 * times}
        else:
            sheet = {faster: {"memory_bytes_per_s": 1e12, "link_bytes_per_s": 100e9}[faster] * times}
        return step(make, layout, sheet=sheet, nodes=64, efficiency=LATENCY, **cluster).total_s

    assert total(factor) <= total(1.0) * (1 + 1e-12)


@LAZY
@given(
    layout=LAYOUTS,
    worse=st.sampled_from(
        ["contention", "variation", "launch_s", "host_s", "fill_elements", "operator_s", "network_hop_s"]
    ),
    factor=st.floats(1, 3),
)
def test_a_larger_loss_is_never_faster(make: Any, layout: Layout, worse: str, factor: float) -> None:
    def total(times: float) -> float:
        reached = {**LATENCY, worse: LATENCY[worse] * times}
        return step(make, layout, nodes=64, efficiency=reached).total_s

    assert total(1.0) <= total(factor) * (1 + 1e-12)


@LAZY
@given(layout=LAYOUTS, shard=st.sampled_from([1, 2, 4, 8]))
def test_a_group_of_all_replicas_is_plain_zero(make: Any, layout: Layout, shard: int) -> None:
    replicas = layout.dp * layout.cp
    plain, all_of_them = (step(make, replace(layout, shard=s), efficiency=LATENCY) for s in (None, replicas))
    assert all_of_them == plain
    # Smaller groups change nothing but what weights, gradients and states take.
    if replicas % shard == 0 and shard < replicas:
        smaller = step(make, replace(layout, shard=shard), efficiency=LATENCY)
        kept = {name: getattr(plain, name) for name in ("data_s", "optimizer_s", "straggler_s")}
        assert replace(smaller, **kept) == plain
        assert smaller.optimizer_s >= plain.optimizer_s


def test_many_at_once_are_what_each_is_alone(make: Any) -> None:
    layouts = [
        Layout(dp=d, tp=t, pp=p, zero=z, micro_batch=b, accumulation=4, recompute=r, ep=e)
        for d, e in ((1, 1), (8, 1), (8, 4))
        for t in (1, 4)
        for p in (1, 2)
        for z in (0, 1, 3)
        for b in (1, 8)
        for r in Recompute
    ]
    plan = make.plan(make.workload(experts=MIXTURE))
    clusters = [
        make.cluster(nodes=8, efficiency=LATENCY, network_bytes_per_s=1e9 * (1 + i % 5)) for i in range(len(layouts))
    ]
    together = step_time(plan, make.columns(*layouts), make.hardware(*clusters)).total_s
    alone = [
        float(step_time(plan, make.columns(one), make.hardware(where)).total_s[0])
        for one, where in zip(layouts, clusters, strict=True)
    ]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_recomputing_all_costs_one_forward_pass_more(make: Any) -> None:
    plain, full = (
        step(
            make, Layout(recompute=r), make.plan(make.workload(vocab=8, seq_len=8)), sheet={"memory_bytes_per_s": 1e30}
        )
        for r in (Recompute.NONE, Recompute.FULL)
    )
    assert full.compute_s == plain.compute_s
    assert full.recompute_s == pytest.approx(plain.compute_s / 3, rel=0.01)
    assert replace(full, recompute_s=0) == plain
