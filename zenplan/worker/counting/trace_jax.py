"""The jaxpr of a function, walked: products and convolutions, those of a loop as often as it runs."""

from __future__ import annotations

import math
from typing import Any
from unittest.mock import patch

import jax
import keras

from zenplan.worker.counting.products import (
    Found,
    Product,
    Trace,
    abstract,
    convolution,
    dearest,
    product,
    specification,
    together,
)


def trace(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], loop: int | None = None) -> Trace:
    """Trace on JAX. Keras makes a jaxpr too, to find the shape of the result, but keeps it for itself.

    Args:
        operation, args, kwargs: as of ``abstract``.
        loop: turns of a loop whose length is not known.
    """
    call, tensors = abstract(operation, args, kwargs)
    found: list[Any] = []

    def noted(*given: Any) -> Any:
        with patch.object(keras.src.backend.core, "while_loop", _bounded(keras.src.backend.core.while_loop)):
            jaxpr, shapes = jax.make_jaxpr(call, return_shape=True)(*given)
        found.append(jaxpr.jaxpr)
        return jax.tree.map(lambda s: jax.numpy.zeros(s.shape, s.dtype), shapes)

    outputs = specification(noted, tensors)
    return Trace(outputs=outputs, found=walk(found[-1], loop))


def _bounded(own: Any) -> Any:
    """Keras's loop with a bound as one of that many turns, which a jaxpr keeps: by Keras it ends by a condition."""

    def while_loop(cond: Any, body: Any, loop_vars: Any, maximum_iterations: int | None = None) -> Any:
        if maximum_iterations is None:
            return own(cond, body, loop_vars)

        def turn(_: Any, state: Any) -> Any:
            cond(*state)
            made = body(*state)
            return tuple(made) if several else (made,)

        several = isinstance(loop_vars, tuple | list)
        end = jax.lax.fori_loop(0, maximum_iterations, turn, tuple(loop_vars) if several else (loop_vars,))
        return end if several else end[0]

    return while_loop


def walk(jaxpr: Any, loop: int | None = None) -> Found:
    """The products of a jaxpr and of those inside it; of a choice, those of the dearest branch.

    Args:
        jaxpr: of a function.
        loop: turns of a loop that ends by a condition.
    """
    return together(_equation(e, loop) for e in jaxpr.eqns)


def _equation(equation: Any, loop: int | None) -> Found:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        (inner, _), _ = params["dimension_numbers"]
        depth = math.prod(equation.invars[0].aval.shape[d] for d in inner)
        return Found(products=(product(equation.outvars[0].aval.shape, depth),))
    if name == "conv_general_dilated":
        return Found(products=(_convolved(equation),))
    if name == "fft":
        return Found(fourier=True)
    if "branches" in params:
        return dearest(walk(branch.jaxpr, loop) for branch in params["branches"])
    nested = [getattr(p, "jaxpr", p) for p in params.values()]
    inside = together(walk(n, loop) for n in nested if hasattr(n, "eqns"))
    return inside.repeated(loop if name == "while" else params["length"] if name == "scan" else 1)


def _convolved(equation: Any) -> Product:
    """Positions of the result, or of the input where that is spread out with zeros, which nothing multiplies."""
    numbers, kernel = equation.params["dimension_numbers"], equation.invars[1].aval.shape
    result = equation.outvars[0].aval.shape
    channels = result[numbers.out_spec[1]]
    spread = math.prod(equation.params["lhs_dilation"])
    return convolution(result, channels, math.prod(kernel) / kernel[numbers.rhs_spec[0]] / spread)
