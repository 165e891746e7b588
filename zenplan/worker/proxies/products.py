"""Products, attention, recurrences and embeddings of a proxy model, each as the Keras layer that does it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import keras
from keras import ops

from zenplan.domain.model.operators import Attention, Embedding, MatMul, Recurrent, Role, Scan
from zenplan.domain.model.proxy import MOST_EXPERTS
from zenplan.worker.proxies.flow import Flow, stretched
from zenplan.worker.proxies.layers import Cell, Table

# A recurrent layer by how many products of its state a step makes.
_CELLS = {4: keras.layers.LSTM, 3: keras.layers.GRU, 1: keras.layers.SimpleRNN}


def size(number: float) -> int:
    """A size as a whole number, at least 1: shares of rows are no whole ones."""
    return max(1, round(number))


class Tables:
    """The embedding tables of a proxy model, of which a product may use the largest one's weight."""

    def __init__(self, embeddings: Sequence[Embedding]) -> None:
        self._most = max((size(o.entries) for o in embeddings), default=0)
        self._numbers: dict[int, Any] = {}
        self._largest: dict[int, Any] = {}

    def look_up(self, op: Embedding, flow: Flow, beside: bool) -> None:
        """Rows of a table for the model's input of whole numbers; ``beside`` an embedding of the same size, their sum."""
        rows, width = size(op.rows), size(op.width)
        if rows not in self._numbers:
            self._numbers[rows] = keras.Input((rows,), dtype="int32")
            flow.inputs.append(self._numbers[rows])
        table = Table(size(op.entries), width, trainable=op.trainable)
        if size(op.entries) == self._most:
            table = keras.layers.ReversibleEmbedding(self._most, width, trainable=op.trainable)
            self._largest[width] = table
        found = table(self._numbers[rows])
        flow.put(flow.take(rows, width) + found if beside else found, learns=op.trainable)

    def product(self, op: MatMul, flow: Flow) -> bool:
        """The product with the table itself, if it is one; whether it was."""
        table = self._largest.get(size(op.inner))
        if table is None or self._most != size(op.columns):
            return False
        flow.put(table(flow.take(size(op.rows), size(op.inner)), reverse=True), learns=True)
        return True


def product(op: MatMul, flow: Flow, tables: Tables) -> None:
    """A dense layer on the last axis; with a weight that is another's, the table's or a tensor in its place."""
    rows, inner, columns = size(op.rows), size(op.inner), size(op.columns)
    if op.tied and tables.product(op, flow):
        return
    if op.experts > 1:
        _experts(op, flow)
        return
    # Queries wait for their keys, which are made of what the queries are made of.
    source = flow.take(rows, inner, aside=op.role is Role.KEY_VALUE, learned=op.input_gradient)
    if op.tied:
        other = ops.swapaxes(source, 1, 2) if rows == columns else stretched(source, inner, columns)
        flow.put(ops.matmul(source, other))
        return
    flow.put(_dense(op)(source), learns=op.trainable)


def _dense(op: MatMul) -> Any:
    return keras.layers.Dense(size(op.columns), use_bias=op.bias, trainable=op.trainable)


