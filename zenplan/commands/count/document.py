"""The JSON document and the records of ``zenplan count``: every layer, nothing summed up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zenplan.domain.model.count import LayerCount, ModelCount
from zenplan.domain.model.operators import Attention, Convolution, Embedding, MatMul, Operator, Recurrent
from zenplan.domain.precision import Precision

_KINDS = {
    MatMul: "product",
    Attention: "attention",
    Convolution: "convolution",
    Recurrent: "recurrence",
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


def count_document(count: ModelCount, batch: int, precision: Precision) -> dict[str, Any]:
    """The whole answer."""
    kept = count.activation_elements * precision.compute_bytes
    bytes_moved = moved(count.layers, batch, precision)
    return {
        "name": count.name,
        "backend": count.backend,
        "input_shape": count.input_shape,
        "precision": precision.name,
        "parameters": count.parameters,
        "trainable_parameters": count.trainable_parameters,
        "forward_flop": count.forward_flop,
        "training_flop": count.training_flop,
        "activation_bytes": kept,
        "batch": {
            "samples": batch,
            "forward_flop": count.forward_flop * batch,
            "training_flop": count.training_flop * batch,
            "activation_bytes": kept * batch,
            "moved_bytes": bytes_moved,
            "flop_per_byte": ratio(count.forward_flop * batch, bytes_moved),
        },
        "layers": [_layer(each, batch, precision) for each in count.layers],
        "unknown": [each.name for each in count.unknown],
        "notes": list(count.notes),
    }


def _layer(layer: LayerCount, batch: int, precision: Precision) -> dict[str, Any]:
    bytes_moved = moved([layer], batch, precision)
    return {
        "path": list(layer.path),
        "kind": layer.kind,
        "output_shape": list(layer.output_shape),
        "calls": layer.calls,
        "parameters": layer.parameters,
        "trainable_parameters": layer.trainable_parameters,
        "forward_flop": layer.forward_flop,
        "training_flop": layer.training_flop,
        "activation_bytes": layer.activation_elements * precision.compute_bytes,
        "moved_bytes": bytes_moved,
        "flop_per_byte": ratio(layer.forward_flop * batch, bytes_moved),
        "method": layer.method,
        "note": layer.note,
        "operators": [
            {
                "name": o.name,
                "kind": kind_of(o),
                "parameters": o.parameters,
                "forward_flop": o.flop,
                "saved_elements": o.saved_elements,
            }
            for o in layer.operators
        ],
    }


def count_records(count: ModelCount, batch: int, precision: Precision) -> tuple[dict[str, Any], ...]:
    """A row for each layer; the operators by their kinds."""
    return tuple(
        {
            **_layer(layer, batch, precision),
            "path": layer.name,
            "output_shape": "×".join("?" if size is None else str(size) for size in layer.output_shape),
            "operators": " ".join(dict.fromkeys(kind_of(o) for o in layer.operators)),
        }
        for layer in count.layers
    )
