"""TensorFlow's graph of a function, walked: products and convolutions; a loop with a fixed number of turns by it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import keras
import tensorflow as tf

from zenplan.worker.counting.einsum import contractions
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
    turns_between,
)


def trace(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], loop: int | None = None) -> Trace:
    """Trace on TensorFlow, in the graph that Keras makes to find the shape of the result.

    Args:
        operation, args, kwargs: as of ``abstract``.
        loop: turns of a loop whose length is not known.
    """
    call, tensors = abstract(operation, args, kwargs)
    graphs: list[Any] = []

    def noted(*given: Any) -> Any:
        with _bounded():
            result = call(*given)
        graphs.append(tf.compat.v1.get_default_graph())
        return result

    outputs = specification(noted, tensors)
    return Trace(outputs=outputs, found=walk(graphs[-1], loop))


@contextmanager
def _bounded() -> Iterator[None]:
    """Within it, Keras's loops of a known length have it in the graph, where by Keras they end by a condition; and
    what a map calls is there as often as it runs, where by Keras it is once more, for its shape.
    """
    core = keras.src.backend.core

    def fori_loop(lower: Any, upper: Any, body_fun: Any, init_val: Any) -> Any:
        return _once_bounded(turns_between(lower, upper), lambda: fori(lower, upper, body_fun, init_val))

    def scanned(f: Any, init: Any, xs: Any = None, length: Any = None, **options: Any) -> Any:
        turns = length if length is not None else keras.tree.flatten(xs)[0].shape[0]
        return _once_bounded(turns, lambda: scan(f, init, xs, length, **options))

    def mapped(f: Any, xs: Any) -> Any:
        tensors = keras.tree.map_structure(core.convert_to_tensor, xs)
        entry = keras.tree.map_structure(lambda x: tf.TensorSpec(x.shape[1:], x.dtype), tensors)
        made = tf.function(f, autograph=False).get_concrete_function(entry).structured_outputs
        signature = keras.tree.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), made)
        return tf.map_fn(f, tensors, fn_output_signature=signature)

    fori, scan = core.fori_loop, core.scan
    with ExitStack() as stack:
        stack.enter_context(patch.object(core, "fori_loop", fori_loop))
        stack.enter_context(patch.object(core, "scan", scanned))
        stack.enter_context(patch.object(core, "map", mapped))
        yield


def _once_bounded(turns: int | None, run: Callable[[], Any]) -> Any:
    """Run what calls ``tf.while_loop`` with this bound to its first call; those within its body are their own."""
    own = tf.while_loop

    def first(cond: Any, body: Any, loop_vars: Any, **options: Any) -> Any:
        tf.while_loop = own
        return own(cond, body, loop_vars, **{"maximum_iterations": turns, **options})

    with patch.object(tf, "while_loop", first):
        return run()


def walk(graph: Any, loop: int | None = None) -> Found:
    """The products of a graph and of the functions it calls; of a choice, those of the dearest branch.

    Args:
        graph: of a function.
        loop: turns of a loop that ends by a condition.
    """
    return together(_operation(graph, op, loop) for op in graph.get_operations())


def _operation(graph: Any, op: Any, loop: int | None) -> Found:
    inside = [walk(function, loop) for function in _functions(graph, op)]
    if op.type in ("If", "StatelessIf", "Case", "StatelessCase"):
        return dearest(inside)
    if op.type in ("While", "StatelessWhile"):
        turns = _turns(op)
        return together(inside).repeated(loop if turns is None else turns)
    return together([Found(products=tuple(_products(op)), fourier="FFT" in op.type), *inside])


def _products(op: Any) -> list[Product]:
    shapes = [tuple(t.shape) for t in op.inputs if t.shape.rank is not None]
    if op.type in ("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"):
        turned = op.get_attr("transpose_a" if op.type == "MatMul" else "adj_x")
        return [product(tuple(op.outputs[0].shape), shapes[0][-2 if turned else -1])]
    if op.type == "Einsum":
        return _contracted(op, shapes)
    if op.type.startswith("Conv") and op.type.endswith("BackpropInput"):
        over, kernel = shapes[-1], shapes[-2]
        return [convolution(over, kernel[-1], math.prod(kernel[:-1]))]
    if op.type in ("Conv2D", "Conv3D", "DepthwiseConv2dNative"):
        result, kernel = tuple(op.outputs[0].shape), shapes[1]
        if op.type == "DepthwiseConv2dNative":
            return [convolution(result, 1, math.prod(kernel[:-2]))]
        return [convolution(result, kernel[-1], math.prod(kernel[:-1]))]
    return []


def _contracted(op: Any, shapes: list[tuple[int, ...]]) -> list[Product]:
    equation = op.get_attr("equation").decode()
    return [Product(rows=c.groups * c.rows, inner=c.inner, columns=c.columns) for c in contractions(equation, shapes)]


def _functions(graph: Any, op: Any) -> list[Any]:
    """The graphs of the functions that an operation calls."""
    held = [op.node_def.attr[n] for n in ("cond", "body", "f", "then_branch", "else_branch") if n in op.node_def.attr]
    named = [h.func.name for h in held]
    if "branches" in op.node_def.attr:
        named += [f.name for f in op.node_def.attr["branches"].list.func]
    return [graph._get_function(name).graph for name in named if name]


def _turns(op: Any) -> float | None:
    """How often a loop runs: its bound where Keras or TensorFlow set one, None where there is none."""
    bound = [tf.get_static_value(t) for t in op.inputs[1:2]]
    return float(bound[0]) if bound and bound[0] is not None and bound[0] > 0 else None
