"""MobileNet v1, v2, v3 (Howard et al. 2017, arXiv 1704.04861; Sandler et al. 2018, 1801.04381; Howard et al. 2019,
1905.02244), as Keras has them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from zenplan.domain.model.operators import Function
from zenplan.domain.model.workload import Workload
from zenplan.families.images.maps import Map, image
from zenplan.families.images.resnet import classify, squeeze
from zenplan.families.images.usual import imagenet
from zenplan.families.named import Builder

# Expansion, channels, window, stride, gate, hard swish.
Row = tuple[float, int, int, int, bool, bool]

# Channels and stride of each block of v1; expansion, channels, blocks and stride of each stage of v2.
_V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
_SMALL: tuple[Row, ...] = (
    (1, 16, 3, 2, True, False),
    (72 / 16, 24, 3, 2, False, False),
    (88 / 24, 24, 3, 1, False, False),
    (4, 40, 5, 2, True, True),
    *((6, 40, 5, 1, True, True),) * 2,
    *((3, 48, 5, 1, True, True),) * 2,
    (6, 96, 5, 2, True, True),
    *((6, 96, 5, 1, True, True),) * 2,
)
_LARGE: tuple[Row, ...] = (
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
    for channels, stride in _V1:
        x = x.block(f"{channels} channels" + (", first" if stride == 2 else ""))
        x = x.depthwise(3) if stride == 1 else x.pad(1).depthwise(3, 2, "valid")
        x = x.norm().act().conv(channels).norm().act()
    x = x.block("head").global_pool().dropout().conv(classes, bias=True).loss()
    return x.net.workload("mobilenet", imagenet(source="Howard et al. 2017"))


def _inverted(x: Map, wide: int, channels: int, kernel: int, stride: int, function: Function, gate: bool) -> Map:
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
    for expansion, channels, blocks, first in _V2:
        for index in range(blocks):
            x = x.block(f"{channels} channels" + ("" if index else ", first"))
            x = _inverted(x, expansion * x.channels, channels, 3, 1 if index else first, Function.RELU, False)
    x = classify(x.conv(1280).norm().act(), classes)
    return x.net.workload("mobilenetv2", imagenet(300, 1536, source="Sandler et al. 2018"))


def _mobilenet_v3(name: str, rows: tuple[Row, ...], last: int, image_size: int = 224, classes: int = 1000) -> Workload:
    x = image(image_size).conv(16, 3, 2).norm().act(Function.HARD_SWISH)
    for expansion, channels, kernel, stride, gate, smooth in rows:
        x = x.block(f"{channels} channels" + (", first" if stride == 2 else ""))
        wide = rounded(x.channels * expansion)
        x = _inverted(x, wide, channels, kernel, stride, Function.HARD_SWISH if smooth else Function.RELU, gate)
    x = x.conv(rounded(6 * x.channels)).norm().act(Function.HARD_SWISH).block("head").global_pool()
    x = x.conv(last, bias=True).act(Function.HARD_SWISH).dropout().conv(classes, bias=True).loss()
    return x.net.workload(name, imagenet(600, 4096, source="Howard et al. 2019"))


def models() -> Mapping[str, Builder]:
    """Names to builders."""
    return {
        "mobilenet": _mobilenet,
        "mobilenetv2": _mobilenet_v2,
        "mobilenetv3-small": partial(_mobilenet_v3, "mobilenetv3-small", _SMALL, 1024),
        "mobilenetv3-large": partial(_mobilenet_v3, "mobilenetv3-large", _LARGE, 1280),
    }
