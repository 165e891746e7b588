"""BEVFormer, as its configuration has it: nobody prints its parameters or FLOP where they could be read."""

from __future__ import annotations

import pytest

from zenplan.families.images.bevformer import bevformer_models

# PyTorch's own layers of these sizes, counted on the meta device: torchvision's residual network without its classifier, the
# offsets of its last two stages, and each layer that the configuration and the code of fundamentalvision/BEVFormer name.
COUNTED = {"bevformer-tiny": 33_520_379, "bevformer-small": 59_462_841, "bevformer-base": 69_034_937}
MODELS = bevformer_models()


@pytest.mark.parametrize("name", COUNTED)
def test_parameters_are_those_of_the_layers(name: str) -> None:
    load = MODELS[name]()
    assert load.parameters == COUNTED[name]
    assert load.unit == "frames"
    # The stem, the first stage and every norm of the residual network are frozen.
    assert load.trainable_parameters < load.parameters


def test_the_residual_network_is_the_published_one() -> None:
    """torchvision prints 4.09 GMAC of ResNet-50 at 224 pixels; the tiny one sees six images of 480 × 800."""
    one = MODELS["bevformer-tiny"](frames=1)
    network = sum(b.flop * b.repeat for b in one.blocks if b.name.startswith("st"))
    assert network == pytest.approx(2 * 4.09e9 * 6 * 480 * 800 / 224**2, rel=0.01)


def test_frames_before_are_worked_on_and_not_learned_from() -> None:
    one, four = (MODELS["bevformer-base"](frames=frames) for frames in (1, 4))
    decoder = sum(b.flop * b.repeat for b in one.blocks if b.name in ("decoder layer", "queries"))
    assert four.flop_per_sample == pytest.approx(4 * one.flop_per_sample - 3 * decoder)
    assert four.parameters == one.parameters
    before = four.flop_per_sample - one.flop_per_sample
    assert four.training_flop_per_sample - one.training_flop_per_sample == pytest.approx(before)
