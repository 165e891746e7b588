"""Rules of dense layers and embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zenplan.domain.model.operators import Embedding, Operator
from zenplan.worker.counting.call import Call
from zenplan.worker.counting.einsum import contractions
from zenplan.worker.counting.registry import rule
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
