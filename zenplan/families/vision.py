"""Vision transformers: ViT and DeiT, Swin with its windows, and the image encoder of SAM.

Their layers are those of ``families.transformer.lowering``; what is their own is how an image becomes tokens, and which of
them see each other.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from zenplan.domain.model.operators import Attention, ElementwiseKind, MatMul, Operator, Role
from zenplan.domain.model.workload import Block, Usual, Workload
from zenplan.errors import UsageError
from zenplan.families.named import Builder
from zenplan.families.parts import block, check_heads, convolution, dense, elementwise, loss, side
from zenplan.families.transformer.lowering import layers_of
from zenplan.families.transformer.shape import TransformerShape

_IMAGES = 1_281_167
_SAM_WHOLE = 4  # layers of SAM that see the whole image
VIT = Usual(
    dataset="ImageNet-1k",
    samples=_IMAGES,
    epochs=300,
    global_batch=4096,
    optimizer="adamw",
    source="Dosovitskiy et al. 2021, table 3",
)
DEIT = Usual(
    dataset="ImageNet-1k",
    samples=_IMAGES,
    epochs=300,
    global_batch=1024,
    optimizer="adamw",
    source="Touvron et al. 2021, table 9",
)
SWIN = Usual(
    dataset="ImageNet-1k",
    samples=_IMAGES,
    epochs=300,
    global_batch=1024,
    optimizer="adamw",
    source="Liu et al. 2021, appendix A2.1",
)
SWIN_22K = Usual(
    dataset="ImageNet-22k",
    samples=14_197_122,
    epochs=90,
    global_batch=4096,
    optimizer="adamw",
    source="Liu et al. 2021, appendix A2.1",
)
SA_1B = Usual(
    dataset="SA-1B",
    samples=11_000_000,
    epochs=2,
    global_batch=256,
    optimizer="adamw",
    source="Kirillov et al. 2023, appendix A: 90,000 steps of 256 images",
    task="detection",
)


def encoder_layers(count: int, width: int, heads: int, ff_width: int, rows: int, *, gated: bool = False) -> Block:
    """``count`` encoder layers over ``rows`` tokens, each of which sees all.

    Raises:
        UsageError: the heads do not divide the width.
    """
    check_heads(heads, width)
    shape = TransformerShape(
        family="encoder", layers=count, width=width, heads=heads, ff_width=ff_width, vocab=1, seq_len=rows, gated=gated
    )
    return layers_of(shape)[0]


def windowed(layer: Block, windows: int, tokens: int, table: float = 0.0) -> Block:
    """The layer with attention inside ``windows`` windows of ``tokens`` only, padding in them counted.

    ``table``: weights of the table of relative positions. The cut into windows and back copies every token.
    """
    operators: list[Operator] = []
    for op in layer.operators:
        if isinstance(op, MatMul) and op.role in (Role.ATTENTION, Role.KEY_VALUE):
            op = replace(op, rows=windows * tokens)
        if isinstance(op, Attention):
            # Windows are to attention what heads are: parts that do not see each other.
            heads = op.heads * windows
            size = windows * tokens * op.heads * op.key_dim
            operators.append(elementwise(ElementwiseKind.OTHER, "windows", size, 4, weights=table))
            op = replace(op, heads=heads, kv_heads=heads, queries=tokens, keys=tokens)
        operators.append(op)
    return replace(layer, operators=tuple(operators))


def _patches(image_size: int, patch: int, width: int, extra: int = 0, positions: bool = True) -> Block:
    """The image cut into patches, each of which becomes a token; ``extra`` tokens and a table of positions beside."""
    count = side(image_size, patch) ** 2
    size = (count + extra) * width
    weights = (size if positions else 0) + extra * width
    operators: list[Operator] = [
        convolution("patches", 3, width, (patch, patch), count, input_positions=image_size**2, first=True),
        elementwise(ElementwiseKind.OTHER, "positions", size, 3, weights=weights),
    ]
    return block("patches", operators, size, place="first")


def _head(rows: int, width: int, classes: int, heads: int = 1) -> Block:
    """Norm, and a classifier of one token (or the mean of all); DeiT's distilled form has two."""
    operators: list[Operator] = [
        elementwise(ElementwiseKind.NORM, "final norm", rows * width, 4, kept=rows * width, weights=2 * width)
    ]
    operators += [dense("head", 1, width, classes) for _ in range(heads)]
    return block("head", [*operators, loss(1, classes)], 0, place="last")


def _vit(
    name: str,
    usual: Usual,
    distilled: bool,
    /,
    *,
    layers: int = 12,
    width: int = 768,
    heads: int = 12,
    patch: int = 16,
    image_size: int = 224,
    classes: int = 1000,
) -> Workload:
    """ViT (Dosovitskiy et al. 2021): patches and a class token through plain layers; DeiT's ``distilled`` form has a
    second token and head."""
    extra = 2 if distilled else 1
    rows = side(image_size, patch) ** 2 + extra
    blocks = (
        _patches(image_size, patch, width, extra),
        encoder_layers(layers, width, heads, 4 * width, rows),
        _head(rows, width, classes, extra),
    )
    return Workload(
        name=name,
        family="vision transformer",
        blocks=blocks,
        tokens_per_sample=1,
        unit="images",
        heads=heads,
        usual=usual,
        input="image",
    )


