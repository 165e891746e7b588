"""Language models on texts of one's own: no amount is made up, no text is as long as the model's context."""

from __future__ import annotations

from typing import Any

import pytest

from zenplan.commands.shared.judgement import judgement
from zenplan.commands.shared.training_plan import training_plan
from zenplan.domain.provenance import Fact
from zenplan.domain.range import Range
from zenplan.domain.training.data_set import DataKind, DataSet
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.request import Request
from zenplan.errors import UsageError
from zenplan.families.transformer.recipe import recipe_for, worth_of_passes
from zenplan.families.transformer.samples import KINDS
from zenplan.plugins import load_plugins

FAMILIES = load_plugins({"ZENPLAN_PLUGINS": ""}).workloads()
LANGUAGE = next(family for family in FAMILIES if family.name == "transformer")
DECODERS = [n for n in LANGUAGE.presets() if LANGUAGE.lower({"model": n}).family in ("decoder", "moe-decoder")]


def plan(**options: Any) -> TrainingPlan:
    return training_plan(Request(**options), FAMILIES)


def fact(made: TrainingPlan, name: str) -> Fact:
    found = [f for f in made.facts if f.name == name]
    assert len(found) == 1, [f.name for f in made.facts]
    return found[0]


def data_set(texts: float, mean: float, p95: float | None = None) -> DataSet:
    return DataSet(
        path="chats.jsonl",
        kind=DataKind.CHAT,
        formats=("JSONL",),
        whole=True,
        files=1,
        size_bytes=1_000_000,
        records=Range.exactly(texts),
        tokens=Range.exactly(texts * mean),
        tokens_per_record=Range.exactly(mean),
        p95_tokens=p95,
        read_bytes=1_000_000,
        how="counted",
    )


# --- what must be said


