"""EfficientNet and EfficientNetV2 (Tan & Le 2019, arXiv 1905.11946; 2021, 2104.00298), as Keras has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

from zenplan.domain.model.operators import Function
from zenplan.domain.model.workload import Workload
from zenplan.families.images.maps import Map, image
from zenplan.families.images.mobilenet import nearest, rounded
from zenplan.families.images.resnet import classify, squeeze
from zenplan.families.images.usual import imagenet
from zenplan.families.named import Builder

# Window, blocks, channels, expansion, stride; in V2 also: whether the first two convolutions are one.
_STAGES = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)
# Factor of the width, of the depth, and the image size.
_SCALES = (
    (1.0, 1.0, 224),
    (1.0, 1.1, 240),
    (1.1, 1.2, 260),
    (1.2, 1.4, 300),
    (1.4, 1.8, 380),
    (1.6, 2.2, 456),
    (1.8, 2.6, 528),
    (2.0, 3.1, 600),
)

# Blocks, channels, expansion, stride, fused, gate.
Row = tuple[int, int, int, int, bool, bool]
_V2_B: tuple[Row, ...] = (
    (1, 16, 1, 1, True, False),
    (2, 32, 4, 2, True, False),
    (2, 48, 4, 2, True, False),
    (3, 96, 4, 2, False, True),
    (5, 112, 6, 1, False, True),
    (8, 192, 6, 2, False, True),
)
_V2_S: tuple[Row, ...] = (
    (2, 24, 1, 1, True, False),
    (4, 48, 4, 2, True, False),
    (4, 64, 4, 2, True, False),
    (6, 128, 4, 2, False, True),
    (9, 160, 6, 1, False, True),
    (15, 256, 6, 2, False, True),
)
_V2_M: tuple[Row, ...] = (
    (3, 24, 1, 1, True, False),
    (5, 48, 4, 2, True, False),
    (5, 80, 4, 2, True, False),
    (7, 160, 4, 2, False, True),
    (14, 176, 6, 1, False, True),
    (18, 304, 6, 2, False, True),
    (5, 512, 6, 1, False, True),
)
_V2_L: tuple[Row, ...] = (
    (4, 32, 1, 1, True, False),
    (7, 64, 4, 2, True, False),
    (7, 96, 4, 2, True, False),
    (10, 192, 4, 2, False, True),
    (19, 224, 6, 1, False, True),
    (25, 384, 6, 2, False, True),
    (7, 640, 6, 1, False, True),
)
# Stages, channels of the stem, factor of the width, of the depth, image size.
_V2 = {
    "b0": (_V2_B, 32, 1.0, 1.0, 224),
    "b1": (_V2_B, 32, 1.0, 1.1, 240),
    "b2": (_V2_B, 32, 1.1, 1.2, 260),
    "b3": (_V2_B, 32, 1.2, 1.4, 300),
    "s": (_V2_S, 24, 1.0, 1.0, 384),
    "m": (_V2_M, 24, 1.0, 1.0, 480),
    "l": (_V2_L, 32, 1.0, 1.0, 480),
}
# Of each of the three colours a mean and a variance, and a count: the input's norm, learned from data beforehand.
_INPUT_STATISTICS = 7


def _inverted(
    x: Map, out: int, kernel: int, expansion: int, stride: int, *, gate: bool = True, padded: bool = True
) -> Map:
    before = x
    if expansion > 1:
        x = x.conv(expansion * x.channels).norm().act(Function.SWISH)
    if padded and stride == 2:
        x = x.fixed(kernel).depthwise(kernel, 2, "valid").norm().act(Function.SWISH)
    else:
        x = x.depthwise(kernel, stride).norm().act(Function.SWISH)
    if gate:
        x = squeeze(x, max(1, before.channels // 4), Function.SWISH)
    return _added(x.conv(out).norm(), before, stride)


def _fused(x: Map, out: int, expansion: int, stride: int) -> Map:
    before = x
    if expansion == 1:
        return _added(x.conv(out, 3, stride).norm().act(Function.SWISH), before, stride)
    x = x.conv(expansion * x.channels, 3, stride).norm().act(Function.SWISH)
    return _added(x.conv(out).norm(), before, stride)


def _added(x: Map, before: Map, stride: int) -> Map:
    """With the residual sum where the shapes agree; there a whole sample may be dropped."""
    return x.dropout(whole=True).plus(before) if stride == 1 and x.channels == before.channels else x


def _head(x: Map, channels: int, classes: int) -> Map:
    return classify(x.conv(channels).norm().act(Function.SWISH), classes)


def _efficientnet(name: str, wide: float, deep: float, image_size: int, classes: int = 1000) -> Workload:
    x = image(image_size)
    x.net.add_statistics(_INPUT_STATISTICS)
    x = x.fixed(3).conv(rounded(32 * wide), 3, 2, "valid").norm().act(Function.SWISH)
    for stage, (kernel, blocks, channels, expansion, first) in enumerate(_STAGES):
        for index in range(math.ceil(deep * blocks)):
            x = x.block(f"stage {stage + 1}" + ("" if index else ", first"))
            x = _inverted(x, rounded(channels * wide), kernel, expansion, 1 if index else first)
    head = _head(x, rounded(1280 * wide), classes)
    return head.net.workload(name, imagenet(350, 4096, source="Tan & Le 2019"))


def _efficientnet_v2(name: str, kind: str, image_size: int, classes: int = 1000) -> Workload:
    rows, stem, wide, deep, _ = _V2[kind]
    x = image(image_size)
    x = x.conv(nearest(stem * wide), 3, 2).norm().act(Function.SWISH)
    for stage, (blocks, channels, expansion, first, fused, gate) in enumerate(rows):
        out = nearest(channels * wide)
        for index in range(math.ceil(deep * blocks)):
            x, stride = x.block(f"stage {stage + 1}" + ("" if index else ", first")), 1 if index else first
            if fused:
                x = _fused(x, out, expansion, stride)
            else:
                x = _inverted(x, out, 3, expansion, stride, gate=gate, padded=False)
    head = _head(x, nearest(1280 * wide), classes)
    return head.net.workload(name, imagenet(350, 4096, source="Tan & Le 2021"))


def models() -> Mapping[str, Builder]:
    """Names to builders."""
    first = {
        f"efficientnet-b{i}": partial(_efficientnet, f"efficientnet-b{i}", wide, deep, image_size=size)
        for i, (wide, deep, size) in enumerate(_SCALES)
    }
    second = {
        f"efficientnetv2-{kind}": partial(_efficientnet_v2, f"efficientnetv2-{kind}", kind, image_size=row[-1])
        for kind, row in _V2.items()
    }
    return {**first, **second}
