"""Llama 3.2 Vision: some layers of the language model attend to the image, whose tokens are not among those of the text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from zenplan.domain.model.operators import Operator
from zenplan.families.configurations.extras import few, norm
from zenplan.families.configurations.fields import MOST_ENTRIES, MOST_HEADS, MOST_LAYERS, Fields
from zenplan.families.configurations.images import Tower
from zenplan.families.configurations.types import ModelType, Outside
from zenplan.families.parts import block, convolution
from zenplan.families.transformer.lowering import layers_of
from zenplan.families.transformer.shape import LayerKind, TransformerShape

Sizes = Mapping[str, Any]
# Every fifth layer from the fourth on (transformers 5.24, MllamaTextConfig).
_USUAL = (3, 8, 13, 18, 23, 28, 33, 38)
# An image of 560 pixels in patches of 14 and one more token, in four tiles.
_SEEN = 4 * 1601
# Rows that the tokens of a tile are filled up to (MllamaVisionModel.forward).
_FILLED = 8


def _crossing(fields: Fields, sizes: Sizes) -> tuple[LayerKind, ...]:
    head = sizes["head_dim"] or sizes["width"] // sizes["heads"]
    places = fields.raw("cross_attention_layers")
    if places is not None and places != []:
        places = fields.numbers("cross_attention_layers", least=0, longest=MOST_LAYERS)
    chosen = set(_USUAL if places is None else places)
    # Beside the norms of queries and keys, a gate of attention and one of the feed-forward network.
    seeing = LayerKind(cross=_SEEN, weights=2.0 * head + 2.0)
    return tuple(seeing if layer in chosen else LayerKind() for layer in range(sizes["layers"]))


def _further(fields: Fields, sizes: Sizes, tokens: int) -> Outside:
    """Eight words more in the table than in the head."""
    return (few("further words", 8 * sizes["width"]),), ()


MLLAMA = ModelType(keys={"head_dim": ""}, defaults={"kv_heads": 8, "reach": 131_072}, stack=_crossing, outside=_further)


def at_images(shape: TransformerShape, seen: int) -> TransformerShape:
    """The shape whose layers that attend to images see so many tokens of them."""
    kinds = tuple(replace(kind, cross=max(1, seen)) if kind.cross else kind for kind in shape.kinds)
    return replace(shape, kinds=kinds)


def _stem(fields: Fields, sizes: tuple[int, int, int, int], width: int) -> list[Operator]:
    """Patches of each tile, with where they are."""
    edge, patch, channels, tiles = sizes
    patches = max(1, edge // patch) ** 2
    ratios = fields.raw("supported_aspect_ratios")
    shapes = 1 + (len(ratios) if isinstance(ratios, list) and ratios else 8)
    # Tables of the tiles' places before and behind, of the positions in each, and the gates of these three.
    tables = 2 * shapes * tiles * width + (patches + 1) * width * (1 + shapes * tiles) + width + 3
    return [
        convolution(
            "image patches",
            channels,
            width,
            (patch, patch),
            tiles * patches,
            input_positions=tiles * edge**2,
            bias=False,
            first=True,
        ),
        few("image positions", tables),
        norm("image norm before", tiles * (patches + 1), width),
    ]


def tiled_tower(fields: Fields) -> Tower:
    """The tower over the tiles of one image, which see each other.

    Raises:
        InputFileError: a field is missing or wrong.
    """
    width, heads = fields.needed("hidden_size"), fields.needed("attention_heads", default=16, most=MOST_HEADS)
    layers = fields.needed("num_hidden_layers", most=MOST_LAYERS)
    further = fields.count("num_global_layers", default=8, most=MOST_LAYERS)
    patch, tiles = fields.edge("patch_size", default=14), fields.needed("max_num_tiles", default=4, most=100)
    edge, channels = fields.edge("image_size", default=448), fields.needed("num_channels", default=3)
    patches = max(1, edge // patch) ** 2
    rows, filled = tiles * (patches + 1), tiles * -(-(patches + 1) // _FILLED) * _FILLED
    stem = _stem(fields, (edge, patch, channels, tiles), width)
    shape = TransformerShape(
        family="encoder",
        layers=layers + further,
        width=width,
        heads=heads,
        head_dim=max(1, width // heads),
        ff_width=fields.needed("intermediate_size", most=MOST_ENTRIES),
        vocab=1,
        seq_len=filled,
        biases=False,
    )
    middle = layers_of(shape)[0]
    biases = few("image biases", shape.ff_width + width)
    blocks = (
        block("image patches", stem, rows * width, place="first"),
        replace(middle, name="image layer", operators=(*middle.operators, biases)),
        block(
            "image norm", [norm("image norm after", rows, width), few("image gates", 2 * further or 1)], rows * width
        ),
    )
    return Tower(blocks=blocks, tokens=rows, width=width, heads=heads)
