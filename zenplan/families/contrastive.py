"""CLIP (Radford et al. 2021): an image and its caption through a tower each, and the product of all with all.

A sample is a pair. Towers are those of the paper's ViTs; open_clip's profile has their parameters and FLOP.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from zenplan.domain.model.operators import ElementwiseKind, Embedding, Operator
from zenplan.domain.model.workload import Block, Usual, Workload
from zenplan.families.named import Builder
from zenplan.families.parts import block, convolution, dense, elementwise, loss, side
from zenplan.families.vision import encoder_layers

PAIRS = Usual(
    dataset="WebImageText",
    samples=400_000_000,
    epochs=32,
    global_batch=32_768,
    optimizer="adamw",
    source="Radford et al. 2021, section 2.5",
)


def _clip(
    name: str,
    /,
    *,
    layers: int = 12,
    width: int = 768,
    heads: int = 12,
    patch: int = 32,
    image_size: int = 224,
    text_layers: int = 12,
    text_width: int = 512,
    text_heads: int = 8,
    context: int = 77,
    vocab: int = 49_408,
    embedding: int = 512,
    batch: int = 32_768,
) -> Workload:
    """Two towers into one space.

    Args:
        layers, width, heads, patch: of the image's tower. text_layers, text_width, text_heads: of the caption's.
        context: tokens of a caption, to which all are padded.
        embedding: width of the common space.
        batch: pairs that each pair is compared with: those of all devices.
    """
    rows = side(image_size, patch) ** 2 + 1
    blocks = (
        block("image stem", _image_stem(image_size, patch, width), rows * width, place="first"),
        block("text stem", _text_stem(vocab, text_width, context), context * text_width, place="first"),
        _tower("image layers", layers, width, heads, rows),
        _tower("text layers", text_layers, text_width, text_heads, context),
        block("pairs", _pairs(width, text_width, context, embedding, batch), 0, place="last"),
    )
    return Workload(
        name=name,
        family="vision transformer",
        blocks=blocks,
        tokens_per_sample=1,
        unit="images",
        usual=PAIRS,
        input="image",
    )


def _image_stem(image_size: int, patch: int, width: int) -> list[Operator]:
    patches = side(image_size, patch) ** 2
    size = (patches + 1) * width
    return [
        convolution(
            "patches", 3, width, (patch, patch), patches, input_positions=image_size**2, bias=False, first=True
        ),
        elementwise(ElementwiseKind.OTHER, "positions", size, 3, weights=size + width),
        _norm("norm before", patches + 1, width),
    ]


def _text_stem(vocab: int, width: int, context: int) -> list[Operator]:
    size = context * width
    return [
        Embedding(name="tokens", entries=vocab, width=width, rows=context),
        elementwise(ElementwiseKind.OTHER, "text positions", size, 3, weights=size),
    ]


def _pairs(width: int, text_width: int, context: int, embedding: int, batch: int) -> list[Operator]:
    """Both into the common space, and each against all of the batch: pairs of other devices have their gradients
    there."""
    return [
        _norm("image norm", 1, width),
        dense("image projection", 1, width, embedding, bias=False),
        _norm("text norm", context, text_width),
        dense("text projection", 1, text_width, embedding, bias=False),
        replace(dense("image to text", 1, embedding, batch, bias=False), tied=True),
        replace(dense("text to image", 1, embedding, batch, bias=False), tied=True),
        loss(2, batch),
    ]


def _norm(name: str, rows: int, width: int) -> Operator:
    size = rows * width
    return elementwise(ElementwiseKind.NORM, name, size, 4, kept=size, weights=2 * width)


def _tower(name: str, count: int, width: int, heads: int, rows: int) -> Block:
    from dataclasses import replace

    return replace(encoder_layers(count, width, heads, 4 * width, rows), name=name)


_LARGE = {
    "layers": 24,
    "width": 1024,
    "heads": 16,
    "patch": 14,
    "text_width": 768,
    "text_heads": 12,
    "embedding": 768,
}
_HUGE = {
    "layers": 32,
    "width": 1280,
    "heads": 16,
    "patch": 14,
    "text_layers": 24,
    "text_width": 1024,
    "text_heads": 16,
    "embedding": 1024,
}

MODELS: dict[str, Builder] = {
    "clip-vit-b-32": partial(_clip, "clip-vit-b-32"),
    "clip-vit-b-16": partial(_clip, "clip-vit-b-16", patch=16),
    "clip-vit-l-14": partial(_clip, "clip-vit-l-14", **_LARGE),
    "clip-vit-h-14": partial(_clip, "clip-vit-h-14", **_HUGE),
}
