"""RegNet (Radosavovic et al. 2020, arXiv 2003.13678): widths that grow along a line, rounded to stages. As in torchvision.

X has no gates, Y has one in each block.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from itertools import groupby

from zenplan.domain.model.workload import Workload
from zenplan.families.images.maps import Map, image
from zenplan.families.images.resnet import classify, squeeze
from zenplan.families.images.usual import imagenet
from zenplan.families.named import Builder

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


def _stages(line: Line) -> list[tuple[int, int, int]]:
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
    for stage, (blocks, width, group) in enumerate(_stages(line)):
        for index in range(blocks):
            x = x.block(f"stage {stage + 1}" + ("" if index else ", first"))
            x = _block(x, width, group, 1 if index else 2, gated)
    return classify(x, classes).net.workload(name, imagenet(100, 1024, source="Radosavovic et al. 2020"))


def _block(x: Map, width: int, group: int, stride: int, gated: bool) -> Map:
    shortcut = x.conv(width, 1, stride, "valid").norm() if stride > 1 else x
    inside = x.conv(width).norm().act().conv(width, 3, stride, 1, groups=width // group).norm().act()
    if gated:
        inside = squeeze(inside, round(0.25 * x.channels))
    return inside.conv(width).norm().plus(shortcut).act()


def models() -> Mapping[str, Builder]:
    """Names to builders."""
    return {f"regnet{k}": partial(_regnet, f"regnet{k}", line, k[0] == "y") for k, line in _LINES.items()}
