import pytest

from zenplan.adapters.tables.models import read_models
from zenplan.errors import DataError, UnknownName
from zenplan.families.transformer.lowering import lower
from zenplan.families.transformer.presets import Preset, find, plain

PRESETS = read_models()


def test_the_operators_have_as_many_parameters_as_were_published() -> None:
    for name in PRESETS:
        preset = PRESETS[name]
        assert lower(preset.shape, name).parameters == pytest.approx(preset.parameters, rel=preset.tolerance), name


def test_only_the_counts_that_gpt3_rounds_are_given_more_than_one_percent() -> None:
    loose = {p.name for p in PRESETS.values() if p.tolerance > 0.01}
    assert loose == {"gpt3-350m", "gpt3-1.3b", "gpt3-2.7b", "gpt3-13b"}
    assert all(p.tolerance <= 0.02 for p in PRESETS.values())


@pytest.mark.parametrize(
    ("name", "published", "active"),
    [
        ("gpt2-124m", 124.4e6, None),
        ("llama3-8b", 8.03e9, None),
        ("llama2-7b", 6.738e9, None),
        ("bert-large", 336e6, None),
        ("t5-11b", 11.3e9, None),
        ("llama3.1-405b", 405e9, None),
        # Active: Jiang et al. 2024 say 13B; DeepSeek's README_WEIGHTS 36.6B with the head; Qwen 22B.
        ("mixtral-8x7b", 46.7e9, 12.9e9),
        ("deepseek-v3", 671e9, 36.6e9),
        ("qwen3-235b-a22b", 235e9, 22e9),
    ],
)
def test_well_known_counts(name: str, published: float, active: float | None) -> None:
    workload = lower(PRESETS[name].shape, name)
    assert workload.parameters == pytest.approx(published, rel=0.01)
    if active is not None:
        assert workload.active_parameters == pytest.approx(active, rel=0.02)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("GPT2-124M", "gpt2-124m"),
        ("gpt2", "gpt2-124m"),
        ("meta-llama/Llama-3.1-8B", "llama3-8b"),
        ("llama 2 70b", "llama2-70b"),
        ("Llama_2_7b_hf", "llama2-7b"),
        ("GPT3-1.3B", "gpt3-1.3b"),
        ("gpt3_1_3b", "gpt3-1.3b"),
        ("gpt3-13b", "gpt3-13b"),
        ("pythia-1.4b", "pythia-1.4b"),
        ("Qwen/Qwen3-30B-A3B", "qwen3-30b-a3b"),
    ],
)
def test_a_name_is_found_whatever_its_case_and_punctuation(typed: str, name: str) -> None:
    assert find(PRESETS, typed).name == name


@pytest.mark.parametrize("typed", ["llama9-8b", "", "/", "gpt3", "llama", "7b"])
def test_a_part_of_a_name_is_no_name(typed: str) -> None:
    if typed == "gpt3":  # the one size that everybody means
        assert find(PRESETS, typed).name == "gpt3-175b"
        return
    with pytest.raises(UnknownName) as error:
        find(PRESETS, typed)
    assert error.value.hint


def test_plain_keeps_a_dot_between_digits() -> None:
    assert plain("org/GPT-3 1.3B") == "gpt3.1.3b"
    assert plain("Mixtral-8x7B") == "mixtral8x7b"


def test_a_preset_needs_a_source_and_a_known_status() -> None:
    shape = PRESETS["gpt2-124m"].shape
    with pytest.raises(DataError, match="status"):
        Preset(name="x", shape=shape, parameters=1.0, source="a paper", status="guessed", date="2026-01-01")
    with pytest.raises(DataError, match="source"):
        Preset(name="x", shape=shape, parameters=1.0, source=" ", status="read", date="2026-01-01")
