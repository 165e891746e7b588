from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.adapters.tables.models import read_models
from zenplan.domain.precision import PRECISIONS
from zenplan.domain.software import Software
from zenplan.domain.training.kept import usual_kept
from zenplan.domain.training.layout import Layout, Recompute
from zenplan.families.transformer.lowering import lower
from zenplan.families.transformer.shape import Experts, TransformerShape
from zenplan.planning.explain.method import with_adapters
from zenplan.planning.physics.memory import (
    COLLECTIVES_BYTES,
    FRAGMENTATION,
    WORKSPACE_BYTES,
    kept_by_layers,
    layer_activation_bytes,
    peak_memory,
)

LAZY = settings(max_examples=60, deadline=None, derandomize=True)
MODELS = read_models()
LLAMA = lower(MODELS["llama2-7b"].shape, "llama2-7b")
# Llama 2 7B by hand: a layer of 4 · 4096² + 3 · 4096 · 11008 + two norms, 32 of them; two tables of
# 32000 · 4096 and the last norm.
LAYER = 4 * 4096**2 + 3 * 4096 * 11_008 + 2 * 4096
ENDS = 2 * 32_000 * 4096 + 4096
N = 32 * LAYER + ENDS


def peak(make: Any, plan: Any, layout: Layout) -> Any:
    return peak_memory(plan, make.columns(layout)).at(0)


def test_llama2_7b_has_the_parameters_that_its_makers_count() -> None:
    assert N == LLAMA.parameters == 6_738_415_616


def test_states_are_18_bytes_a_parameter_on_one_device(make: Any) -> None:
    use = peak(make, make.plan(LLAMA), Layout())
    assert (use.weights_bytes, use.gradients_bytes, use.optimizer_bytes) == (2 * N, 4 * N, 12 * N)


@pytest.mark.parametrize(
    ("optimizer", "precision", "each"),
    [
        ("sgd", "bf16", 2 + 4 + 4),
        ("adamw-8bit", "bf16", 2 + 4 + 4 + 2),
        ("adamw", "fp32", 4 + 4 + 0 + 8),  # the weight itself is the master copy
        ("adamw", "fp8", 2 + 4 + 4 + 8),
    ],
)
def test_states_of_other_optimizers_and_precisions(make: Any, optimizer: str, precision: str, each: int) -> None:
    use = peak(make, make.plan(LLAMA, optimizer=optimizer, precision=precision), Layout())
    assert use.weights_bytes + use.gradients_bytes + use.optimizer_bytes == pytest.approx(each * N)


def test_unscaled_gradients_take_the_place_of_the_activations(make: Any) -> None:
    # fp16: 16 bytes a parameter and the activations, or 20 and none of them.
    short, long = (lower(replace(MODELS["llama2-7b"].shape, seq_len=n), "x") for n in (8, 32_768))
    few, many = (peak(make, make.plan(w, precision="fp16"), Layout()) for w in (short, long))
    states = many.weights_bytes + many.gradients_bytes + many.optimizer_bytes
    assert states == pytest.approx((2 + 2 + 4 + 8) * N)
    assert few.total_bytes - few.workspace_bytes == pytest.approx((2 + 2 + 4 + 4 + 8) * N)
    assert many.total_bytes > few.total_bytes


@pytest.mark.parametrize("dp", [2, 8, 64])
def test_zero_divides_optimizer_then_gradients_then_weights(make: Any, dp: int) -> None:
    # Rajbhandari et al. 2020, figure 1. Under ZeRO-3 the sharded weight is the master weight; whole, in 16 bits, are
    # two layers, the gradient of one, and the ends.
    whole = 2 * (3 * LAYER + ENDS)
    expected = {
        0: (2 * N, 4 * N, 12 * N),
        1: (2 * N, 4 * N, 12 * N / dp),
        2: (2 * N, 4 * N / dp, 12 * N / dp),
        3: (4 * N / dp + whole, 4 * N / dp, 8 * N / dp),
    }
    for stage, bytes_ in expected.items():
        use = peak(make, make.plan(LLAMA), Layout(dp=dp, zero=stage))
        assert (use.weights_bytes, use.gradients_bytes, use.optimizer_bytes) == pytest.approx(bytes_)


