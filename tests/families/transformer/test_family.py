from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.adapters.tables.models import read_models
from zenplan.domain.provenance import Origin
from zenplan.errors import UnknownName, UsageError
from zenplan.families.configurations.reading import workload_from_config
from zenplan.families.transformer.family import TransformerFamily
from zenplan.protocols import WorkloadFamily

FAMILY = TransformerFamily(read_models, workload_from_config)
LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 1024,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 1000,
    "_name_or_path": "me/tiny-llama",
}


def facts(**options: Any) -> dict[str, Any]:
    return {fact.name: fact for fact in FAMILY.lower(options).facts}


def test_it_is_a_workload_family() -> None:
    assert isinstance(FAMILY, WorkloadFamily)
    assert FAMILY.name == "transformer"
    assert "gpt2-124m" in FAMILY.presets()


def test_every_preset_is_lowered() -> None:
    for name in FAMILY.presets():
        workload = FAMILY.lower({"model": name})
        assert workload.name == name, name
        assert workload.flop_per_sample > 0, name


def test_a_preset_says_where_it_comes_from() -> None:
    told = facts(model="Meta-Llama-3-8B", config=None, params=None)
    assert told["model"].value == "llama3-8b"
    assert told["model"].origin is Origin.GIVEN
    assert told["shape"].origin is told["sequence length"].origin is Origin.PUBLISHED
    assert "read" in told["shape"].why


def test_a_given_sequence_length_is_given() -> None:
    workload = FAMILY.lower({"model": "llama3-8b", "seq_len": 4096})
    assert workload.tokens_per_sample == 4096
    for options in ({"model": "llama3-8b"}, {"params": 1e9}, {"config": LLAMA}):
        assert facts(**options, seq_len=1024)["sequence length"].origin is Origin.GIVEN
        assert FAMILY.lower({**options, "seq_len": 1024}).tokens_per_sample == 1024


def test_a_presets_length_is_that_of_its_training() -> None:
    # Nine tenths of BERT's steps have 128 tokens, though it takes 512.
    assert FAMILY.lower({"model": "bert-base"}).tokens_per_sample == 128
    assert FAMILY.lower({"model": "bert-base", "seq_len": 512}).tokens_per_sample == 512
    for name, preset in read_models().items():
        published = preset.pretraining.seq_len if preset.pretraining else None
        told = facts(model=name)["sequence length"]
        assert told.value == str(published or preset.shape.seq_len), name
        assert told.origin is (Origin.PUBLISHED if published else Origin.ASSUMED), name
        assert told.why, name


def test_a_preset_knows_its_makers_recipe_and_nothing_else_does() -> None:
    found = FAMILY.lower({"model": "llama3-8b", "seq_len": 4096}).pretraining
    assert found is not None
    assert found.tokens == 15e12
    for options in ({"params": 8e9}, {"config": LLAMA}):
        assert FAMILY.lower(options).pretraining is None


def test_gpt2_beyond_its_position_table() -> None:
    assert facts(model="gpt2", seq_len=2048)["position table"].origin is Origin.ASSUMED
    assert "position table" not in facts(model="gpt2", seq_len=512)


def test_an_encoder_decoders_both_sides_have_the_given_length() -> None:
    short, usual = (FAMILY.lower({"model": "t5-base", "seq_len": s}) for s in (256, 512))
    assert short.flop_per_sample < usual.flop_per_sample / 2


def test_a_configuration() -> None:
    workload = FAMILY.lower({"config": LLAMA})
    assert workload.name == "tiny-llama"
    assert FAMILY.lower({"config": LLAMA | {"_name_or_path": "a\nb"}}).name == "llama"
    assert facts(config=LLAMA)["tie_word_embeddings"].origin is Origin.ASSUMED
    assert facts(config=LLAMA)["model configuration"].origin is Origin.GIVEN


def test_a_size() -> None:
    workload = FAMILY.lower({"params": 7e9})
    assert workload.name == "7.00B parameters"
    assert workload.family == "decoder"
    assert facts(params=7e9)["parameters"].origin is Origin.GIVEN
    mixture = FAMILY.lower({"params": 47e9, "active_params": 13e9})
    assert mixture.name == "47.0B parameters, 13.0B active"
    assert mixture.family == "moe-decoder"


def test_an_unknown_model_names_the_nearest() -> None:
    with pytest.raises(UnknownName) as error:
        FAMILY.lower({"model": "llama3-9b"})
    assert "llama3-8b" in error.value.hint
    with pytest.raises(UnknownName) as error:
        FAMILY.lower({"model": "zzzzzz"})
    assert "zenplan workloads" in error.value.hint


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"model": None},
        {"seq_len": 512},
        {"model": "gpt2", "params": 1e9},
        {"model": "gpt2", "config": LLAMA},
        {"model": "gpt2", "active_params": 1e8},
        {"config": LLAMA, "active_params": 1e8},
        {"model": 3},
        {"config": "config.json"},
        {"params": "7B"},
        {"params": 1e40},
        {"model": "gpt2", "seq_len": 0},
        {"params": 1e9, "seq_len": 10_000_001},
        {"config": LLAMA, "seq_len": 1.5},
        {"model": "gpt2", "sequence": 1},
        {"params": 1e9, "active_params": 2e9},
    ],
)
def test_options_that_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as error:
        FAMILY.lower(options)
    assert error.value.hint
    assert "\n" not in error.value.message + error.value.hint


def one_line(error: UsageError) -> None:
    assert "\n" not in error.message + error.hint


@settings(max_examples=200, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "model": st.text(max_size=10) | st.sampled_from(["gpt2", "llama3-8b"]),
            "config": st.just(LLAMA) | st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
            "params": st.floats() | st.integers(),
            "active_params": st.none() | st.floats(),
            "seq_len": st.none() | st.integers(),
        },
    )
)
def test_any_options_are_answered(options: dict[str, Any]) -> None:
    try:
        assert FAMILY.lower(options).parameters > 0
    except UsageError as error:
        one_line(error)
