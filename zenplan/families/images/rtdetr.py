"""RT-DETR (Zhao et al. 2023, arXiv 2304.08069): a residual network, an encoder of its three last maps, and queries that
become boxes.

The shapes: lyuwenyu/RT-DETR (``rtdetr_pytorch/configs``), as transformers 5.24.0 counts them. The stem and
every norm of the two large residual networks are frozen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from zenplan.domain.model.operators import ElementwiseKind, Embedding, Function
from zenplan.domain.model.workload import Workload
from zenplan.families.images.maps import Map, image
from zenplan.families.images.residual import DEPTHS
from zenplan.families.images.usual import coco
from zenplan.families.named import Builder
from zenplan.families.parts import attention, elementwise

_HEADS, _POINTS, _LEVELS = 8, 4, 3
_BOTTLENECK = 50  # the depth from which residual networks have them
_WIDTH, _WIDE = 256, 1024  # of the decoder, and of its feed-forward networks


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What one size has that another has not.

    Attributes:
        depth: of the residual network, of which those below 50 have no bottleneck.
        width, wide: of the encoder, and of its feed-forward network.
        narrow: the encoder's blocks have half of its channels inside.
        layers: of the decoder.
    """

    depth: int
    width: int = 256
    wide: int = 1024
    narrow: bool = False
    layers: int = 6


def _rtdetr(name: str, size: Size, /, *, image_size: int = 640, classes: int = 80, queries: int = 300) -> Workload:
    """The network on a square image; ``queries``: boxes that it finds."""
    levels = _encoder(_backbone(image(image_size), size), size)
    x = levels[0].net
    seen = [_normed(level, _WIDTH, act=None) for level in levels]
    memory = replace(seen[0].block("candidates"), size=(sum(level.positions for level in seen), 1), key=x.new_map())
    found = memory.project(_WIDTH).layer_norm()
    found.project(classes).loss()
    _boxes(found)
    x.add(Embedding(name="classes for denoising", entries=classes + 1, width=_WIDTH, rows=queries))
    asked = replace(found, size=(queries, 1), key=x.new_map())
    # One network tells each layer where its boxes are.
    places = replace(asked, size=(queries * size.layers, 1), channels=4, learned=False, key=x.new_map())
    places.project(2 * _WIDTH).act().project(_WIDTH)
    for _ in range(size.layers):
        asked = _decode(asked.block("decoder layer"), memory)
        asked.project(classes).loss()
        _boxes(asked)
    return x.workload(name, coco(72, 16, "lyuwenyu/RT-DETR, rtdetr_pytorch/configs: 72 passes in batches of 16"))


# --- the residual network, as Bag of Tricks has it (He et al. 2019)


def _backbone(x: Map, size: Size) -> list[Map]:
    """The last three of four stages."""
    large = size.depth >= _BOTTLENECK
    x.net.counts_statistics, x.net.frozen, x.net.frozen_norms = False, large, large
    for channels, stride in ((32, 2), (32, 1), (64, 1)):
        x = x.conv(channels, 3, stride, 1).norm().act()
    x, outputs = x.max_pool(3, 2, 1), []
    x.net.frozen = False
    for stage, blocks in enumerate(DEPTHS[size.depth]):
        for index in range(blocks):
            stride = 2 if stage and not index else 1
            x = _residual(x.block(f"stage {stage + 1}"), 64 * 2**stage, stride, large, first=not index)
        outputs.append(x)
    x.net.frozen_norms = False
    return outputs[1:]


def _residual(x: Map, channels: int, stride: int, bottleneck: bool, *, first: bool) -> Map:
    out = 4 * channels if bottleneck else channels
    shortcut = x.average_pool(2, 2) if stride > 1 else x
    if first:
        shortcut = shortcut.conv(out).norm()
    if bottleneck:
        x = x.conv(channels).norm().act().conv(channels, 3, stride, 1).norm().act().conv(out).norm()
    else:
        x = x.conv(channels, 3, stride, 1).norm().act().conv(out, 3, 1, 1).norm()
    return x.plus(shortcut).act()


# --- the encoder


def _encoder(levels: Sequence[Map], size: Size) -> list[Map]:
    """The smallest map attends to itself; then maps are joined up and down again."""
    narrow = [_normed(level.block("encoder in"), size.width, act=None) for level in levels]
    narrow[-1] = _attended(narrow[-1].block("encoder layer"), size.wide)
    passed, x = [], narrow[-1]
    for level in reversed(narrow[:-1]):
        x = _normed(x.block("encoder up"), size.width)
        passed.append(x)
        x = _joined(x.enlarge(level.size).concat(level), size)
    found = [x]
    for level in reversed(passed):
        x = _joined(_normed(x.block("encoder down"), size.width, 3, 2).concat(level), size)
        found.append(x)
    return found


def _normed(x: Map, channels: int, kernel: int = 1, stride: int = 1, act: Function | None = Function.SWISH) -> Map:
    x = x.conv(channels, kernel, stride, kernel // 2).norm()
    return x.act(act) if act else x


def _joined(x: Map, size: Size) -> Map:
    """Three convolutions, each with a 1 × 1 one beside it, and one past them (CSPRepLayer)."""
    inner = size.width // 2 if size.narrow else size.width
    y = _normed(x, inner)
    for _ in range(3):
        y = _normed(y, inner, 3, act=None).plus(_normed(y, inner, act=None)).act(Function.SWISH)
    y = y.plus(_normed(x, inner))
    return _normed(y, size.width) if inner != size.width else y


# --- layers of a transformer


def _attended(x: Map, wide: int) -> Map:
    return _feed(_self_attention(x), wide, Function.GELU)


def _self_attention(x: Map) -> Map:
    mixed, per_head = x.project(3 * x.channels), x.channels // _HEADS
    x.net.add(attention("attention", _HEADS, per_head, x.positions))
    return mixed.part(x.channels).project(x.channels).plus(x).layer_norm()


def _feed(x: Map, wide: int, function: Function) -> Map:
    return x.project(wide).act(function).project(x.channels).plus(x).layer_norm()


def _decode(x: Map, memory: Map) -> Map:
    """Queries see each other, then points of the maps around where they are (deformable attention)."""
    x = _self_attention(x)
    samples = _HEADS * _LEVELS * _POINTS
    memory.project(_WIDTH)
    x.project(2 * samples)
    x.project(samples)
    taken = float(x.positions * samples * _WIDTH // _HEADS)
    # Each point is interpolated from four neighbours, whose values are there already.
    x.net.add(elementwise(ElementwiseKind.OTHER, "sampling", taken, 5, kept=float(2 * x.positions * samples)))
    seen = replace(x, key=x.net.new_map())
    return _feed(seen.project(_WIDTH).plus(x).layer_norm(), _WIDE, Function.RELU)


def _boxes(x: Map) -> Map:
    return x.project(_WIDTH).act().project(_WIDTH).act().project(4).loss()


_SIZES = {
    "r18": Size(depth=18, narrow=True, layers=3),
    "r34": Size(depth=34, narrow=True, layers=4),
    "r50": Size(depth=50),
    "r101": Size(depth=101, width=384, wide=2048),
}


def rtdetr_models() -> Mapping[str, Builder]:
    """Names to builders."""
    return {f"rtdetr-{name}": partial(_rtdetr, f"rtdetr-{name}", size) for name, size in _SIZES.items()}
