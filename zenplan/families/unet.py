"""The U-shaped network of Stable Diffusion (Rombach et al. 2022), and the encoder of its images."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain.model.operators import Attention, ElementwiseKind, Operator, Role
from zenplan.domain.model.workload import Block
from zenplan.families.parts import block, convolution, dense, elementwise

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
        Attention(
            name=name,
            heads=heads,
            kv_heads=heads,
            key_dim=per_head,
            value_dim=per_head,
            queries=rows,
            keys=keys,
            causal=False,
        ),
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
        Attention(
            name="attention",
            heads=1,
            kv_heads=1,
            key_dim=width,
            value_dim=width,
            queries=across**2,
            keys=across**2,
            causal=False,
        ),
        dense("attention output", across**2, width, width, role=Role.ATTENTION),
        elementwise(ElementwiseKind.SUM, "attention sum", size, 3),
        *residual("block 2", width, width, across**2),
        *norm_and_activation("leave", size, width),
        convolution("leave", width, latent, _THREE, across**2),
        convolution("mean and deviation", latent, latent, _ONE, across**2),
    ]
    return (*blocks, block("middle", middle, 0, place="last"))
