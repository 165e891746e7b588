import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.domain.provenance import Origin
from zenplan.errors import UsageError
from zenplan.families.configurations.reading import TYPES, shape_from_config
from zenplan.families.transformer.lowering import lower
from zenplan.families.transformer.shape import TransformerShape, with_seq_len

# Configurations as transformers 5.23 writes them, and the parameters that it counts in the model it builds.
PUBLISHED: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "huggingface_configs.json").read_text(encoding="utf-8")
)
LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": False,
}


def refused(config: Any, seq_len: Any = None) -> UsageError:
    with pytest.raises(UsageError) as error:
        shape_from_config(config, seq_len)
    assert error.value.hint
    assert "\n" not in error.value.message + error.value.hint
    return error.value


def test_a_shape_has_the_parameters_that_transformers_counts() -> None:
    for name in PUBLISHED:
        shape, _ = shape_from_config(PUBLISHED[name]["config"], 512)
        # What a shape leaves out: norms on queries and keys, biases of the head and of some products only.
        assert lower(shape, name).parameters == pytest.approx(PUBLISHED[name]["parameters"], rel=5e-4), name


def test_the_text_part_of_a_multi_modal_configuration_is_taken() -> None:
    text = PUBLISHED["gemma3-27b"]["config"]
    outer = {"model_type": "gemma3", "vision_config": {"hidden_size": 1152}, "text_config": text}
    assert shape_from_config(outer, 512) == shape_from_config(text | {"model_type": "gemma3_text"}, 512)


def test_what_stands_around_the_text_says_whether_its_head_is_tied() -> None:
    text = PUBLISHED["gemma3-27b"]["config"] | {"tie_word_embeddings": True}
    assert not shape_from_config({"model_type": "gemma3", "text_config": text, "tie_word_embeddings": False})[0].tied
    assert shape_from_config({"model_type": "gemma3", "text_config": text})[0].tied
    refused({"model_type": "gemma3", "text_config": text, "tie_word_embeddings": "no"})


def test_what_is_absent_is_taken_from_hugging_face_and_told() -> None:
    config = {k: v for k, v in LLAMA.items() if k not in ("tie_word_embeddings", "max_position_embeddings")}
    shape, facts = shape_from_config(config, None)
    assert (shape.tied, shape.seq_len) == (False, 2048)
    assumed = {f.name: f for f in facts if f.origin is Origin.ASSUMED}
    assert assumed["tie_word_embeddings"].value == "false"
    assert "Hugging Face default" in assumed["max_position_embeddings"].why


def test_a_complete_configuration_assumes_nothing() -> None:
    _, facts = shape_from_config(LLAMA, 4096)
    assert facts == ()


def test_a_long_reach_is_not_the_length_of_training() -> None:
    shape, facts = shape_from_config(LLAMA | {"max_position_embeddings": 131072}, None)
    assert shape.seq_len == 8192
    assert next(f for f in facts if f.name == "sequence length").origin is Origin.ASSUMED


def test_null_key_value_heads_are_as_many_as_heads() -> None:
    mistral = PUBLISHED["mistral-7b"]["config"]
    assert shape_from_config(mistral | {"num_key_value_heads": None}, 512)[0].kv_heads is None
    absent = {k: v for k, v in mistral.items() if k != "num_key_value_heads"}
    assert shape_from_config(absent, 512)[0].kv_heads == 8


def test_windows() -> None:
    mistral, gemma = PUBLISHED["mistral-7b"]["config"], PUBLISHED["gemma2-9b"]["config"]
    gemma = {k: v for k, v in gemma.items() if k != "layer_types"}
    qwen = PUBLISHED["qwen2.5-7b"]["config"] | {"max_window_layers": 20, "sliding_window": 4096}
    qwen = {k: v for k, v in qwen.items() if k != "layer_types"}
    assert set(shape_from_config(mistral, 8192)[0].windows) == {4096}
    assert shape_from_config(mistral, 4096)[0].windows == ()
    assert shape_from_config(mistral | {"sliding_window": None}, 8192)[0].windows == ()
    assert shape_from_config(gemma, 8192)[0].windows[:3] == (4096, None, 4096)
    assert shape_from_config(qwen, 8192)[0].windows == ()
    assert shape_from_config(qwen | {"use_sliding_window": True}, 8192)[0].windows.count(None) == 20
    kinds = ["full_attention"] * 41 + ["sliding_attention"]
    assert shape_from_config(gemma | {"layer_types": kinds}, 8192)[0].windows.count(4096) == 1
    assert "layer_types" in refused(gemma | {"layer_types": kinds[1:]}, 8192).message


def test_dense_layers_of_a_mixture() -> None:
    qwen = PUBLISHED["qwen3-30b-a3b"]["config"]

    def dense(**changes: Any) -> int:
        experts = shape_from_config(qwen | changes, 512)[0].experts
        assert experts is not None
        return experts.dense_layers

    assert dense() == 0
    assert dense(decoder_sparse_step=2) == 24
    assert dense(mlp_only_layers=[0, 1, 99]) == 2
    assert shape_from_config(qwen | {"decoder_sparse_step": 49}, 512)[0].experts is None
    assert "mlp_only_layers" in refused(qwen | {"mlp_only_layers": "all"}).message


def test_a_learned_position_table_grows() -> None:
    shape, facts = shape_from_config(PUBLISHED["gpt2"]["config"], 2048)
    assert (shape.positions, shape.seq_len) == (2048, 2048)
    assert next(f for f in facts if f.name == "position table").origin is Origin.ASSUMED


