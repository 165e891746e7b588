"""The backend's own trace of code that Keras cannot follow: raw JAX, PyTorch or TensorFlow in a layer's ``call``.

What comes of it are products, by their three sizes; whose weights they use it does not tell. Loops are counted as
often as they run where that number is fixed, else once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from zenplan.domain.model.operators import MatMul, Operator, Split
from zenplan.worker.counting.call import Call
from zenplan.worker.counting.products import Trace


def traced(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Trace:
    """Run ``operation.call`` on the backend's abstract tensors; whatever it raises goes on to the caller.

    Args:
        operation: a ``keras.Operation``, layers among them.
        args, kwargs: of its call, with a ``keras.KerasTensor`` of a closed shape for each tensor.
    """
    # Imported here: there is one backend in a process, and its walk needs its library.
    match keras.config.backend():
        case "jax":
            from zenplan.worker.counting.trace_jax import trace
        case "torch":
            from zenplan.worker.counting.trace_torch import trace
        case _:
            from zenplan.worker.counting.trace_tensorflow import trace
    return trace(operation, args, kwargs)


def operators_of(trace: Trace, call: Call) -> Iterator[Operator]:
    """Its products as operators. A trace does not tell whose weights they have: the layer's, as far as it has any."""
    for index, product in enumerate(trace.products):
        yield MatMul(
            name="product",
            rows=product.rows / call.batch,
            inner=product.inner,
            columns=product.columns,
            split=Split.NONE,
            tied=True,
            trainable=call.backward,
            input_gradient=call.reached or (index > 0 and call.learns),
        )