def _merging(positions: int, width: int) -> Block:
    """Four neighbours become one token of twice the width."""
    size = positions * width
    operators: list[Operator] = [
        elementwise(ElementwiseKind.NORM, "gather and norm", size, 4, kept=size, weights=8 * width),
        dense("merge", positions / 4, 4 * width, 2 * width, bias=False),
    ]
    return block(f"merging into {2 * width}", operators, size / 2)


def _swin(
    name: str,
    usual: Usual,
    depths: tuple[int, ...],
    /,
    *,
    width: int = 96,
    heads: int = 3,
    window: int = 7,
    image_size: int = 224,
    classes: int = 1000,
) -> Workload:
    """Swin (Liu et al. 2021): attention in windows, shifted in every second layer, and four stages of half the side.

    Args:
        width, heads: of the first stage; each next one has twice of both.
    """
    across = side(image_size, 32) * 8
    stem = _patches(image_size, 4, width, positions=False)
    norm = elementwise(ElementwiseKind.NORM, "norm", across**2 * width, 4, kept=across**2 * width, weights=2 * width)
    blocks = [replace(stem, operators=(stem.operators[0], norm))]
    for stage, depth in enumerate(depths):
        channels, parts = width * 2**stage, heads * 2**stage
        if stage:
            blocks.append(_merging(across**2, channels // 2))
            across //= 2
        layer = encoder_layers(depth, channels, parts, 4 * channels, across**2)
        windows = (-(-across // window)) ** 2
        layer = windowed(layer, windows, window**2, (2 * window - 1) ** 2 * parts)
        blocks.append(replace(layer, name=f"stage {stage + 1}"))
    blocks.append(_head(across**2, width * 2 ** (len(depths) - 1), classes))
    return Workload(
        name=name,
        family="vision transformer",
        blocks=tuple(blocks),
        tokens_per_sample=1,
        unit="images",
        usual=usual,
        input="image",
    )


def _sam(*, image_size: int = 1024, layers: int = 32, width: int = 1280, heads: int = 16) -> Workload:
    """The image encoder of SAM: ViT-H in windows of 14 patches, but for four layers that see the whole image."""
    if layers <= _SAM_WHOLE:
        raise UsageError(f"SAM of {layers} layers has none with windows", f"give more than {_SAM_WHOLE} layers")
    across, channels, window = side(image_size, 16), 256, 14
    rows, per_head = across**2, width // heads
    layer = encoder_layers(layers - _SAM_WHOLE, width, heads, 4 * width, rows)
    windows = (-(-across // window)) ** 2
    local = windowed(layer, windows, window**2, 2 * (2 * window - 1) * per_head)
    whole = windowed(replace(layer, repeat=_SAM_WHOLE, name="whole layer"), 1, rows, 2 * (2 * across - 1) * per_head)
    size = rows * channels
    neck: list[Operator] = [
        convolution("neck 1", width, channels, (1, 1), rows, bias=False),
        elementwise(ElementwiseKind.NORM, "neck norm 1", size, 4, kept=size, weights=2 * channels),
        convolution("neck 2", channels, channels, (3, 3), rows, bias=False),
        elementwise(ElementwiseKind.NORM, "neck norm 2", size, 4, kept=size, weights=2 * channels),
    ]
    blocks = (
        _patches(image_size, 16, width),
        replace(local, name="window layer"),
        whole,
        block("neck", neck, size, place="last"),
    )
    return Workload(
        name="sam-vit-h",
        family="vision transformer",
        blocks=blocks,
        tokens_per_sample=1,
        unit="images",
        usual=SA_1B,
        input="image",
    )


_TINY, _SMALL = {"width": 192, "heads": 3}, {"width": 384, "heads": 6}
_LARGE = {"layers": 24, "width": 1024, "heads": 16}

MODELS: dict[str, Builder] = {
    "vit": partial(_vit, "vit", VIT, False),
    "vit-tiny": partial(_vit, "vit-tiny", VIT, False, **_TINY),
    "vit-small": partial(_vit, "vit-small", VIT, False, **_SMALL),
    "vit-base": partial(_vit, "vit-base", VIT, False),
    "vit-base-32": partial(_vit, "vit-base-32", VIT, False, patch=32),
    "vit-large": partial(_vit, "vit-large", VIT, False, **_LARGE),
    "vit-large-32": partial(_vit, "vit-large-32", VIT, False, patch=32, **_LARGE),
    "vit-huge": partial(_vit, "vit-huge", VIT, False, layers=32, width=1280, heads=16, patch=14),
    "deit-tiny": partial(_vit, "deit-tiny", DEIT, False, **_TINY),
    "deit-small": partial(_vit, "deit-small", DEIT, False, **_SMALL),
    "deit-base": partial(_vit, "deit-base", DEIT, False),
    "deit-base-distilled": partial(_vit, "deit-base-distilled", DEIT, True),
    "swin-tiny": partial(_swin, "swin-tiny", SWIN, (2, 2, 6, 2)),
    "swin-small": partial(_swin, "swin-small", SWIN, (2, 2, 18, 2)),
    "swin-base": partial(_swin, "swin-base", SWIN, (2, 2, 18, 2), width=128, heads=4),
    "swin-large": partial(_swin, "swin-large", SWIN_22K, (2, 2, 18, 2), width=192, heads=6),
    "sam-vit-h": _sam,
}
