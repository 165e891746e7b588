"""Models of images in stages, each of half the side of the one before: ResNet, ConvNeXt, Swin, SegFormer.

He et al. 2015 (arXiv 1512.03385); Liu et al. 2022 (2201.03545), Woo et al. 2023 (2301.00808); Liu et al. 2021 (2103.14030),
2022 (2111.09883); Xie et al. 2021 (2105.15203).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

from zenplan.domain.model.operators import Elementwise, ElementwiseKind, Function, MatMul, Operator, Role
from zenplan.domain.model.workload import Block, Workload
from zenplan.errors import InputFileError
from zenplan.families.configurations.extras import few, norm, product
from zenplan.families.configurations.fields import MOST_HEADS, Fields
from zenplan.families.configurations.heads import architecture, labels
from zenplan.families.images.maps import Map, image
from zenplan.families.images.usual import imagenet
from zenplan.families.parts import attention, block, convolution, elementwise, loss
from zenplan.families.vision import encoder_layers, windowed

# Layers that are lowered one by one, and pixels of a side.
_MOST_DEPTH, _MOST_SIDE = 1000, 10_000


def _stages(fields: Fields, *keys: str) -> list[list[int]]:
    """The lists of these keys, with one entry for each stage.

    Raises:
        InputFileError: a list is missing or wrong, or has more or fewer entries than another.
    """
    if fields.raw("depths") is None:
        raise InputFileError("the model configuration has no 'depths'", "it has the layers of each stage")
    found = [fields.numbers(key, most=_MOST_DEPTH if key == "depths" else 10**6, longest=20) for key in keys]
    if len({len(each) for each in found}) > 1:
        raise InputFileError(
            f"the model configuration's {', '.join(repr(key) for key in keys)} are not as long as each other",
            "each has one entry for each stage",
        )
    return found


def _side(fields: Fields, usual: int) -> int:
    edge = fields.edge("image_size", default=usual)
    if not 32 <= edge <= _MOST_SIDE:
        raise fields.wrong("image_size", edge, f"from 32 to {_MOST_SIDE:,} pixels")
    return edge


def _width(fields: Fields, key: str, width: int, heads: int) -> None:
    if heads > MOST_HEADS or width % heads:
        raise InputFileError(
            f"the model configuration's {key} of {heads} do not divide a width of {width}", f"check '{key}'"
        )


def _workload(fields: Fields, blocks: tuple[Block, ...]) -> Workload:
    return Workload(
        name=fields.model_type,
        family="vision transformer",
        blocks=blocks,
        tokens_per_sample=1,
        unit="images",
        input="image",
        facts=tuple(fields.facts),
    )


def _head(fields: Fields, width: int, last: list[Operator]) -> Block:
    """A classifier of the mean of all positions; none of a model that is only that."""
    if not architecture(fields).endswith(("Model", "Backbone")):
        classes = labels(fields)
        last = [*last, product("classifier", 1, width, classes), loss(1, classes)]
    return block("head", last or [elementwise(ElementwiseKind.OTHER, "output", width, 1)], 0, place="last")


# --- of maps


def _mapped(fields: Fields, x: Map, normed: bool) -> Workload:
    """The workload of a net whose last map is ``x``, as PyTorch counts it: moving statistics are no parameters."""
    x = x.block("head").global_pool()
    x = x.layer_norm() if normed else x
    if not architecture(fields).endswith(("Model", "Backbone")):
        x = x.dense(labels(fields)).loss()
    found = x.net.workload(fields.model_type, imagenet(), tuple(fields.facts))
    return replace(found, usual=None, blocks=tuple(without_statistics(found.blocks)))


def without_statistics(blocks: Iterable[Block]) -> list[Block]:
    """The blocks without moving statistics, and without those that have nothing else."""
    left = [replace(b, operators=tuple(op for op in b.operators if not _is_statistics(op))) for b in blocks]
    return [b for b in left if b.operators]


def _is_statistics(op: Operator) -> bool:
    return isinstance(op, Elementwise) and op.kind is ElementwiseKind.STATISTICS


def _resnet(fields: Fields) -> Workload:
    x = image(_side(fields, 224), fields.needed("num_channels", default=3))
    return _mapped(fields, resnet_maps(fields, x), normed=False)


def resnet_maps(fields: Fields, x: Map, frozen: int = 0) -> Map:
    """The last map of a ResNet, of which the stem and the first ``frozen`` stages do not learn.

    Raises:
        InputFileError: a field is missing or wrong.
    """
    depths, widths = _stages(fields, "depths", "hidden_sizes")
    bottleneck = fields.text("layer_type", "bottleneck") == "bottleneck"
    first = fields.flag("downsample_in_bottleneck")
    x.net.frozen = frozen > 0
    x = x.conv(fields.needed("embedding_size", default=64), 7, 2, 3).norm().act().max_pool(3, 2, 1)
    for stage, (count, width) in enumerate(zip(depths, widths, strict=True)):
        x.net.frozen = stage < frozen
        for number in range(count):
            stride = 2 if number == 0 and (stage or fields.flag("downsample_in_first_stage")) else 1
            x = x.block(f"stage {stage + 1}" + ("" if number else ", first"))
            shortcut = x
            if stride > 1 or x.channels != width:
                shortcut = x.conv(width, 1, stride, "valid").norm()
            if bottleneck:
                one, three = (stride, 1) if first else (1, stride)
                x = x.conv(max(1, width // 4), 1, one, "valid").norm().act()
                x = x.conv(x.channels, 3, three, 1).norm().act().conv(width).norm()
            else:
                x = x.conv(width, 3, stride, 1).norm().act().conv(width, 3, 1, 1).norm()
            x = x.plus(shortcut).act()
    return x


def _convnext(fields: Fields, responses: bool) -> Workload:
    """ConvNeXt; ``responses``: with a norm of the responses in each block, in the place of a scale (V2)."""
    depths, widths = _stages(fields, "depths", "hidden_sizes")
    patch = fields.edge("patch_size", default=4)
    x = image(_side(fields, 224), fields.needed("num_channels", default=3))
    x = x.conv(widths[0], patch, patch, "valid", bias=True).layer_norm()
    for stage, (count, width) in enumerate(zip(depths, widths, strict=True)):
        if stage:
            x = x.block(f"to stage {stage + 1}").layer_norm().conv(width, 2, 2, "valid", bias=True)
        for _ in range(count):
            x = x.block(f"stage {stage + 1}")
            wide = x.depthwise(7, bias=True).layer_norm().project(4 * width).act(Function.GELU)
            wide = wide.layer_norm("norm of responses").project(width) if responses else wide.project(width).scale()
            x = wide.plus(x)
    return _mapped(fields, x, normed=True)


# --- of tokens


def _swin(fields: Fields, second: bool) -> Workload:
    """Swin: attention in windows; ``second``: positions through a small network of two layers (V2)."""
    depths, heads = _stages(fields, "depths", "num_heads")
    width, window = fields.needed("embed_dim", most=10**6), fields.needed("window_size", default=7, most=_MOST_SIDE)
    patch, ratio = fields.edge("patch_size", default=4), fields.number("mlp_ratio", default=4.0)
    pixels, channels = _side(fields, 224), fields.needed("num_channels", default=3)
    across = max(1, pixels // patch)
    places = (across**2 + second) * width if fields.flag("use_absolute_embeddings") else 0
    stem: list[Operator] = [
        convolution("patches", channels, width, (patch, patch), across**2, input_positions=pixels**2, first=True),
        norm("norm", across**2, width),
    ]
    blocks = [
        block("patches", [*stem, *([few("positions", places)] if places else [])], across**2 * width, place="first")
    ]
    for stage, (depth, parts) in enumerate(zip(depths, heads, strict=True)):
        if stage:
            blocks.append(_merging(across, width, second))
            across, width = max(1, across // 2), 2 * width
        _width(fields, "num_heads", width, parts)
        side = min(window, across)
        layer = encoder_layers(depth, width, parts, max(1, int(ratio * width)), across**2)
        table = 2 * 512 + 512 + 512 * parts + parts if second else (2 * side - 1) ** 2 * parts
        missing = width if second else 0
        missing = missing if fields.flag("qkv_bias", default=True) else 3 * width
        layer = windowed(layer, (-(-across // side)) ** 2, side**2, table - missing)
        blocks.append(replace(layer, name=f"stage {stage + 1}"))
    return _workload(fields, (*blocks, _head(fields, width, [norm("final norm", across**2, width)])))


def _merging(across: int, width: int, second: bool) -> Block:
    """Four neighbours become one token of twice the width; the norm is before, or after it in V2."""
    rows = max(1.0, across**2 / 4)
    merge = product("merge", rows, 4 * width, 2 * width, bias=False)
    normed = norm("gather and norm", rows, 2 * width if second else 4 * width)
    return block(f"merging into {2 * width}", [normed, merge], rows * 2 * width)


_SEGFORMER = ("depths", "hidden_sizes", "num_attention_heads", "sr_ratios", "patch_sizes", "strides", "mlp_ratios")


def _segformer(fields: Fields) -> Workload:
    """SegFormer: keys and values of fewer positions, a convolution in each feed-forward network."""
    every = zip(*_stages(fields, *_SEGFORMER), strict=True)
    across, channels = _side(fields, 512), fields.needed("num_channels", default=3)
    blocks, levels = [], []
    for stage, (depth, width, heads, reduced, patch, stride, ratio) in enumerate(every, 1):
        _width(fields, "num_attention_heads", width, heads)
        before, across = across, max(1, -(-across // stride))
        rows = across**2
        patches: list[Operator] = [
            convolution("patches", channels, width, (patch, patch), rows, input_positions=before**2, first=stage == 1),
            norm("patches norm", rows, width),
        ]
        place = "first" if stage == 1 else "middle"
        blocks.append(block(f"patches {stage}", patches, rows * width, place=place))
        layer = _reduced_layer(across, width, heads, reduced, ratio * width)
        blocks.append(block(f"stage {stage}", layer, rows * width, repeat=depth))
        blocks.append(block(f"norm {stage}", [norm("stage norm", rows, width)], rows * width))
        levels.append((rows, width))
        channels = width
    if not architecture(fields).endswith("ForSemanticSegmentation"):
        return _workload(fields, (*blocks, _head(fields, channels, [])))
    return _workload(fields, (*blocks, _decoder(fields, levels)))


def _reduced_layer(across: int, width: int, heads: int, reduced: int, ff_width: int) -> list[Operator]:
    rows = across**2
    keys = max(1, across // reduced) ** 2
    operators: list[Operator] = [norm("attention norm", rows, width)]
    if reduced > 1:
        operators += [
            convolution("fewer positions", width, width, (reduced, reduced), keys, input_positions=rows),
            norm("norm of fewer", keys, width),
        ]
    operators += [
        _role(product("query", rows, width, width)),
        _role(product("key-value", keys, width, 2 * width)),
        attention("attention", heads, width // heads, rows, keys=keys),
        _role(product("attention out", rows, width, width)),
        norm("feed-forward norm", rows, width),
        product("up", rows, width, ff_width),
        product("depthwise convolution", rows, 9, ff_width),
        elementwise(
            ElementwiseKind.ACTIVATION, "activation", rows * ff_width, function=Function.GELU, kept=rows * ff_width
        ),
        product("down", rows, ff_width, width),
    ]
    return operators


def _role(op: Operator) -> Operator:
    return replace(op, role=Role.ATTENTION) if isinstance(op, MatMul) else op


def _decoder(fields: Fields, levels: list[tuple[int, int]]) -> Block:
    """Every stage to one width and to the positions of the first; a product of all of them, and one class a position."""
    width, classes, rows = fields.needed("decoder_hidden_size", default=256), labels(fields), levels[0][0]
    last: list[Operator] = [product(f"level {n}", r, w, width) for n, (r, w) in enumerate(levels, 1)]
    last += [
        elementwise(ElementwiseKind.UPSAMPLING, "to one size", len(levels) * rows * width),
        product("fuse", rows, len(levels) * width, width, bias=False),
        norm("batch norm", rows, width),
        product("classifier", rows, width, classes),
        loss(rows, classes),
    ]
    return block("decoder", last, 0, place="last")


# Type to what reads it.
STAGED: Mapping[str, Callable[[Fields], Workload]] = {
    "resnet": _resnet,
    "convnext": partial(_convnext, responses=False),
    "convnextv2": partial(_convnext, responses=True),
    "swin": partial(_swin, second=False),
    "swinv2": partial(_swin, second=True),
    "segformer": _segformer,
}
