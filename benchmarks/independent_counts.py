"""FLOP of Keras models counted by others: a walk over JAX's jaxpr, and PyTorch's own counter.

What each gets wrong is put right here where it can be: a jaxpr has convolutions over maps spread out with zeros (the
gradient of a strided one), which nothing need multiply; PyTorch's counter does not know the attention kernels of a
processor, so that attention is made to be plain products. Where it cannot, in ``WRONG``, there is no count. No number
is computed: JAX traces shapes, PyTorch runs on fake tensors.
"""

from __future__ import annotations

import math
from typing import Any

import keras

BATCH = 2
_GROUPS = "training", "the gradient of a grouped convolution is counted as that of one with a single group"
_STEP = "both", "Keras runs one step more on PyTorch, to find shapes"
WRONG = {
    "torch": {
        "unet": _GROUPS,
        "ConvNeXtTiny": _GROUPS,
        "lstm_stack": _STEP,
        "bidirectional_gru": _STEP,
        "stacked_cells": _STEP,
        "conv_lstm": _STEP,
        "EfficientNetB0": ("both", "a dropout of whole samples needs values, of which fake tensors have none"),
    },
    "tensorflow": {"*": ("both", "its profiler counts the body of a loop once, and elementwise operations too")},
}


def count(name: str, model: Any) -> tuple[float | None, float | None]:
    """FLOP of one sample: forward, and of a training step (forward and the gradients of all trained weights).

    None where the backend's counter is known to be wrong.
    """
    backend = keras.config.backend()
    wrong = WRONG.get(backend, {})
    part, _ = wrong.get(name, wrong.get("*", ("", "")))
    if part == "both":
        return None, None
    forward, training = {"jax": _jax, "torch": _torch}[backend](model)
    return forward / BATCH, None if part else training / BATCH


def _shapes(model: Any) -> list[tuple[tuple[int, ...], str]]:
    inputs = getattr(model, "inputs", None)
    if inputs:
        return [((BATCH, *t.shape[1:]), t.dtype) for t in inputs]
    return [((BATCH, *shape[1:]), "float32") for shape in model._build_shapes_dict.values()]


def _jax(model: Any) -> tuple[float, ...]:
    import jax
    from jax.interpreters.partial_eval import (
        dce_jaxpr,  # Keras runs a step more, for shapes; XLA leaves it out
    )

    def struct(shape: Any, dtype: Any) -> Any:
        return jax.ShapeDtypeStruct(tuple(shape), dtype)

    trained, other = (
        [struct(v.shape, v.dtype) for v in vs] for vs in (model.trainable_variables, model.non_trainable_variables)
    )
    inputs = [struct(shape, dtype) for shape, dtype in _shapes(model)]

    named = {"training": True} if model._call_has_training_arg else {}

    def forward(trained: Any, other: Any, inputs: Any) -> Any:
        given = inputs if len(inputs) > 1 else inputs[0]
        result, _ = model.stateless_call(trained, other, given, **named)
        return jax.numpy.sum(result.astype("float32"))

    plain = jax.make_jaxpr(forward)(trained, other, inputs)
    both = jax.make_jaxpr(jax.value_and_grad(forward))(trained, other, inputs)
    return tuple(walk(dce_jaxpr(j.jaxpr, [True] * len(j.jaxpr.outvars))[0]) for j in (plain, both))


def walk(jaxpr: Any) -> float:
    """FLOP of a jaxpr; the body of a scan as often as it runs."""
    total = 0.0
    for equation in jaxpr.eqns:
        name, params = equation.primitive.name, equation.params
        made = math.prod(equation.outvars[0].aval.shape) if equation.outvars else 0
        if name == "dot_general":
            left = equation.invars[0].aval.shape
            total += 2.0 * made * math.prod(left[d] for d in params["dimension_numbers"][0][0])
        elif name == "conv_general_dilated":
            kernel, numbers = equation.invars[1].aval.shape, params["dimension_numbers"]
            window = math.prod(kernel) / kernel[numbers.rhs_spec[0]]
            total += 2.0 * made * window / math.prod(params["lhs_dilation"])
        inside = [getattr(p, "jaxpr", p) for v in params.values() for p in (v if isinstance(v, tuple) else (v,))]
        times = params["length"] if name == "scan" else 1
        total += times * sum(walk(i) for i in inside if hasattr(i, "eqns"))
    return total


def _torch(model: Any) -> tuple[float, float]:
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with FakeTensorMode(allow_non_fake_inputs=True), sdpa_kernel(SDPBackend.MATH):
        for variable in model.variables:
            value = torch.empty(tuple(variable.shape), dtype=getattr(torch, variable.dtype))
            variable._value = torch.nn.Parameter(value, requires_grad=variable.trainable)
        inputs = [torch.ones(shape, dtype=getattr(torch, dtype)) for shape, dtype in _shapes(model)]
        with FlopCounterMode(display=False) as forward:
            result = model(inputs if len(inputs) > 1 else inputs[0], training=True)
        with FlopCounterMode(display=False) as backward:
            result.float().sum().backward()
    return forward.get_total_flops(), forward.get_total_flops() + backward.get_total_flops()
