"""Stable Diffusion 3 and FLUX.1, as diffusers 0.42.1 builds them: their makers print rounded parameters and no FLOP."""

from __future__ import annotations

import pytest

from zenplan.families.joint_diffusion import MODELS

# Parameters, FLOP of one latent of 1,024 pixels with 154 (FLUX: 512) tokens by PyTorch's counter, and the billions that
# the model cards print: 12 of FLUX (black-forest-labs/flux), 2 and 8.1 of Stability AI. What its card calls 2.5 of SD 3.5
# medium has more in it than the network.
COUNTED = {
    "flux-dev": (11_901_408_320, 74_384_653_418_496, 12),
    "flux-schnell": (11_891_178_560, None, 12),
    "sd3-medium": (2_028_328_000, 8_437_355_053_056, 2),
    "sd3.5-medium": (2_243_171_520, 10_782_591_221_760, None),
    "sd3.5-large": (8_056_627_520, 29_596_766_900_224, 8.1),
}


@pytest.mark.parametrize("name", COUNTED)
def test_as_diffusers_counts_them(name: str) -> None:
    parameters, flop, billions = COUNTED[name]
    load = MODELS[name]()
    assert load.parameters == parameters
    if flop:
        assert load.flop_per_sample == flop
    if billions:
        assert load.parameters == pytest.approx(1e9 * billions, rel=0.02)
    assert (load.family, load.unit) == ("diffusion", "images")


def test_a_text_of_more_words_is_more_work_and_no_more_weights() -> None:
    short, long = (MODELS["sd3-medium"](words=words) for words in (154, 333))
    assert long.parameters == short.parameters
    assert long.flop_per_sample == 8_904_337_539_072
    assert MODELS["flux-dev"](image_size=512).flop_per_sample < 0.3 * MODELS["flux-dev"]().flop_per_sample
