"""Transformers: from a shape to operators. Decoders, encoders, encoder-decoders; dense and MoE."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, cycle, islice, repeat
from typing import Any

from zenplan.domain.model.operators import Attention, Elementwise, ElementwiseKind, Embedding, MatMul, Operator, Split
from zenplan.domain.model.workload import Block, Workload
from zenplan.domain.provenance import Fact
from zenplan.families.transformer.layers import EAGER_LOSS, attend, beside, dropout, feed_forward, mix, norm, scanned
from zenplan.families.transformer.shape import LayerKind, TransformerShape


def _layer(
    shape: TransformerShape,
    name: str,
    repeat: int,
    rows: int,
    *,
    causal: bool,
    kind: LayerKind,
    cross_keys: int = 0,
) -> Block:
    own = _own(shape, kind)
    attention: list[Operator] = [norm(shape, "attention norm", rows)]
    if kind.attention:
        chunks = -(-rows // kind.window) if shape.chunked and kind.window else 1
        to_others = kind.cross is not None
        found = attend(own, rows, kind.cross or rows, causal and not to_others, kind.window, cross=to_others)
        attention += [op.apart(chunks) if isinstance(op, Attention) else op for op in found]
    if cross_keys:
        attention += [norm(shape, "cross-attention norm", rows)]
        attention += attend(own, rows, cross_keys, causal=False, window=None, cross=True)
    feed = _feed(own, kind, rows) if kind.feed != "none" else []
    if not kind.owned:
        attention, feed = ([_of_another(op) for op in ops] for ops in (attention, feed))
    mixer = scanned(kind.mixer, shape.width, rows) if kind.mixer is not None else []
    further = beside(kind.products, rows)
    if kind.weights:
        further.append(_few(kind.weights, rows))
    reductions = int(kind.attention) + int(kind.mixer is not None) + int(kind.feed != "none") + int(cross_keys > 0)
    boundary = float(rows * shape.width)
    operators = (*attention, *mixer, *feed, *further)
    return Block(name=name, operators=operators, repeat=repeat, boundary=boundary, reductions=reductions)


def _few(weights: float, rows: int) -> Elementwise:
    """The few weights of a layer that are no product's: each scales, or is added to, an element of every token."""
    return Elementwise(
        name="further scales and biases",
        elements=rows * weights,
        passes=2,
        split=Split.SEQUENCE,
        weights=weights,
    )


def _feed(shape: TransformerShape, kind: LayerKind, rows: int) -> list[Operator]:
    """The feed-forward network of a layer, or its experts."""
    size = rows * shape.width
    operators: list[Operator] = [
        norm(shape, "feed-forward norm", rows),
        Elementwise(name="feed-forward input", elements=size, passes=1, split=Split.SEQUENCE, saved=size),
    ]
    if kind.feed == "experts" and shape.experts is not None:
        operators += mix(shape, shape.experts, rows)
    else:
        operators += feed_forward(shape, rows, shape.ff_width)
    return [*operators, *dropout(shape, "feed-forward dropout", rows)]


def _own(shape: TransformerShape, kind: LayerKind) -> TransformerShape:
    """The shape with what is this layer's own."""
    names = ("heads", "kv_heads", "head_dim", "value_dim", "ff_width", "projected")
    given = {name: getattr(kind, name) for name in names}
    own: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return replace(shape, **own) if own else shape


def _of_another(op: Operator) -> Operator:
    """The same work with weights that another layer owns."""
    if isinstance(op, MatMul):
        return replace(op, tied=True)
    return replace(op, weights=0.0) if isinstance(op, Elementwise) else op


def _kinds(shape: TransformerShape) -> Iterable[LayerKind]:
    """Each layer in turn."""
    if shape.kinds:
        return shape.kinds
    dense = shape.experts.dense_layers if shape.experts else 0
    windows = shape.windows or (None,)
    feeds = chain(repeat("dense", dense), repeat("experts" if shape.experts else "dense"))
    each = islice(zip(feeds, cycle(windows), strict=False), shape.layers)
    return (LayerKind(feed=feed, window=window) for feed, window in each)


def layers_of(shape: TransformerShape) -> list[Block]:
    """The layers of a shape: alike ones are one block that repeats."""
    causal = shape.family != "encoder"
    cross = shape.encoder_seq_len or shape.seq_len if shape.family == "encoder-decoder" else 0
    blocks = []
    if cross:
        kind = LayerKind(products=shape.encoder_products)
        blocks.append(_layer(shape, "encoder layer", shape.encoder_layers, cross, causal=False, kind=kind))
    for kind, count in Counter(_kinds(shape)).items():
        blocks.append(_layer(shape, _named(kind), count, shape.seq_len, causal=causal, kind=kind, cross_keys=cross))
    return blocks


def _named(kind: LayerKind) -> str:
    mixer = f"{kind.mixer.name} " if kind.mixer else ""
    experts = "expert " if kind.feed == "experts" else ""
    return f"{mixer}{experts}layer" + (f" (window {kind.window})" if kind.window else "")


def _embedding(shape: TransformerShape) -> Block:
    rows, narrow = shape.seq_len, shape.embedding_width or shape.width
    tables: list[Operator] = [Embedding(name="token embedding", entries=shape.vocab, width=narrow, rows=rows)]
    for name, entries in (("position embedding", shape.positions), ("segment embedding", shape.segments)):
        if entries:
            tables.append(Embedding(name=name, entries=entries, width=narrow, rows=rows, split=Split.NONE))
    tables += shape.first
    tables += dropout(shape, "embedding dropout", rows)
    return Block(name="embedding", operators=tuple(tables), boundary=float(rows * shape.width), place="first")


def _head(shape: TransformerShape) -> Block:
    rows, vocab = max(1, round(shape.seq_len * shape.predicted)), shape.vocab
    narrow = shape.embedding_width or shape.width
    if shape.headless:
        final = norm(shape, "final norm", shape.seq_len)
        return Block(name="head", operators=(final, *shape.last), place="last")
    transform: list[Operator] = []
    if shape.head_transform:
        transform = [
            MatMul(
                name="head transform",
                rows=rows,
                inner=shape.width,
                columns=narrow,
                split=Split.NONE,
                bias=True,
                saved=2 * shape.width,
            )
        ]
    operators = [
        norm(shape, "final norm", rows),
        *shape.last,
        *transform,
        MatMul(
            name="head",
            rows=rows,
            inner=narrow,
            columns=vocab,
            split=Split.COLUMNS,
            saved=narrow,
            tied=shape.tied,
        ),
        # The loss works in fp32: 16-bit logits and their fp32 copy are there at once, 6 bytes an element.
        Elementwise(
            name="loss",
            kind=ElementwiseKind.LOSS,
            elements=rows * vocab,
            passes=4,
            eager_passes=EAGER_LOSS,
            split=Split.HEADS,
            saved=1.5 * rows * vocab,
            element_bytes=4.0,
        ),
    ]
    return Block(name="head", operators=tuple(operators), place="last")


def lower(shape: TransformerShape, name: str, facts: tuple[Fact, ...] = ()) -> Workload:
    """The workload of a shape. One sample is one sequence (of an encoder-decoder: one pair)."""
    family = "moe-decoder" if shape.experts and shape.family == "decoder" else shape.family
    tokens = shape.seq_len
    return Workload(
        name=name,
        family=family,
        blocks=(_embedding(shape), *layers_of(shape), _head(shape)),
        tokens_per_sample=tokens,
        heads=shape.heads,
        guessed_shape=shape.guessed,
        facts=facts,
    )
