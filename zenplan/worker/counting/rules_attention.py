"""Rules of attention layers.

Keras computes the scores that a causal mask takes away, and so they are counted here; a fused kernel skips them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from zenplan.domain.model.operators import ElementwiseKind, Operator, Role
from zenplan.worker.counting.call import Call, Tensor
from zenplan.worker.counting.registry import keras_name, rule


def _widths(layer: Any) -> tuple[int, int, int, int, bool, bool]:
    """Heads, heads of keys and values, widths of a key and of a value; whether it has biases, and a gate."""
    if keras_name(layer) == "GroupedQueryAttention":
        wide, bias, gate = layer.head_dim, layer.use_bias, layer.use_gate
        return layer.num_query_heads, layer.num_key_value_heads, wide, wide, bias, gate
    return layer.num_heads, layer.num_heads, layer.key_dim, layer.value_dim, layer._use_bias, layer._use_gate


@rule("MultiHeadAttention", "GroupedQueryAttention")
def multi_head(layer: Any, call: Call) -> Iterator[Operator]:
    """Projections of queries, keys and values, attention over the axes it is asked for, and the output's projection."""
    query, value = call.arguments["query"], call.arguments["value"]
    key = call.arguments.get("key") or value
    heads, kv_heads, key_dim, value_dim, bias, gated = _widths(layer)
    yield call.product("query", query, heads * key_dim, role=Role.ATTENTION, bias=bias)
    yield call.product("key", key, kv_heads * key_dim, role=Role.KEY_VALUE, bias=bias)
    yield call.product("value", value, kv_heads * value_dim, role=Role.KEY_VALUE, bias=bias)
    queries, keys, groups = _axes(layer, call, query, value)
    yield from call.attention(
        query,
        key,
        value,
        heads=heads * groups,
        kv_heads=kv_heads * groups,
        key_dim=key_dim,
        value_dim=value_dim,
        queries=queries,
        keys=keys,
    )
    inside = Tensor(shape=(*query.shape[:-1], heads * value_dim), learns=call.backward)
    call.kept.add(inside.key)  # attention keeps what it returns
    if gated:
        yield call.product("gate", query, heads * value_dim, bias=bias)
        kept = 2 * call.of_sample(inside) if call.backward else 0.0
        yield from call.elementwise(ElementwiseKind.OTHER, "gate", inside, passes=5, saved=kept)
    columns = call.outputs[0].size * inside.shape[-1] / inside.size
    yield call.product("output", inside, columns, role=Role.ATTENTION, bias=bias)


def _axes(layer: Any, call: Call, query: Tensor, value: Tensor) -> tuple[int, int, int]:
    """Queries, keys, and how many times a sample has them: over the axes that attention leaves alone."""
    axes = getattr(layer, "_attention_axes", None) or tuple(range(1, len(query.shape) - 1))
    queries = math.prod(query.shape[a] for a in axes)
    keys = math.prod(value.shape[a] for a in axes)
    return queries, keys, round(query.size / query.shape[-1] / queries / call.batch)


@rule("Attention")
def dot_product(layer: Any, call: Call) -> Iterator[Operator]:
    """Scores of every query with every key, and the values' sum; of the additive score there is no product."""
    query, value = call.inputs[0], call.inputs[1]
    key = call.inputs[2] if len(call.inputs) > 2 else value
    queries, keys = query.shape[1], value.shape[1]
    if layer.score_mode == "concat":
        yield from _additive(call, query, value)
        return
    groups = round(call.parts(query))
    yield from call.attention(
        query,
        key,
        value,
        heads=groups,
        kv_heads=groups,
        key_dim=key.shape[-1],
        value_dim=value.shape[-1],
        queries=queries,
        keys=keys,
    )


@rule("AdditiveAttention")
def additive(layer: Any, call: Call) -> Iterator[Operator]:
    """tanh of every query with every key, summed: elements, no product; then the values' sum."""
    yield from _additive(call, call.inputs[0], call.inputs[1])


def _additive(call: Call, query: Tensor, value: Tensor) -> Iterator[Operator]:
    pairs = Tensor(shape=(query.shape[0], query.shape[1], value.shape[1], query.shape[-1]))
    # The sum and its tanh, which is kept, then the weighted sum over the last dimension.
    yield from call.elementwise(ElementwiseKind.OTHER, "scores", pairs, passes=5, saved=call.keep(pairs))
    scores = Tensor(shape=pairs.shape[:-1], learns=call.backward)
    rows = call.of_sample(query) / query.shape[-1]
    yield call.between("weighted sum", scores, value, rows, value.shape[1], value.shape[-1])
