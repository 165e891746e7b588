"""The jaxpr of a function, walked: products and convolutions, those of a loop as often as it runs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import jax

from zenplan.worker.counting.products import Product, Trace, abstract, convolution, product, specification


def trace(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Trace:
    """Trace on JAX. Keras makes a jaxpr too, to find the shape of the result, but keeps it for itself."""
    call, tensors = abstract(operation, args, kwargs)
    found: list[Any] = []

    def noted(*given: Any) -> Any:
        jaxpr, shapes = jax.make_jaxpr(call, return_shape=True)(*given)
        found.append(jaxpr.jaxpr)
        return jax.tree.map(lambda s: jax.numpy.zeros(s.shape, s.dtype), shapes)

    outputs = specification(noted, tensors)
    return Trace(outputs=outputs, products=tuple(walk(found[-1])), open_loops=open_loops(found[-1]))


def walk(jaxpr: Any, times: float = 1) -> Iterator[Product]:
    """The products of a jaxpr and of those inside it; of branches, those of the first."""
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name == "dot_general":
            (inner, _), _ = equation.params["dimension_numbers"]
            depth = math.prod(equation.invars[0].aval.shape[d] for d in inner)
            yield _times(product(equation.outvars[0].aval.shape, depth), times)
        elif name == "conv_general_dilated":
            yield _times(_convolved(equation), times)
        loop = times * equation.params.get("length", 1) if name == "scan" else times
        for inside in _within(equation):
            yield from walk(inside, loop)


def open_loops(jaxpr: Any) -> bool:
    """Whether a loop in it ends by a condition."""
    return any(e.primitive.name == "while" or any(map(open_loops, _within(e))) for e in jaxpr.eqns)


def _convolved(equation: Any) -> Product:
    """Positions of the result, or of the input where that is spread out with zeros, which nothing multiplies."""
    numbers, kernel = equation.params["dimension_numbers"], equation.invars[1].aval.shape
    result = equation.outvars[0].aval.shape
    channels = result[numbers.out_spec[1]]
    spread = math.prod(equation.params["lhs_dilation"])
    return convolution(result, channels, math.prod(kernel) / kernel[numbers.rhs_spec[0]] / spread)


def _times(one: Product, times: float) -> Product:
    return Product(rows=one.rows * times, inner=one.inner, columns=one.columns)


def _within(equation: Any) -> list[Any]:
    """The jaxprs of an equation's parameters; of a choice, its first branch."""
    params = equation.params
    if "branches" in params:
        return [params["branches"][0].jaxpr]
    nested = [getattr(p, "jaxpr", p) for p in params.values()]
    return [n for n in nested if hasattr(n, "eqns")]