def _experts(op: MatMul, flow: Flow) -> None:
    """Each expert's layer on its share of the rows, as if the router gave every one as many."""
    rows = size(op.rows * op.active)
    source = flow.take(rows, size(op.inner))
    count = min(op.experts, MOST_EXPERTS, rows)
    bounds = [rows * i // count for i in range(count + 1)]
    made = [_dense(op)(source[:, a:b, :]) for a, b in pairwise(bounds)]
    flow.put(ops.concatenate(made, axis=1), learns=op.trainable)


def attention(op: Attention, flow: Flow) -> None:
    """Keras's own attention, on queries, keys and values cut from one tensor or from two."""
    own, other = op.heads * op.key_dim, op.kv_heads * (op.key_dim + op.value_dim)
    if op.queries == op.keys and flow.current.elements == op.queries * (own + other):
        joined = flow.take(op.queries, own + other)
        query, both = joined[:, :, :own], joined[:, :, own:]
    else:
        both = flow.take(op.keys, other)
        query = flow.take(op.queries, own, aside=True)
    query = ops.reshape(query, (-1, op.queries, op.heads, op.key_dim))
    split = op.kv_heads * op.key_dim
    key = ops.reshape(both[:, :, :split], (-1, op.keys, op.kv_heads, op.key_dim))
    value = ops.reshape(both[:, :, split:], (-1, op.keys, op.kv_heads, op.value_dim))
    if op.kv_heads < op.heads:
        key, value = (ops.repeat(t, op.heads // op.kv_heads, axis=2) for t in (key, value))
    # Kernels want one width: the narrower is filled up with zeros, as users of fused latent attention do.
    width = max(op.key_dim, op.value_dim)
    query, key, value = (_widened(t, width) for t in (query, key, value))
    found = ops.dot_product_attention(query, key, value, is_causal=op.causal)
    flow.put(ops.reshape(found[..., : op.value_dim], (-1, op.queries, op.heads * op.value_dim)))


def _widened(tensor: Any, width: int) -> Any:
    missing = width - tensor.shape[-1]
    return ops.pad(tensor, ((0, 0), (0, 0), (0, 0), (0, missing))) if missing else tensor


def is_recurrent_layer(first: MatMul, then: Recurrent) -> bool:
    """Whether the two are one recurrent layer: the product with the inputs of all steps, and that with the state."""
    gates = then.columns / then.inner
    return (first.columns, first.rows) == (then.columns, then.steps) and gates in _CELLS and then.rows == 1


def recurrent_layer(first: MatMul, then: Recurrent, flow: Flow) -> None:
    """Keras's layer of that many gates, which does both products."""
    source = flow.take(size(first.rows), size(first.inner), learned=first.input_gradient)
    layer = _CELLS[round(then.columns / then.inner)](
        size(then.inner), return_sequences=True, use_bias=then.bias, trainable=then.trainable
    )
    flow.put(layer(source), learns=then.trainable)


def recurrence(op: Recurrent, flow: Flow) -> None:
    """A loop over the steps of any other cell."""
    rows, inner = size(op.rows), size(op.inner)
    cell = Cell(rows, inner, size(op.columns), op.bias, trainable=op.trainable)
    source = flow.take(size(op.steps), rows * inner)
    flow.put(keras.layers.RNN(cell, return_sequences=True)(source), learns=op.trainable)


def scan(op: Scan, flow: Flow) -> None:
    """A linear recurrence of values, keys and queries that are cut from one tensor, without decays: sums of states, from
    chunk to chunk by products, or from step to step element by element."""
    steps, keys, values = size(op.steps), op.groups * op.key_dim, op.heads * op.value_dim
    source = flow.take(steps, values + 2 * keys)
    value, key, query = (ops.reshape(part, (-1, steps, n, part.shape[-1] // n)) for part, n in _parts(source, op))
    key, query = (ops.repeat(t, op.heads // op.groups, axis=2) for t in (key, query))
    if op.chunk:
        found = _in_chunks(query, key, value, math.gcd(steps, op.chunk))
    else:
        states = ops.cumsum(ops.expand_dims(key, -1) * ops.expand_dims(value, -2), axis=1)
        found = ops.sum(states * ops.expand_dims(query, -1), axis=-2)
    flow.put(ops.reshape(found, (-1, steps, values)))


def _parts(source: Any, op: Scan) -> list[tuple[Any, int]]:
    keys, values = op.groups * op.key_dim, op.heads * op.value_dim
    cuts = (source[:, :, :values], source[:, :, values : values + keys], source[:, :, values + keys :])
    return list(zip(cuts, (op.heads, op.groups, op.groups), strict=True))


def _in_chunks(query: Any, key: Any, value: Any, chunk: int) -> Any:
    """Scores inside each chunk, and the states of the chunks before it."""
    query, key, value = (ops.reshape(t, (-1, t.shape[1] // chunk, chunk, *t.shape[2:])) for t in (query, key, value))
    scores = ops.einsum("bnqhk,bnjhk->bnhqj", query, key) * ops.tril(ops.ones((chunk, chunk), dtype=query.dtype))
    inside = ops.einsum("bnhqj,bnjhv->bnqhv", scores, value)
    states = ops.einsum("bnjhk,bnjhv->bnhkv", key, value)
    before = ops.cumsum(states, axis=1) - states
    return inside + ops.einsum("bnqhk,bnhkv->bnqhv", query, before)
