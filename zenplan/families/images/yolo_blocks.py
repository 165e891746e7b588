"""What YOLO's networks are made of: each takes a map, and the channels that it is to have afterwards.

Every convolution has a batch norm after it and, but where said, a SiLU. Names are those of ``families.images.yolo``, in
brackets what the papers and the library call them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from zenplan.domain.model.operators import Function
from zenplan.families.images.maps import Map
from zenplan.families.parts import attention

Unit = Callable[[Map], Map]


def conv(
    x: Map,
    channels: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    padding: int | None = None,
    groups: int = 1,
    act: bool = True,
) -> Map:
    """A convolution with its norm and activation."""
    x = x.conv(channels, kernel, stride, kernel // 2 if padding is None else padding, groups=groups).norm()
    return x.act(Function.SWISH) if act else x


def _depthwise(x: Map, kernel: int, *, stride: int = 1, act: bool = False) -> Map:
    return conv(x, x.channels, kernel, stride, groups=x.channels, act=act)


# --- units: the same channels come out


def _bottleneck(x: Map, *, first: int = 3, ratio: float = 1.0, add: bool = True, twin: bool = False) -> Map:
    """Two convolutions, and the sum; ``twin``: the first has a 1 × 1 one beside it (RepConv)."""
    inner = int(x.channels * ratio)
    y = conv(x, inner, first, act=not twin)
    if twin:
        y = y.plus(conv(x, inner, act=False)).act(Function.SWISH)
    y = conv(y, x.channels, 3)
    return x.plus(y) if add else y


def compact(x: Map, *, large: bool = False) -> Map:
    """Depthwise convolutions with products between them, of the YOLOv10 (CIB); ``large``: with a window of 7."""
    y = conv(_depthwise(x, 3, act=True), 2 * x.channels)
    y = _depthwise(y, 7).plus(_depthwise(y, 3)).act(Function.SWISH) if large else _depthwise(y, 3, act=True)
    return x.plus(_depthwise(conv(y, x.channels), 3, act=True))


def _attention(x: Map, heads: int, key_dim: int, value_dim: int, *, areas: int = 1, place: int = 3) -> Map:
    """Positions see each other, or those of their area, and a depthwise convolution of the values says where they are."""
    mixed = conv(x, heads * (2 * key_dim + value_dim), act=False)
    size = x.positions // areas
    x.net.add(attention("attention", heads * areas, key_dim, size, value_dim=value_dim))
    values = mixed.part(heads * value_dim)
    return conv(values.plus(_depthwise(values, place)), x.channels, act=False)


def _attending(x: Map) -> Map:
    """Attention and two products (PSABlock)."""
    heads = max(x.channels // 64, 1)
    width = x.channels // heads
    x = x.plus(_attention(x, heads, width // 2, width))
    return x.plus(conv(conv(x, 2 * x.channels), x.channels, act=False))


def _attending_areas(x: Map, *, areas: int, ratio: float) -> Map:
    """The same in areas of the map (ABlock)."""
    for _ in range(2):
        x = x.plus(_attention(x, x.channels // 32, 32, 32, areas=areas, place=7))
        x = x.plus(conv(conv(x, int(x.channels * ratio)), x.channels, act=False))
    return x


# --- stages


def c3(x: Map, channels: int, *, repeats: int, first: int = 1, add: bool = True, twin: bool = False) -> Map:
    """Half of the channels through bottlenecks, half past them (C3, C3k, RepCSP)."""
    inner = channels // 2
    y = conv(x, inner)
    for _ in range(repeats):
        y = _bottleneck(y, first=first, add=add, twin=twin)
    return conv(y.concat(conv(x, inner)), channels)


def c2f(x: Map, channels: int, *, repeats: int, unit: Unit | None = None, add: bool = True, ratio: float = 0.5) -> Map:
    """What each of the units gives is kept for the end (C2f)."""
    inner = int(channels * ratio)
    y = conv(x, 2 * inner).part(inner)
    parts = [y, y]
    for _ in range(repeats):
        y = unit(y) if unit else _bottleneck(y, add=add)
        parts.append(y)
    return conv(parts[0].concat(*parts[1:]), channels)


def c3k2(x: Map, channels: int, *, repeats: int, deep: bool, ratio: float = 0.5) -> Map:
    """C2f with smaller bottlenecks, or where ``deep`` with pairs of them (C3k2)."""
    return c2f(x, channels, repeats=repeats, unit=_pairs if deep else partial(_bottleneck, ratio=0.5), ratio=ratio)


def _pairs(x: Map) -> Map:
    return c3(x, x.channels, repeats=2, first=3)


def self_attention(x: Map, channels: int, *, repeats: int) -> Map:
    """Half of the channels through attention (PSA, C2PSA)."""
    inner = channels // 2
    both = conv(x, 2 * inner)
    y = both.part(inner)
    for _ in range(repeats):
        y = _attending(y)
    return conv(both.part(inner).concat(y), channels)


def area_attention(x: Map, channels: int, *, repeats: int, areas: int, add: bool = False, ratio: float = 2.0) -> Map:
    """Attention in ``areas`` areas, or pairs of bottlenecks where there are none; ``add``: with a scaled sum (A2C2f)."""
    y = conv(x, channels // 2)
    parts = [y]
    for _ in range(repeats):
        y = _attending_areas(y, areas=areas, ratio=ratio) if areas else _pairs(y)
        parts.append(y)
    y = conv(parts[0].concat(*parts[1:]), channels)
    return x.plus(y.scale()) if add and areas else y


def elan(x: Map, channels: int, *, middle: int, inner: int, repeats: int) -> Map:
    """YOLOv9's stage: two turns of bottlenecks, each with all that was before them kept (RepNCSPELAN4)."""

    def turn(y: Map) -> Map:
        return conv(c3(y, inner, repeats=repeats, first=3, twin=True), inner, 3)

    return _layered(x, channels, middle, turn)


def plain_elan(x: Map, channels: int, *, middle: int, inner: int) -> Map:
    """The same with a convolution for each turn (ELAN1)."""
    return _layered(x, channels, middle, lambda y: conv(y, inner, 3))


def _layered(x: Map, channels: int, middle: int, turn: Unit) -> Map:
    y = conv(x, middle).part(middle // 2)
    one = turn(y)
    return conv(y.concat(y, one, turn(one)), channels)


def pooled(x: Map, channels: int) -> Map:
    """Three max pools one after another, all kept (SPPF)."""
    return _pools(x, channels, channels // 2)


def pooled_elan(x: Map, channels: int, *, inner: int) -> Map:
    """The same of YOLOv9 (SPPELAN)."""
    return _pools(x, channels, inner)


def _pools(x: Map, channels: int, inner: int) -> Map:
    parts = [conv(x, inner)]
    for _ in range(3):
        parts.append(parts[-1].max_pool(5, 1, 2))
    return conv(parts[0].concat(*parts[1:]), channels)


# --- halvings


def separate_down(x: Map, channels: int) -> Map:
    """Channels first, then a depthwise convolution (SCDown)."""
    return _depthwise(conv(x, channels), 3, stride=2)


def average_down(x: Map, channels: int) -> Map:
    """A mean of four neighbours, then a convolution (AConv)."""
    return conv(x.average_pool(2, 1), channels, 3, 2)


def halves_down(x: Map, channels: int) -> Map:
    """Half of the channels by a convolution, half by a max pool (ADown)."""
    x = x.average_pool(2, 1)
    left = conv(x.part(x.channels // 2), channels // 2, 3, 2)
    return left.concat(conv(x.part(x.channels // 2).max_pool(3, 2, 1), channels // 2))
