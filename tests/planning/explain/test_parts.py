"""Models of several parts: images of a sequence, and parts that do not learn."""

from __future__ import annotations

from typing import Any

import pytest

from zenplan.adapters.tables.configurations import read_type_defaults
from zenplan.domain.model.operators import MatMul, Role
from zenplan.domain.model.workload import Block, Workload
from zenplan.domain.training.layout import Layout, Recompute
from zenplan.errors import UsageError
from zenplan.families.configurations.reading import workload_from_config
from zenplan.planning.explain.method import with_adapters, with_frozen
from zenplan.planning.physics.blocks import block_passes
from zenplan.planning.physics.memory import peak_memory

VISION = {"hidden_size": 256, "image_size": 224, "intermediate_size": 1024, "num_attention_heads": 4}
VISION |= {"num_hidden_layers": 6, "patch_size": 14, "vision_use_head": False}
TEXT = {"model_type": "gemma3_text", "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 4}
SEES: dict[str, Any] = {"model_type": "gemma3", "text_config": TEXT, "vision_config": VISION, "mm_tokens_per_image": 64}
PAIR: dict[str, Any] = {"model_type": "clip", "text_config": {}, "vision_config": {}}


def model(config: dict[str, Any], images: int | None = None, seq_len: int | None = 512) -> Workload:
    return workload_from_config(config, seq_len, read_type_defaults(), images)[0]


def part(load: Workload, name: str) -> list[Block]:
    return [b for b in load.blocks if b.part == name]


def flop(load: Workload, name: str) -> float:
    return sum(b.training_flop * b.repeat for b in part(load, name))


def test_each_image_is_the_work_of_a_tower_and_tokens_of_the_sequence() -> None:
    one, two, three = (model(SEES, images) for images in (1, 2, 3))
    assert model(SEES).blocks == one.blocks
    assert (three.images, three.image_tokens, three.tokens_per_sample) == (3, 192, 512)
    for name in ("vision", "projector"):
        assert flop(three, name) == pytest.approx(3 * flop(one, name))
    assert flop(three, "text") == flop(one, "text")
    assert one.parameters == two.parameters == three.parameters


def test_without_images_the_weights_of_the_tower_are_there_and_do_nothing() -> None:
    text, one = model(SEES, 0), model(SEES, 1)
    assert text.parameters == one.parameters
    assert flop(text, "vision") == flop(text, "projector") == 0
    tower = sum(b.parameters * b.repeat for n in ("vision", "projector") for b in part(one, n))
    assert text.trainable_parameters == one.trainable_parameters - tower


@pytest.mark.parametrize("config", [SEES, TEXT, PAIR, {"model_type": "vit", "hidden_size": 768}])
def test_images_that_do_not_fit_or_are_not_seen_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="images"):
        model(config, 9)


def test_a_frozen_tower_has_a_forward_pass_alone() -> None:
    whole = model(SEES)
    frozen = with_frozen(whole, ("vision", "projector"))
    for name in ("vision", "projector"):
        assert all(b.passed for b in part(frozen, name))
        assert flop(frozen, name) == sum(b.flop * b.repeat for b in part(whole, name)) > 0
    assert flop(frozen, "text") == flop(whole, "text")
    assert frozen.parameters == whole.parameters
    learned = sum(b.parameters * b.repeat for b in part(whole, "text"))
    assert frozen.trainable_parameters == pytest.approx(learned)


def test_a_projector_that_learns_behind_a_frozen_tower_needs_no_gradient_of_its_input() -> None:
    (projector,) = part(with_frozen(model(SEES), ("vision",)), "projector")
    products = [op for op in projector.operators if isinstance(op, MatMul)]
    assert [op.trainable for op in products] == [True] * len(products)
    assert not products[0].input_gradient
    assert not projector.passed


def test_gradients_go_through_a_frozen_language_model_to_the_projector() -> None:
    whole, alone = model(SEES), with_frozen(model(SEES), ("vision", "text"))
    embedding, *layers = part(alone, "text")
    assert embedding.passed
    assert not any(b.passed for b in layers)
    assert all(op.input_gradient and not op.trainable for b in layers for op in b.operators if isinstance(op, MatMul))
    assert alone.trainable_parameters == sum(b.parameters for b in part(whole, "projector"))


def test_two_towers_learn_apart() -> None:
    whole = model(PAIR)
    for one, other in (("vision", "text"), ("text", "vision")):
        frozen = with_frozen(whole, (one,))
        assert all(b.passed for b in part(frozen, one))
        assert part(frozen, other) == part(whole, other)
        assert not frozen.blocks[-1].passed


def test_adapters_are_in_the_parts_that_learn() -> None:
    adapted = with_frozen(with_adapters(model(SEES), without=("vision",)), ("vision",))
    found = {b.part for b in adapted.blocks for op in b.operators if isinstance(op, MatMul) and op.role is Role.ADAPTER}
    assert found == {"projector", "text"}
    # A layer that repeats hands its gradient on to the one before it.
    layers = [b for b in part(adapted, "text") if b.repeat > 1]
    assert all(op.input_gradient for b in layers for op in b.operators if isinstance(op, MatMul))


@pytest.mark.parametrize("parts", [("audio",), ("vision", "audio")])
def test_a_part_that_is_not_there_is_refused(parts: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="audio"):
        with_frozen(model(SEES), parts)


@pytest.mark.parametrize("recompute", list(Recompute))
def test_what_is_frozen_keeps_nothing_and_has_no_gradients(make: Any, recompute: Recompute) -> None:
    whole = model(SEES, 4)
    columns = make.columns(Layout(micro_batch=8, recompute=recompute))
    full, frozen = (
        peak_memory(make.plan(load), columns).at(0) for load in (whole, with_frozen(whole, ("vision", "projector")))
    )
    tower = sum(b.parameters * b.repeat for n in ("vision", "projector") for b in part(whole, n))
    assert full.weights_bytes == pytest.approx(frozen.weights_bytes)
    assert full.gradients_bytes - frozen.gradients_bytes == pytest.approx(4 * tower)
    assert full.optimizer_bytes - frozen.optimizer_bytes == pytest.approx(12 * tower)
    text = peak_memory(make.plan(model(SEES, 0)), columns).at(0)
    assert frozen.activations_bytes == pytest.approx(text.activations_bytes, rel=1e-3)
    assert frozen.activations_bytes < full.activations_bytes


def test_a_passed_block_takes_the_time_of_its_forward_pass(make: Any) -> None:
    whole = model(SEES)
    plan, columns = make.plan(whole), make.columns(Layout(recompute=Recompute.FULL))
    hardware = make.hardware(make.cluster())
    frozen = with_frozen(whole, ("vision",))
    for before, after in zip(part(whole, "vision"), part(frozen, "vision"), strict=True):
        both, ahead = (block_passes(b, plan, columns, hardware) for b in (before, after))
        assert ahead.forward.total_s == pytest.approx(both.forward.total_s)
        assert ahead.backward.total_s == ahead.again.total_s == 0
        assert both.backward.total_s > 0