def test_tensor_parallelism_divides_all_but_the_norms(make: Any) -> None:
    norms = 32 * 2 * 4096 + 4096
    use = peak(make, make.plan(LLAMA), Layout(tp=8))
    assert use.optimizer_bytes == pytest.approx(12 * ((N - norms) / 8 + norms))


def test_a_stage_has_its_layers_and_one_end(make: Any) -> None:
    # The last of four stages: 8 layers, the last norm and the head. With a single micro-batch the logits make
    # it the fuller one.
    plan = make.plan(lower(replace(MODELS["llama2-7b"].shape, seq_len=64), "x"))
    for stages in (2, 4):
        use = peak(make, plan, Layout(pp=stages))
        assert use.optimizer_bytes == pytest.approx(12 * (32 / stages * LAYER + 32_000 * 4096 + 4096))


def test_a_tied_head_on_another_stage_is_a_copy(make: Any) -> None:
    shape = replace(MODELS["llama2-7b"].shape, tied=True, seq_len=64)
    use = peak(make, make.plan(lower(shape, "x")), Layout(pp=4, accumulation=4))
    # The stage with the embedding has its states; the last one needs the weight itself too.
    table = 32_000 * 4096
    assert use.weights_bytes == pytest.approx(2 * (8 * LAYER + table), rel=1e-4)


MIXTURE = Experts(count=8, active=2, width=512)


@pytest.mark.parametrize(("experts", "ep"), [(8, 1), (8, 2), (8, 4), (8, 8), (2, 1), (2, 2)])
@pytest.mark.parametrize("zero", [1, 2])
def test_a_group_keeps_every_optimizer_state_once(make: Any, experts: int, ep: int, zero: int) -> None:
    # Experts divided over ep devices have dp/ep copies, and ZeRO divides the states among those only: over
    # the whole group of 8 all 12 bytes a parameter must be somewhere.
    workload = make.workload(experts=replace(MIXTURE, count=experts))
    use = peak(make, make.plan(workload), Layout(dp=8, ep=ep, zero=zero))
    assert 8 * use.optimizer_bytes == pytest.approx(12 * workload.parameters)
    if zero == 2:
        assert 8 * use.gradients_bytes == pytest.approx(4 * workload.parameters)


def test_expert_parallelism_divides_the_experts_weights_only(make: Any) -> None:
    workload = make.workload(experts=MIXTURE)
    experts = 4 * 8 * (2 * 512 * 512 + 512 + 512)  # layers · experts · (up, down, their biases)
    use = peak(make, make.plan(workload), Layout(dp=8, ep=4))
    assert use.weights_bytes == pytest.approx(2 * (workload.parameters - experts + experts / 4))


GPT3 = replace(MODELS["gpt3-175b"].shape, layers=8)
S, H, HEADS = GPT3.seq_len, GPT3.width, GPT3.heads


def layers_bytes(make: Any, plan: Any, layout: Layout) -> float:
    layouts = make.columns(layout)
    return float(layer_activation_bytes(plan, layouts, kept_by_layers(plan, layouts))[0])


@pytest.mark.parametrize(("micro_batch", "tp"), [(1, 1), (4, 1), (2, 8)])
def test_a_layer_keeps_34_bytes_an_element_with_fused_attention(make: Any, micro_batch: int, tp: int) -> None:
    # Korthikanti et al. 2022, equation 4 (tensor and sequence parallelism), without the 5as/h of the scores.
    plan = make.plan(lower(GPT3, "gpt"))
    kept = layers_bytes(make, plan, Layout(micro_batch=micro_batch, tp=tp))
    assert kept == pytest.approx(8 * 34 * S * micro_batch * H / tp, rel=0.01)


