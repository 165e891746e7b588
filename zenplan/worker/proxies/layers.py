"""Layers that a proxy model needs and Keras has not: small tables, weights of any number, steps of any cell."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops


class Table(keras.layers.Layer):  # type: ignore[misc,unused-ignore]
    """A table whose rows are looked up by numbers that may be too large for it: it is not the model's largest."""

    def __init__(self, entries: int, width: int, **options: Any) -> None:
        super().__init__(**options)
        self.entries, self.width = entries, width

    def build(self, shape: Any) -> None:
        """One weight of all rows."""
        self.table = self.add_weight(shape=(self.entries, self.width), initializer="random_normal")

    def call(self, numbers: Any) -> Any:
        """A row for each number."""
        return ops.take(self.table, ops.mod(numbers, self.entries), axis=0)


class Added(keras.layers.Layer):  # type: ignore[misc,unused-ignore]
    """So many weights of its own, added to the elements of a sample: positions, scales, scores."""

    def __init__(self, count: int, **options: Any) -> None:
        super().__init__(**options)
        self.count = count

    def build(self, shape: Any) -> None:
        """One weight, flat."""
        self.own = self.add_weight(shape=(self.count,), initializer="zeros")

    def call(self, tensor: Any) -> Any:
        """The weights repeated, or cut, to the size of the tensor."""
        sizes = tuple(tensor.shape[1:])
        need = math.prod(sizes)
        if sizes[-1] == self.count:
            return tensor + self.own
        times = -(-need // self.count)
        return tensor + ops.reshape(ops.tile(self.own, (times,))[:need], sizes)


class Cell(keras.layers.Layer):  # type: ignore[misc,unused-ignore]
    """A step of a recurrence that is no LSTM, GRU or simple cell: its state by a weight, folded to the next state."""

    def __init__(self, rows: int, inner: int, columns: int, bias: bool, **options: Any) -> None:
        super().__init__(**options)
        self.rows, self.inner, self.columns, self.bias = rows, inner, columns, bias
        self.state_size = self.output_size = rows * inner

    def build(self, shape: Any) -> None:
        """The weight of a step, and its bias."""
        self.kernel = self.add_weight(shape=(self.inner, self.columns), initializer="glorot_uniform")
        self.offset = self.add_weight(shape=(self.columns,), initializer="zeros") if self.bias else None

    def call(self, tensor: Any, states: Any) -> tuple[Any, list[Any]]:
        """The next state, which is also what leaves the step."""
        gates = ops.matmul(ops.reshape(states[0], (-1, self.rows, self.inner)), self.kernel)
        gates = gates if self.offset is None else gates + self.offset
        folds = -(-self.inner // self.columns)
        new = ops.tile(gates, (1, 1, folds))[:, :, : self.inner] if folds > 1 else gates[:, :, : self.inner]
        new = ops.tanh(tensor + ops.reshape(new, (-1, self.state_size)))
        return new, [new]
