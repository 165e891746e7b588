"""Transformers: from a shape to operators. Decoders, encoders, encoder-decoders; dense and MoE.

Saved activations follow Korthikanti et al. 2022 (arXiv 2205.05198, section 4) operator by operator, so that
any shape (gated, grouped-query, latent attention, experts) has its own sum rather than GPT's 34·s·b·h.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain, cycle, islice, repeat

from zenplan.domain import checks
from zenplan.domain.model.operators import (
    Attention,
    Elementwise,
    ElementwiseKind,
    Embedding,
    MatMul,
    Operator,
    Role,
    Split,
)
from zenplan.domain.model.workload import Block, Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import DataError, UsageError, shown

FAMILIES = ("decoder", "encoder", "encoder-decoder")

MOST_SEQ_LEN = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentAttention:
    """Multi-head latent attention: low-rank queries and a shared low-rank key-value (DeepSeek-V2)."""

    query_rank: int  # 0: queries are not compressed
    kv_rank: int
    rope_dim: int
    nope_dim: int
    value_dim: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """A mixture of experts in place of the feed-forward network.

    Attributes:
        count, active: experts of a layer, and how many of them a token meets.
        width: feed-forward width of one expert.
        shared_width: width of the part that every token meets, 0 for none.
        dense_layers: first layers that keep the plain feed-forward network.
    """

    count: int
    active: int
    width: int
    shared_width: int = 0
    dense_layers: int = 0

    def __post_init__(self) -> None:
        checks.positive("experts", count=self.count, active=self.active, width=self.width)
        if self.active > self.count:
            raise DataError(f"experts: {self.active} active of {self.count}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerShape:
    """The numbers that define a transformer.

    Attributes:
        layers: decoder layers (of an encoder-decoder: the decoder's; ``encoder_layers`` beside it).
        head_dim: width of one head; width / heads where None.
        gated: the feed-forward network has a gate (SwiGLU, GeGLU): three products, not two.
        tied: the output head uses the input embedding's weight.
        positions: entries of a learned position table, 0 for none (rotary, ALiBi, relative).
        segments: entries of a segment table (BERT's 2), 0 for none.
        head_transform: a width × width product before the head (BERT's masked-language head).
        windows: sliding windows of the layers in turn, None for full attention; () for full everywhere.
        chunked: windows do not slide: the text is cut into chunks of that length, which do not see each other (Llama 4).
        dropout: the classic recipe with dropout masks to keep (GPT-2/3, BERT, T5).
        predicted: share of the positions that reach the head (BERT predicts the masked 15 % alone).
        guessed: only the number of parameters was known, and all else is usual for it.
    """

    family: str = "decoder"
    layers: int
    width: int
    heads: int
    kv_heads: int | None = None
    head_dim: int | None = None
    ff_width: int
    vocab: int
    seq_len: int
    gated: bool = False
    tied: bool = True
    biases: bool = True
    norm_biases: bool = True
    positions: int = 0
    segments: int = 0
    head_transform: bool = False
    dropout: bool = False
    predicted: float = 1.0
    windows: tuple[int | None, ...] = ()
    chunked: bool = False
    encoder_layers: int = 0
    encoder_seq_len: int = 0
    experts: Experts | None = None
    latent: LatentAttention | None = None
    guessed: bool = False

    def __post_init__(self) -> None:
        checks.one_of("transformer", "family", self.family, FAMILIES)
        checks.positive(
            "transformer",
            layers=self.layers,
            width=self.width,
            heads=self.heads,
            kv_heads=self.kv_heads,
            head_dim=self.head_dim,
            ff_width=self.ff_width,
            vocab=self.vocab,
            seq_len=self.seq_len,
        )
        if self.head_dim is None and self.width % self.heads:
            raise DataError(f"transformer: width {self.width} is not a multiple of {self.heads} heads")
        if self.heads % (self.kv_heads or self.heads):
            raise DataError(f"transformer: {self.heads} heads do not share {self.kv_heads} key-value heads")
        if not 0 < self.predicted <= 1:
            raise DataError(f"transformer: a share of {self.predicted:g} of the positions cannot be predicted")
        if self.family == "encoder-decoder" and not self.encoder_layers:
            raise DataError("transformer: an encoder-decoder needs encoder_layers")

    @property
    def per_head(self) -> int:
        """Width of one head."""
        return self.head_dim or self.width // self.heads


# Passes over 16-bit elements of what Hugging Face's models write operator by operator, forward (transformers,
# models/llama/modeling_llama.py). The RMS norm: to fp32, square, mean, times the root, to 16 bits, times the weight, 36
# bytes an element; the residual sum before it 6. A layer norm is one kernel of PyTorch, 4 bytes, beside that sum.
_EAGER_RMS_NORM, _EAGER_LAYER_NORM = 21.0, 5.0
# Of queries and keys: half is negated, joined, both are multiplied by a table and added.
_EAGER_ROTARY = 9.0
# Of logits, by 4 bytes: to fp32, shifted by a copy, log-softmax; that and its gradient, copied and cast back.
_EAGER_LOSS = 5.5


def _norm(shape: TransformerShape, name: str, rows: int, width: int | None = None) -> Elementwise:
    """A layer norm with the residual sum before it: read twice, written twice; keeps its input."""
    across = width or shape.width
    weights = across * (2 if shape.norm_biases else 1)
    return Elementwise(
        name=name,
        kind=ElementwiseKind.NORM,
        elements=rows * across,
        passes=4,
        eager_passes=_EAGER_LAYER_NORM if shape.norm_biases else _EAGER_RMS_NORM,
        split=Split.SEQUENCE,
        saved=rows * across,
        weights=weights,
    )


def _dropout(shape: TransformerShape, name: str, rows: int) -> tuple[Elementwise, ...]:
    """A dropout keeps a mask of one byte an element: half of a 16-bit element."""
    if not shape.dropout:
        return ()
    size = rows * shape.width
    return (
        Elementwise(
            name=name, kind=ElementwiseKind.DROPOUT, elements=size, passes=2, split=Split.SEQUENCE, saved=size / 2
        ),
    )


def _projection(
    name: str,
    rows: int,
    inner: int,
    columns: int,
    split: Split,
    *,
    role: Role = Role.ATTENTION,
    bias: bool = False,
    saved: float = 0.0,
    parts: int = 1,
) -> MatMul:
    return MatMul(
        name=name,
        role=role,
        rows=rows,
        inner=inner,
        columns=columns,
        split=split,
        bias=bias,
        saved=saved,
        parts=parts,
    )


def _attend(
    shape: TransformerShape, rows: int, keys: int, causal: bool, window: int | None, cross: bool = False
) -> list[Operator]:
    """Projections and attention of one layer; under ``cross`` the keys come from the encoder's output."""
    h, d, heads = shape.width, shape.per_head, shape.heads
    kv = shape.kv_heads or heads
    bias, name = shape.biases, "cross-attention" if cross else "attention"
    if shape.latent is not None:
        return _attend_latent(shape, shape.latent, rows, causal)
    # Queries, keys and values read one input, which is kept once.
    if cross:
        products = [
            _projection(f"{name} query", rows, h, heads * d, Split.COLUMNS, bias=bias),
            _projection(
                f"{name} key-value", keys, h, 2 * kv * d, Split.COLUMNS, role=Role.KEY_VALUE, bias=bias, parts=2
            ),
        ]
    else:
        columns, joined = (heads + 2 * kv) * d, f"{name} query-key-value"
        products = [_projection(joined, rows, h, columns, Split.COLUMNS, role=Role.KEY_VALUE, bias=bias, parts=3)]
    # Positions that are no table are turned into queries and keys, as every decoder with a gate does.
    rotary = shape.gated and not shape.positions and causal
    return [
        Elementwise(
            name=f"{name} input",
            elements=rows * h,
            passes=1,
            eager_passes=1 + _EAGER_ROTARY * (heads + kv) * d / h if rotary else None,
            split=Split.SEQUENCE,
            saved=rows * h,
        ),
        *products,
        Attention(
            name=name,
            heads=heads,
            kv_heads=kv,
            key_dim=d,
            value_dim=d,
            queries=rows,
            keys=keys,
            causal=causal,
            window=window,
            # Models with a gate and without a table of positions: Llama and those after it.
            rotary=shape.gated and not shape.positions and not cross,
        ),
        _projection(f"{name} output", rows, heads * d, h, Split.ROWS, bias=bias),
        *_dropout(shape, f"{name} dropout", rows),
    ]


def _attend_latent(shape: TransformerShape, latent: LatentAttention, rows: int, causal: bool) -> list[Operator]:
    h, heads, query_from = shape.width, shape.heads, latent.query_rank or shape.width
    key_dim = latent.nope_dim + latent.rope_dim
    down = []
    if latent.query_rank:
        rank = latent.query_rank
        down = [_projection("attention query down", rows, h, rank, Split.NONE, saved=rank)]
    narrow = latent.kv_rank + latent.rope_dim
    wide = heads * (latent.nope_dim + latent.value_dim)
    return [
        Elementwise(name="attention input", elements=rows * h, passes=1, split=Split.SEQUENCE, saved=rows * h),
        *down,
        _projection("attention query up", rows, query_from, heads * key_dim, Split.COLUMNS),
        _projection("attention key-value down", rows, h, narrow, Split.NONE, saved=latent.kv_rank),
        _projection("attention key-value up", rows, latent.kv_rank, wide, Split.COLUMNS),
        Attention(
            name="attention",
            heads=heads,
            kv_heads=heads,
            key_dim=key_dim,
            value_dim=latent.value_dim,
            queries=rows,
            keys=rows,
            causal=causal,
        ),
        _projection("attention output", rows, heads * latent.value_dim, h, Split.ROWS),
    ]


def _feed_forward(
    shape: TransformerShape, rows: int, width: int, name: str = "feed-forward", count: int = 1, active: int = 1
) -> list[Operator]:
    """Two products, or three with a gate, around an activation; with experts, each row meets ``active``."""
    up = 2 * width if shape.gated else width
    # Kept: what enters the activation (both halves under a gate) and what leaves it.
    kept = (up + width) * active
    return [
        MatMul(
            name=f"{name} up",
            rows=rows,
            inner=shape.width,
            columns=up,
            split=Split.COLUMNS,
            bias=shape.biases,
            experts=count,
            active=active,
            parts=2 if shape.gated else 1,
        ),
        Elementwise(
            name=f"{name} activation",
            kind=ElementwiseKind.ACTIVATION,
            elements=rows * width * active,
            passes=3 if shape.gated else 2,
            eager_passes=5 if shape.gated else None,
            split=Split.HEADS,
            saved=rows * kept,
        ),
        MatMul(
            name=f"{name} down",
            rows=rows,
            inner=width,
            columns=shape.width,
            split=Split.ROWS,
            bias=shape.biases,
            experts=count,
            active=active,
        ),
    ]


def _mix(shape: TransformerShape, experts: Experts, rows: int) -> list[Operator]:
    """Router, the experts, and the part every token meets."""
    size = rows * shape.width * experts.active
    shared = _feed_forward(shape, rows, experts.shared_width, "shared expert") if experts.shared_width else []
    return [
        MatMul(name="router", role=Role.ROUTER, rows=rows, inner=shape.width, columns=experts.count, split=Split.NONE),
        # Tokens are read once, and a copy of each written for every expert it meets; the same on the way back.
        Elementwise(
            name="expert permutation",
            kind=ElementwiseKind.PERMUTATION,
            elements=size,
            passes=2.0 + 2.0 / experts.active,
            split=Split.SEQUENCE,
            saved=size,
        ),
        *_feed_forward(shape, rows, experts.width, "experts", experts.count, experts.active),
        *shared,
    ]


def _layer(
    shape: TransformerShape,
    name: str,
    repeat: int,
    rows: int,
    *,
    causal: bool,
    window: int | None = None,
    mixed: bool = False,
    cross_keys: int = 0,
) -> Block:
    operators: list[Operator] = [_norm(shape, "attention norm", rows)]
    chunks = -(-rows // window) if shape.chunked and window else 1
    attend = _attend(shape, rows, rows, causal, window)
    operators += [op.apart(chunks) if isinstance(op, Attention) else op for op in attend]
    if cross_keys:
        operators += [_norm(shape, "cross-attention norm", rows)]
        operators += _attend(shape, rows, cross_keys, causal=False, window=None, cross=True)
    operators += [
        _norm(shape, "feed-forward norm", rows),
        Elementwise(
            name="feed-forward input",
            elements=rows * shape.width,
            passes=1,
            split=Split.SEQUENCE,
            saved=rows * shape.width,
        ),
    ]
    if mixed and shape.experts is not None:
        operators += _mix(shape, shape.experts, rows)
    else:
        operators += _feed_forward(shape, rows, shape.ff_width)
    operators += _dropout(shape, "feed-forward dropout", rows)
    return Block(
        name=name,
        operators=tuple(operators),
        repeat=repeat,
        boundary=float(rows * shape.width),
        reductions=3 if cross_keys else 2,
    )


def _middle(shape: TransformerShape) -> list[Block]:
    """The layers: alike ones are one block that repeats."""
    causal = shape.family != "encoder"
    cross = shape.encoder_seq_len or shape.seq_len if shape.family == "encoder-decoder" else 0
    blocks = []
    if cross:
        blocks.append(_layer(shape, "encoder layer", shape.encoder_layers, cross, causal=False))
    dense = shape.experts.dense_layers if shape.experts else 0
    windows = shape.windows or (None,)
    mixtures = chain(repeat(False, dense), repeat(shape.experts is not None))
    groups = Counter(islice(zip(mixtures, cycle(windows), strict=False), shape.layers))
    for (mixed, window), count in groups.items():
        name = ("expert layer" if mixed else "layer") + (f" (window {window})" if window else "")
        blocks.append(
            _layer(shape, name, count, shape.seq_len, causal=causal, window=window, mixed=mixed, cross_keys=cross)
        )
    return blocks


def _embedding(shape: TransformerShape) -> Block:
    rows = shape.seq_len
    tables: list[Operator] = [Embedding(name="token embedding", entries=shape.vocab, width=shape.width, rows=rows)]
    for name, entries in (("position embedding", shape.positions), ("segment embedding", shape.segments)):
        if entries:
            tables.append(Embedding(name=name, entries=entries, width=shape.width, rows=rows, split=Split.NONE))
    tables += _dropout(shape, "embedding dropout", rows)
    return Block(name="embedding", operators=tuple(tables), boundary=float(rows * shape.width), place="first")


def _head(shape: TransformerShape) -> Block:
    rows, vocab = max(1, round(shape.seq_len * shape.predicted)), shape.vocab
    transform: list[Operator] = []
    if shape.head_transform:
        transform = [
            MatMul(
                name="head transform",
                rows=rows,
                inner=shape.width,
                columns=shape.width,
                split=Split.NONE,
                bias=True,
                saved=2 * shape.width,
            )
        ]
    operators = [
        _norm(shape, "final norm", rows),
        *transform,
        MatMul(
            name="head",
            rows=rows,
            inner=shape.width,
            columns=vocab,
            split=Split.COLUMNS,
            saved=shape.width,
            tied=shape.tied,
        ),
        # The loss works in fp32: 16-bit logits and their fp32 copy are there at once, 6 bytes an element.
        Elementwise(
            name="loss",
            kind=ElementwiseKind.LOSS,
            elements=rows * vocab,
            passes=4,
            eager_passes=_EAGER_LOSS,
            split=Split.HEADS,
            saved=1.5 * rows * vocab,
            element_bytes=4.0,
        ),
    ]
    return Block(name="head", operators=tuple(operators), place="last")


def with_seq_len(shape: TransformerShape, seq_len: int) -> tuple[TransformerShape, tuple[Fact, ...]]:
    """The shape at another sequence length; a learned position table that is too short grows to it.

    Raises:
        UsageError: not a whole number from 1 to 10,000,000.
    """
    check_seq_len(seq_len)
    facts: tuple[Fact, ...] = ()
    positions = shape.positions
    if 0 < positions < seq_len:
        why = f"the learned table of {positions} is too short for sequences of {seq_len} tokens"
        facts = (Fact(name="position table", value=str(seq_len), origin=Origin.ASSUMED, why=why),)
        positions = seq_len
    encoder = seq_len if shape.family == "encoder-decoder" else 0
    return replace(shape, seq_len=seq_len, positions=positions, encoder_seq_len=encoder), facts


def check_seq_len(seq_len: object) -> None:
    """Raises UsageError unless it is a whole number from 1 to 10,000,000."""
    if isinstance(seq_len, bool) or not isinstance(seq_len, int) or not 1 <= seq_len <= MOST_SEQ_LEN:
        raise UsageError(f"a sequence length of {shown(seq_len)} is not possible", f"give 1 to {MOST_SEQ_LEN:,} tokens")


def lower(shape: TransformerShape, name: str, facts: tuple[Fact, ...] = ()) -> Workload:
    """The workload of a shape. One sample is one sequence (of an encoder-decoder: one pair)."""
    family = "moe-decoder" if shape.experts and shape.family == "decoder" else shape.family
    tokens = shape.seq_len
    return Workload(
        name=name,
        family=family,
        blocks=(_embedding(shape), *_middle(shape), _head(shape)),
        tokens_per_sample=tokens,
        heads=shape.heads,
        guessed_shape=shape.guessed,
        facts=facts,
    )