def test_unfused_attention_also_keeps_five_bytes_a_score(make: Any) -> None:
    plan = make.plan(lower(GPT3, "gpt"), fused_attention=False)
    kept = layers_bytes(make, plan, Layout(tp=8))
    assert kept == pytest.approx(8 * S * H * (34 + 5 * HEADS * S / H) / 8, rel=0.01)
    selective = layers_bytes(make, plan, Layout(tp=8, recompute=Recompute.SELECTIVE))
    assert selective == pytest.approx(8 * S * H * 34 / 8, rel=0.01)


def test_full_recomputation_keeps_the_inputs_of_the_layers(make: Any) -> None:
    plan = make.plan(lower(GPT3, "gpt"))
    layout = Layout(recompute=Recompute.FULL, micro_batch=2)
    assert layers_bytes(make, plan, layout) == pytest.approx(8 * 2 * S * 2 * H)
    # A tensor group has them in parts under sequence parallelism, a context group always.
    for sequence, parts in ((True, 32), (False, 4)):
        divided = replace(layout, tp=8, cp=4, sequence=sequence)
        assert layers_bytes(make, plan, divided) == pytest.approx(8 * 2 * S * 2 * H / parts)


def test_context_parallelism_divides_activations(make: Any) -> None:
    plan = make.plan(lower(GPT3, "gpt"))
    assert layers_bytes(make, plan, Layout(cp=4)) == pytest.approx(layers_bytes(make, plan, Layout()) / 4)


@pytest.mark.parametrize(
    ("software", "each"), [(Software.COMPILED, 6), (Software.FUSED, 4), (Software.EAGER, 14), (None, 10)]
)
def test_logits_are_six_bytes_and_what_the_loss_adds(make: Any, software: Software | None, each: int) -> None:
    # 16-bit logits and their fp32 copy; the softmax; the gradient.
    for tp, cp in ((1, 1), (8, 1), (2, 4)):
        use = peak(make, make.plan(lower(GPT3, "gpt"), software=software), Layout(micro_batch=2, tp=tp, cp=cp))
        assert use.logits_bytes == pytest.approx(each * 2 * S * GPT3.vocab / (tp * cp))


def test_logits_are_where_the_loss_is(make: Any) -> None:
    # With one micro-batch the last of two stages is the fuller; with two, the first, which has no logits.
    plan = make.plan(lower(replace(GPT3, vocab=256_000), "gpt"))
    one, two = (peak(make, plan, Layout(pp=2, accumulation=m, even=True)) for m in (1, 2))
    assert one.logits_bytes == pytest.approx(10 * S * 256_000)
    small = peak(make, make.plan(lower(replace(GPT3, vocab=8), "gpt")), Layout(pp=2, accumulation=2))
    assert small.logits_bytes == 0
    assert two.total_bytes >= one.total_bytes


def test_a_recomputed_layer_takes_the_place_of_the_logits(make: Any) -> None:
    # The loss is done when the last layer is computed again: the larger of the two counts, not both.
    few, many = (
        peak(make, make.plan(lower(replace(GPT3, vocab=v), "gpt")), Layout(recompute=Recompute.FULL))
        for v in (8, 40_000)
    )
    layer = 34 * S * H
    assert many.logits_bytes < layer
    assert many.activations_bytes + many.logits_bytes == pytest.approx(
        few.activations_bytes + few.logits_bytes, rel=0.01
    )


@pytest.mark.parametrize(
    ("software", "widths"), [(None, 4), (Software.EAGER, 4), (Software.FUSED, 3), (Software.COMPILED, 3)]
)
def test_a_gate_keeps_its_activation_unless_it_is_compiled(make: Any, software: Software | None, widths: int) -> None:
    narrow = replace(MODELS["llama2-7b"].shape, ff_width=4096)
    kept = [
        layers_bytes(make, make.plan(lower(s, "x"), software=software), Layout())
        for s in (MODELS["llama2-7b"].shape, narrow)
    ]
    assert kept[0] - kept[1] == pytest.approx(32 * 2 * widths * 4096 * (11_008 - 4096))


