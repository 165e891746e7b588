"""TensorFlow's graph of a function, walked: products and convolutions; a loop with a fixed number of turns by it."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from zenplan.worker.counting.einsum import contractions
from zenplan.worker.counting.products import Product, Trace, abstract, convolution, product, specification


def trace(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Trace:
    """Trace on TensorFlow, in the graph that Keras makes to find the shape of the result."""
    call, tensors = abstract(operation, args, kwargs)
    graphs: list[Any] = []

    def noted(*given: Any) -> Any:
        result = call(*given)
        graphs.append(tf.compat.v1.get_default_graph())
        return result

    outputs = specification(noted, tensors)
    found, loops = walk(graphs[-1])
    return Trace(outputs=outputs, products=tuple(found), open_loops=loops)


def walk(graph: Any, times: float = 1) -> tuple[list[Product], bool]:
    """The products of a graph and of the functions it calls; and whether a loop may run any number of times."""
    found, loops = [], False
    for op in graph.get_operations():
        found += [Product(rows=p.rows * times, inner=p.inner, columns=p.columns) for p in _products(op)]
        turns = _turns(op) if op.type in ("While", "StatelessWhile") else 1
        loops |= turns is None
        for name in ("body", "f", "then_branch"):
            function = _function(graph, op, name)
            if function is not None:
                more, inside = walk(function, times * (turns or 1))
                found += more
                loops |= inside
    return found, loops


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


def _function(graph: Any, op: Any, name: str) -> Any:
    if name not in op.node_def.attr or not op.node_def.attr[name].func.name:
        return None
    called = op.node_def.attr[name].func.name
    return graph._get_function(called).graph


def _turns(op: Any) -> float | None:
    """How often a loop runs: its bound where Keras or TensorFlow set one, None where there is none."""
    bound = [tf.get_static_value(t) for t in op.inputs[1:2]]
    return float(bound[0]) if bound and bound[0] is not None and bound[0] > 0 else None
