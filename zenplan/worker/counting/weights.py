"""Products of weights alone, which a step has once, whatever its batch: those of low rank, and a layer's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import keras

from zenplan.domain.model.operators import MatMul, Split

# What a function of the backend's is called in Keras: the operation with its settings, and how many are its tensors.
_WATCHED: dict[str, tuple[str, Callable[[tuple[Any, ...], dict[str, Any]], dict[str, Any]]]] = {
    "matmul": ("Matmul", lambda args, kwargs: {}),
    "dot": ("Dot", lambda args, kwargs: {}),
    "inner": ("Inner", lambda args, kwargs: {}),
    "vdot": ("Vdot", lambda args, kwargs: {}),
    "tensordot": ("Tensordot", lambda args, kwargs: {"axes": kwargs.get("axes", args[2] if len(args) > 2 else 2)}),
    "einsum": ("Einsum", lambda args, kwargs: {"subscripts": kwargs.get("subscripts", args[0])}),
}


@contextmanager
def weights_watched(tell: Callable[[Any, tuple[Any, ...], Any], None]) -> Iterator[None]:
    """Within it, products that Keras gives to its backend at once, as of variables, are told.

    Args:
        tell: the operation, its tensors, what it returned.
    """
    numpy: Any = keras.src.backend.numpy
    depth = 0

    def watched(name: str) -> Callable[..., Any]:
        own, (kind, settings) = getattr(numpy, name), _WATCHED[name]

        def run(*args: Any, **kwargs: Any) -> Any:
            nonlocal depth
            depth += 1
            try:
                result = own(*args, **kwargs)
            finally:
                depth -= 1
            # One may be made of another.
            if depth == 0 and hasattr(result, "shape"):
                tensors = tuple(t for t in (*args, *kwargs.values()) if hasattr(t, "shape"))
                operation = getattr(keras.src.ops.numpy, kind)
                tell(operation(**settings(args, kwargs)), tensors, result)
            return result

        return run

    with ExitStack() as stack:
        for name in _WATCHED:
            stack.enter_context(patch.object(numpy, name, watched(name)))
        yield


def low_rank(layer: Any, batch: int) -> Iterator[MatMul]:
    """The product A·B of a layer of Keras's with ``enable_lora``, which it adds to its weight in every call."""
    if not getattr(layer, "lora_enabled", False):
        return
    for whose in ("kernel", "embeddings"):
        a, b = (getattr(layer, f"lora_{whose}_{part}", None) for part in "ab")
        if a is not None and b is not None:
            yield between_weights(a.shape, b.shape[-1], batch)


def between_weights(
    left: tuple[int, ...], columns: int, batch: int, *, learns: bool = True, before: bool = True
) -> MatMul:
    """A weight by another, once for all samples of the batch.

    Args:
        left: the shape of the first; its last size is what is summed over.
        columns: of the second.
        batch: samples of the step.
        learns: whether the second has a gradient; before: the first.
    """
    return MatMul(
        name="of weights",
        rows=math.prod(left[:-1]) / batch,
        inner=left[-1],
        columns=columns,
        split=Split.NONE,
        tied=True,
        trainable=learns,
        input_gradient=before,
    )