@pytest.mark.parametrize("method", ["lora", "qlora"])
@pytest.mark.parametrize("model", ["llama3-8b", "bert-base", "whisper-small", "vit-base", "stable-diffusion"])
def test_adapters_without_data_are_refused_with_the_ways_to_say_it(model: str, method: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan(model=model, method=method)
    assert "on how much data" in caught.value.message
    assert "--samples" in caught.value.hint
    assert "--data" in caught.value.hint


def test_the_hint_for_a_language_model_has_all_three_ways() -> None:
    with pytest.raises(UsageError) as caught:
        plan(params=7e9, method="lora")
    assert all(way in caught.value.hint for way in ("--samples", "--seq-len", "--tokens", "--data FILE"))
    assert caught.value.exit_code == 2


def test_a_step_of_adapters_needs_no_data() -> None:
    made = training_plan(Request(model="llama3-8b", method="lora", batch=8), FAMILIES, whole_run=False)
    assert made.global_batch == 8


# --- padding


def test_padding_is_computed_as_text_is() -> None:
    asked = {"model": "llama3-8b", "method": "lora", "samples": 10_000, "seq_len": 1024}
    packed, padded = plan(**asked), plan(**asked, padding=0.2)
    assert padded.samples == pytest.approx(packed.samples / 0.8)
    assert padded.epochs == packed.epochs
    said = fact(padded, "padding")
    assert (said.value, said.origin) == ("20 % of a batch", "given")
    assert "padding" not in [f.name for f in packed.facts]


def test_tokens_of_padded_batches_fill_more_sequences() -> None:
    packed, padded = (plan(model="llama3-8b", tokens=1e9, padding=share) for share in (None, 0.5))
    assert padded.tokens == pytest.approx(2 * packed.tokens)


@pytest.mark.parametrize(
    ("options", "word"),
    [({"model": "resnet50", "padding": 0.3}, "samples"), ({"model": "llama3-8b", "padding": 1.0}, "100%")],
)
def test_padding_that_cannot_be_is_refused(options: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan(**options, samples=1e4)
    assert word in caught.value.message
    assert caught.value.hint


# --- how long a text is


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_is_as_long_as_its_kind_and_not_as_the_context(kind: str) -> None:
    made = plan(model="llama3-8b", method="lora", samples=1000.0, data_kind=kind, epochs=1.0)
    assert made.tokens == pytest.approx(1000 * KINDS[kind].tokens)
    length = fact(made, "tokens of a sample")
    assert length.origin == "assumed"
    assert kind in length.value
    assert "–" in length.why
    assert KINDS[kind].low < KINDS[kind].tokens < KINDS[kind].high
    assert "packed" in fact(made, "dataset tokens").why


def test_conversations_are_usual_in_fine_tuning_and_documents_otherwise() -> None:
    tuned = plan(model="llama3-8b", method="qlora", samples=50_000.0, epochs=1.0)
    assert tuned.tokens == pytest.approx(50_000 * KINDS["chat"].tokens)
    # All of a checkpoint is tuned on the same texts as adapters are, so that the two can be compared.
    assert plan(model="llama3-8b", samples=50_000.0, epochs=1.0).tokens == pytest.approx(tuned.tokens)
    assert plan(model="llama3-8b", samples=1e8).tokens == pytest.approx(1e8 * KINDS["documents"].tokens)
    whole = plan(params=8e9, samples=50_000.0, epochs=1.0)
    assert whole.tokens == pytest.approx(50_000 * KINDS["documents"].tokens)
    assert "--data-kind" in fact(tuned, "tokens of a sample").why


def test_a_given_length_is_that_of_each_text() -> None:
    made = plan(model="llama3-8b", method="lora", samples=50_000.0, seq_len=2048, epochs=1.0)
    assert made.samples == 50_000
    assert made.tokens == 50_000 * 2048
    assert fact(made, "tokens of a sample").origin == "given"


def test_a_text_is_cut_to_a_given_length() -> None:
    short = plan(model="llama3-8b", method="lora", samples=100.0, seq_len=512, data_kind="chat", epochs=1.0)
    assert short.tokens == pytest.approx(100 * 512)
    assert "cut to --seq-len" in fact(short, "tokens of a sample").why
    long = plan(model="llama3-8b", method="lora", samples=100.0, seq_len=4096, data_kind="chat", epochs=1.0)
    assert long.tokens == pytest.approx(100 * KINDS["chat"].tokens)


def test_only_fine_tuning_cuts_texts_and_training_from_the_start_packs_them_whole() -> None:
    made = plan(params=1e9, samples=1e8, seq_len=512, data_kind="documents", epochs=1.0)
    assert made.tokens == pytest.approx(1e8 * KINDS["documents"].tokens)
    assert "cut" not in fact(made, "tokens of a sample").why


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("seq_len", [256, 512, 2048])
def test_data_and_samples_are_cut_alike(method: str, seq_len: int) -> None:
    texts, mean = 1_000.0, KINDS["chat"].tokens
    counted = data_set(texts, mean)
    options: dict[str, Any] = {"model": "llama3-8b", "method": method, "seq_len": seq_len, "epochs": 1.0}
    said = plan(samples=texts, data_kind="chat", **options)
    assert plan(data=counted, **options).tokens == pytest.approx(said.tokens) == texts * min(mean, seq_len)


def test_data_say_what_is_cut() -> None:
    options: dict[str, Any] = {"model": "llama3-8b", "method": "lora", "seq_len": 512, "epochs": 1.0}
    much = plan(data=data_set(1_000.0, 2_000.0), **options)
    assert "cut to --seq-len" in fact(much, "dataset tokens").why
    assert any("2.00M" in line and "512K" in line for line in judgement(much))
    # Where only a few are longer, averages do not tell how many tokens go, and the answer says that some do.
    few = plan(data=data_set(1_000.0, 200.0, p95=900.0), **options)
    assert few.tokens == pytest.approx(200_000)
    assert "fewer than this" in fact(few, "dataset tokens").why
    whole = plan(data=data_set(1_000.0, 200.0, p95=400.0), **options)
    assert "dataset tokens" not in {each.name for each in whole.facts}
    assert not any("cut" in line for made in (few, whole) for line in judgement(made))


@pytest.mark.parametrize("name", DECODERS)
def test_adapters_are_trained_at_a_usual_length(name: str) -> None:
    window = LANGUAGE.lower({"model": name}).tokens_per_sample
    made = plan(model=name, method="lora", samples=1000.0)
    assert made.workload.tokens_per_sample == min(2048, window)
    assert made.tokens <= 1000 * 3 * KINDS["chat"].tokens * (1 + 1e-9)
    assert made.samples >= made.global_batch


def test_what_a_founder_asks_costs_dollars() -> None:
    made = plan(model="llama3-8b", method="lora", samples=50_000.0)
    assert 50e6 <= made.tokens <= 150e6
    assert 16 <= made.global_batch <= 128
    assert 100 <= made.steps <= 5000


# --- passes and batches


def test_more_texts_are_never_less_work() -> None:
    for method in ("lora", "full"):
        tokens = [plan(model="llama3-8b", method=method, samples=10.0 ** (n / 2)).tokens for n in range(4, 19)]
        assert tokens == sorted(tokens)
        assert len(set(tokens)) > 5


def test_passes_are_three_over_a_small_set_and_one_over_a_large_one() -> None:
    for method in ("lora", "full"):
        assert plan(model="llama3-8b", method=method, samples=1000.0).epochs == 3
        assert plan(model="llama3-8b", method=method, samples=1e8).epochs == 1
    assert plan(model="llama3-8b", method="lora", tokens=1e6).epochs == 1
    assert plan(model="llama3-8b", method="lora", dataset_bytes=4e6).tokens == pytest.approx(3e6)
    assert plan(model="llama3-8b", method="lora", samples=1000.0, epochs=5.0).epochs == 5


def test_the_batch_is_no_larger_than_the_data() -> None:
    for samples in (1.0, 3.0, 40.0):
        made = plan(model="llama3-8b", method="lora", samples=samples, seq_len=2048)
        assert made.global_batch <= samples
    assert plan(params=1e9, tokens=100_000.0, batch=512).global_batch == 100_000 // 4096


# --- judgement


def test_nothing_is_said_of_what_is_usual() -> None:
    assert judgement(plan(params=1e9)) == ()
    assert judgement(plan(model="resnet50")) == ()
    assert judgement(plan(model="llama3-8b", method="lora", samples=50_000.0)) == ()


def test_too_little_text_is_said_with_what_it_is_enough_for() -> None:
    (line,) = judgement(plan(params=3e9, dataset_bytes=20e9))
    assert "8.3 %" in line
    assert "four passes" in line
    assert "250M" in line
    assert "Muennighoff" in line


def test_passes_are_said_with_what_they_are_worth() -> None:
    lines = judgement(plan(params=3e9, dataset_bytes=20e9, epochs=4.0))
    assert any("3.7" in line and "passes" in line for line in lines)
    lines = judgement(plan(params=3e9, dataset_bytes=20e9, epochs=60.0))
    assert any("next to nothing" in line for line in lines)


def test_more_than_the_optimum_is_said() -> None:
    made = plan(params=1e9, tokens=1e12)
    (line,) = judgement(made)
    assert f"{1e12 / recipe_for(made.workload).optimum:.1f} ×" in line
    assert "smaller model to serve" in line


def test_a_handful_of_tokens_is_no_training_from_the_start() -> None:
    lines = judgement(plan(model="llama3-8b", samples=50_000.0))
    assert len(lines) == 1
    assert "fine-tune" in lines[0]


def test_few_steps_are_said() -> None:
    lines = judgement(plan(model="llama3-8b", method="lora", samples=300.0))
    assert any("optimizer steps" in line for line in lines)
    assert any("1 optimizer step," in line for line in judgement(plan(model="resnet50", samples=1.0, epochs=1.0)))


def test_passes_over_the_same_data_are_worth_less_and_less() -> None:
    worth = [worth_of_passes(n) for n in (0.5, 1, 2, 4, 16, 64, 1e6)]
    assert worth[:2] == [0.5, 1.0]
    # Muennighoff et al. 2023: up to four passes are nearly as good as new; R* = 15.4.
    assert worth[3] == pytest.approx(3.73, abs=0.01)
    assert worth == sorted(worth)
    assert worth[-1] == pytest.approx(16.4)


@pytest.mark.parametrize("model", ["esm2-8m", "esm2-650m"])
def test_samples_of_a_protein_model_are_proteins_and_not_judged_as_text(model: str) -> None:
    made = plan(model=model, samples=1e6)
    assert made.tokens == pytest.approx(1e6 * KINDS["proteins"].tokens)
    assert "protein" in fact(made, "tokens of a sample").why
    assert not any("arXiv" in line for line in judgement(made))
    # A residue is a letter.
    assert plan(model=model, dataset_bytes=1e9).tokens == pytest.approx(1e9, rel=1e-3)
    assert plan(model=model, samples=1e6, data_kind="documents").tokens == pytest.approx(7e8)


def test_a_protein_model_by_its_configuration_is_one_too() -> None:
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    config = {"model_type": "esm", "vocab_size": 33, "position_embedding_type": "rotary", **sizes}
    assert plan(config=config, samples=1e6).tokens == pytest.approx(1e6 * KINDS["proteins"].tokens)
