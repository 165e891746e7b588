"""What a backend's trace of a function finds: its products, by their three sizes, and what the function returns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras

Shape = Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """``rows`` × ``inner`` by ``inner`` × ``columns``, of the whole batch."""

    rows: float
    inner: float
    columns: float

    def times(self, turns: float) -> Product:
        """As often as that, one below the other."""
        return Product(rows=self.rows * turns, inner=self.inner, columns=self.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is in a piece of a trace.

    Attributes:
        open_loops: there is a loop whose length is not known; what is in it is not among the products.
        fourier: there is a Fourier transform.
    """

    products: tuple[Product, ...] = ()
    open_loops: bool = False
    fourier: bool = False

    @property
    def size(self) -> float:
        """Multiplications."""
        return sum(p.rows * p.inner * p.columns for p in self.products)

    def repeated(self, turns: float | None) -> Found:
        """In a loop of so many turns; None where that is not known: then nothing in it is counted."""
        if turns is None:
            return replace(self, products=(), open_loops=True)
        return replace(self, products=tuple(p.times(turns) for p in self.products if turns))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What a trace found.

    Attributes:
        outputs: nested as the function returns them, each a ``keras.KerasTensor``.
    """

    outputs: Any
    found: Found


def together(pieces: Iterable[Found]) -> Found:
    """One piece after another."""
    each = list(pieces)
    return Found(
        products=tuple(p for f in each for p in f.products),
        open_loops=any(f.open_loops for f in each),
        fourier=any(f.fourier for f in each),
    )


def dearest(branches: Iterable[Found]) -> Found:
    """Of a choice, the branch with the most products; a loop of unknown length in any of them is one in the choice."""
    each = list(branches)
    return replace(together(each), products=max(each, key=lambda f: f.size, default=Found()).products)


def turns_between(lower: Any, upper: Any) -> int | None:
    """Turns of a loop from one number to another; None where one of them is a tensor."""
    return max(upper - lower, 0) if isinstance(lower, int) and isinstance(upper, int) else None


def product(result: Shape, inner: float) -> Product:
    """From the shape of a product of matrices, each element of which is a sum over ``inner``."""
    columns = result[-1] if result else 1
    return Product(rows=math.prod(result) / columns, inner=inner, columns=columns)


def convolution(result: Shape, channels: int, inner: float) -> Product:
    """From the shape of a feature map: each of its elements is a sum over ``inner``."""
    return Product(rows=math.prod(result) / channels, inner=inner, columns=channels)


def abstract(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Callable[..., Any], list[Any]]:
    """``operation.call`` as a function of its tensors alone, and those; all other arguments stay as they are.

    Args:
        operation: a ``keras.Operation``, layers among them.
        args, kwargs: of its call, with a ``keras.KerasTensor`` for each tensor.
    """
    nested = (args, kwargs)
    tensors = [t for t in keras.tree.flatten(nested) if isinstance(t, keras.KerasTensor)]

    def call(*given: Any) -> Any:
        filled = {id(t): value for t, value in zip(tensors, given, strict=True)}
        again, named = keras.tree.map_structure(lambda t: filled.get(id(t), t), nested)
        return operation.call(*again, **named)

    return call, tensors


def specification(call: Callable[..., Any], tensors: Sequence[Any]) -> Any:
    """Keras's own way to the shape of what ``call`` returns: it runs it on the backend's abstract tensors."""

    class Probe(keras.Operation):  # type: ignore[misc,unused-ignore]
        def call(self, *given: Any) -> Any:
            return call(*given)

    return Probe().compute_output_spec(*tensors)
