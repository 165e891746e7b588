"""The JSON document of a count: every layer, nothing summed up. Its schema is made of it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from zenplan.commands.count.figures import kind_of, moved, ratio
from zenplan.commands.shared.document import (
    Count,
    CountFromZero,
    Name,
    NotNegative,
    one_of,
)
from zenplan.documents import Document, fill
from zenplan.domain.model.count import METHODS, LayerCount, ModelCount
from zenplan.domain.precision import Precision


class BatchDocument(Document):
    """The same for a batch."""

    samples: Annotated[Count, Meta(description="Samples of the batch.")]
    forward_flop: Annotated[NotNegative, Meta(description="Operations forward, in FLOP.")]
    training_flop: Annotated[NotNegative, Meta(description="Operations forward and backward, in FLOP.")]
    activation_bytes: Annotated[NotNegative, Meta(description="Activations kept for the backward pass, in bytes.")]
    moved_bytes: Annotated[
        NotNegative,
        Meta(description="Bytes that operators read and write forward, weights once for all samples."),
    ]
    flop_per_byte: Annotated[NotNegative, Meta(description="Arithmetic intensity forward, in FLOP a byte.")]


class OperatorDocument(Document):
    """An operator."""

    name: Annotated[Name, Meta(description="What it is called.")]
    kind: Annotated[
        Literal["product", "attention", "convolution", "recurrence", "scan", "stream", "look-up"],
        Meta(description="What it is."),
    ]
    parameters: Annotated[NotNegative, Meta(description="Weights that it owns, a count.")]
    forward_flop: Annotated[NotNegative, Meta(description="Operations forward, of one sample, in FLOP.")]
    saved_elements: Annotated[
        NotNegative,
        Meta(description="Elements of one sample kept for the backward pass, a count."),
    ]


class LayerDocument(Document):
    """A layer, with all its calls."""

    path: Annotated[
        tuple[Annotated[str, Meta(description="Name of a layer.")], ...],
        Meta(
            description="Names of the layers it lies in and its own; empty for what the model computes in its own call."
        ),
    ]
    kind: Annotated[Name, Meta(description="Name of its class.")]
    output_shape: Annotated[
        tuple[Annotated[int | None, Meta(description="Size of a dimension; null where it is open.")], ...],
        Meta(description="Shape of its last output, with the batch."),
    ]
    calls: Annotated[CountFromZero, Meta(description="How often the model calls it.")]
    parameters: Annotated[NotNegative, Meta(description="Weights that no layer before it has, a count.")]
    trainable_parameters: Annotated[NotNegative, Meta(description="Of them, those that get a gradient, a count.")]
    forward_flop: Annotated[NotNegative, Meta(description="Operations forward, of one sample, in FLOP.")]
    training_flop: Annotated[NotNegative, Meta(description="Operations forward and backward, of one sample, in FLOP.")]
    activation_bytes: Annotated[
        NotNegative,
        Meta(description="Activations of one sample kept for the backward pass, in bytes."),
    ]
    moved_bytes: Annotated[
        NotNegative,
        Meta(description="Bytes that its operators read and write forward, for the batch."),
    ]
    flop_per_byte: Annotated[
        NotNegative,
        Meta(description="Arithmetic intensity forward, of the batch, in FLOP a byte."),
    ]
    method: Annotated[
        str,
        one_of(*METHODS),
        Meta(
            description="How it was counted: by a rule for its kind, by a function that was registered, from the "
            "operations it calls, or not at all."
        ),
    ]
    note: Annotated[str, Meta(description="What there is to say of that.")]
    operators: Annotated[tuple[OperatorDocument, ...], Meta(description="What it computes, of all its calls.")]


class CountDocument(Document, tag_field="schema", tag="zenplan.count/1"):
    """Answer of 'zenplan count'.

    A model, layer by layer.
    """

    name: Annotated[Name, Meta(description="Name of the model.")]
    backend: Annotated[
        Literal["jax", "torch", "tensorflow"],
        Meta(description="Backend of Keras with which it was built."),
    ]
    input_shape: Annotated[str, Meta(description="Shape of one sample, for people.")]
    precision: Annotated[Name, Meta(description="Number format of activations in memory, as in bf16.")]
    parameters: Annotated[NotNegative, Meta(description="All weights, each once, a count.")]
    trainable_parameters: Annotated[NotNegative, Meta(description="Of them, those that get a gradient, a count.")]
    forward_flop: Annotated[
        NotNegative,
        Meta(description="Operations of one sample, forward, in FLOP; a multiply-add is 2."),
    ]
    training_flop: Annotated[
        NotNegative,
        Meta(description="Operations of one sample of a training step, forward and backward, in FLOP."),
    ]
    activation_bytes: Annotated[
        NotNegative,
        Meta(description="Activations of one sample kept for the backward pass, in bytes."),
    ]
    batch: Annotated[BatchDocument, Meta(description="The same for a batch.")]
    layers: Annotated[tuple[LayerDocument, ...], Meta(description="Layers in the order of their first calls.")]
    unknown: Annotated[
        tuple[Annotated[str, Meta(description="Name of a layer.")], ...],
        Meta(description="Layers whose cost is unknown and not in the sums."),
    ]
    notes: Annotated[
        tuple[Annotated[str, Meta(description="A sentence.")], ...],
        Meta(description="What holds for the whole model."),
    ]


def count_document(count: ModelCount, batch: int, precision: Precision) -> CountDocument:
    """The whole answer.

    Args:
        count: what was counted, for one sample.
        batch: samples that weights are read once for, and that totals are also given for.
        precision: of activations and weights in memory.
    """
    kept, bytes_moved = count.activation_elements * precision.compute_bytes, moved(count.layers, batch, precision)
    totals = BatchDocument(
        samples=batch,
        forward_flop=count.forward_flop * batch,
        training_flop=count.training_flop * batch,
        activation_bytes=kept * batch,
        moved_bytes=bytes_moved,
        flop_per_byte=ratio(count.forward_flop * batch, bytes_moved),
    )
    return fill(
        CountDocument,
        count,
        precision=precision.name,
        activation_bytes=kept,
        batch=totals,
        layers=tuple(layer_document(each, batch, precision) for each in count.layers),
        unknown=tuple(each.name for each in count.unknown),
    )


def layer_document(layer: LayerCount, batch: int, precision: Precision) -> LayerDocument:
    """A layer, for one sample; its bytes and intensity for a batch."""
    bytes_moved = moved([layer], batch, precision)
    return fill(
        LayerDocument,
        layer,
        activation_bytes=layer.activation_elements * precision.compute_bytes,
        moved_bytes=bytes_moved,
        flop_per_byte=ratio(layer.forward_flop * batch, bytes_moved),
        operators=tuple(fill(OperatorDocument, op, kind=kind_of(op), forward_flop=op.flop) for op in layer.operators),
    )
