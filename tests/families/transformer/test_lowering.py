from dataclasses import replace

import pytest

from zenplan.adapters.tables.models import read_models
from zenplan.domain.model.operators import Attention, MatMul
from zenplan.domain.model.workload import Workload
from zenplan.errors import DataError
from zenplan.families.transformer.lowering import lower
from zenplan.families.transformer.shape import Experts, TransformerShape

MODELS = read_models()
GPT3 = MODELS["gpt3-175b"].shape


def layer_saved_bytes(workload: Workload) -> float:
    """Bytes kept for the backward pass by one layer, at two bytes an element."""
    layer = next(b for b in workload.blocks if b.place == "middle")
    return 2 * sum(o.saved_elements for o in layer.operators)


@pytest.mark.parametrize("name", ["gpt3-175b", "gpt3-1.3b", "mt-nlg-530b", "megatron-1t"])
def test_a_gpt_layer_keeps_34_bytes_for_each_element(name: str) -> None:
    # Korthikanti et al. 2022 (arXiv 2205.05198), equation 2 without the part that fused attention leaves out.
    shape = MODELS[name].shape
    assert layer_saved_bytes(lower(shape, name)) == pytest.approx(34 * shape.seq_len * shape.width, rel=0.01)


def test_without_dropout_a_layer_keeps_two_masks_less() -> None:
    shape = replace(GPT3, dropout=False)
    assert layer_saved_bytes(lower(shape, "x")) == pytest.approx(32 * shape.seq_len * shape.width, rel=0.01)


@pytest.mark.parametrize("name", ["gpt2-124m", "gpt3-175b", "mt-nlg-530b", "megatron-1t"])
def test_the_flop_are_those_of_narayanan(name: str) -> None:
    # Narayanan et al. 2021 (arXiv 2104.04473), section 5.1: masked scores are counted, forward and backward.
    s, layers, h, V = (getattr(MODELS[name].shape, f) for f in ("seq_len", "layers", "width", "vocab"))
    workload = lower(MODELS[name].shape, name)
    masked = sum(
        (o.full_flop - o.flop) * b.repeat for b in workload.blocks for o in b.operators if isinstance(o, Attention)
    )
    step = 3 * (workload.flop_per_sample + masked)
    assert step == pytest.approx(72 * s * layers * h**2 * (1 + s / (6 * h) + V / (12 * layers * h)), rel=0.01)


def test_causal_attention_skips_half() -> None:
    workload = lower(GPT3, "x")
    attention = next(o for b in workload.blocks for o in b.operators if isinstance(o, Attention))
    assert attention.flop == pytest.approx(attention.full_flop / 2, rel=0.01)


def test_flop_are_two_for_each_active_parameter_and_token() -> None:
    # Without the attention scores: Kaplan et al. 2020 (arXiv 2001.08361), section 2.1.
    for name in ("llama3-8b", "mixtral-8x7b", "deepseek-v3", "qwen3-30b-a3b"):
        workload = lower(MODELS[name].shape, name)
        scores = sum(o.flop * b.repeat for b in workload.blocks for o in b.operators if isinstance(o, Attention))
        per_token = (workload.flop_per_sample - scores) / workload.tokens_per_sample
        assert per_token == pytest.approx(2 * workload.active_parameters, rel=0.01)


def test_a_mixture_has_fewer_active_parameters_than_parameters() -> None:
    dense = TransformerShape(layers=4, width=512, heads=8, ff_width=2048, vocab=1000, seq_len=128, gated=True)
    mixed = replace(dense, experts=Experts(count=8, active=2, width=2048))
    one, many = lower(dense, "dense"), lower(mixed, "mixed")
    assert many.family == "moe-decoder"
    assert many.experts == 8
    assert many.active_parameters < many.parameters / 2
    assert one.parameters < many.active_parameters + one.parameters < many.parameters + one.parameters
    assert one.flop_per_sample < many.flop_per_sample < 3 * one.flop_per_sample


def test_shared_experts_meet_every_token_and_first_layers_stay_dense() -> None:
    base = TransformerShape(
        layers=4,
        width=512,
        heads=8,
        ff_width=2048,
        vocab=1000,
        seq_len=128,
        experts=Experts(count=8, active=2, width=512, shared_width=1024, dense_layers=1),
    )
    workload = lower(base, "mixed")
    assert [(b.name, b.repeat) for b in workload.blocks if b.place == "middle"] == [("layer", 1), ("expert layer", 3)]
    shared = [o for b in workload.blocks for o in b.operators if o.name == "shared expert up"]
    assert isinstance(shared[0], MatMul)
    assert shared[0].experts == 1


def test_shared_key_value_heads_are_fewer_parameters_and_less_to_keep() -> None:
    full = replace(MODELS["llama2-70b"].shape, kv_heads=None)
    grouped = MODELS["llama2-70b"].shape
    assert lower(grouped, "g").parameters < lower(full, "f").parameters
    assert layer_saved_bytes(lower(grouped, "g")) < layer_saved_bytes(lower(full, "f"))
    # Scores are the same; only the projections shrink.
    assert lower(grouped, "g").flop_per_sample < lower(full, "f").flop_per_sample


@pytest.mark.parametrize("chunks", [1, 2, 4])
def test_chunks_of_a_text_do_not_see_each_other(chunks: int) -> None:
    """Scores of c chunks are a c-th of those of the whole; what else there is, and its bytes, are the same."""
    whole = replace(MODELS["llama3-8b"].shape, seq_len=4096)
    shape = replace(whole, windows=(4096 // chunks,), chunked=True)
    one, all_of_it = (
        next(o for b in lower(s, "x").blocks for o in b.operators if isinstance(o, Attention)) for s in (shape, whole)
    )
    assert one.full_flop == pytest.approx(all_of_it.full_flop / chunks)
    assert one.io_elements == all_of_it.io_elements
    assert lower(shape, "x").parameters == lower(whole, "x").parameters


def test_a_window_is_less_work() -> None:
    shape = MODELS["gemma2-9b"].shape
    workload = lower(shape, "x")
    assert [b.repeat for b in workload.blocks if b.place == "middle"] == [21, 21]
    assert workload.flop_per_sample < lower(replace(shape, windows=()), "y").flop_per_sample


def test_layers_of_an_encoder_decoder() -> None:
    workload = lower(MODELS["t5-base"].shape, "t5")
    assert workload.family == "encoder-decoder"
    assert workload.layers == 24
    assert any(o.name == "cross-attention" for b in workload.blocks for o in b.operators)


def test_a_tied_head_is_counted_once_and_computed_all_the_same() -> None:
    tied = replace(MODELS["llama3-8b"].shape, tied=True)
    untied = MODELS["llama3-8b"].shape
    one, two = lower(tied, "tied"), lower(untied, "untied")
    assert two.parameters - one.parameters == tied.vocab * tied.width
    assert one.flop_per_sample == two.flop_per_sample


@pytest.mark.parametrize(
    "changes",
    [{"heads": 7}, {"kv_heads": 5}, {"layers": 0}, {"family": "cnn"}, {"family": "encoder-decoder"}, {"width": -1}],
)
def test_shapes_that_cannot_be(changes: dict[str, object]) -> None:
    with pytest.raises(DataError):
        replace(GPT3, **changes)  # type: ignore[arg-type]


def test_more_active_experts_than_there_are() -> None:
    with pytest.raises(DataError):
        Experts(count=4, active=5, width=64)
