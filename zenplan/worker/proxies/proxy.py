"""Proxy model: a Keras model that does what the operators of a workload say, at their sizes, in their order.

A workload says what is computed, not how its tensors are joined: each operator takes the current tensor where sizes fit,
else an earlier one that does, else the current one repeated or cut. So the step of a model is timed without its source.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras

from zenplan.domain.model.operators import Attention, Convolution, Elementwise, Embedding, MatMul, Operator, Recurrent
from zenplan.domain.model.workload import Block
from zenplan.errors import UsageError
from zenplan.worker.proxies import products
from zenplan.worker.proxies.elementwise import elementwise
from zenplan.worker.proxies.flow import Flow
from zenplan.worker.proxies.maps import Maps

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
