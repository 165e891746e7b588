"""Feature maps, and the layers that make one from another. Sizes are those of Keras and of PyTorch.

A layer adds its operators to the net of its input. What a layer keeps for its backward pass is kept once, whoever
else keeps it: a convolution, a norm and a smooth activation keep their input, a ReLU its output. Padding is part of
the convolution after it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from zenplan.domain.model.operators import Convolution, Elementwise, ElementwiseKind, Function, MatMul, Operator, Split
from zenplan.domain.model.workload import Block, Usual, Workload
from zenplan.domain.provenance import Fact
from zenplan.errors import UsageError
from zenplan.families.parts import loss

# --- the operators of a network


class Net:
    """What the layers of a network have in common: its blocks so far, and which maps are already kept.

    Attributes:
        frozen: layers that are added now do not learn.
        frozen_norms: batch norms do not.
        counts_statistics: moving means and variances are among the parameters, as Keras counts; PyTorch does not.
    """

    def __init__(self) -> None:
        self.frozen, self.frozen_norms, self.counts_statistics = False, False, True
        self._blocks: list[Block] = []
        self._name, self._operators = "stem", list[Operator]()
        self._maps = 0
        self._kept: set[int] = set()
        self._statistics = 0.0

    def new_map(self) -> int:
        """A number for a feature map, by which it is known again."""
        self._maps += 1
        return self._maps

    def keep(self, key: int, elements: float) -> float:
        """Elements that one more operator keeps for the backward pass: none where the map is kept already."""
        if key in self._kept:
            return 0.0
        self._kept.add(key)
        return elements

    def add(self, operator: Operator) -> None:
        """The next operator."""
        self._operators.append(operator)

    def add_statistics(self, parameters: float) -> None:
        """Parameters that no gradient changes: moving means and variances."""
        self._statistics += parameters

    def block(self, name: str, boundary: float) -> None:
        """End a block, which that many elements leave, and begin the next.

        One that is like the one before it is a repetition of it.
        """
        if self._operators:
            self._close(name, boundary)
        self._name = name

    def _close(self, name: str, boundary: float) -> None:
        done = Block(name=self._name, operators=tuple(self._operators), boundary=boundary)
        last = self._blocks[-1] if self._blocks else None
        if last is not None and replace(last, repeat=1, name=done.name) == done:
            self._blocks[-1] = replace(last, repeat=last.repeat + 1)
        else:
            self._blocks.append(done)
        self._operators = []

    def workload(
        self, name: str, usual: Usual, facts: tuple[Fact, ...] = (), *, unit: str = "images", read: str = "image"
    ) -> Workload:
        """What was collected; the block that is not ended is the network's head. ``read`` is the workload's input."""
        if self._statistics:
            # Written once a step, beside the maps; next to nothing.
            self.add(
                Elementwise(
                    name="moving statistics",
                    kind=ElementwiseKind.STATISTICS,
                    elements=self._statistics,
                    passes=1,
                    split=Split.NONE,
                    weights=self._statistics if self.counts_statistics else 0.0,
                    trainable=False,
                )
            )
        head = Block(name=self._name, operators=tuple(self._operators), place="last")
        return Workload(
            name=name,
            family="convnet",
            blocks=(*self._blocks, head),
            tokens_per_sample=1,
            unit=unit,
            usual=usual,
            input=read,
            facts=facts,
        )


# --- maps


Window = int | tuple[int, ...]
# "same" as Keras has it, "valid", or what is added on each side (PyTorch).
Padding = str | int

# Their backward pass needs what went in; that of the others needs what came out.
_SMOOTH = (Function.SWISH, Function.GELU, Function.HARD_SWISH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """A feature map of one sample.

    Attributes:
        size: positions along each dimension: height and width, before them depth where there is one.
        learned: something before it learns, so that it gets a gradient.
        key: by which the net knows it.
    """

    net: Net
    size: tuple[int, ...]
    channels: int
    learned: bool
    key: int

    @property
    def positions(self) -> int:
        """Positions of one channel."""
        return math.prod(self.size)

    @property
    def elements(self) -> int:
        """Elements of all channels."""
        return self.positions * self.channels

    # --- products and convolutions

    def conv(
        self,
        channels: int,
        kernel: Window = 1,
        stride: int = 1,
        padding: Padding = "same",
        *,
        bias: bool = False,
        groups: int = 1,
    ) -> Map:
        """A convolution; with as many groups as channels, a depthwise one."""
        window = self._window(kernel)
        out = self._next(self._slid(window, stride, padding), channels, self.learned or not self.net.frozen)
        depthwise = "depthwise " if groups == self.channels > 1 else ""
        self._convolve(out, out.positions, window, f"{depthwise}{_shown(window)}convolution", bias, groups)
        return out

    def transposed(self, channels: int, kernel: Window, stride: int, *, bias: bool = True) -> Map:
        """A transposed convolution that enlarges by the stride."""
        window = self._window(kernel)
        out = self._next(tuple(n * stride for n in self.size), channels, self.learned or not self.net.frozen)
        self._convolve(out, self.positions, window, f"transposed {_shown(window)}convolution", bias, 1)
        return out

    def _convolve(self, out: Map, positions: int, window: tuple[int, ...], name: str, bias: bool, groups: int) -> None:
        self.net.add(
            Convolution(
                name=name,
                positions=positions,
                window=math.prod(window),
                kernel=window,
                inputs=self.channels,
                outputs=out.channels,
                groups=groups,
                input_elements=self.elements,
                output_elements=out.elements,
                bias=bias,
                trainable=not self.net.frozen,
                saved=0.0 if self.net.frozen else self._kept(),
                input_gradient=self.learned,
            )
        )

    def depthwise(self, kernel: Window, stride: int = 1, padding: Padding = "same", *, bias: bool = False) -> Map:
        """A convolution of each channel alone."""
        return self.conv(self.channels, kernel, stride, padding, bias=bias, groups=self.channels)

    def separable(self, channels: int, kernel: Window, stride: int = 1, padding: Padding = "same") -> Map:
        """A depthwise convolution and a 1 × 1 one."""
        return self.depthwise(kernel, stride, padding).conv(channels)

    def dense(self, channels: int, *, bias: bool = True) -> Map:
        """A product with the whole map as one row."""
        out = self._next((1,) * len(self.size), channels, True)
        self.net.add(
            MatMul(
                name="dense",
                rows=1,
                inner=self.elements,
                columns=channels,
                split=Split.NONE,
                bias=bias,
                saved=self._kept(),
                input_gradient=self.learned,
            )
        )
        return out

    def project(self, channels: int, *, bias: bool = True) -> Map:
        """The same product at each position."""
        out = self._next(self.size, channels, True)
        self.net.add(
            MatMul(
                name="dense",
                rows=self.positions,
                inner=self.channels,
                columns=channels,
                split=Split.NONE,
                bias=bias,
                saved=self._kept() / self.positions,
                input_gradient=self.learned,
            )
        )
        return out

    # --- elementwise

    def norm(self, *, scale: bool = True) -> Map:
        """A batch norm: two reads, one write. A frozen one scales and shifts, and keeps nothing."""
        self.net.add_statistics(2 * self.channels)
        weights = (2.0 if scale else 1.0) * self.channels
        if self.net.frozen_norms:
            self._elementwise(
                ElementwiseKind.BATCH_NORM, "frozen norm", self.elements, 2, weights=weights, trainable=False
            )
        else:
            self._elementwise(ElementwiseKind.BATCH_NORM, "batch norm", self.elements, 3, self._kept(), weights)
        return self._next(self.size, self.channels, self.learned or not self.net.frozen_norms)

    def layer_norm(self, name: str = "layer norm") -> Map:
        """A norm over the channels of each position, or over the positions of each channel."""
        self._elementwise(ElementwiseKind.NORM, name, self.elements, 3, self._kept(), 2.0 * self.channels)
        return self._next(self.size, self.channels, True)

    def scale(self) -> Map:
        """A learned factor for each channel."""
        self._elementwise(ElementwiseKind.OTHER, "layer scale", self.elements, 2, self._kept(), float(self.channels))
        return self._next(self.size, self.channels, self.learned)

    def act(self, function: Function = Function.RELU) -> Map:
        """An activation, by element."""
        out = self._next(self.size, self.channels, self.learned)
        kept = self if function in _SMOOTH else out
        saved = kept._kept() if self.learned else 0.0
        self._elementwise(ElementwiseKind.ACTIVATION, str(function), self.elements, 2, saved, function=function)
        return out

    def plus(self, other: Map) -> Map:
        """A residual sum."""
        self._elementwise(ElementwiseKind.RESIDUAL, "residual sum", self.elements, 3)
        return self._next(self.size, self.channels, self.learned or other.learned)

    def times(self, gate: Map) -> Map:
        """Each channel times its gate."""
        self._elementwise(ElementwiseKind.GATE, "gate", self.elements, 2, self._kept() + gate._kept())
        return self._next(self.size, self.channels, self.learned)

    def concat(self, *others: Map) -> Map:
        """The channels of all, copied side by side."""
        out = self._next(
            self.size, self.channels + sum(m.channels for m in others), self.learned or any(m.learned for m in others)
        )
        self._elementwise(ElementwiseKind.CONCATENATION, "concatenation", out.elements, 2)
        return out

    def dropout(self, *, whole: bool = False) -> Map:
        """Keeps a mask of one byte an element: half of a 16-bit element. A whole sample is dropped by one factor."""
        self._elementwise(ElementwiseKind.DROPOUT, "dropout", self.elements, 2, 0.0 if whole else self.elements / 2)
        return self._next(self.size, self.channels, self.learned)

    def max_pool(self, kernel: Window, stride: int, padding: Padding = "valid") -> Map:
        """The largest of each window; keeps its input, and where it was found."""
        return self._pool(ElementwiseKind.MAX_POOL, "max pool", kernel, stride, padding)

    def average_pool(self, kernel: Window, stride: int, padding: Padding = "valid") -> Map:
        """The mean of each window."""
        return self._pool(ElementwiseKind.MEAN_POOL, "average pool", kernel, stride, padding)

    def _pool(self, kind: ElementwiseKind, name: str, kernel: Window, stride: int, padding: Padding) -> Map:
        out = self._next(self._slid(self._window(kernel), stride, padding), self.channels, self.learned)
        saved = self._kept() + out.elements if kind is ElementwiseKind.MAX_POOL and self.learned else 0.0
        self._elementwise(kind, name, self.elements, 1 + out.elements / self.elements, saved)
        return out

    def global_pool(self) -> Map:
        """The mean of each channel."""
        self._elementwise(ElementwiseKind.MEAN_POOL, "global pool", self.elements, 1)
        return self._next((1,) * len(self.size), self.channels, self.learned)

    def enlarge(self, size: tuple[int, ...]) -> Map:
        """Interpolated to that size."""
        out = self._next(size, self.channels, self.learned)
        self._elementwise(ElementwiseKind.UPSAMPLING, "upsampling", out.elements, 1 + self.elements / out.elements)
        return out

    def resampled(self, reads: float) -> Map:
        """Each element from that many others."""
        self._elementwise(ElementwiseKind.OTHER, "resampling", self.elements, 1 + reads)
        return self._next(self.size, self.channels, self.learned)

    def loss(self) -> Map:
        """A softmax and its loss at each position."""
        self.net.add(loss(self.positions, self.channels))
        return self

    def _elementwise(
        self,
        kind: ElementwiseKind,
        name: str,
        elements: float,
        passes: float,
        saved: float = 0.0,
        weights: float = 0.0,
        *,
        function: Function | None = None,
        trainable: bool = True,
    ) -> None:
        self.net.add(
            Elementwise(
                name=name,
                kind=kind,
                function=function,
                elements=elements,
                passes=passes,
                split=Split.NONE,
                saved=saved,
                weights=weights,
                trainable=trainable,
            )
        )

    # --- shapes alone

    def pad(self, total: Window) -> Map:
        """Wider by that in all, along each dimension."""
        return replace(self, size=tuple(n + t for n, t in zip(self.size, self._window(total), strict=True)))

    def fixed(self, kernel: int) -> Map:
        """Padded for a window and a stride of 2, as ``keras.applications`` does: even sizes by one less."""
        return self.pad(tuple(2 * (kernel // 2) - (1 - n % 2) for n in self.size))

    def part(self, channels: int) -> Map:
        """Some of its channels: a view of the same map."""
        return self._next(self.size, channels, self.learned)

    def cropped(self, size: tuple[int, ...]) -> Map:
        """Cut to that size."""
        return replace(self, size=size)

    def block(self, name: str) -> Map:
        """What follows is a new block of that name, which this map enters."""
        self.net.block(name, float(self.elements))
        return self

    def _window(self, kernel: Window) -> tuple[int, ...]:
        return (kernel,) * len(self.size) if isinstance(kernel, int) else kernel

    def _slid(self, window: tuple[int, ...], stride: int, padding: Padding) -> tuple[int, ...]:
        """Positions of a window that slides over the map."""
        return tuple(_out(n, k, stride, padding) for n, k in zip(self.size, window, strict=True))

    def _kept(self) -> float:
        return self.net.keep(self.key, self.elements)

    def _next(self, size: tuple[int, ...], channels: int, learned: bool) -> Map:
        return Map(net=self.net, size=size, channels=channels, learned=learned, key=self.net.new_map())


def image(size: Window, channels: int = 3) -> Map:
    """The input of a new net: a square image of that edge, or one of those edges.

    Raises:
        UsageError: an edge is not above zero.
    """
    edges = (size, size) if isinstance(size, int) else size
    if min(edges) < 1:
        raise UsageError(f"an image of {' × '.join(map(str, edges))} is no image", "write it as in: --image-size 224")
    net = Net()
    return Map(net=net, size=edges, channels=channels, learned=False, key=net.new_map())


def _out(positions: int, window: int, stride: int, padding: Padding) -> int:
    if padding == "same":
        return -(-positions // stride)
    room = positions + (2 * padding if isinstance(padding, int) else 0) - window
    if room < 0:
        raise UsageError(
            f"the image is too small: a window of {window} does not fit into {positions} positions",
            "give a larger --image-size",
        )
    return room // stride + 1


def _shown(window: tuple[int, ...]) -> str:
    return " × ".join(map(str, window)) + " "
