"""Diffusion models: DiT, Stable Diffusion's network and its image encoder.

They learn on latents, an eighth of the image's side, and on embeddings of the text, both computed beforehand as MLPerf
and DiT's training do; ``sd-vae-encoder`` is what computes them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from zenplan.domain.model.operators import Elementwise, ElementwiseKind, Embedding, Operator, Role
from zenplan.domain.model.workload import Block, Usual, Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.families.named import Builder
from zenplan.families.parts import attention, block, convolution, dense, elementwise, side
from zenplan.families.vision import encoder_layers

# --- the network of Stable Diffusion

_ONE, _THREE = (1, 1), (3, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The numbers that define such a network.

    Attributes:
        channels: of each level, from the largest maps to the smallest.
        depths: transformer layers after each block of a level; 0 for none. The middle has as many as the last level
            that has any.
        head_dim: width of one attention head; 0 where there are 8 heads at every level.
        context, words: width and number of the text's embeddings.
        pooled: width of what else is said of the image, 0 for nothing.
    """

    channels: tuple[int, ...] = (320, 640, 1280, 1280)
    depths: tuple[int, ...] = (1, 1, 1, 0)
    head_dim: int = 0
    context: int = 768
    words: int = 77
    pooled: int = 0
    latent_channels: int = 4
    blocks: int = 2


def norm_and_activation(name: str, size: float, channels: float) -> list[Operator]:
    """A group norm and a SiLU, each of which keeps its input."""
    return [
        elementwise(ElementwiseKind.NORM, f"{name} norm", size, 3, kept=size, weights=2 * channels),
        elementwise(ElementwiseKind.ACTIVATION, f"{name} activation", size, 2, kept=size),
    ]


def residual(name: str, inputs: int, outputs: int, positions: int, step: int = 0) -> list[Operator]:
    """Two convolutions, told the step by ``step`` numbers, and the sum with what came in."""
    size = positions * outputs
    told: list[Operator] = [dense(f"{name} step", 1, step, outputs)] if step else []
    turned: list[Operator] = (
        [convolution(f"{name} turned", inputs, outputs, _ONE, positions)] if inputs != outputs else []
    )
    return [
        *norm_and_activation(f"{name} 1", positions * inputs, inputs),
        convolution(f"{name} convolution 1", inputs, outputs, _THREE, positions),
        *told,
        *norm_and_activation(f"{name} 2", size, outputs),
        convolution(f"{name} convolution 2", outputs, outputs, _THREE, positions),
        *turned,
        elementwise(ElementwiseKind.SUM, f"{name} sum", size, 3),
    ]


def _attend(name: str, width: int, heads: int, rows: int, keys: int, context: int) -> list[Operator]:
    """A norm, attention to the image itself (``context`` 0) or to the text, and the sum with what came in."""
    size, per_head = rows * width, width // heads
    products = [dense(f"{name} query-key-value", rows, width, 3 * width, role=Role.KEY_VALUE, bias=False)]
    if context:
        # The text is kept once for all layers.
        products = [
            dense(f"{name} query", rows, width, width, role=Role.ATTENTION, bias=False),
            dense(
                f"{name} key-value", keys, context, 2 * width, role=Role.KEY_VALUE, bias=False, first=True, kept=False
            ),
        ]
    return [
        elementwise(ElementwiseKind.NORM, f"{name} norm and sum", size, 4, kept=size, weights=2 * width),
        *products,
        attention(name, heads, per_head, rows, keys=keys),
        dense(f"{name} output", rows, width, width, role=Role.ATTENTION),
    ]


def transformer(shape: Shape, width: int, positions: int, depth: int) -> list[Operator]:
    """``depth`` layers of attention to the image, to the text and a gated network, between two products."""
    heads = width // shape.head_dim if shape.head_dim else 8
    size, wide = positions * width, 4 * width
    operators: list[Operator] = [
        elementwise(ElementwiseKind.NORM, "transformer norm", size, 3, kept=size, weights=2 * width),
        dense("transformer in", positions, width, width),
    ]
    for _ in range(depth):
        operators += [
            *_attend("self-attention", width, heads, positions, positions, 0),
            *_attend("text attention", width, heads, positions, shape.words, shape.context),
            elementwise(ElementwiseKind.NORM, "feed-forward norm and sum", size, 4, kept=size, weights=2 * width),
            dense("feed-forward up", positions, width, 2 * wide),
            elementwise(
                ElementwiseKind.ACTIVATION, "feed-forward gate", positions * wide, 3, kept=2 * positions * wide
            ),
            dense("feed-forward down", positions, wide, width),
        ]
    return [
        *operators,
        dense("transformer out", positions, width, width),
        elementwise(ElementwiseKind.SUM, "transformer sum", size, 3),
    ]


