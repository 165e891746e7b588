"""Operators: products, attention, convolutions, recurrent steps, scans, elementwise work, embeddings: their shapes.

All sizes are for one sample (a sequence, an image), forward, on one device; ``split`` says what tensor
parallelism divides. A multiply-add counts as 2 FLOP.

What an operator is stands in its ``kind``, ``function``, ``role`` and ``kernel``; its ``name`` is shown to people, and
nothing is decided by it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from zenplan.domain import checks
from zenplan.errors import DataError


class Split(StrEnum):
    """What tensor parallelism of degree t divides in an operator."""

    COLUMNS = "columns"  # outputs of a product: each device has n/t columns
    ROWS = "rows"  # inputs of a product: each device has k/t rows, then an all-reduce
    HEADS = "heads"  # attention heads, and what lies between two divided products
    SEQUENCE = "sequence"  # divided only with sequence parallelism
    NONE = "none"


class Role(StrEnum):
    """What a product is for, where that matters."""

    OTHER = "other"
    ATTENTION = "attention"  # a projection into queries, or out of attention
    KEY_VALUE = "key-value"  # a projection into keys and values, alone or with the queries
    ROUTER = "router"  # which experts a token meets
    ADAPTER = "adapter"  # one of a pair of thin products beside a frozen one


class ElementwiseKind(StrEnum):
    """What an elementwise operator does."""

    OTHER = "other"  # anything else, and what is not said: plain work of that size
    NORM = "norm"  # over rows or groups: a layer, RMS, group or instance norm
    BATCH_NORM = "batch norm"  # with the statistics of the batch, or with frozen ones
    ACTIVATION = "activation"
    DROPOUT = "dropout"
    ACTIVATION_DROPOUT = "activation and dropout"
    RESIDUAL = "residual sum"
    SUM = "sum"  # of two tensors, which compilers are not known to compute again
    GATE = "gate"  # each channel of a map times a number
    CONCATENATION = "concatenation"
    MAX_POOL = "max pool"
    MEAN_POOL = "mean pool"
    UPSAMPLING = "upsampling"
    LOSS = "loss"
    PERMUTATION = "permutation"  # of a mixture's rows, into the order of their experts and back
    STATISTICS = "moving statistics"
    ADAPTER_SUM = "adapter sum"  # of an adapter's output, scaled, and that of the product beside it


class Function(StrEnum):
    """Activation functions that differ in cost or in what they keep."""

    RELU = "relu"
    GELU = "gelu"
    SWISH = "swish"
    HARD_SWISH = "hard swish"
    SIGMOID = "sigmoid"
    HARD_SIGMOID = "hard sigmoid"
    SOFTMAX = "softmax"


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
        role: what it is for.
        parts: layers that models written layer by layer have in its place (queries, keys and values: 3).
    """

    name: str
    rows: float
    inner: float
    columns: float
    split: Split
    role: Role = Role.OTHER
    experts: int = 1
    active: int = 1
    bias: bool = False
    saved: float = 0.0
    tied: bool = False
    trainable: bool = True
    input_gradient: bool = True
    parts: int = 1

    def __post_init__(self) -> None:
        sizes = {"rows": self.rows, "inner": self.inner, "columns": self.columns, "parts": self.parts}
        checks.positive(f"product {self.name}", **sizes)
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
        """Weights that one row meets, whoever owns them; none that another operator owns where nothing is learned here,
        as of frames that only lead to the one that is."""
        if self.tied and not self.trainable and not self.input_gradient:
            return 0.0
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
        rotary: queries and keys are turned by their positions first (RoPE, Su et al. 2021).
        cached_dim: elements of a token that are kept while text is generated, where keys and values of all heads are made
            of them again (latent attention); None where keys and values are kept themselves.
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
    rotary: bool = False
    cached_dim: int | None = None

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
            cached_dim=self.cached_dim,
        )

    split = Split.HEADS
    parameters = 0.0
    active_parameters = 0.0
    trainable = False

    def apart(self, texts: int) -> Attention:
        """On so many texts in the place of one, which do not see each other: as many heads more on as many queries and
        keys less."""
        if texts == 1:
            return self
        queries, keys = -(-self.queries // texts), -(-self.keys // texts)
        return replace(self, heads=self.heads * texts, kv_heads=self.kv_heads * texts, queries=queries, keys=keys)

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

    @property
    def turned_elements(self) -> float:
        """Elements of the queries and keys of one sample that are turned by their positions."""
        heads = self.queries * self.heads + self.keys * self.kv_heads
        return float(heads * self.key_dim) if self.rotary else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """A convolution over feature maps, in any number of dimensions.

    Attributes:
        positions: of the output; of a transposed convolution, of the input.
        window: elements of the kernel's window: 9 of a 3 × 3.
        kernel: edges of the window, one for each dimension of the map; empty where only their product is known.
        inputs, outputs: channels.
        groups: parts that do not see each other; a depthwise convolution has one for each input channel.
        input_elements, output_elements: of the feature maps of one sample.
        saved: elements kept for the backward pass; the input's where None.
        input_gradient: False where nothing before it learns, so that its input gets no gradient.
    """

    name: str
    positions: float
    window: float
    inputs: float
    outputs: float
    kernel: tuple[int, ...] = ()
    groups: float = 1
    input_elements: float
    output_elements: float
    bias: bool = False
    saved: float | None = None
    trainable: bool = True
    input_gradient: bool = True

    def __post_init__(self) -> None:
        checks.positive(
            f"convolution {self.name}",
            positions=self.positions,
            window=self.window,
            inputs=self.inputs,
            outputs=self.outputs,
            groups=self.groups,
            input_elements=self.input_elements,
            output_elements=self.output_elements,
        )
        if self.kernel and math.prod(self.kernel) != self.window:
            raise DataError(f"convolution {self.name}: a kernel of {self.kernel} has no window of {self.window:g}")

    split = Split.NONE

    @property
    def inner(self) -> float:
        """What each output element is a sum over: the window of one group's input channels."""
        return self.window * self.inputs / self.groups

    @property
    def flop(self) -> float:
        """Forward FLOP of one sample, computed directly: 2 · positions · inner · outputs."""
        return 2.0 * self.positions * self.inner * self.outputs

    @property
    def parameters(self) -> float:
        """Kernel and bias."""
        return self.inner * self.outputs + (self.outputs if self.bias else 0.0)

    @property
    def active_parameters(self) -> float:
        """All of its parameters meet every position."""
        return self.parameters

    @property
    def saved_elements(self) -> float:
        """Elements of one sample kept for the backward pass."""
        return self.input_elements if self.saved is None else self.saved


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrent:
    """The part of a recurrent layer that goes step by step: the product with its own last state.

    The product with the layer's input needs no state: it is a ``MatMul`` over all steps at once.

    Attributes:
        steps: of one sample, each of which waits for the one before it.
        inner, columns: of the product of a step: the state, and the gates made of it (LSTM: 4 times the state).
        rows: of the product, for one sample: 1, or the positions of a convolutional cell.
        input_gradient: False where neither it nor anything before it learns, so that its states get no gradient.
        kernels: launched in a step: 1 where a library runs the sequence, tens where a framework's loop does.
    """

    name: str
    steps: float
    inner: float
    columns: float
    rows: float = 1
    kernels: float = 1
    bias: bool = False
    trainable: bool = True
    input_gradient: bool = True

    def __post_init__(self) -> None:
        checks.positive(
            f"recurrence {self.name}",
            steps=self.steps,
            inner=self.inner,
            columns=self.columns,
            rows=self.rows,
            kernels=self.kernels,
        )

    split = Split.NONE

    @property
    def flop(self) -> float:
        """Forward FLOP of one sample, all steps."""
        return 2.0 * self.steps * self.rows * self.inner * self.columns

    @property
    def parameters(self) -> float:
        """Weights and biases, which all steps share."""
        return self.inner * self.columns + (self.columns if self.bias else 0.0)

    @property
    def active_parameters(self) -> float:
        """All of its parameters meet every step."""
        return self.parameters

    @property
    def saved_elements(self) -> float:
        """Elements of one sample kept for the backward pass, if it comes here: the gates of every step, the state."""
        if not (self.trainable or self.input_gradient):
            return 0.0
        return self.steps * self.rows * (self.columns + self.inner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A linear recurrence over the steps of a sequence: state-space and linear-attention layers. No weights.

    Each head has a state of ``key_dim`` × ``value_dim``, which decays, takes in the product of a key and a value, and is
    read by a query.

    Attributes:
        groups: sets of keys and queries, which heads share.
        chunk: steps that are computed at once by products (Mamba-2, gated delta rule); 0 where the states go element by
            element (Mamba).
    """

    name: str
    steps: float
    heads: int
    key_dim: int
    value_dim: int
    groups: int = 1
    chunk: int = 0

    def __post_init__(self) -> None:
        sizes = {"steps": self.steps, "heads": self.heads, "groups": self.groups}
        checks.positive(f"scan {self.name}", key_dim=self.key_dim, value_dim=self.value_dim, **sizes)
        checks.not_negative(f"scan {self.name}", chunk=self.chunk)

    split = Split.HEADS
    parameters = 0.0
    active_parameters = 0.0
    trainable = False

    @property
    def flop(self) -> float:
        """Forward FLOP of one sample: 9 for each element of a state and step (Gu & Dao 2023, arXiv 2312.00752), or the
        products of chunks: half of the scores in each, and the states written and read (Dao & Gu 2024, arXiv
        2405.21060, section 6)."""
        states = self.steps * self.heads * self.key_dim * self.value_dim
        if not self.chunk:
            return 9.0 * states
        inside = self.steps * self.heads * min(self.chunk, self.steps) * (self.key_dim + self.value_dim)
        return inside + 4.0 * states

    @property
    def io_elements(self) -> float:
        """Elements of one sample that are read and written: values, outputs, keys, queries, decays."""
        values = self.heads * self.value_dim
        decays = self.heads if self.chunk else values
        return self.steps * (2.0 * values + 2.0 * self.groups * self.key_dim + decays)

    @property
    def saved_elements(self) -> float:
        """Elements of one sample kept for the backward pass: what is read; and the states between chunks."""
        states = self.heads * self.key_dim * self.value_dim * self.steps / self.chunk if self.chunk else 0.0
        return self.io_elements + states


@dataclass(frozen=True, slots=True, kw_only=True)
class Elementwise:
    """An operator limited by memory bandwidth: norms, activations, residual sums, losses.

    Attributes:
        kind: what it does; a model's proxy does plain elementwise work where that is not said.
        function: of an activation; None where it is not said.
        elements: elements of one sample that it touches.
        passes: how often each is read or written, forward: in a language model by fused kernels, in any other by
            those of an eager framework, one for each thing it does.
        eager_passes: of a language model, as ``passes``, where each thing is a kernel of its own; None for the same.
        saved: elements kept for the backward pass.
        weights: its own few parameters (norm scales).
        element_bytes: bytes of an element where it is not the compute type (fp32 logits: 4).
    """

    name: str
    elements: float
    passes: float
    split: Split
    kind: ElementwiseKind = ElementwiseKind.OTHER
    function: Function | None = None
    eager_passes: float | None = None
    saved: float = 0.0
    weights: float = 0.0
    element_bytes: float | None = None
    trainable: bool = True

    def __post_init__(self) -> None:
        checks.positive(f"elementwise {self.name}", elements=self.elements, passes=self.passes)

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
class Embedding:
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
        checks.positive(f"embedding {self.name}", entries=self.entries, width=self.width, rows=self.rows)

    flop = 0.0
    saved_elements = 0.0
    active_parameters = 0.0  # the FLOP conventions of the field leave the input table out

    @property
    def parameters(self) -> float:
        """The whole table."""
        return float(self.entries * self.width)


Operator = MatMul | Attention | Convolution | Recurrent | Scan | Elementwise | Embedding
