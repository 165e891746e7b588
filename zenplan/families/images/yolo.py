"""YOLO's generations 5 and 8 to 12: a backbone of five halvings, a neck up and down again, a head at three scales.

Their published layouts: ultralytics/yolov5 (``models/yolov5*.yaml``), ultralytics/ultralytics (``cfg/models``); Wang et al.
2024 (YOLOv9, arXiv 2402.13616), Wang et al. 2024 (YOLOv10, 2405.14458), Tian et al. 2025 (YOLO12, 2502.12524).
Counts are those of the network that is trained: publishers print those of the one that is run, with norms folded in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from zenplan.domain.model.workload import Usual, Workload
from zenplan.families.images.maps import Map, image
from zenplan.families.images.usual import COCO
from zenplan.families.images.yolo_blocks import (
    area_attention,
    average_down,
    c2f,
    c3,
    c3k2,
    compact,
    conv,
    elan,
    halves_down,
    plain_elan,
    pooled,
    pooled_elan,
    self_attention,
    separate_down,
)
from zenplan.families.named import Builder

# What a map goes through, to so many channels; ``Scale`` says how many of them, and how often.
Layer = Callable[[Map, int], Map]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How a size is made of its generation: repetitions and channels times so much, channels at most ``most`` before."""

    depth: float = 1.0
    width: float = 1.0
    most: int = 1024
    letter: str = ""

    def channels(self, count: int) -> int:
        """In eights."""
        return math.ceil(min(count, self.most) * self.width / 8) * 8

    def times(self, count: int) -> int:
        """Repetitions."""
        return max(round(count * self.depth), 1) if count > 1 else count


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A size of a generation.

    Attributes:
        halvings: channels after each of the halvings of the backbone, the stem's first, and of the neck's two.
        stages: of the backbone, and of the neck: two on the way up, two down; each a layer and its channels.
        down: how each of the halvings after the first is done.
        top: what the smallest map goes through.
        lateral: maps are narrowed before they are enlarged, and come in again on the way down.
        head: ``anchors`` (boxes of fixed size), ``free`` (none), ``light`` (none, separable), ``double`` (light, twice).
    """

    halvings: tuple[int, ...]
    stages: tuple[tuple[Layer, int], ...]
    down: tuple[Layer, ...]
    top: tuple[Layer, ...]
    head: str
    lateral: bool = False


def _detector(
    name: str, usual: Usual, design: Design, scale: Scale, /, *, image_size: int = 640, classes: int = 80
) -> Workload:
    """The network on a square image.

    Args:
        image_size: edge, of which 32 pixels become one position of the smallest map.
        classes: kinds of objects.
    """
    wide = scale.channels
    x, seen = image(image_size), list[Map]()
    x.net.counts_statistics = False
    large = design.lateral  # a stem of 6 × 6
    x = conv(x, wide(design.halvings[0]), 6 if large else 3, 2, padding=2 if large else 1)
    for number, (down, channels) in enumerate(zip(design.down[:4], design.halvings[1:5], strict=True), 1):
        layer, wider = design.stages[number - 1]
        x = layer(down(x, wide(channels)).block(f"stage {number}"), wide(wider))
        seen.append(x)
    for layer in design.top:
        x = layer(x.block("top"), x.channels)
    before, found = [], list[Map]()
    for (layer, channels), level in zip(design.stages[4:6], (seen[2], seen[1]), strict=True):
        x = conv(x, wide(channels)) if design.lateral else x
        before.append(x)
        x = layer(x.block("neck up").enlarge(level.size).concat(level), wide(channels))
    found.append(x)
    for (layer, channels), down, narrow, level in zip(
        design.stages[6:], design.down[4:], design.halvings[5:], reversed(before), strict=True
    ):
        x = layer(down(x.block("neck down"), wide(narrow)).concat(level), wide(channels))
        found.append(x)
    for level in found:
        _HEADS[design.head](level.block("head"), classes, found[0].channels)
    return x.net.workload(name, usual)


# --- heads

_BINS = 16  # of the distribution over each of a box's four edges
_ANCHORS = 3


def _anchored(x: Map, classes: int, _: int) -> None:
    x.conv(_ANCHORS * (classes + 5), bias=True).loss()


def _boxes(x: Map, first: int) -> None:
    width = max(16, first // 4, 4 * _BINS)
    conv(conv(x, width, 3), width, 3).conv(4 * _BINS, bias=True).loss()


def _free(x: Map, classes: int, first: int) -> None:
    _boxes(x, first)
    width = max(first, min(classes, 100))
    conv(conv(x, width, 3), width, 3).conv(classes, bias=True).loss()


def _light(x: Map, classes: int, first: int) -> None:
    _boxes(x, first)
    width = max(first, min(classes, 100))
    for _ in range(2):
        x = conv(conv(x, x.channels, 3, groups=x.channels), width)
    x.conv(classes, bias=True).loss()


def _double(x: Map, classes: int, first: int) -> None:
    """Once with many boxes for an object, once with one, whose gradient ends at the head."""
    _light(x, classes, first)
    _light(replace(x, learned=False), classes, first)


_HEADS: Mapping[str, Callable[[Map, int, int], None]] = {
    "anchors": _anchored,
    "free": _free,
    "light": _light,
    "double": _double,
}

# --- generations

_ALIKE = (64, 128, 256, 512, 1024, 256, 512)


def _halving(x: Map, channels: int) -> Map:
    return conv(x, channels, 3, 2)


def _v5(scale: Scale) -> Design:
    block = [partial(c3, repeats=scale.times(n), add=True) for n in (3, 6, 9, 3)]
    narrow = partial(c3, repeats=scale.times(3), add=False)
    stages = zip((*block, *(4 * [narrow])), (128, 256, 512, 1024, 512, 256, 512, 1024), strict=True)
    return Design(
        halvings=_ALIKE, stages=tuple(stages), down=6 * (_halving,), top=(pooled,), lateral=True, head="anchors"
    )


def _v5u(scale: Scale) -> Design:
    return replace(_v5(scale), head="free")


def _v8(scale: Scale) -> Design:
    block = [partial(c2f, repeats=scale.times(n), add=True) for n in (3, 6, 6, 3)]
    narrow = partial(c2f, repeats=scale.times(3), add=False)
    stages = zip((*block, *(4 * [narrow])), (128, 256, 512, 1024, 512, 256, 512, 1024), strict=True)
    return Design(halvings=_ALIKE, stages=tuple(stages), down=6 * (_halving,), top=(pooled,), head="free")


# YOLOv9: channels of the halvings and of the stages, each with its middle and inner ones.
_NINE: Mapping[str, tuple[tuple[int, ...], tuple[tuple[int, int, int], ...], int, int]] = {
    "t": (
        (16, 32, 64, 96, 128, 48, 64),
        (
            (32, 32, 16),
            (64, 64, 32),
            (96, 96, 48),
            (128, 128, 64),
            (96, 96, 48),
            (64, 64, 32),
            (96, 96, 48),
            (128, 128, 64),
        ),
        3,
        64,
    ),
    "s": (
        (32, 64, 128, 192, 256, 96, 128),
        (
            *((64, 64, 32), (128, 128, 64), (192, 192, 96), (256, 256, 128)),
            *((192, 192, 96), (128, 128, 64), (192, 192, 96), (256, 256, 128)),
        ),
        3,
        128,
    ),
    "m": (
        (32, 64, 240, 360, 480, 180, 240),
        (
            *((128, 128, 64), (240, 240, 120), (360, 360, 180), (480, 480, 240)),
            *((360, 360, 180), (240, 240, 120), (360, 360, 180), (480, 480, 240)),
        ),
        1,
        240,
    ),
    "c": (
        (64, 128, 256, 512, 512, 256, 512),
        (
            *((256, 128, 64), (512, 256, 128), (512, 512, 256), (512, 512, 256)),
            *((512, 512, 256), (256, 256, 128), (512, 512, 256), (512, 512, 256)),
        ),
        1,
        256,
    ),
}


def _v9(scale: Scale) -> Design:
    halvings, widths, repeats, pooled_width = _NINE[scale.letter]
    stages: list[tuple[Layer, int]] = [
        (partial(elan, middle=middle, inner=inner, repeats=repeats), out) for out, middle, inner in widths
    ]
    if scale.letter in ("t", "s"):
        out, middle, inner = widths[0]
        stages[0] = partial(plain_elan, middle=middle, inner=inner), out
    down = halves_down if scale.letter == "c" else average_down
    return Design(
        halvings=halvings,
        stages=tuple(stages),
        down=(_halving, *(5 * (down,))),
        top=(partial(pooled_elan, inner=pooled_width),),
        head="free",
    )


# YOLOv10: which of the eight stages, the first three of the backbone left out, are made of compact blocks.
_COMPACT = {"n": (7,), "s": (3, 7), "m": (3, 6, 7), "b": (3, 4, 6, 7), "l": (3, 4, 6, 7), "x": (2, 3, 4, 6, 7)}


def _v10(scale: Scale) -> Design:
    stages: list[tuple[Layer, int]] = []
    for number, (times, channels) in enumerate(
        zip((3, 6, 6, 3, 3, 3, 3, 3), (128, 256, 512, 1024, 512, 256, 512, 1024), strict=True)
    ):
        repeats = scale.times(times)
        if number in _COMPACT[scale.letter]:
            layer: Layer = partial(c2f, repeats=repeats, unit=partial(compact, large=scale.letter in ("n", "s")))
        else:
            layer = partial(c2f, repeats=repeats, add=number < 4)
        stages.append((layer, channels))
    down = (_halving, _halving, separate_down, separate_down, _halving, separate_down)
    return Design(
        halvings=_ALIKE,
        stages=tuple(stages),
        down=down,
        top=(pooled, partial(self_attention, repeats=1)),
        head="double",
    )


def _eleven(scale: Scale) -> Design:
    repeats, deep = scale.times(2), scale.letter in ("m", "l", "x")
    stages = [
        (partial(c3k2, repeats=repeats, deep=deep or always, ratio=ratio), channels)
        for always, ratio, channels in (
            *((False, 0.25, 256), (False, 0.25, 512), (True, 0.5, 512), (True, 0.5, 1024)),
            *((False, 0.5, 512), (False, 0.5, 256), (False, 0.5, 512), (True, 0.5, 1024)),
        )
    ]
    return Design(
        halvings=_ALIKE,
        stages=tuple(stages),
        down=6 * (_halving,),
        top=(pooled, partial(self_attention, repeats=repeats)),
        head="light",
    )


def _twelve(scale: Scale) -> Design:
    base, large = _eleven(scale), scale.letter in ("l", "x")
    stages = list(base.stages)
    for number, times, areas in ((2, 4, 4), (3, 4, 1), (4, 2, 0), (5, 2, 0), (6, 2, 0)):
        layer = partial(area_attention, repeats=scale.times(times), areas=areas, add=large, ratio=1.2 if large else 2.0)
        stages[number] = layer, stages[number][1]
    return replace(base, stages=tuple(stages), top=())


# Repetitions and channels of each size, and the most channels before those are multiplied.
_OLD = {"n": (0.33, 0.25, 1024), "s": (0.33, 0.5, 1024)}
_V5 = {**_OLD, "m": (0.67, 0.75, 1024), "l": (1.0, 1.0, 1024), "x": (1.33, 1.25, 1024)}
_V8 = {**_OLD, "m": (0.67, 0.75, 768), "l": (1.0, 1.0, 512), "x": (1.0, 1.25, 512)}
_V10 = {**_OLD, "m": (0.67, 0.75, 768), "b": (0.67, 1.0, 512), "l": (1.0, 1.0, 512), "x": (1.0, 1.25, 512)}
_NEW = {"n": (0.5, 0.25, 1024), "s": (0.5, 0.5, 1024), "m": (0.5, 1.0, 512), "l": (1.0, 1.0, 512), "x": (1.0, 1.5, 512)}
_V9 = dict.fromkeys(_NINE, (1.0, 1.0, 1 << 20))

# --- names, and how they were trained


def _trained(epochs: float, global_batch: int, source: str) -> Usual:
    return Usual(
        dataset="COCO 2017",
        samples=COCO,
        epochs=epochs,
        global_batch=global_batch,
        optimizer="sgd-momentum",
        source=source,
        task="detection",
    )


_BATCH_8 = (
    "of Ultralytics' YOLOv8: 500 passes (ultralytics/ultralytics, issue 1642), batches of 8 × 16 (open-mmlab/mmyolo)"
)
_GENERATIONS: tuple[tuple[str, str, Callable[[Scale], Design], Mapping[str, tuple[float, float, int]], Usual], ...] = (
    (
        "yolov5",
        "",
        _v5,
        _V5,
        _trained(300, 128, "ultralytics/yolov5, README.md: 300 passes; batches of mmyolo, 8 × 16"),
    ),
    ("yolov5", "u", _v5u, _V5, _trained(300, 128, "ultralytics/ultralytics, issue 1343: as YOLOv5, 300 passes")),
    ("yolov8", "", _v8, _V8, _trained(500, 128, _BATCH_8)),
    ("yolov9", "", _v9, _V9, _trained(500, 128, "WongKinYiu/yolov9, README.md; its auxiliary branch is left out")),
    ("yolov10", "", _v10, _V10, _trained(500, 256, "THU-MIG/yolov10, README.md")),
    ("yolo11", "", _eleven, _NEW, _trained(500, 128, f"{_BATCH_8}; that of YOLO11 is not published")),
    ("yolo12", "", _twelve, _NEW, _trained(600, 256, "sunsmarterjie/yolov12, README.md")),
)


def yolo_models() -> Mapping[str, Builder]:
    """Names to builders."""
    found: dict[str, Builder] = {}
    for generation, after, designed, sizes, usual in _GENERATIONS:
        for letter, (depth, width, most) in sizes.items():
            scale = Scale(depth=depth, width=width, most=most, letter=letter)
            name = f"{generation}{letter}{after}"
            found[name] = partial(_detector, name, usual, designed(scale), scale)
    return found
