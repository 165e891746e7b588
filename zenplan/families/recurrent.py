"""Recurrent networks: stacks of LSTM, GRU and simple cells, and translation from sequence to sequence (GNMT)."""

from __future__ import annotations

from functools import partial

from zenplan.domain.model.operators import ElementwiseKind, Embedding, Operator
from zenplan.domain.model.workload import Block, Usual, Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.families import voice
from zenplan.families.named import Builder
from zenplan.families.parts import block, dense, elementwise, loss, recurrent

PENN_TREEBANK = Usual(
    dataset="Penn Treebank, 929,589 tokens",
    samples=929_589 / 35,
    epochs=39,
    global_batch=20,
    optimizer="sgd",
    source="Zaremba et al. 2014, section 4.1",
)
WMT16 = Usual(
    dataset="WMT16 English-German, pairs of up to 50 tokens",
    samples=3_498_161,
    epochs=6,
    global_batch=1024,
    optimizer="adamw",
    source="NVIDIA DeepLearningExamples, PyTorch/Translation/GNMT",
)


def _stack(
    name: str,
    cell: str,
    /,
    *,
    layers: int = 2,
    hidden: int = 650,
    input: int = 0,
    seq_len: int = 35,
    bidirectional: bool = False,
    text: bool = True,
    vocab: int = 10_000,
    classes: int = 0,
) -> Workload:
    """A stack of recurrent layers.

    Args:
        input: features of a step; 0 for as many as ``hidden``.
        text: steps are tokens of a vocabulary of ``vocab``, looked up in a table; else they come as features.
        classes: of a classifier over the last state; 0 to predict each next step.
    """
    features, sides = input or hidden, 2 if bidirectional else 1
    width = sides * hidden
    blocks = []
    if text:
        table = Embedding(name="embedding", entries=vocab, width=features, rows=seq_len)
        blocks.append(block("embedding", [table], seq_len * features, place="first"))
    for layer in range(layers):
        inputs = features if layer == 0 else width
        operators = recurrent(
            "cell", cell, seq_len, inputs, hidden, bidirectional=bidirectional, first=layer == 0 and not text
        )
        dropped = seq_len * width
        operators.append(elementwise(ElementwiseKind.DROPOUT, "dropout", dropped, kept=dropped / 2))
        blocks.append(block(f"layer {layer + 1}", operators, dropped))
    rows, outputs = (1, classes) if classes else (seq_len, vocab if text else features)
    head: list[Operator] = [dense("head", rows, width, outputs), loss(rows, outputs)]
    blocks.append(block("head", head, 0, place="last"))
    return Workload(
        name=name,
        family="recurrent",
        blocks=tuple(blocks),
        tokens_per_sample=seq_len if text else 1,
        unit="tokens" if text else "samples",
        usual=PENN_TREEBANK if text else None,
    )


def _gnmt_attention(steps: int, hidden: int) -> list[Operator]:
    """Normalised Bahdanau attention of each target position over all source positions.

    Its sum over the positions, 0.1 % of the FLOP, is left out.
    """
    pairs = steps * steps * hidden
    return [
        dense("attention query", steps, hidden, hidden, bias=False, kept=False),
        dense("attention keys", steps, hidden, hidden, bias=False),
        # A fuser joins sum and tanh: written once, read by the product with the score's weights.
        elementwise(ElementwiseKind.OTHER, "attention scores", pairs, 2, kept=pairs, weights=2 * hidden + 1),
    ]


def _gnmt_side(side: str, steps: int, hidden: int, layers: int) -> list[Block]:
    """The encoder, whose first layer goes both ways; or the decoder, whose later layers read the attention too."""
    size, encoder = steps * hidden, side == "encoder"
    wide = 2 * hidden
    blocks = []
    for layer in range(layers):
        both = encoder and layer == 0
        joined = layer == 1 if encoder else layer > 0
        operators = recurrent("lstm", "lstm", steps, wide if joined else hidden, hidden, bidirectional=both)
        if not encoder and layer == 0:
            operators += _gnmt_attention(steps, hidden)
        operators.append(elementwise(ElementwiseKind.DROPOUT, "dropout", size, kept=size / 2))
        if layer > 1:
            operators.append(elementwise(ElementwiseKind.RESIDUAL, "residual sum", size, 3))
        blocks.append(block(f"{side} layer {layer + 1}", operators, 2 * size if both else size))
    return blocks


def _gnmt(
    *,
    hidden: int = 1024,
    layers: int = 4,
    vocab: int = 32_320,
    shared: bool = True,
    seq_len: int = 25,
    padding: float = 1.2,
) -> Workload:
    """GNMT v2, as NVIDIA trains it: source and target of ``seq_len`` tokens, padded to ``padding`` times as many.

    The attention is that of all positions at once, so that cuDNN runs every layer as a whole sequence. Its tokens are
    those of source and target, padding not counted.
    """
    steps = round(seq_len * padding)
    tables = [("embedding", 2 * steps)] if shared else [("source embedding", steps), ("target embedding", steps)]
    embeddings: list[Operator] = [Embedding(name=n, entries=vocab, width=hidden, rows=rows) for n, rows in tables]
    head: list[Operator] = [dense("classifier", steps, hidden, vocab), loss(steps, vocab)]
    why = "6 epochs at the published tokens/s and minutes have 175M tokens each, in 3.5M pairs"
    padded = "batches are drawn from 5 buckets of 10 lengths each, padded to the longest"
    return Workload(
        name="gnmt",
        family="recurrent",
        blocks=(
            block("embedding", embeddings, 2 * steps * hidden, place="first"),
            *_gnmt_side("encoder", steps, hidden, layers),
            *_gnmt_side("decoder", steps, hidden, layers),
            block("head", head, 0, place="last"),
        ),
        tokens_per_sample=2 * seq_len,
        usual=WMT16,
        facts=(
            Fact(name="tokens of a sentence", value=str(seq_len), origin=Origin.DERIVED, why=why),
            Fact(name="steps with padding", value=str(steps), origin=Origin.ASSUMED, why=padded),
        ),
    )


MODELS: dict[str, Builder] = {
    "lstm": partial(_stack, "lstm", "lstm"),
    "lstm-ptb-large": partial(_stack, "lstm-ptb-large", "lstm", hidden=1500),
    "gru": partial(_stack, "gru", "gru"),
    "simple-rnn": partial(_stack, "simple-rnn", "simple"),
    "gnmt": _gnmt,
    **voice.MODELS,
}
