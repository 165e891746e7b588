"""Weights in int8, which stay as they are while adapters beside them are trained.

As QLoRA (Dettmers et al. 2023, https://arxiv.org/abs/2305.14314), in eight bits where that has four: weights alone, each
column with a scale of its own, made numbers of the layer's precision again for each product.
"""

from __future__ import annotations

import math
from typing import Any

import keras

from zenplan.errors import UsageError

INT8 = "int8"
# Those that Keras has a form of in int8 and in int4. A class that is made of one of them has none.
_KINDS = (keras.layers.Dense, keras.layers.EinsumDense, keras.layers.Embedding)
_HINT = "leave out --quantize: adapters (--lora-rank) need no int8"


class NoForm(UsageError):
    """A model that gains nothing from weights in fewer bits.

    Attributes:
        layer: that keeps it from it; empty where none does.
    """

    def __init__(self, message: str, layer: str = "") -> None:
        self.layer = layer
        super().__init__(message, _HINT)


def quantize(model: keras.Model) -> None:
    """Turn the matrices of a model into int8. Biases, norms and what has no int8 form stay as they are.

    Raises:
        UsageError: that would be most of the model; the message names its largest layer without such a form.
    """
    check_form(model, INT8)
    ours = [layer for layer in _leaves(model) if has_form(layer)]
    weights_alone = keras.quantizers.Int8QuantizationConfig(activation_quantizer=None)
    for layer in ours:
        if layer.built and getattr(layer, "quantization_mode", None) is None:
            try:
                layer.quantize(INT8, config=weights_alone)
            except (ValueError, TypeError, NotImplementedError) as error:
                raise UsageError(
                    f"layer {layer.name} cannot be in int8: {str(error).splitlines()[0]}", _HINT
                ) from error
    # What was built for the weights before is not to be called any more.
    model._post_quantize(INT8)


def check_form(model: keras.Model, mode: str) -> None:
    """Raise NoForm where most of the model has no form in so few bits; it names its largest layer without."""
    ours = [layer for layer in _leaves(model) if has_form(layer)]
    others = [layer for layer in _leaves(model) if not has_form(layer)]
    if sum(map(_numbers, ours)) <= sum(map(_numbers, others)):
        most = max(others, key=_numbers, default=None)
        if most is None or not _numbers(most):
            raise NoForm(f"model {model.name} has no matrices that {mode} would hold")
        whole = _whole(model, most)
        raise NoForm(
            f"most of model {model.name} has no form in {mode}: layer {whole.name}, of {type(whole).__name__}, has none",
            str(whole.name),
        )


def has_form(layer: Any) -> bool:
    """Whether Keras has a form of it in int8, and in int4."""
    return type(layer) in _KINDS


def without_form(model: keras.Model) -> str:
    """The layer with the largest matrices, if Keras has no form of it in int8; else empty."""
    most = max(_leaves(model), key=_numbers)
    return "" if has_form(most) else str(_whole(model, most).name)


def _whole(model: keras.Model, leaf: Any) -> Any:
    """The layer, as its model lists it, that it is or is a part of: the cell of a recurrent layer is in no list."""
    for each in model.layers:
        if leaf in each._flatten_layers():
            return _whole(each, leaf) if isinstance(each, keras.Model) else each
    return leaf


def merge(model: keras.Model, into: keras.Model) -> None:
    """Give the same model in floats the weights of one in int8, its adapters added to them.

    Keras can save an int8 model with adapters, but rounds them to int8 then, and cannot load one with attention.
    """
    seen, done = set[int](), set[int]()
    for layer, plain in zip(_leaves(model), _leaves(into), strict=True):
        if getattr(layer, "quantization_mode", None) == INT8 or getattr(layer, "lora_enabled", False):
            bias = getattr(layer, "bias", None)
            for variable, value in zip(
                plain.variables, [_matrix(layer), *([] if bias is None else [bias])], strict=True
            ):
                variable.assign(value)
            seen |= {id(v) for v in layer.variables}
            done |= {id(v) for v in plain.variables}
    others = [v for v in model.variables if id(v) not in seen]
    for variable, value in zip([v for v in into.variables if id(v) not in done], others, strict=True):
        variable.assign(value)


def _leaves(model: keras.Model) -> list[Any]:
    """Layers that are made of no others, in their order."""
    return [each for each in model._flatten_layers(include_self=False) if len(list(each._flatten_layers())) == 1]


def _numbers(layer: Any) -> int:
    """In matrices: what int8 would be for."""
    return sum(math.prod(v.shape) for v in layer.weights if len(v.shape) > 1)


def _matrix(layer: Any) -> Any:
    """The weights of a layer as numbers, with what its adapter adds."""
    ops = keras.ops
    if layer.quantization_mode != INT8:
        return layer.kernel
    if isinstance(layer, keras.layers.Embedding):
        scale = ops.expand_dims(layer.embeddings_scale, -1)
        return ops.cast(layer._embeddings, "float32") / scale
    scale = layer.kernel_scale
    if isinstance(layer, keras.layers.EinsumDense):
        # Its axes are those of what comes out.
        scale = layer._adjust_scale_for_dequant(scale)
    found = ops.cast(layer._kernel, "float32") / ops.cast(scale, "float32")
    if layer.lora_enabled:
        adapter = ops.matmul(layer.lora_kernel_a, layer.lora_kernel_b)
        found = found + (layer.lora_alpha / layer.lora_rank) * adapter
    return found
