"""What the table and the document of ``zenplan count`` both tell of a layer."""

from __future__ import annotations

from collections.abc import Iterable

from zenplan.domain.model.count import LayerCount
from zenplan.domain.model.operators import Attention, Convolution, Embedding, MatMul, Operator, Recurrent, Scan
from zenplan.domain.precision import Precision

_KINDS = {
    MatMul: "product",
    Attention: "attention",
    Convolution: "convolution",
    Recurrent: "recurrence",
    Scan: "scan",
    Embedding: "look-up",
}


def kind_of(op: Operator) -> str:
    """What the operator is, in a word."""
    return _KINDS.get(type(op), "stream")


def ratio(part: float, whole: float) -> float:
    """``part / whole``; 0 of nothing."""
    return part / whole if whole else 0.0


def moved(layers: Iterable[LayerCount], batch: float, precision: Precision) -> float:
    """Bytes read and written, forward, by the layers for a batch."""
    return sum(layer.moved_bytes(batch, precision.compute_bytes) for layer in layers)