def network(shape: Shape, latent: int) -> tuple[Block, ...]:
    """The way down, the middle, and the way up, whose blocks also read what the way down left."""
    first, step = shape.channels[0], 4 * shape.channels[0]
    stem = [dense("step 1", 1, first, step, first=True), dense("step 2", 1, step, step)]
    if shape.pooled:
        stem += [dense("pooled 1", 1, shape.pooled, step, first=True), dense("pooled 2", 1, step, step)]
    enter = convolution("enter", shape.latent_channels, first, _THREE, latent**2, first=True)
    blocks = [block("enter", [*stem, enter], latent**2 * first)]
    left, width, across = [first], first, latent
    for level, (channels, depth) in enumerate(zip(shape.channels, shape.depths, strict=True)):
        for number in range(1, shape.blocks + 1):
            blocks.append(_stage(f"down {level + 1}.{number}", shape, width, channels, across, step, depth))
            width = channels
            left.append(width)
        if level < len(shape.channels) - 1:
            across //= 2
            halved = convolution("halve", width, width, _THREE, across**2, input_positions=4 * across**2)
            blocks.append(block(f"halve {level + 1}", [halved], across**2 * width))
            left.append(width)
    middle = [
        *residual("block 1", width, width, across**2, step),
        *transformer(shape, width, across**2, max(shape.depths[-2:])),
        *residual("block 2", width, width, across**2, step),
    ]
    blocks.append(block("middle", middle, across**2 * width))
    for level in reversed(range(len(shape.channels))):
        channels, depth = shape.channels[level], shape.depths[level]
        for number in range(1, shape.blocks + 2):
            inputs = width + left.pop()
            blocks.append(_stage(f"up {level + 1}.{number}", shape, inputs, channels, across, step, depth))
            width = channels
        if level:
            across *= 2
            doubled = convolution("double", width, width, _THREE, across**2)
            blocks.append(block(f"double {level + 1}", [doubled], across**2 * width))
    leave = [
        *norm_and_activation("leave", latent**2 * first, first),
        convolution("leave", first, shape.latent_channels, _THREE, latent**2),
        elementwise(ElementwiseKind.LOSS, "loss", latent**2 * shape.latent_channels, 4),
    ]
    return (*blocks, block("leave", leave, 0, place="last"))


def _stage(name: str, shape: Shape, inputs: int, channels: int, across: int, step: int, depth: int) -> Block:
    operators = residual("block", inputs, channels, across**2, step)
    if depth:
        operators += transformer(shape, channels, across**2, depth)
    return block(name, operators, across**2 * channels)


def encoder(image_size: int, channels: tuple[int, ...] = (128, 256, 512, 512)) -> tuple[Block, ...]:
    """The encoder of Stable Diffusion's autoencoder: an image to mean and deviation of its latent."""
    across, width, latent = image_size, channels[0], 8
    enter = convolution("enter", 3, width, _THREE, across**2, first=True)
    blocks = [block("enter", [enter], across**2 * width, place="first")]
    for level, outputs in enumerate(channels):
        operators = residual("block 1", width, outputs, across**2) + residual("block 2", outputs, outputs, across**2)
        width = outputs
        if level < len(channels) - 1:
            across //= 2
            operators.append(convolution("halve", width, width, _THREE, across**2, input_positions=4 * across**2))
        blocks.append(block(f"level {level + 1}", operators, across**2 * width))
    size = across**2 * width
    middle: list[Operator] = [
        *residual("block 1", width, width, across**2),
        elementwise(ElementwiseKind.NORM, "attention norm", size, 3, kept=size, weights=2 * width),
        dense("attention query-key-value", across**2, width, 3 * width, role=Role.KEY_VALUE),
        attention("attention", 1, width, across**2),
        dense("attention output", across**2, width, width, role=Role.ATTENTION),
        elementwise(ElementwiseKind.SUM, "attention sum", size, 3),
        *residual("block 2", width, width, across**2),
        *norm_and_activation("leave", size, width),
        convolution("leave", width, latent, _THREE, across**2),
        convolution("mean and deviation", latent, latent, _ONE, across**2),
    ]
    return (*blocks, block("middle", middle, 0, place="last"))


# --- models


IMAGENET = Usual(
    dataset="ImageNet-1k, as latents",
    samples=1_281_167,
    epochs=80,
    global_batch=256,
    optimizer="adamw",
    source="Peebles & Xie 2023, section 4: 400,000 steps",
    task="generation",
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
    task="generation",
)
# Of that data set only what was seen is published: 850,000 steps at its image size, after 550,000 at half of it.
LAION_5B = Usual(
    dataset="LAION-5B, filtered, as latents",
    samples=850_000 * 2048,
    epochs=1,
    global_batch=2048,
    optimizer="adamw",
    source="Stability AI, model card of Stable Diffusion 2 base: 850,000 steps at 512",
    task="generation",
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
    "stable-diffusion-2": partial(_unet, "stable-diffusion-2", LAION_5B, _TEXT_2),
    # How long it learned at that size, and on what, is not published (Podell et al. 2023, section 3).
    "sdxl": partial(_unet, "sdxl", None, _XL, image_size=1024),
    "sd-vae-encoder": _vae_encoder,
}
