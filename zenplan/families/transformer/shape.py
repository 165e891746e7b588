"""The numbers that define a transformer."""

from __future__ import annotations

from dataclasses import dataclass, replace

from zenplan.domain import checks
from zenplan.domain.model.operators import Operator
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


@dataclass(frozen=True, slots=True)
class Product:
    """A dense layer over the tokens, of ``inner`` × ``columns``; ``tied``: its weights are another's."""

    name: str
    inner: float
    columns: float
    bias: bool = False
    tied: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixer:
    """What mixes the tokens of a layer in the place of attention: products, a short convolution, a scan.

    Attributes:
        products: into and out of it; the last one leads out.
        channels, window: of the depthwise convolution over the last few tokens; 0 for none.
        heads, key_dim, value_dim, groups, chunk: of the scan, as of ``domain.model.operators.Scan``; no heads: none.
        weights: what it has beside products: decays, norms, the convolution's kernel and bias.
    """

    name: str
    products: tuple[Product, ...]
    channels: int = 0
    window: int = 0
    heads: int = 0
    key_dim: int = 1
    value_dim: int = 1
    groups: int = 1
    chunk: int = 0
    weights: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerKind:
    """One kind of layer, of a model whose layers differ or have more than the shape says.

    Attributes:
        attention: whether it has attention; ``mixer``: what it has in its place, or beside it.
        feed: ``dense``, ``experts`` or ``none``.
        window: of its attention, None for all tokens.
        cross: its attention is to so many tokens from elsewhere, in the place of its own.
        heads, kv_heads, head_dim, value_dim, ff_width: where they are not the shape's.
        projected: of keys and values, those that have a product: 1 where the values are the keys, 0 where both are
            another layer's.
        products: beside those of attention and the feed-forward network, over all tokens.
        weights: beside products and two norms: norms of queries and keys, biases of some products only.
        owned: False where attention and feed-forward network have another layer's weights, and only the work is its own
            (ALBERT, Zamba).
    """

    attention: bool = True
    mixer: Mixer | None = None
    feed: str = "dense"
    window: int | None = None
    cross: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    head_dim: int | None = None
    value_dim: int | None = None
    ff_width: int | None = None
    projected: int | None = None
    products: tuple[Product, ...] = ()
    weights: float = 0.0
    owned: bool = True

    def __post_init__(self) -> None:
        checks.one_of("layer", "feed", self.feed, ("dense", "experts", "none"))


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
        value_dim: width of one head's values, where it is not that of its keys.
        projected: of keys and values, those that have a product of their own.
        kinds: each layer in turn, in place of ``windows`` and of the experts' dense layers; () where all are plain.
        embedding_width: of the token embedding, where a product leads from it to the width (ALBERT).
        first, last: operators of one sequence beside the embedding's, and beside the head's.
        encoder_products: beside those of an encoder-decoder's encoder layers.
        headless: no word is predicted: ``last`` is all that follows the final norm.
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
    value_dim: int | None = None
    projected: int = 2
    kinds: tuple[LayerKind, ...] = ()
    embedding_width: int | None = None
    first: tuple[Operator, ...] = ()
    last: tuple[Operator, ...] = ()
    headless: bool = False
    encoder_products: tuple[Product, ...] = ()

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
            value_dim=self.value_dim,
            embedding_width=self.embedding_width,
        )
        if self.kinds and len(self.kinds) != self.layers:
            raise DataError(f"transformer: {len(self.kinds)} kinds of {self.layers} layers")
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
