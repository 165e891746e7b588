"""Networks of separable convolutions: Xception, NASNet, MobileNet, EfficientNet.

Xception: Chollet 2017 (arXiv 1610.02357); NASNet: Zoph et al. 2018 (1707.07012). As Keras has them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

from zenplan.domain.model.operators import Function
from zenplan.domain.model.workload import Workload
from zenplan.families.images.maps import Map, image
from zenplan.families.images.residual import classify, squeeze
from zenplan.families.images.usual import imagenet
from zenplan.families.named import Builder


def _xception(image_size: int = 299, classes: int = 1000) -> Workload:
    x = image(image_size).conv(32, 3, 2, "valid").norm().act().conv(64, 3, 1, "valid").norm().act()
    for index, channels in enumerate((128, 256, 728)):
        x = x.block(f"entry {index + 1}")
        x = _xception_shrunk(x, channels, channels, activate=index > 0)
    for _ in range(8):
        x = before = x.block("middle")
        for _ in range(3):
            x = x.act().separable(728, 3).norm()
        x = x.plus(before)
    x = _xception_shrunk(x.block("exit"), 728, 1024, activate=True)
    for channels in (1536, 2048):
        x = x.separable(channels, 3).norm().act()
    return classify(x, classes).net.workload("xception", imagenet(100, 320, source="Chollet 2017"))


def _xception_shrunk(x: Map, first: int, second: int, *, activate: bool) -> Map:
    shortcut = x.conv(second, 1, 2).norm()
    x = (x.act() if activate else x).separable(first, 3).norm()
    return x.act().separable(second, 3).norm().max_pool(3, 2, "same").plus(shortcut)


def _nasnet(
    name: str, cells: int, stem: int, filters: int, skip: bool, image_size: int, classes: int = 1000
) -> Workload:
    """``cells`` normal cells, a reduction cell that doubles the filters, and so on; three times."""
    x = image(image_size).conv(stem, 3, 2, "valid").norm()
    before: Map | None = None
    for divisor in (4, 2):
        x, before = _reduction(x.block("stem cell"), before, filters // divisor), x
    for stage in range(3):
        wide = filters * 2**stage
        if stage:
            small = _reduction(x.block(f"reduction {stage}"), before, wide)
            x, before = small, before if skip else x
        for _ in range(cells):
            x, before = _normal(x.block(f"stage {stage + 1}"), before, wide), x
    return classify(x.act(), classes).net.workload(name, imagenet(250, 1600, source="Zoph et al. 2018"))


def _twice(x: Map, filters: int, kernel: int, stride: int = 1) -> Map:
    x = x.act()
    x = x.fixed(kernel).separable(filters, kernel, 2, "valid") if stride == 2 else x.separable(filters, kernel)
    return x.norm().act().separable(filters, kernel).norm()


def _adjusted(before: Map | None, x: Map, filters: int) -> Map:
    """The input before the last, as large as the last one; the last itself in the first cell."""
    if before is None:
        return x
    if before.size != x.size:
        before = before.act()
        halves = [before.average_pool(1, 2).conv(filters // 2) for _ in range(2)]
        return halves[0].concat(halves[1]).norm()
    if before.channels != filters:
        return before.act().conv(filters).norm()
    return before


def _normal(x: Map, before: Map | None, filters: int) -> Map:
    before = _adjusted(before, x, filters)
    h = x.act().conv(filters).norm()
    first = _twice(h, filters, 5).plus(_twice(before, filters, 3))
    second = _twice(before, filters, 5).plus(_twice(before, filters, 3))
    third = h.average_pool(3, 1, "same").plus(before)
    fourth = before.average_pool(3, 1, "same").plus(before.average_pool(3, 1, "same"))
    fifth = _twice(h, filters, 3).plus(h)
    return before.concat(first, second, third, fourth, fifth)


def _reduction(x: Map, before: Map | None, filters: int) -> Map:
    before = _adjusted(before, x, filters)
    h = x.act().conv(filters).norm()
    padded = h.fixed(3)
    first = _twice(h, filters, 5, 2).plus(_twice(before, filters, 7, 2))
    second = padded.max_pool(3, 2).plus(_twice(before, filters, 7, 2))
    third = padded.average_pool(3, 2).plus(_twice(before, filters, 5, 2))
    fourth = second.plus(first.average_pool(3, 1, "same"))
    fifth = _twice(first, filters, 3).plus(padded.max_pool(3, 2))
    return second.concat(third, fourth, fifth)


def _mobile(image_size: int = 224, classes: int = 1000) -> Workload:
    return _nasnet("nasnetmobile", 4, 32, 44, False, image_size, classes)


def _large(image_size: int = 331, classes: int = 1000) -> Workload:
    return _nasnet("nasnetlarge", 6, 96, 168, True, image_size, classes)


def separable_models() -> Mapping[str, Builder]:
    """Names to builders."""
    return {"xception": _xception, "nasnetmobile": _mobile, "nasnetlarge": _large}


# --- MobileNet
#
# MobileNet v1, v2, v3 (Howard et al. 2017, arXiv 1704.04861; Sandler et al. 2018, 1801.04381; Howard et al. 2019,
# 1905.02244), as Keras has them.

# Expansion, channels, window, stride, gate, hard swish.
MobileRow = tuple[float, int, int, int, bool, bool]

# Channels and stride of each block of v1; expansion, channels, blocks and stride of each stage of v2.
_MOBILE_V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
_MOBILE_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
_MOBILE_V3_SMALL: tuple[MobileRow, ...] = (
    (1, 16, 3, 2, True, False),
    (72 / 16, 24, 3, 2, False, False),
    (88 / 24, 24, 3, 1, False, False),
    (4, 40, 5, 2, True, True),
    *((6, 40, 5, 1, True, True),) * 2,
    *((3, 48, 5, 1, True, True),) * 2,
    (6, 96, 5, 2, True, True),
    *((6, 96, 5, 1, True, True),) * 2,
)
_MOBILE_V3_LARGE: tuple[MobileRow, ...] = (
    (1, 16, 3, 1, False, False),
    (4, 24, 3, 2, False, False),
    (3, 24, 3, 1, False, False),
    (3, 40, 5, 2, True, False),
    *((3, 40, 5, 1, True, False),) * 2,
    (6, 80, 3, 2, False, True),
    (2.5, 80, 3, 1, False, True),
    *((2.3, 80, 3, 1, False, True),) * 2,
    *((6, 112, 3, 1, True, True),) * 2,
    (6, 160, 5, 2, True, True),
    *((6, 160, 5, 1, True, True),) * 2,
)


def nearest(channels: float) -> int:
    """The nearest multiple of 8."""
    return max(8, int(channels + 4) // 8 * 8)


def rounded(channels: float) -> int:
    """The same, at most a tenth below."""
    near = nearest(channels)
    return near + 8 if near < 0.9 * channels else near


def _mobilenet(image_size: int = 224, classes: int = 1000) -> Workload:
    x = image(image_size).conv(32, 3, 2).norm().act()
    for channels, stride in _MOBILE_V1:
        x = x.block(f"{channels} channels" + (", first" if stride == 2 else ""))
        x = x.depthwise(3) if stride == 1 else x.pad(1).depthwise(3, 2, "valid")
        x = x.norm().act().conv(channels).norm().act()
    x = x.block("head").global_pool().dropout().conv(classes, bias=True).loss()
    return x.net.workload("mobilenet", imagenet(source="Howard et al. 2017"))


def _inverted_v3(x: Map, wide: int, channels: int, kernel: int, stride: int, function: Function, gate: bool) -> Map:
    """A narrow map, widened, convolved by channel, gated, and narrowed again."""
    before = x
    if wide != x.channels:
        x = x.conv(wide).norm().act(function)
    x = x.depthwise(kernel) if stride == 1 else x.fixed(kernel).depthwise(kernel, 2, "valid")
    x = x.norm().act(function)
    if gate:
        x = squeeze(x, rounded(wide * 0.25), last=Function.HARD_SIGMOID)
    x = x.conv(channels).norm()
    return x.plus(before) if stride == 1 and channels == before.channels else x


def _mobilenet_v2(image_size: int = 224, classes: int = 1000) -> Workload:
    x = image(image_size).conv(32, 3, 2).norm().act()
    for expansion, channels, blocks, first in _MOBILE_V2:
        for index in range(blocks):
            x = x.block(f"{channels} channels" + ("" if index else ", first"))
            x = _inverted_v3(x, expansion * x.channels, channels, 3, 1 if index else first, Function.RELU, False)
    x = classify(x.conv(1280).norm().act(), classes)
    return x.net.workload("mobilenetv2", imagenet(300, 1536, source="Sandler et al. 2018"))


def _mobilenet_v3(
    name: str, rows: tuple[MobileRow, ...], last: int, image_size: int = 224, classes: int = 1000
) -> Workload:
    x = image(image_size).conv(16, 3, 2).norm().act(Function.HARD_SWISH)
    for expansion, channels, kernel, stride, gate, smooth in rows:
        x = x.block(f"{channels} channels" + (", first" if stride == 2 else ""))
        wide = rounded(x.channels * expansion)
        x = _inverted_v3(x, wide, channels, kernel, stride, Function.HARD_SWISH if smooth else Function.RELU, gate)
    x = x.conv(rounded(6 * x.channels)).norm().act(Function.HARD_SWISH).block("head").global_pool()
    x = x.conv(last, bias=True).act(Function.HARD_SWISH).dropout().conv(classes, bias=True).loss()
    return x.net.workload(name, imagenet(600, 4096, source="Howard et al. 2019"))


def mobilenet_models() -> Mapping[str, Builder]:
    """Names to builders."""
    return {
        "mobilenet": _mobilenet,
        "mobilenetv2": _mobilenet_v2,
        "mobilenetv3-small": partial(_mobilenet_v3, "mobilenetv3-small", _MOBILE_V3_SMALL, 1024),
        "mobilenetv3-large": partial(_mobilenet_v3, "mobilenetv3-large", _MOBILE_V3_LARGE, 1280),
    }


# --- EfficientNet
#
# EfficientNet and EfficientNetV2 (Tan & Le 2019, arXiv 1905.11946; 2021, 2104.00298), as Keras has them.

# Window, blocks, channels, expansion, stride; in V2 also: whether the first two convolutions are one.
_EFFICIENT_STAGES = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)
# Factor of the width, of the depth, and the image size.
_EFFICIENT_SCALES = (
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
EfficientRow = tuple[int, int, int, int, bool, bool]
_EFFICIENT_V2_B: tuple[EfficientRow, ...] = (
    (1, 16, 1, 1, True, False),
    (2, 32, 4, 2, True, False),
    (2, 48, 4, 2, True, False),
    (3, 96, 4, 2, False, True),
    (5, 112, 6, 1, False, True),
    (8, 192, 6, 2, False, True),
)
_EFFICIENT_V2_S: tuple[EfficientRow, ...] = (
    (2, 24, 1, 1, True, False),
    (4, 48, 4, 2, True, False),
    (4, 64, 4, 2, True, False),
    (6, 128, 4, 2, False, True),
    (9, 160, 6, 1, False, True),
    (15, 256, 6, 2, False, True),
)
_EFFICIENT_V2_M: tuple[EfficientRow, ...] = (
    (3, 24, 1, 1, True, False),
    (5, 48, 4, 2, True, False),
    (5, 80, 4, 2, True, False),
    (7, 160, 4, 2, False, True),
    (14, 176, 6, 1, False, True),
    (18, 304, 6, 2, False, True),
    (5, 512, 6, 1, False, True),
)
_EFFICIENT_V2_L: tuple[EfficientRow, ...] = (
    (4, 32, 1, 1, True, False),
    (7, 64, 4, 2, True, False),
    (7, 96, 4, 2, True, False),
    (10, 192, 4, 2, False, True),
    (19, 224, 6, 1, False, True),
    (25, 384, 6, 2, False, True),
    (7, 640, 6, 1, False, True),
)
# Stages, channels of the stem, factor of the width, of the depth, image size.
_EFFICIENT_V2 = {
    "b0": (_EFFICIENT_V2_B, 32, 1.0, 1.0, 224),
    "b1": (_EFFICIENT_V2_B, 32, 1.0, 1.1, 240),
    "b2": (_EFFICIENT_V2_B, 32, 1.1, 1.2, 260),
    "b3": (_EFFICIENT_V2_B, 32, 1.2, 1.4, 300),
    "s": (_EFFICIENT_V2_S, 24, 1.0, 1.0, 384),
    "m": (_EFFICIENT_V2_M, 24, 1.0, 1.0, 480),
    "l": (_EFFICIENT_V2_L, 32, 1.0, 1.0, 480),
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
    for stage, (kernel, blocks, channels, expansion, first) in enumerate(_EFFICIENT_STAGES):
        for index in range(math.ceil(deep * blocks)):
            x = x.block(f"stage {stage + 1}" + ("" if index else ", first"))
            x = _inverted(x, rounded(channels * wide), kernel, expansion, 1 if index else first)
    head = _head(x, rounded(1280 * wide), classes)
    return head.net.workload(name, imagenet(350, 4096, source="Tan & Le 2019"))


def _efficientnet_v2(name: str, kind: str, image_size: int, classes: int = 1000) -> Workload:
    rows, stem, wide, deep, _ = _EFFICIENT_V2[kind]
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


def efficientnet_models() -> Mapping[str, Builder]:
    """Names to builders."""
    first = {
        f"efficientnet-b{i}": partial(_efficientnet, f"efficientnet-b{i}", wide, deep, image_size=size)
        for i, (wide, deep, size) in enumerate(_EFFICIENT_SCALES)
    }
    second = {
        f"efficientnetv2-{kind}": partial(_efficientnet_v2, f"efficientnetv2-{kind}", kind, image_size=row[-1])
        for kind, row in _EFFICIENT_V2.items()
    }
    return {**first, **second}
