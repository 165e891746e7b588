"""What a model's class, as its configuration names it, puts in the place of the head that predicts words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from zenplan.domain.model.operators import Operator
from zenplan.families.configurations.extras import product
from zenplan.families.configurations.fields import MOST_ENTRIES, Fields
from zenplan.families.configurations.types import ModelType
from zenplan.families.parts import loss
from zenplan.families.transformer.shape import TransformerShape

# The last part of the class's name to how many classes it tells apart for each of its rows; None: its labels.
_CLASSES: Mapping[str, tuple[str, int | None]] = {
    "ForSequenceClassification": ("text", None),
    "ForTokenClassification": ("tokens", None),
    "ForQuestionAnswering": ("tokens", 2),
    "ForMultipleChoice": ("text", 1),
}


def labels(fields: Fields) -> int:
    """How many classes a classifier tells apart: two where nothing says it."""
    named = fields.raw("id2label", "label2id")
    if isinstance(named, Mapping) and named:
        return len(named)
    return fields.needed("num_labels", "num_classes", default=2, most=MOST_ENTRIES)


def architecture(fields: Fields) -> str:
    """The class that the configuration was saved by; empty where it does not say."""
    named = fields.raw("architectures")
    return named[0] if isinstance(named, list) and named and isinstance(named[0], str) else ""


def with_head(shape: TransformerShape, spec: ModelType, fields: Fields) -> TransformerShape:
    """The shape with the head of its class: of a classifier, or of a model without one."""
    name = architecture(fields)
    kind = next((kind for ending, kind in _CLASSES.items() if name.endswith(ending)), None)
    plain = name.endswith("Model") and not name.endswith(("LMHeadModel", "DoubleHeadsModel"))
    width, last = shape.width, _kept(shape)
    dense = product("pooler", 1, width, width)
    if name == "ElectraForPreTraining":
        # Each token is told to be the writer's or not.
        every = (product("replaced 1", shape.seq_len, width, width), product("replaced 2", shape.seq_len, width, 1))
        return replace(shape, headless=True, last=(*last, *every))
    if name == "BertForPreTraining":
        return replace(shape, last=(*shape.last, dense, product("next sentence", 1, width, 2)))
    if shape.family == "encoder-decoder" or not (kind or plain):
        return shape
    # Each class of RoBERTa's kind has its own; of BERT's kind it is part of the model.
    pooled = spec.pooler or (shape.family == "encoder" and spec.head_transform)
    if kind is None:
        return replace(shape, headless=True, last=(*last, dense) if spec.pooler else last)
    over, count = kind
    classes = labels(fields) if count is None else count
    rows = shape.seq_len if over == "tokens" else 1
    if over == "text" and pooled:
        last = (*last, dense)
    head = product("classifier", rows, width, classes, bias=shape.family == "encoder")
    return replace(shape, headless=True, last=(*last, head, loss(rows, classes)))


def _kept(shape: TransformerShape) -> tuple[Operator, ...]:
    """What stays of a head whose product goes: not its biases, nor a pooler that comes anew."""
    return tuple(op for op in shape.last if op.name not in ("head bias", "pooler"))
