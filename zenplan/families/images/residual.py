"""Residual networks, and those that came of them: RegNet, DenseNet, ConvNeXt.

Of Keras (ResNet, ResNetV2), of torchvision (ResNet, ResNeXt, Wide ResNet), and with gates: He et al. 2015 (arXiv
1512.03385), 2016 (1603.05027); Xie et al. 2017 (1611.05431); Zagoruyko & Komodakis 2016 (1605.07146); Hu et al. 2018
(1709.01507).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from zenplan.domain.model.operators import Function
from zenplan.domain.model.workload import Workload
from zenplan.errors import UsageError
from zenplan.families.images.maps import Map, image
from zenplan.families.images.usual import imagenet
from zenplan.families.named import Builder

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """What one residual network has that another has not.

    Attributes:
        blocks: of each of the four stages.
        bottleneck: 1 × 1, 3 × 3, 1 × 1 with four times the channels, in place of two 3 × 3.
        bias: of the convolutions, which Keras keeps before a norm.
        first: the stride is in the 1 × 1 (the paper, Keras), else in the 3 × 3 (v1.5).
        groups, width: of the 3 × 3: 32 groups of 4 channels in the first stage of a ResNeXt.
        gate: a squeeze-and-excitation gate, of a 16th of the channels.
    """

    blocks: tuple[int, ...]
    bottleneck: bool = True
    bias: bool = False
    first: bool = False
    groups: int = 1
    width: int = 64
    gate: bool = False


def stem(x: Map, *, bias: bool = False) -> Map:
    """A 7 × 7 convolution and a pool: a quarter of the size."""
    return x.conv(64, 7, 2, 3, bias=bias).norm().act().max_pool(3, 2, 1)


def stages(x: Map, net: Residual, strides: tuple[int, ...] = (1, 2, 2, 2), frozen: int = 0) -> list[Map]:
    """The output of each stage. The convolutions of the first ``frozen`` ones do not learn."""
    outputs = []
    for stage, blocks in enumerate(net.blocks):
        x.net.frozen = stage < frozen
        for index in range(blocks):
            x = x.block(f"stage {stage + 1}" + ("" if index else ", first"))
            x = _block(x, net, stage, stride=1 if index else strides[stage])
        outputs.append(x)
    return outputs


def _block(x: Map, net: Residual, stage: int, stride: int) -> Map:
    channels = 64 * 2**stage
    out = channels * (4 if net.bottleneck else 1)
    shortcut = x
    if stride > 1 or x.channels != out:
        shortcut = x.conv(out, 1, stride, "valid", bias=net.bias).norm()
    if net.bottleneck:
        x = _bottleneck(x, net, net.width * 2**stage * net.groups, out, stride)
    else:
        x = x.conv(channels, 3, stride, 1).norm().act().conv(out, 3, 1, 1).norm()
    if net.gate:
        x = squeeze(x, out // 16)
    return x.plus(shortcut).act()


def _bottleneck(x: Map, net: Residual, width: int, out: int, stride: int) -> Map:
    one, three = (stride, 1) if net.first else (1, stride)
    x = x.conv(width, 1, one, "valid", bias=net.bias).norm().act()
    x = x.conv(width, 3, three, 1, bias=net.bias, groups=net.groups).norm().act()
    return x.conv(out, bias=net.bias).norm()


def squeeze(x: Map, channels: int, function: Function = Function.RELU, last: Function = Function.SIGMOID) -> Map:
    """A squeeze-and-excitation gate: two 1 × 1 convolutions of the mean of each channel."""
    gate = x.global_pool().conv(channels, bias=True).act(function).conv(x.channels, bias=True).act(last)
    return x.times(gate)


def classify(x: Map, classes: int) -> Map:
    """The head of a classifier: the mean of each channel, a product, the loss."""
    return x.block("head").global_pool().dense(classes).loss()


def _resnet(name: str, net: Residual, image_size: int = 224, classes: int = 1000) -> Workload:
    x = stages(stem(image(image_size), bias=net.bias), net)[-1]
    return classify(x, classes).net.workload(name, imagenet())


def _any_depth(depth: int = 50, image_size: int = 224, classes: int = 1000) -> Workload:
    if depth not in DEPTHS:
        known = ", ".join(map(str, DEPTHS))
        raise UsageError(f"there is no ResNet of depth {depth}", f"its depth is one of {known}")
    net = Residual(blocks=DEPTHS[depth], bottleneck=depth >= 50)
    return _resnet(f"resnet-{depth}", net, image_size, classes)


def _block_v2(x: Map, channels: int, stride: int, *, widen: bool) -> Map:
    before = x.norm().act()
    passed = x.max_pool(1, stride) if stride > 1 else x
    shortcut = before.conv(4 * channels, bias=True) if widen else passed
    x = before.conv(channels).norm().act().conv(channels, 3, stride, 1).norm().act()
    return x.conv(4 * channels, bias=True).plus(shortcut)


def _resnet_v2(name: str, blocks: tuple[int, ...], image_size: int = 224, classes: int = 1000) -> Workload:
    """Keras has the stride in the last block of a stage, and none in the last stage."""
    x = image(image_size).conv(64, 7, 2, 3, bias=True).max_pool(3, 2, 1)
    for stage, count in enumerate(blocks):
        for index in range(count):
            first, last = index == 0, index == count - 1
            x = x.block(f"stage {stage + 1}" + (", first" if first else ", last" if last else ""))
            x = _block_v2(x, 64 * 2**stage, 2 if last and stage < len(blocks) - 1 else 1, widen=first)
    return classify(x.norm().act(), classes).net.workload(name, imagenet())


def resnet_models() -> Mapping[str, Builder]:
    """Names to builders."""
    keras = {f"resnet{d}": Residual(blocks=DEPTHS[d], bias=True, first=True) for d in (50, 101, 152)}
    torch = {
        "resnet18": Residual(blocks=DEPTHS[18], bottleneck=False),
        "resnet34": Residual(blocks=DEPTHS[34], bottleneck=False),
        "resnet50-v1.5": Residual(blocks=DEPTHS[50]),
        "resnet101-v1.5": Residual(blocks=DEPTHS[101]),
        "resnet152-v1.5": Residual(blocks=DEPTHS[152]),
        "resnext50-32x4d": Residual(blocks=DEPTHS[50], groups=32, width=4),
        "resnext101-32x4d": Residual(blocks=DEPTHS[101], groups=32, width=4),
        "resnext101-32x8d": Residual(blocks=DEPTHS[101], groups=32, width=8),
        "se-resnext101-32x4d": Residual(blocks=DEPTHS[101], groups=32, width=4, gate=True),
        "wide-resnet50-2": Residual(blocks=DEPTHS[50], width=128),
        "wide-resnet101-2": Residual(blocks=DEPTHS[101], width=128),
    }
    second = {f"resnet{d}-v2": partial(_resnet_v2, f"resnet{d}-v2", DEPTHS[d]) for d in (50, 101, 152)}
    named = {name: partial(_resnet, name, net) for name, net in (keras | torch).items()}
    return {**named, **second, "resnet": _any_depth}


# --- RegNet
#
# RegNet (Radosavovic et al. 2020, arXiv 2003.13678): widths that grow along a line, rounded to stages. As in
# torchvision.
#
# X has no gates, Y has one in each block.

# Depth, first width, slope, ratio between stages, channels of a group.
Line = tuple[int, int, float, float, int]
_LINES: Mapping[str, Line] = {
    "x-400mf": (22, 24, 24.48, 2.54, 16),
    "x-800mf": (16, 56, 35.73, 2.28, 16),
    "x-1.6gf": (18, 80, 34.01, 2.25, 24),
    "x-3.2gf": (25, 88, 26.31, 2.25, 48),
    "x-8gf": (23, 80, 49.56, 2.88, 120),
    "x-16gf": (22, 216, 55.59, 2.1, 128),
    "x-32gf": (23, 320, 69.86, 2.0, 168),
    "y-400mf": (16, 48, 27.89, 2.09, 8),
    "y-800mf": (14, 56, 38.84, 2.4, 16),
    "y-1.6gf": (27, 48, 20.71, 2.65, 24),
    "y-3.2gf": (21, 80, 42.63, 2.66, 24),
    "y-8gf": (17, 192, 76.82, 2.19, 56),
    "y-16gf": (18, 200, 106.23, 2.48, 112),
    "y-32gf": (20, 232, 115.89, 2.53, 232),
}


def _regnet_stages(line: Line) -> list[tuple[int, int, int]]:
    """Blocks, width, and channels of a group of each stage."""
    depth, first, slope, ratio, group = line
    widths = []
    for block in range(depth):
        step = round(math.log((first + slope * block) / first) / math.log(ratio))
        widths.append(round(first * ratio**step / 8) * 8)
    found = []
    for width, alike in groupby(widths):
        each = min(group, width)
        near = int(width + each / 2) // each * each
        found.append((len(list(alike)), near if near >= 0.9 * width else near + each, each))
    return found


def _regnet(name: str, line: Line, gated: bool, image_size: int = 224, classes: int = 1000) -> Workload:
    x = image(image_size).conv(32, 3, 2, 1).norm().act()
    for stage, (blocks, width, group) in enumerate(_regnet_stages(line)):
        for index in range(blocks):
            x = x.block(f"stage {stage + 1}" + ("" if index else ", first"))
            x = _regnet_block(x, width, group, 1 if index else 2, gated)
    return classify(x, classes).net.workload(name, imagenet(100, 1024, source="Radosavovic et al. 2020"))


def _regnet_block(x: Map, width: int, group: int, stride: int, gated: bool) -> Map:
    shortcut = x.conv(width, 1, stride, "valid").norm() if stride > 1 else x
    inside = x.conv(width).norm().act().conv(width, 3, stride, 1, groups=width // group).norm().act()
    if gated:
        inside = squeeze(inside, round(0.25 * x.channels))
    return inside.conv(width).norm().plus(shortcut).act()


def regnet_models() -> Mapping[str, Builder]:
    """Names to builders."""
    return {f"regnet{k}": partial(_regnet, f"regnet{k}", line, k[0] == "y") for k, line in _LINES.items()}


# --- DenseNet
#
# DenseNet (Huang et al. 2017, arXiv 1608.06993): each layer sees all before it.

_GROWTH = 32
_DEPTHS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}


def _densenet(name: str, blocks: tuple[int, ...], image_size: int = 224, classes: int = 1000) -> Workload:
    x = stem(image(image_size))
    for stage, layers in enumerate(blocks):
        if stage:
            x = x.block(f"transition {stage}").norm().act().conv(x.channels // 2).average_pool(2, 2)
        x = x.block(f"stage {stage + 1}")
        for _ in range(layers):
            new = x.norm().act().conv(4 * _GROWTH).norm().act().conv(_GROWTH, 3)
            x = x.concat(new)
    return classify(x.norm().act(), classes).net.workload(name, imagenet(source="Huang et al. 2017"))


def densenet_models() -> Mapping[str, Builder]:
    """Names to builders."""
    return {f"densenet{d}": partial(_densenet, f"densenet{d}", blocks) for d, blocks in _DEPTHS.items()}


# --- ConvNeXt
#
# ConvNeXt (Liu et al. 2022, arXiv 2201.03545), as Keras has it.

_SIZES = {
    "tiny": ((3, 3, 9, 3), 96),
    "small": ((3, 3, 27, 3), 96),
    "base": ((3, 3, 27, 3), 128),
    "large": ((3, 3, 27, 3), 192),
    "xlarge": ((3, 3, 27, 3), 256),
}


def _convnext(name: str, blocks: tuple[int, ...], width: int, image_size: int = 224, classes: int = 1000) -> Workload:
    x = image(image_size).conv(width, 4, 4, "valid", bias=True).layer_norm()
    for stage, count in enumerate(blocks):
        if stage:
            x = x.block(f"to stage {stage + 1}").layer_norm().conv(width * 2**stage, 2, 2, "valid", bias=True)
        for _ in range(count):
            x = _convnext_block(x.block(f"stage {stage + 1}"))
    x = x.block("head").global_pool().layer_norm().dense(classes).loss()
    return x.net.workload(name, imagenet(300, 4096, "adamw", "Liu et al. 2022"))


def _convnext_block(x: Map) -> Map:
    wide = x.depthwise(7, bias=True).layer_norm().project(4 * x.channels).act(Function.GELU)
    return wide.project(x.channels).scale().plus(x)


def convnext_models() -> Mapping[str, Builder]:
    """Names to builders."""
    return {f"convnext-{s}": partial(_convnext, f"convnext-{s}", *shape) for s, shape in _SIZES.items()}
