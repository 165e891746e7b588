"""Diffusion models: DiT, Stable Diffusion's network and its image encoder.

They learn on latents, an eighth of the image's side, and on embeddings of the text, both computed beforehand as MLPerf
and DiT's training do; ``sd-vae-encoder`` is what computes them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from zenplan.domain.model.operators import Elementwise, ElementwiseKind, Embedding, Operator
from zenplan.domain.model.workload import Block, Usual, Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.families.named import Builder
from zenplan.families.parts import block, convolution, dense, elementwise
from zenplan.families.unet import Shape, encoder, network
from zenplan.families.vision import encoder_layers, side

IMAGENET = Usual(
    dataset="ImageNet-1k, as latents",
    samples=1_281_167,
    epochs=80,
    global_batch=256,
    optimizer="adamw",
    source="Peebles & Xie 2023, section 4: 400,000 steps",
)
IMAGENET_LONG = replace(IMAGENET, epochs=1400, source="Peebles & Xie 2023, section 5.1: 7 million steps")
# Its steps at 256 before those, a fifth of them all, are of another image size.
LAION = Usual(
    dataset="LAION-2B-en, as latents",
    samples=2_320_000_000,
    epochs=0.8245,
    global_batch=2048,
    optimizer="adamw",
    source="CompVis, model card of Stable Diffusion 1.4: 934,000 steps at 512",
)
MLPERF = Usual(
    dataset="LAION-400M, filtered, as latents",
    samples=6_513_144,
    epochs=0.7,
    global_batch=1024,
    optimizer="adamw",
    source="MLPerf Training v4.0, stable_diffusion",
)
_LATENTS = Fact(
    name="input", value="latents", origin=Origin.ASSUMED, why="images and texts are encoded once, before the training"
)
_LATENT_CHANNELS, _STRIDE = 4, 8


def _modulated(layer: Block, width: int, rows: int) -> Block:
    """The layer with norms that have no weights, but scales, shifts and gates made from the step and the class."""
    size = rows * width
    plain = [replace(op, weights=0.0) if isinstance(op, Elementwise) else op for op in layer.operators]
    operators: list[Operator] = [
        dense("modulation", 1, width, 6 * width),
        *plain,
        elementwise(ElementwiseKind.OTHER, "scales and shifts", 2 * size, 4, kept=2 * size),
        elementwise(ElementwiseKind.OTHER, "gates", 2 * size, 2, kept=2 * size),
    ]
    return replace(layer, operators=tuple(operators))


def _dit(
    name: str,
    usual: Usual,
    /,
    *,
    layers: int = 12,
    width: int = 768,
    heads: int = 12,
    patch: int = 2,
    image_size: int = 256,
    classes: int = 1000,
) -> Workload:
    """DiT (Peebles & Xie 2023): a transformer over patches of the latent, told the step and the class by its norms."""
    latent = side(image_size, _STRIDE)
    rows = side(latent, patch) ** 2
    size, area = rows * width, patch * patch
    stem: list[Operator] = [
        convolution("patches", _LATENT_CHANNELS, width, (patch, patch), rows, input_positions=latent**2, first=True),
        elementwise(ElementwiseKind.OTHER, "positions", size, 3, weights=size),
        dense("step 1", 1, 256, width, first=True),
        dense("step 2", 1, width, width),
        Embedding(name="class", entries=classes + 1, width=width, rows=1),
    ]
    head: list[Operator] = [
        dense("final modulation", 1, width, 2 * width),
        elementwise(ElementwiseKind.NORM, "final norm", size, 4, kept=size),
        # The noise and its variance, for each element of the patch.
        dense("noise", rows, width, 2 * area * _LATENT_CHANNELS),
        elementwise(
            ElementwiseKind.LOSS, "loss", latent**2 * 2 * _LATENT_CHANNELS, 4, kept=latent**2 * 2 * _LATENT_CHANNELS
        ),
    ]
    blocks = (
        block("patches", stem, size, place="first"),
        _modulated(encoder_layers(layers, width, heads, 4 * width, rows), width, rows),
        block("head", head, 0, place="last"),
    )
    return Workload(
        name=name, family="diffusion", blocks=blocks, tokens_per_sample=1, unit="images", usual=usual, facts=(_LATENTS,)
    )


def _unet(name: str, usual: Usual | None, shape: Shape, /, *, image_size: int = 512, words: int = 77) -> Workload:
    """Stable Diffusion's network at that image size; ``words``: tokens of the text."""
    # The network halves the latent once less than it has levels.
    latent = side(image_size, _STRIDE * 2 ** (len(shape.channels) - 1)) * 2 ** (len(shape.channels) - 1)
    return Workload(
        name=name,
        family="diffusion",
        blocks=network(replace(shape, words=words), latent),
        tokens_per_sample=1,
        unit="images",
        usual=usual,
        facts=(_LATENTS,),
    )


def _vae_encoder(*, image_size: int = 512) -> Workload:
    """The encoder that makes latents of images."""
    side(image_size, _STRIDE)
    return Workload(
        name="sd-vae-encoder",
        family="diffusion",
        blocks=encoder(image_size),
        tokens_per_sample=1,
        unit="images",
        usual=replace(LAION, dataset="LAION-2B-en"),
        input="image",
    )


_SIZES: dict[str, dict[str, int]] = {
    "s": {"layers": 12, "width": 384, "heads": 6},
    "b": {"layers": 12, "width": 768, "heads": 12},
    "l": {"layers": 24, "width": 1024, "heads": 16},
    "xl": {"layers": 28, "width": 1152, "heads": 16},
}
_TEXT_2 = Shape(head_dim=64, context=1024)
_XL = Shape(channels=(320, 640, 1280), depths=(0, 2, 10), head_dim=64, context=2048, pooled=2816)

MODELS: dict[str, Builder] = {
    **{
        f"dit-{size}-{patch}": partial(
            _dit, f"dit-{size}-{patch}", IMAGENET_LONG if size == "xl" else IMAGENET, patch=patch, **numbers
        )
        for size, numbers in _SIZES.items()
        for patch in (2, 4, 8)
    },
    "stable-diffusion": partial(_unet, "stable-diffusion", LAION, Shape()),
    "stable-diffusion-2": partial(_unet, "stable-diffusion-2", MLPERF, _TEXT_2),
    # How long it learned at that size, and on what, is not published (Podell et al. 2023, section 3).
    "sdxl": partial(_unet, "sdxl", None, _XL, image_size=1024),
    "sd-vae-encoder": _vae_encoder,
}