@pytest.mark.parametrize(("software", "widths"), [(None, 3), (Software.COMPILED, 3)])
def test_where_every_second_product_is_kept_a_gates_activation_is_made_again(
    make: Any, software: Software | None, widths: int
) -> None:
    narrow = replace(MODELS["llama2-7b"].shape, ff_width=4096)
    kept = [
        layers_bytes(make, make.plan(lower(s, "x"), software=software), Layout(recompute=Recompute.HALF))
        for s in (MODELS["llama2-7b"].shape, narrow)
    ]
    assert kept[0] - kept[1] == pytest.approx(0.5 * 32 * 2 * widths * 4096 * (11_008 - 4096))


def test_activations_are_as_wide_under_fp8_of_compilers(make: Any) -> None:
    sixteen, eight = (make.plan(lower(GPT3, "gpt"), precision=p, software=Software.COMPILED) for p in ("bf16", "fp8"))
    assert layers_bytes(make, eight, Layout()) == layers_bytes(make, sixteen, Layout())


def test_without_sequence_parallelism_only_the_products_are_divided(make: Any) -> None:
    # Korthikanti et al. 2022, equation 2: (10 + 24/t) bytes an element, without the scores.
    plan = make.plan(lower(GPT3, "gpt"))
    kept = layers_bytes(make, plan, Layout(tp=8, sequence=False))
    assert kept == pytest.approx(8 * S * H * (10 + 24 / 8), rel=0.01)


def test_hybrid_sharding_keeps_a_copy_in_each_group(make: Any) -> None:
    workload = make.workload(experts=MIXTURE)

    def held(ep: int, shard: int) -> float:
        layout = Layout(dp=8, ep=ep, zero=1, shard=shard)
        return float(peak(make, make.plan(workload), layout).optimizer_bytes)

    assert held(2, 4) == pytest.approx(2 * held(2, 8))
    # Divided over all eight, an expert is there once, and in no second group.
    experts = 4 * 8 * (2 * 512 * 512 + 512 + 512)
    assert held(8, 4) - held(8, 8) == pytest.approx(12 * (workload.parameters - experts) / 8)


def test_expert_groups_fold_over_tensor_groups(make: Any) -> None:
    # 8 experts over 8 devices that are 2 data-parallel groups of 4 tensor-parallel ones: an expert each, whole.
    workload = make.workload(experts=MIXTURE)
    use = peak(make, make.plan(workload), Layout(dp=2, tp=4, ep=8))
    experts = 4 * 8 * (2 * 512 * 512 + 512 + 512)
    dense = peak(make, make.plan(make.workload()), Layout(dp=2, tp=4))
    assert use.weights_bytes > 2 * experts / 8
    assert use.weights_bytes < 2 * experts / 8 + dense.weights_bytes


# Without a vocabulary to speak of, the first stage of a pipeline is the fullest.
NO_HEAD = lower(replace(GPT3, vocab=8), "gpt")


@pytest.mark.parametrize(("pp", "m", "under_way"), [(2, 8, 2), (4, 8, 4), (8, 8, 8), (4, 2, 2), (8, 1, 1)])
def test_the_first_stage_has_min_p_m_micro_batches_under_way(make: Any, pp: int, m: int, under_way: int) -> None:
    plan = make.plan(NO_HEAD)
    use = peak(make, plan, Layout(pp=pp, accumulation=m))
    mask = S * H  # the embedding's dropout keeps one byte an element
    assert use.activations_bytes == pytest.approx(8 / pp * 34 * S * H * under_way + mask, rel=0.01)


