"""Operators that models have beside their layers: further tables, norms and products around them."""

from __future__ import annotations

from zenplan.domain.model.operators import Elementwise, ElementwiseKind, Embedding, MatMul, Operator, Split


def table(name: str, entries: float, width: float, rows: float) -> Operator:
    """A further table, of which each of ``rows`` takes an entry."""
    return Embedding(name=name, entries=entries, width=width, rows=rows, split=Split.NONE)


def norm(name: str, rows: float, width: float, *, bias: bool = True) -> Operator:
    """A norm over ``rows`` of ``width``."""
    size = rows * width
    return Elementwise(
        name=name,
        kind=ElementwiseKind.NORM,
        elements=size,
        passes=3,
        split=Split.SEQUENCE,
        saved=size,
        weights=width * (2 if bias else 1),
    )


def few(name: str, weights: float) -> Operator:
    """Weights that are read once: biases, a token that is learned, a small table."""
    return Elementwise(name=name, elements=weights, passes=1, split=Split.NONE, weights=weights)


def product(name: str, rows: float, inner: float, columns: float, *, bias: bool = True, tied: bool = False) -> Operator:
    """A dense layer over ``rows``, which keeps what enters it."""
    return MatMul(
        name=name, rows=rows, inner=inner, columns=columns, split=Split.NONE, bias=bias, saved=inner, tied=tied
    )