def test_the_narrow_embedding_of_opt_350m_is_told() -> None:
    _, facts = shape_from_config(PUBLISHED["opt-1.3b"]["config"] | {"word_embed_proj_dim": 512}, 512)
    assert any(f.name == "word_embed_proj_dim" for f in facts)


@pytest.mark.parametrize("model_type", ["lama", "cnn", "x" * 10_000, "a\nb"])
def test_an_unknown_type_with_the_keys_of_a_decoder_is_read_by_them_and_said(model_type: str) -> None:
    shape, facts = shape_from_config(LLAMA | {"model_type": model_type}, 4096)
    assert replace(shape, guessed=False) == shape_from_config(LLAMA, 4096)[0]
    assert shape.guessed
    told = next(f for f in facts if f.name == "model type")
    assert told.origin is Origin.ASSUMED
    assert len(told.value) < 100
    assert "\n" not in told.value


def test_an_unknown_mixture_is_read_by_its_keys() -> None:
    known = PUBLISHED["qwen3-30b-a3b"]["config"]
    shape, _ = shape_from_config(known | {"model_type": "another"}, 512)
    assert shape.experts == shape_from_config(known, 512)[0].experts


@pytest.mark.parametrize("gone", ["num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size"])
def test_an_unknown_type_without_the_keys_of_a_decoder_is_refused(gone: str) -> None:
    error = refused({key: value for key, value in LLAMA.items() if key != gone} | {"model_type": "cnn"})
    assert "'model_type'" in error.message
    assert "--params" in error.hint
    assert "--active-params" in error.hint


@pytest.mark.parametrize("model_type", [7, [], {"a": 1}])
def test_a_type_that_is_no_text_is_refused(model_type: Any) -> None:
    assert "'model_type'" in refused(LLAMA | {"model_type": model_type}).message


@pytest.mark.parametrize("config", [None, 3, "llama", [LLAMA], {}, {"text_config": LLAMA}])
def test_what_is_no_configuration_is_refused(config: Any) -> None:
    refused(config)


WRONG = (0, -1, True, 1.5, 4096.0, 1e30, math.nan, math.inf, 10**30, 10**5000, "4096", [4096], {"a": 1})


@pytest.mark.parametrize("value", WRONG, ids=range(len(WRONG)))
@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"])
def test_a_wrong_value_is_named(key: str, value: Any) -> None:
    assert f"'{key}'" in refused(LLAMA | {key: value}).message


@pytest.mark.parametrize("key", ["hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size"])
def test_a_missing_field_is_named(key: str) -> None:
    assert f"'{key}'" in refused({k: v for k, v in LLAMA.items() if k != key}).message
    assert f"'{key}'" in refused(LLAMA | {key: None}).message


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"num_attention_heads": 33}, "num_attention_heads"),
        ({"num_key_value_heads": 5}, "num_key_value_heads"),
        ({"num_key_value_heads": 64}, "num_key_value_heads"),
        ({"tie_word_embeddings": "no"}, "tie_word_embeddings"),
    ],
)
def test_fields_that_do_not_go_together_are_named(changes: dict[str, Any], key: str) -> None:
    assert f"'{key}'" in refused(LLAMA | changes).message


def test_more_active_experts_than_experts() -> None:
    error = refused(PUBLISHED["mixtral-8x7b"]["config"] | {"num_experts_per_tok": 9})
    assert "'num_experts_per_tok'" in error.message


LENGTHS = (0, -5, True, 1.5, 10**8, 10**5000, "512", math.nan)


@pytest.mark.parametrize("seq_len", LENGTHS, ids=range(len(LENGTHS)))
def test_a_sequence_length_that_is_not_possible(seq_len: Any) -> None:
    refused(LLAMA, seq_len)
    with pytest.raises(UsageError, match="sequence length"):
        with_seq_len(shape_from_config(LLAMA, 512)[0], seq_len)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 10**6)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([10**400, 1e30, "gated-gelu", "sliding_attention", *TYPES])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)
KEYS = sorted({key for each in PUBLISHED.values() for key in each["config"]} | {"text_config", "layer_types"})


def one_line(error: UsageError) -> None:
    assert "\n" not in error.message + error.hint
    assert len(error.message) < 400


def answer(config: Any, seq_len: int | None) -> None:
    """Either a shape that can be lowered, or a usage error on one line; nothing else."""
    try:
        shape, _ = shape_from_config(config, seq_len)
    except UsageError as error:
        one_line(error)
    else:
        assert isinstance(shape, TransformerShape)
        assert math.isfinite(lower(shape, "any").parameters)


@settings(max_examples=300, deadline=None)
@given(VALUES, st.none() | st.integers(-1, 10**5))
def test_any_json_is_answered(config: Any, seq_len: int | None) -> None:
    answer(config, seq_len)


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(sorted(PUBLISHED)),
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3),
    st.sets(st.sampled_from(KEYS), max_size=2),
    st.none() | st.integers(1, 10**5),
)
def test_any_change_of_a_real_configuration_is_answered(
    name: str, changes: dict[str, Any], gone: set[str], seq_len: int | None
) -> None:
    config = PUBLISHED[name]["config"] | changes
    answer({key: value for key, value in config.items() if key not in gone}, seq_len)


def test_a_deep_configuration_is_no_recursion() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for key in (*LLAMA, "text_config", "sliding_window", "layer_types"):
        answer(LLAMA | {key: deep}, None)
    while deep:  # taken apart by hand: its destructor would recurse
        deep = deep[0]
