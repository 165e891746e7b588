"""Rules of layers that multiply by weights: dense, embedding, attention and recurrent ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from zenplan.domain.model.operators import Convolution, ElementwiseKind, Embedding, Operator, Recurrent, Role
from zenplan.worker.counting.call import Call, Tensor
from zenplan.worker.counting.einsum import contractions
from zenplan.worker.counting.events import LOOP_KERNELS
from zenplan.worker.counting.registry import keras_name, rule
from zenplan.worker.counting.rules_convolution import positions
from zenplan.worker.counting.rules_elementwise import activation


def _lora(layer: Any) -> bool:
    """Low-rank adapters: the gradient of the whole kernel is computed, but no weight of that size is trained."""
    return bool(getattr(layer, "lora_enabled", False))


@rule("Dense")
def dense(layer: Any, call: Call) -> Iterator[Operator]:
    """Rows of the input, over all dimensions but the last, by the kernel."""
    yield call.product("product", call.inputs[0], layer.units, bias=layer.use_bias, tied=_lora(layer))
    yield from activation(layer.activation, call)


@rule("EinsumDense")
def einsum_dense(layer: Any, call: Call) -> Iterator[Operator]:
    """The product that the equation asks for, with the kernel as its right side."""
    source = call.inputs[0]
    kernel = next(tuple(w.shape) for w in layer.weights if w.name == "kernel")
    step = next(contractions(layer.equation, (source.shape, kernel)))
    bias = layer.bias is not None and layer.bias.shape[-1] == step.columns
    # A letter that both have and the result keeps makes a kernel for each of its values: the noun has only one.
    tied = _lora(layer) or step.groups > 1
    yield call.product("product", source, step.columns, inner=step.inner, bias=bias, tied=tied)
    yield from activation(layer.activation, call)


@rule("Embedding", "ReversibleEmbedding")
def embedding(layer: Any, call: Call) -> Iterator[Operator]:
    """Rows of the table; in reverse, a product with it."""
    source = call.inputs[0]
    if call.arguments.get("reverse"):
        yield call.product("product", source, layer.input_dim, tied=layer.tie_weights)
    else:
        yield Embedding(
            name="table",
            entries=layer.input_dim,
            width=layer.output_dim,
            rows=call.of_sample(source),
            trainable=call.learns,
        )


# --- attention
#
# Rules of attention layers.
#
# Keras computes the scores that a causal mask takes away, and so they are counted here; a fused kernel skips them.


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


# --- recurrent layers
#
# Rules of recurrent layers: the product with the input for all steps at once, then the state's, step by step.

# Products made of a state: gates and the candidate.
GATES = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}


def _gates(name: str) -> int:
    return GATES[name.removesuffix("Cell")]


@rule("SimpleRNN", "GRU", "LSTM")
def recurrent(layer: Any, call: Call) -> Iterator[Operator]:
    """A library runs the whole sequence in one kernel a step."""
    source = call.inputs[0]
    yield from _products(layer.cell, call, source, steps=source.shape[1], kernels=1)


@rule("SimpleRNNCell", "GRUCell", "LSTMCell")
def cell(layer: Any, call: Call) -> Iterator[Operator]:
    """One step, in a loop of the framework's."""
    yield from _products(layer, call, call.inputs[0], steps=1, kernels=LOOP_KERNELS)


def _products(cell: Any, call: Call, source: Tensor, steps: int, kernels: int) -> Iterator[Operator]:
    columns = _gates(_kind(cell)) * cell.units
    # A GRU whose reset comes after the product has a bias for each of the two products.
    twice = cell.use_bias and bool(getattr(cell, "reset_after", False))
    yield call.product("input", source, columns, bias=cell.use_bias)
    yield Recurrent(
        name="state",
        steps=steps,
        inner=cell.units,
        columns=columns,
        rows=call.parts(source),
        kernels=kernels,
        bias=twice,
        trainable=call.learns,
        input_gradient=call.backward,
    )


def _kind(cell: Any) -> str:
    return next(cls.__name__ for cls in type(cell).__mro__ if cls.__name__.removesuffix("Cell") in GATES)


@rule("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def convolutional(layer: Any, call: Call) -> Iterator[Operator]:
    """A convolution of the input of every step, and one of the state in each."""
    cell, source = layer.cell, call.inputs[0]
    first = cell.data_format == "channels_first"
    steps, inputs = source.shape[1], source.shape[2 if first else -1]
    shape = call.outputs[0].shape
    result = Tensor(shape=(shape[0], *shape[2:]) if layer.return_sequences else shape)
    places = positions(call, result, cell.rank, cell.data_format)
    window, columns = math.prod(cell.kernel_size), 4 * cell.filters
    yield Convolution(
        name="input",
        positions=steps * places,
        window=window,
        kernel=tuple(cell.kernel_size),
        inputs=inputs,
        outputs=columns,
        input_elements=call.of_sample(source),
        output_elements=steps * places * columns,
        bias=cell.use_bias,
        saved=call.keep(source, call.learns),
        trainable=call.learns,
        input_gradient=source.learns,
    )
    yield Recurrent(
        name="state",
        steps=steps,
        inner=window * cell.filters,
        columns=columns,
        rows=places,
        kernels=LOOP_KERNELS,
        trainable=call.learns,
        input_gradient=call.backward,
    )