def test_interleaving_keeps_more(make: Any) -> None:
    # Korthikanti et al. 2022, section 4.2.3: 1 + (p-1)/(p·v) times as much.
    plan = make.plan(NO_HEAD)
    one, two = (peak(make, plan, Layout(pp=4, accumulation=8, interleave=v)).activations_bytes - S * H for v in (1, 2))
    assert two / one == pytest.approx(1 + 3 / 8)


def test_the_last_of_interleaved_stages_starts_backward_with_v_1_p_1_parts_under_way(make: Any) -> None:
    """Of two stages with two parts each, three halves; beside a large head the last stage is the fuller one."""
    plan = make.plan(lower(replace(GPT3, vocab=400_000), "gpt"))
    one, two = (
        peak(make, plan, Layout(pp=2, accumulation=8, interleave=v, even=True)).activations_bytes for v in (1, 2)
    )
    assert two - one == pytest.approx(0.5 * 4 * 34 * S * H, rel=0.01)


def test_one_layer_is_there_whole_while_it_is_computed_again(make: Any) -> None:
    plan = make.plan(NO_HEAD)
    use = peak(make, plan, Layout(recompute=Recompute.FULL))
    # Eight inputs, one whole layer and the gradients of what its activation kept, two times four widths; the embedding's
    # mask, and the inputs of the last norm and of the head.
    assert use.activations_bytes == pytest.approx((8 * 2 + 34 + 16 + 1 + 2 + 2) * S * H, rel=0.01)


def test_workspace_is_a_constant_and_fragmentation_a_share_of_what_comes_and_goes(make: Any) -> None:
    use = peak(make, make.plan(LLAMA), Layout())
    assert use.workspace_bytes == WORKSPACE_BYTES == 1.5e9
    # The buffers of collectives are there where there is somebody to talk to.
    for layout in (Layout(dp=2), Layout(tp=2), Layout(pp=2), Layout(cp=2)):
        assert peak(make, make.plan(LLAMA), layout).workspace_bytes == WORKSPACE_BYTES + COLLECTIVES_BYTES == 2.5e9
    assert use.fragmentation_bytes == pytest.approx(0.06 * (use.activations_bytes + use.logits_bytes))
    assert FRAGMENTATION == 0.06
    # Of two stages either may be the fuller: the first has more micro-batches under way, the last may have the logits.
    for vocab in (8, 400_000):
        layout = Layout(pp=2, accumulation=8, even=True)
        stages = peak(make, make.plan(lower(replace(GPT3, vocab=vocab), "gpt")), layout)
        assert stages.fragmentation_bytes == pytest.approx(0.06 * (stages.activations_bytes + stages.logits_bytes))
        assert (stages.logits_bytes > 0) == (vocab > 8)
    assert use.total_bytes == pytest.approx(sum(use.parts().values()))


# Rank 16 beside the seven products of a layer: query, key, value and output, gate and up, down (PEFT prints 39,976,960
# trainable parameters for Llama-2-7B).
ADAPTERS = 32 * 16 * (4 * (4096 + 4096) + 3 * (4096 + 11_008))
PRODUCTS = 32 * (LAYER - 2 * 4096)


def test_lora_has_states_for_the_adapters_only(make: Any) -> None:
    use = peak(make, make.plan(with_adapters(LLAMA), method="lora"), Layout())
    assert use.weights_bytes == pytest.approx(2 * (N + ADAPTERS))
    assert use.gradients_bytes == pytest.approx(4 * ADAPTERS)
    assert use.optimizer_bytes == pytest.approx(12 * ADAPTERS)


def test_qlora_keeps_the_products_in_four_bits(make: Any) -> None:
    # Dettmers et al. 2023: 4 bits and 0.127 of doubly quantized constants; tables and norms stay wide.
    plan = make.plan(with_adapters(LLAMA), method="qlora", weight_bytes=4.127 / 8)
    use = peak(make, plan, Layout())
    expected = 4.127 / 8 * PRODUCTS + 2 * (N - PRODUCTS + ADAPTERS)
    assert use.weights_bytes == pytest.approx(expected)
    assert use.weights_bytes < 4.2e9  # 13.5 GB in 16 bits


