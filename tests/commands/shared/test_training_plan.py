"""Plans of models that are not language models: their data, batch, optimizer and software, and what contradicts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from zenplan.adapters.tables.configurations import read_type_defaults
from zenplan.adapters.tables.models import read_models
from zenplan.commands.shared.training_plan import training_plan
from zenplan.domain.model.operators import Convolution, MatMul, Split
from zenplan.domain.model.workload import Block, Usual, Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.request import Request
from zenplan.errors import DataError, UnknownName, UsageError
from zenplan.families.configurations.reading import workload_from_config
from zenplan.families.named import LazyFamily, NamedFamily
from zenplan.families.transformer.family import TransformerFamily
from zenplan.plugins import load_plugins

USUAL = Usual(dataset="Toys", samples=1000.0, epochs=10.0, global_batch=64, optimizer="sgd-momentum", source="a paper")
PRODUCT = MatMul(name="head", rows=1, inner=8, columns=10, split=Split.NONE)


def toynet(image_size: int = 32, width: int = 8) -> Workload:
    """A convolution and a head."""
    size = float(image_size**2 * width)
    convolution = Convolution(
        name="3 × 3",
        positions=float(image_size**2),
        window=9,
        inputs=width,
        outputs=width,
        input_elements=size,
        output_elements=size,
    )
    blocks = (
        Block(name="stage", operators=(convolution,), repeat=4),
        Block(name="head", operators=(PRODUCT,), place="last"),
    )
    return Workload(
        name="toynet", family="convnet", blocks=blocks, tokens_per_sample=1, unit="images", usual=USUAL, input="image"
    )


def unusual() -> Workload:
    """The same, without a usual way to train it."""
    return replace(toynet(), name="unusual", usual=None, unit="samples", input="")


def talker(seq_len: int = 100) -> Workload:
    """A model of sequences that has a usual way to be trained."""
    block = Block(name="layer", operators=(replace(PRODUCT, rows=seq_len),))
    return Workload(name="talker", family="recurrent", blocks=(block,), tokens_per_sample=seq_len, usual=USUAL)


FAMILIES = (
    NamedFamily("toys", {"toy-net-50": toynet, "unusual": unusual}),
    LazyFamily("talkers", lambda: {"talker": talker}),
    TransformerFamily(
        presets=read_models,
        reader=lambda config, seq_len, images: workload_from_config(config, seq_len, read_type_defaults(), images),
    ),
)


def plan(**options: Any) -> TrainingPlan:
    return training_plan(Request(**options), FAMILIES)


def fact(made: TrainingPlan, name: str) -> Fact:
    found = [f for f in made.facts if f.name == name]
    assert len(found) == 1, [f.name for f in made.facts]
    return found[0]


# --- how much


def test_what_is_usual_for_the_model_is_taken() -> None:
    made = plan(model="toy-net-50")
    assert made.samples == 10_000
    assert (made.global_batch, made.optimizer.name, made.steps) == (64, "sgd-momentum", 157)
    for name, value in (
        ("samples", "1.00K, Toys"),
        ("epochs", "10"),
        ("global batch", "64 images"),
        ("optimizer", "sgd-momentum"),
    ):
        assert fact(made, name).value == value
        assert fact(made, name).origin == "published"
        assert "a paper" in fact(made, name).why


def test_what_is_given_comes_first() -> None:
    made = plan(model="toy-net-50", samples=500.0, epochs=2.0, batch=10, optimizer="lion")
    assert (made.samples, made.global_batch, made.optimizer.name) == (1000.0, 10, "lion")
    for name in ("samples", "epochs", "global batch", "optimizer"):
        assert fact(made, name).origin == "given"


def test_other_data_are_passed_over_as_is_usual_for_a_set_of_that_size() -> None:
    made = plan(model="toy-net-50", samples=500.0)
    assert made.samples == 500.0 * made.epochs == 15_000.0
    assert fact(made, "epochs").origin == "assumed"
    assert plan(model="toy-net-50", epochs=1.0).samples == 1000.0


def test_sequences_may_be_counted_by_tokens_or_by_samples() -> None:
    assert plan(model="talker").tokens == 1000 * 10 * 100
    assert plan(model="talker", tokens=5000.0).samples == 50
    assert plan(model="talker", samples=7.0, epochs=1.0).tokens == 700
    made = plan(model="talker", batch=3)
    assert made.global_batch == 3
    assert fact(made, "global batch").value == "300 tokens (3 × 100)"
    assert plan(model="talker", global_batch_tokens=3200.0).global_batch == 32


def test_a_language_model_may_be_counted_by_samples() -> None:
    made = plan(params=1e8, seq_len=1024, samples=1000.0, batch=10, epochs=1.0)
    assert made.tokens == 1_024_000
    assert made.global_batch == 10
    assert plan(params=1e8, seq_len=1024, samples=1000.0, epochs=3.0).tokens == 3_072_000


def test_a_model_without_a_usual_way_needs_its_data() -> None:
    with pytest.raises(UsageError, match="nothing says how much data there is") as caught:
        plan(model="unusual")
    assert "--samples" in caught.value.hint
    made = plan(model="unusual", samples=1e6)
    assert made.global_batch == 256
    assert fact(made, "global batch").origin == "assumed"
    assert (made.optimizer.name, made.samples) == ("adamw", 1e6)
    assert plan(model="unusual", samples=100.0).global_batch == 100


def test_a_step_alone_needs_no_data() -> None:
    made = training_plan(Request(model="unusual", batch=32), FAMILIES, whole_run=False)
    assert made.global_batch == 32
    assert training_plan(Request(model="toy-net-50"), FAMILIES, whole_run=False).global_batch == 64


# --- what is trained


@pytest.mark.parametrize("name", ["toy-net-50", "ToyNet50", "TOY_NET_50", "google/toy-net-50"])
def test_any_spelling_of_a_name(name: str) -> None:
    assert plan(model=name).workload.name == "toynet"


def test_parameters_of_a_named_model() -> None:
    small, large = plan(model="toynet50:image_size=16"), plan(model="toynet50:width=16", image_size=64)
    assert large.workload.flop_per_sample > 50 * small.workload.flop_per_sample
    assert fact(small, "image size").origin == "given"
    assert fact(large, "image size").value == "64"


@pytest.mark.parametrize(
    ("name", "near"), [("toynet5", "toy-net-50"), ("talkr", "talker"), ("toy_nets:width=4", "toy-net-50")]
)
def test_the_nearest_names_of_all_families(name: str, near: str) -> None:
    with pytest.raises(UnknownName, match=f"unknown model '{name.partition(':')[0]}'") as caught:
        plan(model=name)
    assert near in caught.value.hint


def test_a_model_by_its_flop() -> None:
    made = plan(params=25.6e6, flop_per_sample=8.2e9, activations_per_sample=11.1e6, samples=1e6)
    load = made.workload
    assert load.parameters == pytest.approx(25.6e6)
    assert load.flop_per_sample == pytest.approx(8.2e9)
    assert (load.family, load.unit, load.input) == ("convnet", "samples", "")
    assert fact(made, "kind").origin == "assumed"
    assert "160 times" in fact(made, "kind").why
    assert "activations" not in {f.name for f in made.facts}


def test_a_model_that_uses_each_weight_once_is_a_stack_of_dense_layers() -> None:
    made = plan(params=1e6, flop_per_sample=2e6, samples=1e6)
    assert made.workload.family == "mlp"
    assert made.workload.flop_per_sample == pytest.approx(2e6)
    assert fact(made, "activations").origin == "assumed"


@pytest.mark.parametrize(("backend", "software"), [("jax", "jax"), ("tensorflow", "xla"), ("torch", "eager")])
def test_a_keras_model_is_trained_as_it_was_counted(backend: str, software: str) -> None:
    counted = replace(unusual(), name="mine", family="keras", backend=backend)
    made = plan(keras=counted, samples=1e5, epochs=2.0)
    assert made.workload.flop_per_sample == counted.flop_per_sample
    assert made.samples == 2e5
    assert fact(made, "software").value == software


# --- with what


def test_the_software_that_such_models_run_in() -> None:
    assert fact(plan(model="toy-net-50"), "software").value == "eager"
    assert fact(plan(model="toy-net-50", software="xla"), "software").origin == "given"
    assert fact(plan(params=1e8), "software").value == "fused"


def test_facts_are_only_of_what_the_model_has() -> None:
    convnet, language = ({f.name for f in made.facts} for made in (plan(model="toy-net-50"), plan(params=1e8)))
    assert "feature maps" in convnet - language
    assert "attention" in language - convnet


# --- what contradicts


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"model": "toy-net-50", "tokens": 1e9}, "--tokens counts text, and toynet is trained on images", "--samples"),
        ({"model": "toy-net-50", "dataset_bytes": 1e9}, "--dataset-size counts text", "--samples"),
        ({"model": "toy-net-50", "global_batch_tokens": 1e6}, "--global-batch counts text", "--batch"),
        ({"model": "toy-net-50", "seq_len": 128}, "toy-net-50 has no --seq-len", "it has image_size, width"),
        ({"model": "toy-net-50", "active_params": 1e6}, "toy-net-50 has no", "it has image_size, width"),
        ({"model": "talker", "image_size": 32}, "talker has no --image-size", "it has seq_len"),
        ({"model": "toy-net-50:depth=3"}, "toy-net-50 has no parameter 'depth=3'", "it has image_size, width"),
        ({"model": "toy-net-50:width=wide"}, "width of toy-net-50", ""),
        ({"params": 1e8, "image_size": 32}, "--image-size does not go with --params", "named model"),
        (
            {"params": 1e8, "activations_per_sample": 1e6},
            "--activations-per-sample does not go with --params",
            "--flops-per-sample",
        ),
        (
            {"params": 1e8, "flop_per_sample": 1e9, "seq_len": 8},
            "--seq-len does not go with --flops-per-sample",
            "sequences",
        ),
        (
            {"params": 1e8, "flop_per_sample": 1e9, "active_params": 1e7},
            "--active-params does not go with --flops-per-sample",
            "mixture",
        ),
        (
            {"params": 1e8, "flop_per_sample": 1e9, "tokens": 1e9, "samples": 1e6},
            "--tokens and --samples contradict",
            "one of them",
        ),
        ({"model": "talker", "flop_per_sample": 1e9}, "--flops-per-sample does not go with --model", "--params"),
        ({"flop_per_sample": 1e9}, "nothing says what to train", "--params"),
        ({"keras": unusual(), "model": "talker"}, "--model and --keras contradict", "give one"),
        ({"keras": unusual(), "image_size": 32}, "--image-size does not go with --keras", "named model"),
        ({"keras": unusual(), "samples": 10.0, "tokens": 5.0}, "--tokens and --samples contradict", "one of them"),
        (
            {"model": "talker", "batch": 3, "global_batch_tokens": 300.0},
            "--global-batch and --batch contradict",
            "one of them",
        ),
        (
            {"model": "talker", "samples": 3.0, "dataset_bytes": 300.0},
            "--dataset-size and --samples contradict",
            "one of them",
        ),
        ({"model": "toy-net-50", "samples": 1e17, "epochs": 11.0}, "images are beyond what zenplan plans for", "most"),
        (
            {"params": 1e8, "tokens": 1e9, "data_kind": "chat"},
            "--data-kind says how long the texts of --samples are",
            "leave",
        ),
        ({"model": "toy-net-50", "samples": 10.0, "data_kind": "chat"}, "toynet takes samples as they are", "leave"),
        ({"model": "toy-net-50", "method": "lora"}, "nothing of toynet would be trained", "--method full"),
    ],
)
def test_a_request_that_cannot_be_meant(options: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan(**options)
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize("field", ["samples", "batch", "image_size", "flop_per_sample", "activations_per_sample"])
def test_a_request_has_no_zeros(field: str) -> None:
    values: dict[str, Any] = {field: 0}
    with pytest.raises(DataError, match=field):
        Request(**values)


# --- the families as they come


def test_every_named_model_has_a_plan() -> None:
    families = load_plugins({"ZENPLAN_PLUGINS": ""}).workloads()
    names = [name for family in families for name in family.presets()]
    assert len(names) == len(set(names))
    for name in names:
        made = training_plan(Request(model=name), families, whole_run=False)
        assert made.samples >= made.global_batch > 0, name
        assert made.workload.training_flop_per_sample > 0, name


def test_a_named_language_model_is_trained_as_its_makers_did() -> None:
    made = plan(model="gpt3-175b")
    assert made.samples * made.workload.tokens_per_sample == pytest.approx(300e9)
    assert made.global_batch * made.workload.tokens_per_sample == pytest.approx(3.2e6, rel=0.05)
    assert fact(made, "tokens").origin is fact(made, "global batch").origin is Origin.PUBLISHED


@pytest.mark.parametrize(
    ("given", "tokens", "batch"),
    [
        ({"tokens": 1e12}, 1e12, 3.2e6),
        ({"global_batch_tokens": 1e6}, 300e9, 1e6),
        ({"batch": 512}, 300e9, 512 * 2048),
        ({"seq_len": 4096}, 300e9, 3.2e6),
        ({"epochs": 2.0}, 600e9, 3.2e6),
        ({"samples": 1e9, "seq_len": 1024}, 1024e9, 3.2e6),
    ],
)
def test_what_is_given_comes_before_what_was_published(given: dict[str, Any], tokens: float, batch: float) -> None:
    made = plan(model="gpt3-175b", **given)
    length = made.workload.tokens_per_sample
    assert made.samples * length == pytest.approx(tokens)
    assert made.global_batch * length == pytest.approx(batch, rel=0.05)


def test_a_size_and_a_configuration_go_on_with_twenty_tokens_a_parameter() -> None:
    made = plan(params=1e9)
    assert made.samples * made.workload.tokens_per_sample == pytest.approx(20e9, rel=0.01)
    assert fact(made, "tokens").origin is Origin.ASSUMED


# --- models that see


SEES = {
    "model_type": "gemma3",
    "text_config": {"model_type": "gemma3_text", "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 4},
    "vision_config": {"hidden_size": 64, "image_size": 224, "patch_size": 14, "num_attention_heads": 4},
    "mm_tokens_per_image": 256,
}


def test_texts_have_their_images_beside_them() -> None:
    chats = {"config": SEES, "samples": 8_000, "data_kind": "chat", "epochs": 1.0}
    text, two = plan(**chats, images=0, seq_len=4096), plan(**chats, images=2, seq_len=4096)
    assert two.tokens - text.tokens == pytest.approx(8_000 * 2 * 256)
    # Texts share a sequence, and each brings its own.
    assert two.workload.images == round(2 * 4096 / (1_000 + 2 * 256))
    assert two.samples * two.workload.images == pytest.approx(8_000 * 2, rel=0.1)
    assert fact(two, "images a sequence").origin == "derived"


def test_texts_that_fill_a_sequence_have_their_images_in_it() -> None:
    made = plan(config=SEES, samples=8_000, seq_len=2048, images=3, epochs=1.0)
    assert (made.samples, made.workload.images, made.workload.image_tokens) == (8_000, 3, 768)


def test_adapters_are_trained_at_the_usual_length_or_with_the_images_beside_it() -> None:
    lengths = [
        plan(config=SEES, tokens=1e7, method="lora", images=images).workload.tokens_per_sample for images in (1, 7, 8)
    ]
    assert lengths == [2048, 2048, 2048 + 8 * 256]


def test_parts_that_are_frozen_do_not_learn_and_it_is_told() -> None:
    whole = plan(config=SEES, tokens=1e7, seq_len=1024)
    made = plan(config=SEES, tokens=1e7, seq_len=1024, freeze=("vision", "projector"))
    assert made.workload.trainable_parameters < whole.workload.trainable_parameters
    assert made.workload.training_flop_per_sample < whole.workload.training_flop_per_sample
    assert fact(made, "frozen").value == "vision, projector"
    with pytest.raises(UsageError, match="nothing of gemma3"):
        plan(config=SEES, tokens=1e7, freeze=("vision", "projector", "text"))
