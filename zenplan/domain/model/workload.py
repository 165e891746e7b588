"""Workload: what is trained, lowered to operators with shapes.

Parameters, FLOP, bytes moved and activation bytes all come from this one list, so that every family of
models goes the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.domain.model.operators import Convolution, MatMul, Operator, Recurrent
from zenplan.domain.provenance import Fact
from zenplan.errors import DataError

# Families of language models.
LANGUAGE = ("decoder", "encoder", "encoder-decoder", "moe-decoder")
# What models learn that have a usual way to be trained.
TASKS = (
    *("classification", "detection", "segmentation", "generation", "clicks", "ratings", "speech", "synthesis"),
    *("text classification", "translation", "text", "graphs", "tables"),
)
# What a processor may have to prepare of each sample.
INPUTS = ("", "image", "table", "audio")
# Of a model of several parts: its towers, what leads from them to a language model, and what reads text.
PARTS = ("vision", "audio", "projector", "text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Operators that come one after another, ``repeat`` times.

    Attributes:
        boundary: elements of one sample that leave the block: what a pipeline stage sends on, and what
            full recomputation keeps.
        reductions: sums over the tensor-parallel group, forward (2 in a transformer layer).
        place: ``first`` and ``last`` blocks belong to the first and last pipeline stage, ``middle`` ones
            are spread over all.
        part: of a model of several, what it belongs to, one of ``PARTS``; empty where there is but one, or it is all's.
        passed: neither it nor anything before it learns: it has no backward pass, and keeps nothing for one.
    """

    name: str
    operators: tuple[Operator, ...]
    repeat: int = 1
    boundary: float = 0.0
    reductions: int = 0
    place: str = "middle"
    part: str = ""
    passed: bool = False

    def __post_init__(self) -> None:
        checks.positive(f"block {self.name}", repeat=self.repeat)
        checks.not_negative(f"block {self.name}", boundary=self.boundary, reductions=self.reductions)
        checks.one_of(f"block {self.name}", "place", self.place, ("first", "middle", "last"))
        checks.one_of(f"block {self.name}", "part", self.part, ("", *PARTS))

    @property
    def parameters(self) -> float:
        """Parameters of one repetition."""
        return sum(o.parameters for o in self.operators)

    @property
    def flop(self) -> float:
        """Forward FLOP of one sample through one repetition."""
        return sum(o.flop for o in self.operators)

    @property
    def training_flop(self) -> float:
        """FLOP of one sample through one repetition, forward and backward."""
        return self.flop if self.passed else sum(o.flop * (1.0 + gradients(o)) for o in self.operators)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """How a model is usually trained: what is taken where nothing else is said.

    Attributes:
        dataset, samples: the data, and how many samples it has; ``epochs`` passes over it.
        global_batch: samples a step.
        optimizer: one of ``domain.training.plan.OPTIMIZERS``.
        source: whose recipe it is.
        task: what is learned, one of ``TASKS``; it says how other data are usually trained on.
    """

    dataset: str
    samples: float
    epochs: float
    global_batch: int
    optimizer: str
    source: str
    task: str = "classification"

    def __post_init__(self) -> None:
        checks.named("usual training", dataset=self.dataset, optimizer=self.optimizer, source=self.source)
        checks.one_of("usual training", "task", self.task, TASKS)
        checks.positive("usual training", samples=self.samples, epochs=self.epochs, global_batch=self.global_batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreTraining:
    """How the makers of a language model pre-trained it; None is what they did not publish.

    Attributes:
        tokens: of the whole of it, repetitions counted; ``epochs`` passes over the data make so many.
        global_batch_tokens: tokens a step, and ``seq_len`` tokens of a sequence, both of the stage that had most of the
            tokens; the context window of the release may be longer.
        source: where it is published, or where it was looked for.
    """

    tokens: float | None = None
    global_batch_tokens: int | None = None
    seq_len: int | None = None
    epochs: float | None = None
    source: str

    def __post_init__(self) -> None:
        checks.named("pre-training", source=self.source)
        known = {name: getattr(self, name) for name in ("tokens", "global_batch_tokens", "seq_len", "epochs")}
        checks.positive("pre-training", **known)
        sizes = [size for size in (self.seq_len, self.global_batch_tokens, self.tokens) if size is not None]
        if sizes != sorted(sizes):
            raise DataError("pre-training: a sequence is more than a batch, or a batch more than all tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A model to train.

    Attributes:
        tokens_per_sample: tokens of one sample; 1 where a sample is not a sequence.
        unit: what people count the data in: ``tokens``, or what a sample is where it is no sequence (``images``,
            ``samples``).
        heads: attention heads, which tensor parallelism must divide; 0 where there are none.
        usual: how it is usually trained; None for a language model, whose recipe goes by its size where ``pretraining``
            leaves it open.
        pretraining: how its makers trained it, of a language model with a name.
        input: what a processor does for each sample before a device sees it: ``image`` (decode, crop, flip),
            ``table``, ``audio``; empty where that is next to nothing.
        backend: of Keras, with which it was built; empty where it is no Keras model.
        image_size: edge of its images, where that is a parameter of the model.
        images, image_tokens: of a sequence, and those of its tokens that they take.
        data_kind: of its sequences, a name of ``families.transformer.samples.KINDS``, where it takes no other.
        guessed_shape: only its size was known, and its shape is the usual one of that size.
        facts: what was given and what was assumed to arrive at these shapes, to be shown.
    """

    name: str
    family: str
    blocks: tuple[Block, ...]
    tokens_per_sample: int
    unit: str = "tokens"
    heads: int = 0
    usual: Usual | None = None
    pretraining: PreTraining | None = None
    input: str = ""
    backend: str = ""
    image_size: int | None = None
    images: int = 0
    image_tokens: int = 0
    guessed_shape: bool = False
    data_kind: str = ""
    facts: tuple[Fact, ...] = ()

    def __post_init__(self) -> None:
        checks.named("workload", name=self.name, family=self.family, unit=self.unit)
        checks.one_of(f"workload {self.name}", "input", self.input, INPUTS)
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
    def training_flop_per_sample(self) -> float:
        """FLOP of one sample, forward and backward, nothing recomputed: three times forward, less the gradient
        of a frozen weight, and of an input before which nothing learns."""
        return sum(b.training_flop * b.repeat for b in self.blocks)

    @property
    def experts(self) -> int:
        """The most experts any product has; 1 in a dense model."""
        return max((o.experts for b in self.blocks for o in b.operators if isinstance(o, MatMul)), default=1)


def gradients(op: Operator) -> int:
    """Products of the backward pass that are as large as the forward one: for the weight, and for the input."""
    if isinstance(op, MatMul | Convolution | Recurrent):
        return int(op.trainable) + int(op.input_gradient)
    return 2
