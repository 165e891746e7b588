"""Convolutions, pools and enlarged maps of a proxy model. Operators tell positions; here they get a height and a width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from zenplan.domain.model.operators import Convolution, Elementwise
from zenplan.worker.proxies.flow import Flow
from zenplan.worker.proxies.products import size

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_TRANSPOSED = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_MAX_POOLS = (keras.layers.MaxPooling1D, keras.layers.MaxPooling2D, keras.layers.MaxPooling3D)
_MEAN_POOLS = (keras.layers.AveragePooling1D, keras.layers.AveragePooling2D, keras.layers.AveragePooling3D)


class Maps:
    """How many places a map has along each dimension, as far as maps of so many positions were met."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[int, ...]] = {}

    def places(self, positions: int, rank: int) -> tuple[int, ...]:
        """The map met last of that size; else a square or cube, or what is next to one."""
        known = self._known.get((positions, rank))
        if known is None:
            known = _split(positions, rank)
            self._known[positions, rank] = known
        return known

    def next_places(self, before: Sequence[int], positions: int) -> tuple[int, ...]:
        """Of the map made of that one by a stride."""
        if math.prod(before) != positions:
            stride = max(1.0, (math.prod(before) / positions) ** (1 / len(before)))
            for step in (round(stride), math.ceil(stride)):
                for rounded in (math.ceil, math.floor):
                    after = tuple(max(1, rounded(n / step)) for n in before)
                    if math.prod(after) == positions:
                        self._known[positions, len(before)] = after
                        return after
        return tuple(before) if math.prod(before) == positions else self.places(positions, len(before))

    def rank_of(self, positions: int) -> int:
        """Dimensions of the map met last of that size; 1 where there was none."""
        return next((rank for known, rank in reversed(self._known) if known == positions), 1)

    def begin(self, op: Convolution, flow: Flow) -> None:
        """The map that the first operator of a model reads, as its input."""
        positions = size(op.input_elements / op.inputs)
        flow.begin((*self.places(positions, len(self._kernel(op, positions))), size(op.inputs)))

    def convolve(self, op: Convolution, flow: Flow) -> None:
        """A convolution, depthwise or transposed where the operator is; what is missing at the edges is padded."""
        inputs, outputs = size(op.inputs), size(op.outputs)
        entering, leaving = size(op.input_elements / inputs), size(op.output_elements / outputs)
        kernel = self._kernel(op, entering)
        before = self.places(entering, len(kernel))
        source = flow.take_map(before, inputs, learned=op.input_gradient)
        options: dict[str, Any] = {"use_bias": op.bias, "trainable": op.trainable}
        if op.positions < leaving:
            stride = max(1, round((leaving / entering) ** (1 / len(kernel))))
            layer = _TRANSPOSED[len(kernel) - 1](outputs, kernel, stride, padding="same", **options)
            made = layer(source)
            self._known[math.prod(made.shape[1:-1]), len(kernel)] = tuple(made.shape[1:-1])
            flow.put(made, learns=op.trainable)
            return
        after = self.next_places(before, leaving)
        strides, padding = _slid(before, after, kernel)
        if padding == "valid":
            source = _edged(source, before, after, kernel, strides)
        options |= {"strides": strides, "padding": padding}
        flow.put(_layer(op, kernel, **options)(source), learns=op.trainable)

    def _kernel(self, op: Convolution, entering: int) -> tuple[int, ...]:
        """The window along each dimension: its kernel, else a square or cube, else a line."""
        if op.kernel:
            return op.kernel
        window = size(op.window)
        ranks = (self.rank_of(entering),) if window == 1 else (2, 3)
        for rank in ranks:
            edge = round(window ** (1 / rank))
            if edge**rank == window:
                return (edge,) * rank
        return (window,)

    def pool(self, op: Elementwise, flow: Flow, *, largest: bool) -> None:
        """A pool to as many positions as its passes tell: it reads once, and writes what is left."""
        source = flow.take_elements(size(op.elements))
        channels = source.shape[-1]
        leaving = size(op.elements * (op.passes - 1) / channels) if op.passes > 1 else 1
        before = tuple(source.shape[1:-1])
        if leaving == 1:
            flow.put(ops.mean(source, axis=tuple(range(1, len(before) + 1)), keepdims=True))
            return
        after = self.next_places(before, leaving)
        kinds = _MAX_POOLS if largest else _MEAN_POOLS
        pool = [n - (m - 1) * s for n, m, s in zip(before, after, _strides(before, after), strict=True)]
        if before == after or min(pool) < 1:
            layer = kinds[len(before) - 1](3 if before == after else 2, _strides(before, after), padding="same")
        else:
            layer = kinds[len(before) - 1](tuple(pool), _strides(before, after))
        flow.put(layer(source))

    def enlarge(self, op: Elementwise, flow: Flow) -> None:
        """Each place of the current map as often as it takes to have that many."""
        source = flow.use(flow.current)
        rank, channels = len(source.shape) - 2, source.shape[-1]
        times = max(1, round((op.elements / flow.current.elements) ** (1 / rank)))
        for axis in range(1, rank + 1):
            source = ops.repeat(source, times, axis=axis)
        self._known[math.prod(source.shape[1:-1]), rank] = tuple(source.shape[1:-1])
        flow.put(ops.reshape(source, (-1, *source.shape[1:-1], channels)))