def test_zero3_gathers_frozen_products_in_four_bits(make: Any) -> None:
    """Of two models that differ by the width of their layers' gates: an eighth of all, and three layers whole."""
    shape, each = MODELS["llama2-7b"].shape, 4.127 / 8
    wide, narrow = (
        peak(
            make,
            make.plan(with_adapters(lower(replace(shape, ff_width=f), "x")), method="qlora", weight_bytes=each),
            Layout(dp=8, zero=3),
        )
        for f in (11_008, 4096)
    )
    products, adapters = 3 * 4096 * (11_008 - 4096), 3 * 16 * (11_008 - 4096)
    # Adapters train: their shard is the master weight of four bytes, what is gathered has two.
    shards = 32 / 8 * (products * each + adapters * 4)
    whole = 3 * (products * each + adapters * 2)
    assert wide.weights_bytes - narrow.weights_bytes == pytest.approx(shards + whole)


# --- what software keeps


def kept_by(make: Any, workload: Any, layout: Layout, precision: str = "bf16", **changes: Any) -> Any:
    """The peak under software that keeps those things otherwise than Megatron-Core does."""
    fused = usual_kept(Software.FUSED, PRECISIONS[precision], "full")
    plan = make.plan(workload, software=Software.FUSED, precision=precision)
    return peak(make, replace(plan, keeps=replace(fused, **changes)), layout)


def test_libraries_of_fine_tuning_hold_ten_bytes_a_parameter(make: Any) -> None:
    # bf16 throughout: weight, gradient and two moments; PyTorch's update copies the weights for a moment.
    short = lower(replace(MODELS["llama2-7b"].shape, seq_len=8), "x")
    use = peak(make, make.plan(short, precision="bf16-pure", software=Software.EAGER), Layout())
    assert (use.weights_bytes, use.gradients_bytes) == (2 * N, 2 * N)
    assert use.total_bytes - use.workspace_bytes == pytest.approx(10 * N, rel=1e-6)
    fused = peak(make, make.plan(short, precision="bf16-pure", software=Software.FUSED), Layout())
    assert fused.optimizer_bytes == 4 * N


@pytest.mark.parametrize(
    ("optimizer", "each"), [("adamw", 12), ("paged-adamw", 4), ("adamw-8bit", 6), ("paged-adamw-8bit", 4), ("sgd", 4)]
)
def test_what_is_paged_lies_in_the_hosts_memory(make: Any, optimizer: str, each: int) -> None:
    assert peak(make, make.plan(LLAMA, optimizer=optimizer), Layout()).optimizer_bytes == each * N


@pytest.mark.parametrize(("optimizer", "each"), [("adamw", 4), ("adamw-8bit", 2), ("lion", 2), ("paged-adamw", 0)])
def test_states_are_as_wide_as_their_weights_unless_they_are_in_blocks(make: Any, optimizer: str, each: int) -> None:
    plan = make.plan(LLAMA, optimizer=optimizer, precision="bf16-pure")
    assert peak(make, plan, Layout()).optimizer_bytes == each * N


def test_products_in_8_bits_keep_their_inputs_in_8_bits(make: Any) -> None:
    """Bytes of an element of Llama's width a layer: norms 2 + 2, inputs 1 + 1, queries, keys and values 2 · (1 + 1/4)
    and those turned 2 · (1 + 1/8), attention 2 and its 8-bit copy 1, the gate's inputs 2 · 2 and its product 1."""
    shape = MODELS["llama3-70b"].shape
    plan = make.plan(lower(shape, "x"), precision="fp8", software=Software.FUSED)
    wide = shape.ff_width / shape.width
    each = 2 + 2 + 1 + 1 + 2 * 1.25 + 2 * 1.125 + 2 + 1 + wide * (2 * 2 + 1)
    kept = layers_bytes(make, plan, Layout(tp=4))
    assert kept == pytest.approx(80 * each * shape.seq_len * shape.width / 4, rel=0.01)
    # In 16 bits each of the four inputs has one byte more, but attention's output is there once.
    more = each + 1 + 1 - 1 + wide
    sixteen = layers_bytes(make, replace(plan, precision=PRECISIONS["bf16"]), Layout(tp=4))
    assert sixteen == pytest.approx(80 * more * shape.seq_len * shape.width / 4, rel=0.01)


