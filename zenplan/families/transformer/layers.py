"""What the layers of a transformer are made of: operators of attention, of feed-forward networks, of experts.

Saved activations follow Korthikanti et al. 2022 (arXiv 2205.05198, section 4) operator by operator, so that
any shape (gated, grouped-query, latent attention, experts) has its own sum rather than GPT's 34·s·b·h.
"""

from __future__ import annotations

from zenplan.domain.model.operators import (
    Attention,
    Elementwise,
    ElementwiseKind,
    MatMul,
    Operator,
    Role,
    Scan,
    Split,
)
from zenplan.families.transformer.shape import Experts, LatentAttention, Mixer, Product, TransformerShape

# Passes over 16-bit elements of what Hugging Face's models write operator by operator, forward (transformers,
# models/llama/modeling_llama.py). The RMS norm: to fp32, square, mean, times the root, to 16 bits, times the weight, 36
# bytes an element; the residual sum before it 6. A layer norm is one kernel of PyTorch, 4 bytes, beside that sum.
_EAGER_RMS_NORM, _EAGER_LAYER_NORM = 21.0, 5.0
# Of queries and keys: half is negated, joined, both are multiplied by a table and added.
_EAGER_ROTARY = 9.0
# Of logits, by 4 bytes: to fp32, shifted by a copy, log-softmax; that and its gradient, copied and cast back.
EAGER_LOSS = 5.5


def norm(shape: TransformerShape, name: str, rows: int, width: int | None = None) -> Elementwise:
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


def dropout(shape: TransformerShape, name: str, rows: int) -> tuple[Elementwise, ...]:
    """A dropout keeps a mask of one byte an element: half of a 16-bit element."""
    if not shape.dropout:
        return ()
    size = rows * shape.width
    return (
        Elementwise(
            name=name, kind=ElementwiseKind.DROPOUT, elements=size, passes=2, split=Split.SEQUENCE, saved=size / 2
        ),
    )


def projection(
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
    """A product of attention."""
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


def attend(
    shape: TransformerShape, rows: int, keys: int, causal: bool, window: int | None, cross: bool = False
) -> list[Operator]:
    """Projections and attention of one layer; under ``cross`` the keys come from the encoder's output."""
    h, d, heads = shape.width, shape.per_head, shape.heads
    kv, values = shape.kv_heads or heads, shape.value_dim or d
    bias, name = shape.biases, "cross-attention" if cross else "attention"
    if shape.latent is not None:
        return _attend_latent(shape, shape.latent, rows, causal)
    # Queries, keys and values read one input, which is kept once.
    if cross:
        products = [
            projection(f"{name} query", rows, h, heads * d, Split.COLUMNS, bias=bias),
            projection(
                f"{name} key-value", keys, h, kv * (d + values), Split.COLUMNS, role=Role.KEY_VALUE, bias=bias, parts=2
            ),
        ]
    else:
        columns = heads * d + kv * (d * (shape.projected > 0) + values * (shape.projected > 1))
        joined = f"{name} query-key-value" if shape.projected else f"{name} query"
        role, parts = Role.KEY_VALUE if shape.projected else Role.ATTENTION, 1 + shape.projected
        products = [projection(joined, rows, h, columns, Split.COLUMNS, role=role, bias=bias, parts=parts)]
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
            value_dim=values,
            queries=rows,
            keys=keys,
            causal=causal,
            window=window,
            # Models with a gate and without a table of positions: Llama and those after it.
            rotary=shape.gated and not shape.positions and not cross,
        ),
        projection(f"{name} output", rows, heads * values, h, Split.ROWS, bias=bias),
        *dropout(shape, f"{name} dropout", rows),
    ]


def _attend_latent(shape: TransformerShape, latent: LatentAttention, rows: int, causal: bool) -> list[Operator]:
    h, heads, query_from = shape.width, shape.heads, latent.query_rank or shape.width
    key_dim = latent.nope_dim + latent.rope_dim
    down = []
    if latent.query_rank:
        rank = latent.query_rank
        down = [projection("attention query down", rows, h, rank, Split.NONE, saved=rank)]
    narrow = latent.kv_rank + latent.rope_dim
    wide = heads * (latent.nope_dim + latent.value_dim)
    return [
        Elementwise(name="attention input", elements=rows * h, passes=1, split=Split.SEQUENCE, saved=rows * h),
        *down,
        projection("attention query up", rows, query_from, heads * key_dim, Split.COLUMNS),
        projection("attention key-value down", rows, h, narrow, Split.NONE, saved=latent.kv_rank),
        projection("attention key-value up", rows, latent.kv_rank, wide, Split.COLUMNS),
        Attention(
            name="attention",
            heads=heads,
            kv_heads=heads,
            key_dim=key_dim,
            value_dim=latent.value_dim,
            queries=rows,
            keys=rows,
            causal=causal,
            cached_dim=narrow,
        ),
        projection("attention output", rows, heads * latent.value_dim, h, Split.ROWS),
    ]


def feed_forward(
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


def mix(shape: TransformerShape, experts: Experts, rows: int) -> list[Operator]:
    """Router, the experts, and the part every token meets."""
    size = rows * shape.width * experts.active
    shared = feed_forward(shape, rows, experts.shared_width, "shared expert") if experts.shared_width else []
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
        *feed_forward(shape, rows, experts.width, "experts", experts.count, experts.active),
        *shared,
    ]


def beside(products: tuple[Product, ...], rows: int) -> list[Operator]:
    """Dense layers over all tokens; what enters one is kept."""
    return [
        MatMul(
            name=p.name,
            rows=rows,
            inner=p.inner,
            columns=p.columns,
            split=Split.COLUMNS,
            bias=p.bias,
            saved=p.inner,
            tied=p.tied,
        )
        for p in products
    ]


def scanned(mixer: Mixer, width: int, rows: int) -> list[Operator]:
    """A mixer over ``rows`` tokens: the products that lead in, a short convolution, the scan, and the way out."""
    *into, out = beside(mixer.products, rows)
    operators: list[Operator] = [
        Elementwise(
            name=f"{mixer.name} input",
            elements=rows * width,
            passes=1,
            split=Split.SEQUENCE,
            saved=rows * width,
            weights=mixer.weights,
        ),
        *into,
    ]
    if mixer.channels:
        # Each token is a sum of so few before it that reading them is all the work.
        size = rows * mixer.channels
        operators.append(
            Elementwise(
                name=f"{mixer.name} convolution",
                elements=size,
                passes=2,
                eager_passes=4,
                split=Split.HEADS,
                saved=size,
                weights=mixer.channels * mixer.window,
            )
        )
    if mixer.heads:
        operators.append(
            Scan(
                name=f"{mixer.name} scan",
                steps=rows,
                heads=mixer.heads,
                key_dim=mixer.key_dim,
                value_dim=mixer.value_dim,
                groups=mixer.groups,
                chunk=mixer.chunk,
            )
        )
    return [*operators, out]
