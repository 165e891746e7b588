"""Workload: what is trained, lowered to operators with shapes.

Parameters, FLOP, bytes moved and activation bytes all come from this one list, so that every family of
models goes the same way. A multiply-add counts as 2 FLOP. All sizes are for one sample (a sequence, an
image), forward, on one device; ``split`` says what tensor parallelism divides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from zenplan.domain import checks
from zenplan.domain.evidence import Fact
from zenplan.errors import DataError


class Split(StrEnum):
    """What tensor parallelism of degree t divides in an operator."""

    COLUMNS = "columns"  # outputs of a product: each device has n/t columns
    ROWS = "rows"  # inputs of a product: each device has k/t rows, then an all-reduce
    HEADS = "heads"  # attention heads, and what lies between two divided products
    SEQUENCE = "sequence"  # divided only with sequence parallelism
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class MatMul:
    """A product of ``rows`` × ``inner`` by ``inner`` × ``columns``, with its weight.

    Attributes:
        experts, active: in a mixture of experts, the weight exists ``experts`` times and each row meets
            ``active`` of them; the product is grouped by expert.
        saved: elements kept for the backward pass, for each row.
        tied: the weight belongs to another operator.
        trainable: False for a frozen weight, which gets no gradient.
    """

    name: str
    rows: int
    inner: int
    columns: int
    split: Split
    experts: int = 1
    active: int = 1
    bias: bool = False
    saved: float = 0.0
    tied: bool = False
    trainable: bool = True

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
    def _weights(self) -> int:
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
            heads=self.heads, kv_heads=self.kv_heads, key_dim=self.key_dim, value_dim=self.value_dim,
            queries=self.queries, keys=self.keys, window=self.window,
        )  # fmt: skip

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
        passes: how often each is read or written, forward.
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
    """Rows taken from a table: token and position embeddings. Bytes, no FLOP."""

    name: str
    entries: int
    width: int
    rows: int
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


Operator = MatMul | Attention | Stream | Lookup


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Operators that come one after another, ``repeat`` times.

    Attributes:
        boundary: elements of one sample that leave the block: what a pipeline stage sends on, and what
            full recomputation keeps.
        reductions: sums over the tensor-parallel group, forward (2 in a transformer layer).
        place: ``first`` and ``last`` blocks belong to the first and last pipeline stage, ``middle`` ones
            are spread over all.
    """

    name: str
    operators: tuple[Operator, ...]
    repeat: int = 1
    boundary: float = 0.0
    reductions: int = 0
    place: str = "middle"

    def __post_init__(self) -> None:
        checks.positive(f"block {self.name}", repeat=self.repeat)
        checks.not_negative(f"block {self.name}", boundary=self.boundary, reductions=self.reductions)
        checks.one_of(f"block {self.name}", "place", self.place, ("first", "middle", "last"))

    @property
    def parameters(self) -> float:
        """Parameters of one repetition."""
        return sum(o.parameters for o in self.operators)

    @property
    def flop(self) -> float:
        """Forward FLOP of one sample through one repetition."""
        return sum(o.flop for o in self.operators)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A model to train.

    Attributes:
        tokens_per_sample: tokens of one sample; 1 where a sample is not a sequence.
        heads: attention heads, which tensor parallelism must divide; 0 where there are none.
        facts: what was given and what was assumed to arrive at these shapes.
    """

    name: str
    family: str
    blocks: tuple[Block, ...]
    tokens_per_sample: int
    sample_unit: str = "sequences"
    heads: int = 0
    facts: tuple[Fact, ...] = ()

    def __post_init__(self) -> None:
        checks.named("workload", name=self.name, family=self.family)
        checks.positive(f"workload {self.name}", tokens_per_sample=self.tokens_per_sample)
        if not self.blocks:
            raise DataError(f"workload {self.name}: no blocks")

    @property
    def parameters(self) -> float:
        """All parameters, each counted once."""
        return sum(b.parameters * b.repeat for b in self.blocks)

    @property
    def active_parameters(self) -> float:
        """Parameters that one token meets in a product (the N of 6ND), plus norms; no input embedding."""
        return sum(o.active_parameters * b.repeat for b in self.blocks for o in b.operators)

    @property
    def trainable_parameters(self) -> float:
        """Parameters that get a gradient."""
        return sum(o.parameters * b.repeat for b in self.blocks for o in b.operators if o.trainable)

    @property
    def layers(self) -> int:
        """Repetitions of the blocks that pipeline stages share out."""
        return sum(b.repeat for b in self.blocks if b.place == "middle")

    @property
    def flop_per_sample(self) -> float:
        """Forward FLOP of one sample; masked attention scores are not counted."""
        return sum(b.flop * b.repeat for b in self.blocks)

    @property
    def experts(self) -> int:
        """The most experts any product has; 1 in a dense model."""
        return max((o.experts for b in self.blocks for o in b.operators if isinstance(o, MatMul)), default=1)