def test_weights_in_8_bits_are_there_twice_and_beside_those_of_16_unless_they_replace_them(make: Any) -> None:
    both, alone = (kept_by(make, LLAMA, Layout(), "fp8", copies_bytes=b).weights_bytes for b in (2.0, 0.0))
    assert alone == 2 * N
    assert both - alone == pytest.approx(2 * PRODUCTS)
    # Under ZeRO-3 they are made for the layer in use.
    sharded = [kept_by(make, LLAMA, Layout(dp=8, zero=3), "fp8", copies_bytes=b).weights_bytes for b in (2.0, 0.0)]
    assert sharded[0] == sharded[1]


def test_gradients_may_be_accumulated_in_16_bits(make: Any) -> None:
    assert kept_by(make, LLAMA, Layout(), gradient_bytes=2.0).gradients_bytes == 2 * N


def test_a_loss_in_parts_writes_no_logits(make: Any) -> None:
    assert kept_by(make, lower(GPT3, "gpt"), Layout(), logit_bytes=0.0).logits_bytes == 0


def test_gathered_inputs_are_not_divided(make: Any) -> None:
    own, whole = (kept_by(make, LLAMA, Layout(tp=8), gathered=g).activations_bytes for g in (False, True))
    tokens = MODELS["llama2-7b"].shape.seq_len
    # Two inputs of products in each layer: all of them in the place of an eighth.
    assert whole - own == pytest.approx(32 * 2 * 2 * tokens * 4096 * 7 / 8, rel=1e-6)


def test_layers_inputs_are_in_fp32_from_a_stage_on(make: Any) -> None:
    plain, wide = (
        kept_by(make, NO_HEAD, Layout(dp=2, zero=3, recompute=Recompute.FULL), wide_inputs=w) for w in (None, 3)
    )
    assert wide.activations_bytes - plain.activations_bytes == pytest.approx(8 * 2 * S * H)
    first = kept_by(make, NO_HEAD, Layout(dp=2, zero=2, recompute=Recompute.FULL), wide_inputs=3)
    assert first.activations_bytes == plain.activations_bytes


def test_what_is_offloaded_is_not_on_the_device(make: Any) -> None:
    here, gone = (kept_by(make, NO_HEAD, Layout(), offload=frozenset(o)) for o in ((), ("activations",)))
    # Two of eight layers stay, the one at work and the one on its way; and what the ends of the model keep.
    assert here.activations_bytes - gone.activations_bytes == pytest.approx(6 * 34 * S * H, rel=0.01)
    states = kept_by(make, LLAMA, Layout(), offload=frozenset({"optimizer"}))
    assert states.optimizer_bytes == 0
    assert states.weights_bytes == 2 * N


LAYOUTS = st.builds(
    Layout,
    dp=st.sampled_from([1, 2, 8]),
    tp=st.sampled_from([1, 2, 4]),
    pp=st.sampled_from([1, 2, 4]),
    micro_batch=st.sampled_from([1, 2, 8]),
    accumulation=st.sampled_from([1, 2, 16]),
    zero=st.sampled_from([0, 1, 2]),
    recompute=st.sampled_from(list(Recompute)),
)


