from typing import Any

import pytest

from zenplan.adapters.tables.models import read_models
from zenplan.domain.model.operators import Attention, Elementwise, ElementwiseKind, MatMul, Role
from zenplan.domain.software import Software
from zenplan.domain.training.layout import Layout
from zenplan.families.transformer.lowering import lower
from zenplan.families.transformer.shape import Experts
from zenplan.planning.explain.method import QLORA_WEIGHT_BYTES, Targets, with_adapters
from zenplan.planning.physics.operators import operator_work
from zenplan.planning.physics.step import step_time

MODELS = read_models()
# A layer of the small GPT: query, key, value, output, up, down.
PRODUCTS = [*[(512, 512)] * 4, (512, 2048), (2048, 512)]


def flop(make: Any, workload: Any, samples: int = 64) -> float:
    """FLOP of a step, by a device that nothing but arithmetic limits."""
    hw = make.hardware(make.cluster(sheet={"memory_bytes_per_s": make.no_limit}))
    return float(step_time(make.plan(workload), make.columns(Layout(accumulation=samples)), hw).compute_s[0]) * 1e14


@pytest.mark.parametrize("rank", [4, 16])
def test_adapters_are_pairs_of_thin_products(make: Any, rank: int) -> None:
    # Hu et al. 2021, section 4.1: r · (in + out) trained parameters beside each product.
    added = 4 * rank * sum(inner + columns for inner, columns in PRODUCTS)
    before, after = make.workload(), with_adapters(make.workload(), rank)
    assert after.parameters - before.parameters == added
    assert after.trainable_parameters == added


def test_lora_costs_four_flop_a_parameter_and_token_not_six(make: Any) -> None:
    workload = make.workload(seq_len=8)
    adapters = 4 * 64 * sum(inner + columns for inner, columns in PRODUCTS)
    tokens, frozen = 64 * 8, workload.active_parameters
    assert flop(make, workload) == pytest.approx(6 * frozen * tokens, rel=0.01)
    assert flop(make, with_adapters(workload, 64)) == pytest.approx((4 * frozen + 6 * adapters) * tokens, rel=0.02)


def test_attention_and_shapes_stay_as_they_are(make: Any) -> None:
    before, after = make.workload(), with_adapters(make.workload())
    assert after.layers == before.layers
    assert after.heads == before.heads

    def attention(workload: Any) -> list[Attention]:
        return [o for b in workload.blocks for o in b.operators if isinstance(o, Attention)]

    assert attention(after) == attention(before)


def test_experts_and_routers_have_no_adapters(make: Any) -> None:
    workload = with_adapters(make.workload(experts=Experts(count=8, active=2, width=512, shared_width=256)))
    trained = {o.name for b in workload.blocks for o in b.operators if isinstance(o, MatMul) and o.trainable}
    assert trained == {
        f"{name} adapter {way}"
        for name in ("attention query-key-value", "attention output", "shared expert up", "shared expert down")
        for way in ("down", "up")
    }


def test_an_adapter_is_divided_as_its_product_is(make: Any) -> None:
    # Tensor parallelism needs no other sum than the product's own: the thin inner side is never divided.
    step = [o for b in with_adapters(make.workload()).blocks for o in b.operators if isinstance(o, MatMul)]
    splits = {o.name: str(o.split) for o in step}
    assert splits["feed-forward up adapter down"] == "none"
    assert splits["feed-forward up adapter up"] == "columns"
    assert splits["feed-forward down adapter down"] == "rows"
    assert splits["feed-forward down adapter up"] == "none"


@pytest.mark.parametrize(("model", "trained"), [("llama2-7b", 39_976_960), ("llama3-8b", 41_943_040)])
def test_as_many_parameters_as_peft_prints(model: str, trained: int) -> None:
    # Rank 16 on all linear layers, as the fine-tuning libraries' examples have it.
    assert with_adapters(lower(MODELS[model].shape, model)).trainable_parameters == trained


def test_fewer_targets_have_fewer_adapters(make: Any) -> None:
    names = {
        targets: [o.name for b in with_adapters(make.workload(), targets=targets).blocks for o in b.operators]
        for targets in Targets
    }
    found = {targets: sum("adapter down" in name for name in each) for targets, each in names.items()}
    assert found == {Targets.ALL: 4, Targets.ATTENTION: 2, Targets.QUERY_KEY_VALUE: 1}
    assert "attention output adapter down" in names[Targets.ATTENTION]
    assert "attention output adapter down" not in names[Targets.QUERY_KEY_VALUE]


def seconds(make: Any, op: Any, software: Software | None) -> float:
    """Forward and backward, on a device whose memory alone limits it."""
    workload = with_adapters(make.workload())
    block = workload.blocks[1]
    hw = make.hardware(make.cluster(sheet={"peak_flop_per_s": {"bf16": 1e20}}))
    ahead, back = operator_work(op, block, make.plan(workload, software=software), make.columns(Layout()), hw)
    return float((ahead + back).memory_s[0])


def test_an_adapter_takes_what_its_wide_side_takes_to_read_or_write(make: Any) -> None:
    """Its arithmetic is next to nothing: a tile of 64 is not filled, which costs no more than that tile."""
    thin = [o for o in with_adapters(make.workload()).blocks[1].operators if getattr(o, "role", None) is Role.ADAPTER]
    down = next(o for o in thin if o.name == "feed-forward up adapter down")
    assert isinstance(down, MatMul)
    block = make.workload().blocks[1]
    hw = make.hardware(make.cluster(sheet={"memory_bytes_per_s": make.no_limit}))
    ahead, back = operator_work(down, block, make.plan(make.workload()), make.columns(Layout()), hw)
    assert float(ahead.compute_s[0]) == pytest.approx(down.flop * 64 / 16 / 1e14)
    assert float(back.compute_s[0]) == pytest.approx(2 * float(ahead.compute_s[0]))


def test_sums_of_adapters_cost_most_where_nothing_fuses_them(make: Any) -> None:
    sums = [o for o in with_adapters(make.workload()).blocks[1].operators if isinstance(o, Elementwise)]
    one = next(o for o in sums if o.kind is ElementwiseKind.ADAPTER_SUM)
    eager, fused, patched = (seconds(make, one, s) for s in (Software.EAGER, Software.FUSED, Software.PATCHED))
    # Scaled and added by two kernels: read and written, both read and one written; else one more read.
    assert eager == fused == pytest.approx(5 * patched)


def test_layers_called_by_themselves_each_read_their_input(make: Any) -> None:
    layer = with_adapters(make.workload()).blocks[1].operators
    joined = next(o for o in layer if o.name == "attention query-key-value adapter down")
    assert seconds(make, joined, Software.EAGER) > 2 * seconds(make, joined, Software.FUSED)


def test_what_was_assumed_is_said(make: Any) -> None:
    assert any("rank 16" in fact.value for fact in with_adapters(make.workload()).facts)


def test_qlora_is_a_little_over_four_bits() -> None:
    # Dettmers et al. 2023: blocks of 64 with 8-bit constants, themselves in blocks of 256 with 32-bit ones:
    # 4 + 8/64 + 32/(64 · 256) bits.
    assert pytest.approx(4 + 8 / 64 + 32 / (64 * 256), abs=1e-3) == 8 * QLORA_WEIGHT_BYTES