def _layer(op: Convolution, kernel: tuple[int, ...], **options: Any) -> Any:
    inputs, outputs, groups = size(op.inputs), size(op.outputs), size(op.groups)
    rank = len(kernel)
    if groups == inputs > 1 and outputs % inputs == 0 and rank <= len(_DEPTHWISE):
        return _DEPTHWISE[rank - 1](kernel, depth_multiplier=outputs // inputs, **options)
    return _CONVOLUTIONS[rank - 1](outputs, kernel, groups=groups, **options)


def _slid(before: Sequence[int], after: Sequence[int], kernel: Sequence[int]) -> tuple[tuple[int, ...], str]:
    """The stride, and Keras's padding, by which a window slides over the one map to give the other; ``valid`` where the
    edges have to be made to fit."""
    sizes = list(zip(before, after, kernel, strict=True))
    likely = _strides(before, after)
    for stride in (1, *likely[:1]):
        if all(-(-n // stride) == m for n, m, _ in sizes):
            return (stride,) * len(before), "same"
        if all((n - k) // stride + 1 == m for n, m, k in sizes):
            return (stride,) * len(before), "valid"
    return likely, "valid"


def _strides(before: Sequence[int], after: Sequence[int]) -> tuple[int, ...]:
    """One for all dimensions, which some backends want."""
    stride = max(1, *(round(n / m) for n, m in zip(before, after, strict=True)))
    return (stride,) * len(before)


def _edged(
    source: Any, before: Sequence[int], after: Sequence[int], kernel: Sequence[int], strides: Sequence[int]
) -> Any:
    """Zeros around the map, or a part of it, so that a window slides to exactly as many places."""
    needed = [(m - 1) * s + k for m, s, k in zip(after, strides, kernel, strict=True)]
    missing = [max(0, want - n) for want, n in zip(needed, before, strict=True)]
    if any(missing):
        source = ops.pad(source, ((0, 0), *((m // 2, m - m // 2) for m in missing), (0, 0)))
    return source[(slice(None), *(slice(0, want) for want in needed))]


def _split(positions: int, rank: int) -> tuple[int, ...]:
    """Positions along each of so many dimensions, as even as they can be; of a size without such, a few too many."""
    if rank == 1:
        return (positions,)
    edge = round(positions ** (1 / rank))
    if edge**rank == positions:
        return (edge,) * rank
    first = next((n for n in range(edge, 0, -1) if positions % n == 0 and n * 2**rank >= edge), edge)
    return (first, *_split(-(-positions // first), rank - 1))