@LAZY
@given(layout=LAYOUTS, fused=st.booleans(), family=st.sampled_from(["decoder", "encoder", "encoder-decoder"]))
def test_memory_goes_the_way_it_must(make: Any, layout: Layout, fused: bool, family: str) -> None:
    def total(one: Layout, seq_len: int = 1024) -> float:
        layers = {"encoder_layers": 4, "encoder_seq_len": 512} if family == "encoder-decoder" else {}
        workload = make.workload(family=family, seq_len=seq_len, **layers)
        use = peak(make, make.plan(workload, fused_attention=fused), one)
        return float(use.total_bytes - use.workspace_bytes)  # which a second device adds to

    here = total(layout)
    assert here < total(replace(layout, micro_batch=2 * layout.micro_batch))
    assert here < total(layout, seq_len=2048)
    assert here >= total(replace(layout, tp=2 * layout.tp))
    assert here >= total(replace(layout, cp=2))
    assert here <= total(replace(layout, accumulation=2 * layout.accumulation))
    for below, above in ((0, 1), (1, 2)):
        assert total(replace(layout, zero=below)) >= total(replace(layout, zero=above))


@LAZY
@given(dp=st.integers(1, 9).map(lambda i: 2**i), tp=st.sampled_from([1, 2, 4, 8]))
def test_a_large_model_is_never_fuller_under_zero3(make: Any, dp: int, tp: int) -> None:
    if dp * tp > 1:
        two, three = (peak(make, make.plan(LLAMA), Layout(dp=max(dp, 2), tp=tp, zero=z)) for z in (2, 3))
        assert three.total_bytes <= two.total_bytes


def test_columns_are_what_each_layout_is_alone(make: Any) -> None:
    layouts = [
        Layout(dp=d, tp=t, pp=p, zero=z, micro_batch=b, accumulation=4, recompute=r)
        for d in (1, 4)
        for t in (1, 4)
        for p in (1, 2)
        for z in (0, 1, 3)
        for b in (1, 8)
        for r in Recompute
    ]
    plan = make.plan(fused_attention=False)
    together = peak_memory(plan, make.columns(*layouts)).total_bytes
    alone = np.array([peak(make, plan, layout).total_bytes for layout in layouts])
    np.testing.assert_allclose(together, alone, rtol=1e-12)


# Peaks of tensors (torch.cuda.max_memory_allocated) that were measured and published, in GiB.
GPT_7B = TransformerShape(
    layers=32,
    width=4096,
    heads=32,
    kv_heads=8,
    ff_width=16_384,
    vocab=131_072,
    seq_len=8192,
    tied=False,
    dropout=True,
    positions=8192,
)
LLAMA_2048 = replace(MODELS["llama2-7b"].shape, seq_len=2048, biases=True, dropout=True)


@pytest.mark.parametrize(
    ("shape", "layout", "measured_gib"),
    [
        # NVIDIA/Megatron-LM, functional tests gpt3_7b_tp4_pp1 and _tp1_pp4, on A100.
        (GPT_7B, Layout(dp=2, tp=4, zero=1, micro_batch=2, accumulation=2, sequence=False), 54.19),
        (GPT_7B, Layout(dp=2, pp=4, zero=1, accumulation=4, interleave=8), 56.33),
        # NVIDIA/Megatron-LM#482, on H800.
        (LLAMA_2048, Layout(dp=8, zero=1, micro_batch=2, accumulation=128), 69.1),
        (LLAMA_2048, Layout(dp=4, tp=2, zero=1, micro_batch=4, accumulation=32, sequence=False), 55.7),
        (LLAMA_2048, Layout(dp=4, pp=2, zero=1, micro_batch=2, accumulation=256), 49.8),
        (LLAMA_2048, Layout(tp=8, zero=1, micro_batch=4, accumulation=32, sequence=False), 28.8),
    ],
)
def test_megatrons_published_peaks(make: Any, shape: TransformerShape, layout: Layout, measured_gib: float) -> None:
    use = peak(make, make.plan(lower(shape, "x"), software=Software.FUSED), layout)
    tensors = use.total_bytes - use.workspace_bytes - use.fragmentation_bytes
    assert tensors / 2**30 == pytest.approx(measured_gib, rel=0.06)
