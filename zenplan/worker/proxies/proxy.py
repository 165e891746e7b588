"""Proxy model: a Keras model that does what the operators of a workload say, at their sizes, in their order.

A workload says what is computed, not how its tensors are joined: each operator takes the current tensor where sizes fit,
else an earlier one that does, else the current one repeated or cut. So the step of a model is timed without its source.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from zenplan.domain.model.operators import (
    Attention,
    Convolution,
    Elementwise,
    ElementwiseKind,
    Embedding,
    Function,
    MatMul,
    Operator,
    Recurrent,
    Scan,
)
from zenplan.domain.model.workload import Block
from zenplan.errors import UsageError
from zenplan.worker.proxies import products
from zenplan.worker.proxies.flow import Flow
from zenplan.worker.proxies.layers import Added
from zenplan.worker.proxies.maps import Maps
from zenplan.worker.proxies.products import size

_DEEPEST = 100_000


def proxy_model(name: str, blocks: Sequence[Block]) -> keras.Model:
    """The proxy of a model.

    Its inputs are whole numbers where it looks up rows, floats where nothing learns before an operator; its output is the
    last tensor, ``(batch, ..., classes)``.

    Args:
        name, blocks: of the workload.

    Raises:
        UsageError: a model cannot be made of them.
    """
    try:
        return _Builder(blocks).model(name)
    except ValueError as error:
        # Keras refuses sizes that do not go together with it.
        raise UsageError(
            f"no proxy model can be made of {name}: {error}", "give the model itself, as a Keras model: --keras"
        ) from error


class _Builder:
    def __init__(self, blocks: Sequence[Block]) -> None:
        operators = [o for b in blocks for o in b.operators]
        self._blocks, self._flow, self._maps = blocks, Flow(), Maps()
        self._tables = products.Tables([o for o in operators if isinstance(o, Embedding)])
        self._first = next((o for o in operators if not isinstance(o, Elementwise)), None)

    def model(self, name: str) -> keras.Model:
        """All blocks one after another; every repetition has weights of its own."""
        self._begin(name)
        for block in self._blocks:
            for _ in range(block.repeat):
                self._flow.enter_block()
                self._block(block.operators)
                self._flow.leave_block()
        inputs = self._flow.inputs
        output = self._flow.output()
        with _deep():
            return keras.Model(inputs if len(inputs) > 1 else inputs[0], output, name=_plain(name))

    def _begin(self, name: str) -> None:
        """The input of the first operator that has one."""
        first, flow = self._first, self._flow
        if isinstance(first, MatMul):
            flow.begin((products.size(first.rows), products.size(first.inner)))
        elif isinstance(first, Convolution):
            self._maps.begin(first, flow)
        elif isinstance(first, Recurrent):
            flow.begin((products.size(first.steps), products.size(first.rows * first.inner)))
        elif not isinstance(first, Embedding):
            raise UsageError(
                f"no proxy model can be made of {name}: it has no weights", "give the model itself: --keras"
            )

    def _block(self, operators: Sequence[Operator]) -> None:
        before: Operator | None = None
        skipped = False
        for op, after in zip(operators, [*operators[1:], None], strict=True):
            if skipped:
                skipped = False
            elif isinstance(op, MatMul) and isinstance(after, Recurrent) and products.is_recurrent_layer(op, after):
                products.recurrent_layer(op, after, self._flow)
                skipped = True
            else:
                self._operator(op, before)
            before = op

    def _operator(self, op: Operator, before: Operator | None) -> None:
        flow = self._flow
        match op:
            case Embedding():
                beside = isinstance(before, Embedding) and (before.rows, before.width) == (op.rows, op.width)
                self._tables.look_up(op, flow, beside)
            case MatMul():
                products.product(op, flow, self._tables)
            case Attention():
                products.attention(op, flow)
            case Convolution():
                self._maps.convolve(op, flow)
            case Recurrent():
                products.recurrence(op, flow)
            case Scan():
                products.scan(op, flow)
            case Elementwise():
                elementwise(op, flow, self._maps)


@contextmanager
def _deep() -> Iterator[None]:
    """Keras goes through a model's operations by recursion: a model of hundreds of layers is deeper than Python lets."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _DEEPEST))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _plain(name: str) -> str:
    """Letters and digits, which every backend takes for a name."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name)


# --- elementwise operators
#
# Elementwise work of a proxy model: norms, sums, activations, gates, pools; of any other kind, element by element.

# The loss is the trainer's; moving statistics are the norms'.
_NOTHING = (ElementwiseKind.LOSS, ElementwiseKind.STATISTICS)
_NORMS = (ElementwiseKind.NORM, ElementwiseKind.BATCH_NORM)
_SUMS = (ElementwiseKind.RESIDUAL, ElementwiseKind.SUM)
_ACTIVATIONS = (ElementwiseKind.ACTIVATION, ElementwiseKind.ACTIVATION_DROPOUT)
_DROPOUTS = (ElementwiseKind.DROPOUT, ElementwiseKind.ACTIVATION_DROPOUT)
_FUNCTIONS = {
    Function.RELU: ops.relu,
    Function.GELU: ops.gelu,
    Function.SWISH: ops.silu,
    Function.HARD_SWISH: ops.hard_silu,
    Function.SIGMOID: ops.sigmoid,
    Function.HARD_SIGMOID: ops.hard_sigmoid,
    Function.SOFTMAX: ops.softmax,
}
_DROPPED = 0.1
# An elementwise operation that no compiler joins with the one before it, and that changes values little.
_SLOPE = 0.9


def elementwise(op: Elementwise, flow: Flow, maps: Maps) -> None:
    """Do what the operator's kind says; of another kind, as many elementwise operations as it has passes for.

    One of one pass that has no weights is somebody's reading of its input, and nothing by itself.
    """
    elements = size(op.elements)
    if op.kind in _NOTHING:
        return
    if op.kind in _NORMS:
        _norm(op, flow)
    elif op.weights:
        flow.put(Added(size(op.weights), trainable=op.trainable)(flow.take_elements(elements)), learns=True)
    elif op.kind in (ElementwiseKind.MAX_POOL, ElementwiseKind.MEAN_POOL):
        maps.pool(op, flow, largest=op.kind is ElementwiseKind.MAX_POOL)
    elif op.kind is ElementwiseKind.UPSAMPLING:
        maps.enlarge(op, flow)
    elif op.kind is ElementwiseKind.CONCATENATION:
        _concatenate(op, flow)
    elif op.kind in _SUMS:
        source = flow.take_elements(elements)
        flow.put(source + ops.reshape(flow.partner(elements), (-1, *source.shape[1:])))
    elif op.kind is ElementwiseKind.GATE:
        _gate(flow, elements)
    elif op.passes == 3 and flow.current.elements == 2 * elements:
        gate, value = ops.split(flow.use(flow.current), 2, axis=-1)
        flow.put(ops.silu(gate) * value)
    elif op.passes > 1:
        flow.put(_by_element(op, flow.take_elements(elements)))


def _norm(op: Elementwise, flow: Flow) -> None:
    """A batch norm; else a norm of each row, by its passes with the residual sum before it."""
    elements = size(op.elements)
    width = _width(op, flow)
    if width:
        source = flow.take(elements // width, width)
        if flow.current.elements == elements and flow.current.width == width:
            source = flow.use(flow.current)
    else:
        source = flow.take_elements(elements)
    if op.passes >= 4:
        before = flow.residual
        if before is not None and before is not source and tuple(before.shape) == tuple(source.shape):
            source = source + before
        flow.residual = source
    flow.put(_norm_layer(op, source.shape[-1])(source), learns=op.trainable)


def _width(op: Elementwise, flow: Flow) -> int:
    """Elements of a row: as many as there are weights, or half of them; 0 where neither can be."""
    weights, elements = round(op.weights), size(op.elements)
    likely = flow.current.width
    if likely in (weights, weights / 2) and elements % likely == 0:
        return likely
    return weights // 2 if weights % 2 == 0 and weights and elements % (weights // 2) == 0 else 0


def _norm_layer(op: Elementwise, width: int) -> Any:
    both, trainable = op.weights >= 2 * width, op.trainable
    if op.kind is ElementwiseKind.BATCH_NORM:
        return keras.layers.BatchNormalization(scale=both, trainable=trainable)
    if op.weights == width:
        return keras.layers.RMSNormalization(trainable=trainable)
    return keras.layers.LayerNormalization(scale=both, center=both, trainable=trainable)


def _concatenate(op: Elementwise, flow: Flow) -> None:
    """Maps of as many places side by side; where there are none that add up, a copy."""
    elements, rows = size(op.elements), flow.current.rows
    parts = flow.parts(rows, elements // rows)
    if parts is None:
        flow.put(flow.take_elements(elements))
        return
    places = parts[-1].shape[1:-1]
    flow.put(ops.concatenate([ops.reshape(p, (-1, *places, p.shape[-1])) for p in parts], axis=-1))


def _gate(flow: Flow, elements: int) -> None:
    """A map times the current tensor, which has a number for each of its channels."""
    gate = flow.use(flow.current)
    source = flow.take_elements(elements)
    flow.put(source * ops.reshape(gate, (-1,) + (1,) * (len(source.shape) - 2) + (gate.shape[-1],)))


def _by_element(op: Elementwise, source: Any) -> Any:
    if op.kind in _ACTIVATIONS:
        # What is smooth keeps its input for the backward pass; the other keeps nothing.
        unsaid = ops.gelu if op.saved else ops.relu
        source = unsaid(source) if op.function is None else _FUNCTIONS[op.function](source)
    if op.kind in _DROPOUTS:
        return keras.layers.Dropout(_DROPPED)(source)
    if op.kind not in _ACTIVATIONS:
        for _ in range(round(op.passes / 2)):
            source = ops.leaky_relu(source, _SLOPE)
    return source
