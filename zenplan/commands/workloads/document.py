"""The JSON documents of the named models and of one of them. Their schemas are made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from msgspec import Meta

from zenplan.commands.shared.document import (
    Count,
    CountFromZero,
    Name,
    NotNegative,
    Positive,
)
from zenplan.documents import Document, fill
from zenplan.domain.model.operators import (
    Attention,
    Convolution,
    Elementwise,
    Embedding,
    MatMul,
    Operator,
    Recurrent,
    Scan,
)
from zenplan.domain.model.workload import Workload

# What the published document calls each.
_KINDS = {
    MatMul: "matmul",
    Attention: "attention",
    Convolution: "convolution",
    Recurrent: "recurrent",
    Scan: "scan",
    Elementwise: "stream",
    Embedding: "lookup",
}


class ModelDocument(Document):
    """A model with a name."""

    name: Annotated[Name, Meta(description="Name of the model.")]
    plugin_family: Annotated[Name, Meta(description="Family plugin that knows it.")]
    family: Annotated[Name, Meta(description="Kind of model, as in decoder.")]
    parameters: Annotated[Positive, Meta(description="Parameters, a count.")]
    active_parameters: Annotated[Positive, Meta(description="Parameters that one token meets in products, a count.")]
    layers: Annotated[CountFromZero, Meta(description="Layers, a count.")]
    unit: Annotated[Name, Meta(description="What the data are counted in: tokens, or images, samples and the like.")]
    tokens_per_sample: Annotated[
        Count,
        Meta(description="Tokens of a sequence, or what there is of the unit in a sample, a count."),
    ]
    forward_flop_per_sample: Annotated[
        Positive,
        Meta(description="Operations of one forward pass of one sample, in FLOP."),
    ]
    training_flop_per_sample: Annotated[
        Positive,
        Meta(description="Operations of a training step for one sample, forward and backward, in FLOP."),
    ]
    published_tokens: Annotated[
        Positive | None,
        Meta(
            description="Tokens that its makers trained it on, repetitions counted, a count; null where not published."
        ),
    ]
    published_batch_tokens: Annotated[
        Count | None,
        Meta(description="Tokens a step of the stage that had most of them, a count; null where not published."),
    ]
    published_seq_len: Annotated[
        Count | None,
        Meta(description="Tokens of a sequence of that stage, a count; null where not published."),
    ]
    published_in: Annotated[
        str, Meta(description="Where that is published, or was looked for; empty beyond language models.")
    ]


class WorkloadsDocument(Document, tag_field="schema", tag="zenplan.workloads/1"):
    """Answer of 'zenplan workloads'.

    The models that --model takes.
    """

    workloads: Annotated[tuple[ModelDocument, ...], Meta(description="Every model that has a name.")]


class OperatorDocument(Document):
    """An operator."""

    block: Annotated[Name, Meta(description="The block it belongs to.")]
    repeat: Annotated[Count, Meta(description="How often the block comes, a count.")]
    operator: Annotated[Name, Meta(description="What it is called.")]
    kind: Annotated[Name, Meta(description="What it is, as in matmul or stream.")]
    shape: Annotated[Name, Meta(description="Its shape, for people.")]
    parameters: Annotated[NotNegative, Meta(description="Parameters of one repetition, a count.")]
    flop: Annotated[NotNegative, Meta(description="Operations forward, of one sample and one repetition, in FLOP.")]
    saved_elements: Annotated[
        NotNegative,
        Meta(description="Elements kept for the backward pass, of one sample and one repetition, a count."),
    ]


class WorkloadDocument(ModelDocument, tag_field="schema", tag="zenplan.workload/1"):
    """Answer of 'zenplan workloads show'.

    One model, operator by operator.
    """

    operators: Annotated[tuple[OperatorDocument, ...], Meta(min_length=1, description="Operators in order.")]


def workloads_document(models: Sequence[tuple[str, Workload]]) -> WorkloadsDocument:
    """Models, each with the family plugin that knows it."""
    return WorkloadsDocument(
        workloads=tuple(
            fill(
                ModelDocument,
                load,
                plugin_family=family,
                forward_flop_per_sample=load.flop_per_sample,
                **_published(load),
            )
            for family, load in models
        )
    )


def workload_document(family: str, load: Workload, shape: Callable[[Operator], str]) -> WorkloadDocument:
    """One model, for one sample forward.

    Args:
        family: the plugin that knows it.
        load: the model.
        shape: the sizes of an operator, for people.
    """
    operators = tuple(
        fill(
            OperatorDocument,
            op,
            block=block.name,
            repeat=block.repeat,
            operator=op.name,
            kind=_KINDS[type(op)],
            shape=shape(op),
        )
        for block in load.blocks
        for op in block.operators
    )
    return fill(
        WorkloadDocument,
        load,
        plugin_family=family,
        forward_flop_per_sample=load.flop_per_sample,
        **_published(load),
        operators=operators,
    )


def _published(load: Workload) -> dict[str, float | str | None]:
    """The fields on how its makers trained it."""
    known = load.pretraining
    return {
        "published_tokens": known.tokens if known else None,
        "published_batch_tokens": known.global_batch_tokens if known else None,
        "published_seq_len": known.seq_len if known else None,
        "published_in": known.source if known else "",
    }
