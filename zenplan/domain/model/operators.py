"""Operators: products, attention, convolutions, recurrent steps, streams and look-ups, each with its shape.

All sizes are for one sample (a sequence, an image), forward, on one device; ``split`` says what tensor
parallelism divides. A multiply-add counts as 2 FLOP.
"""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.domain.model.convolution import Convolution
from zenplan.domain.model.recurrent import Recurrent
from zenplan.domain.model.split import Split
from zenplan.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class MatMul:
    """A product of ``rows`` × ``inner`` by ``inner`` × ``columns``, with its weight.

    Attributes:
        experts, active: in a mixture of experts, the weight exists ``experts`` times and each row meets
            ``active`` of them; the product is grouped by expert.
        saved: elements kept for the backward pass, for each row.
        tied: the weight belongs to another operator.
        trainable: False for a frozen weight, which gets no gradient.
        input_gradient: False where nothing before it learns, so that its input gets no gradient.
    """

    name: str
    rows: float
    inner: float
    columns: float
    split: Split
    experts: int = 1
    active: int = 1
    bias: bool = False
    saved: float = 0.0
    tied: bool = False
    trainable: bool = True
    input_gradient: bool = True

    def __post_init__(self) -> None:
        checks.positive(f"product {self.name}", rows=self.rows, inner=self.inner, columns=self.columns)
        if not 1 <= self.active <= self.experts:
            raise DataError(f"product {self.name}: {self.active} active of {self.experts} experts")

    @property
    def flop(self) -> float:
        """Forward FLOP of one sample: 2 · rows · inner · columns, for each active expert."""
        return 2.0 * self.rows * self.inner * self.columns * self.active

    @property
    def parameters(self) -> float:
        """Weights and biases this operator owns."""
        return 0.0 if self.tied else float(self._weights * self.experts)

    @property
    def active_parameters(self) -> float:
        """Weights that one row meets, whoever owns them."""
        return float(self._weights * self.active)

    @property
    def _weights(self) -> float:
        return self.inner * self.columns + (self.columns if self.bias else 0)

    @property
    def saved_elements(self) -> float:
        """Elements of one sample kept for the backward pass."""
        return self.saved * self.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Scores and weighted sum of ``queries`` over ``keys``; no weights.

    Attributes:
        key_dim, value_dim: width of one head's keys (and queries) and values.
        causal: half of the scores are masked, which a fused kernel does not compute.
        window: the most keys that one query sees, None for all.
    """

    name: str
    heads: int
    kv_heads: int
    key_dim: int
    value_dim: int
    queries: int
    keys: int
    causal: bool
    window: int | None = None

    def __post_init__(self) -> None:
        checks.positive(
            f"attention {self.name}",
            heads=self.heads,
            kv_heads=self.kv_heads,
            key_dim=self.key_dim,
            value_dim=self.value_dim,
            queries=self.queries,
            keys=self.keys,
            window=self.window,
        )

    split = Split.HEADS
    parameters = 0.0
    active_parameters = 0.0
    trainable = False

    @property
    def seen_keys(self) -> float:
        """Keys that a query sees, on average: half of them when causal, at most the window."""
        if not self.causal:
            return float(min(self.keys, self.window or self.keys))
        reach = min(self.window or self.keys, self.keys)
        # Query i sees min(i, reach) keys: the triangle, then the band.
        return reach * (1 - (reach - 1) / (2.0 * self.keys))

    @property
    def flop(self) -> float:
        """Forward FLOP of one sample, as a fused kernel computes it: masked scores are skipped."""
        return 2.0 * self.queries * self.seen_keys * self.heads * (self.key_dim + self.value_dim)

    @property
    def full_flop(self) -> float:
        """Forward FLOP of one sample when masked scores are computed too (unfused attention)."""
        return 2.0 * self.queries * self.keys * self.heads * (self.key_dim + self.value_dim)

    @property
    def io_elements(self) -> float:
        """Elements of queries, keys, values and outputs of one sample."""
        own = self.queries * self.heads * (self.key_dim + self.value_dim)
        return float(own + self.keys * self.kv_heads * (self.key_dim + self.value_dim))

    @property
    def score_elements(self) -> float:
        """Elements of the score matrix of one sample, which unfused attention writes and reads."""
        return float(self.heads * self.queries * self.keys)

    @property
    def saved_elements(self) -> float:
        """Elements kept for the backward pass by a fused kernel: its inputs, output and row sums."""
        return self.io_elements + 2.0 * self.heads * self.queries


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """An operator limited by memory bandwidth: norms, activations, residual sums, losses.

    Attributes:
        elements: elements of one sample that it touches.
        passes: how often each is read or written, forward: in a language model by fused kernels, in any other by
            those of an eager framework, one for each thing it does.
        saved: elements kept for the backward pass.
        weights: its own few parameters (norm scales).
        element_bytes: bytes of an element where it is not the compute type (fp32 logits: 4).
    """

    name: str
    elements: float
    passes: float
    split: Split
    saved: float = 0.0
    weights: float = 0.0
    element_bytes: float | None = None
    trainable: bool = True

    def __post_init__(self) -> None:
        checks.positive(f"stream {self.name}", elements=self.elements, passes=self.passes)

    flop = 0.0

    @property
    def parameters(self) -> float:
        """Its own few parameters."""
        return self.weights

    @property
    def active_parameters(self) -> float:
        """All of its parameters meet every row."""
        return self.weights

    @property
    def saved_elements(self) -> float:
        """Elements of one sample kept for the backward pass."""
        return self.saved


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """Rows taken from a table: token and position embeddings, categories. Bytes, no FLOP.

    Attributes:
        rows: taken for one sample.
        sparse: only the rows that were taken get a gradient and an update, and the table is one of many that
            devices share out: rows travel, tables do not (recommenders).
    """

    name: str
    entries: float
    width: float
    rows: float
    sparse: bool = False
    split: Split = Split.ROWS
    trainable: bool = True

    def __post_init__(self) -> None:
        checks.positive(f"lookup {self.name}", entries=self.entries, width=self.width, rows=self.rows)

    flop = 0.0
    saved_elements = 0.0
    active_parameters = 0.0  # the FLOP conventions of the field leave the input table out

    @property
    def parameters(self) -> float:
        """The whole table."""
        return float(self.entries * self.width)


Operator = MatMul | Attention | Convolution | Recurrent | Stream | Lookup
