"""Encoders that classify text: BERT's layers with a head over the first token."""

from __future__ import annotations

from functools import partial

from zenplan.domain.model.operators import ElementwiseKind, Operator
from zenplan.domain.model.workload import Usual, Workload
from zenplan.families.named import Builder
from zenplan.families.parts import block, check_heads, dense, elementwise, loss
from zenplan.families.transformer.lowering import lower
from zenplan.families.transformer.shape import TransformerShape

SST_2 = Usual(
    dataset="SST-2",
    samples=67_349,
    epochs=3,
    global_batch=32,
    optimizer="adamw",
    source="Devlin et al. 2019, appendix A.3; GLUE, the data set",
    task="text classification",
)


def _classifier(
    name: str,
    /,
    *,
    layers: int = 12,
    width: int = 768,
    heads: int = 12,
    vocab: int = 30_522,
    seq_len: int = 128,
    positions: int = 512,
    classes: int = 2,
) -> Workload:
    """An encoder (Devlin et al. 2019), a tanh layer over its first token, and the classes."""
    check_heads(heads, width)
    shape = TransformerShape(
        family="encoder",
        layers=layers,
        width=width,
        heads=heads,
        ff_width=4 * width,
        vocab=vocab,
        seq_len=seq_len,
        positions=max(positions, seq_len),
        segments=2,
        dropout=True,
    )
    embedding, *encoder, _ = lower(shape, name).blocks
    head: list[Operator] = [
        elementwise(ElementwiseKind.NORM, "final norm", seq_len * width, 4, kept=seq_len * width, weights=2 * width),
        dense("first token", 1, width, width),
        elementwise(ElementwiseKind.ACTIVATION, "activation", width, kept=width),
        dense("head", 1, width, classes),
        loss(1, classes),
    ]
    blocks = (embedding, *encoder, block("head", head, 0, place="last"))
    return Workload(name=name, family="encoder", blocks=blocks, tokens_per_sample=seq_len, heads=heads, usual=SST_2)


_LARGE = {"layers": 24, "width": 1024, "heads": 16}

MODELS: dict[str, Builder] = {
    "text-classifier": partial(_classifier, "text-classifier"),
    "bert-base-classifier": partial(_classifier, "bert-base-classifier"),
    "bert-large-classifier": partial(_classifier, "bert-large-classifier", **_LARGE),
}
