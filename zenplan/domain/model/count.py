"""ModelCount: what a model computes, layer by layer, as operators. Sizes are for one sample, forward."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.domain.model.operators import (
    Attention,
    Convolution,
    Elementwise,
    Embedding,
    MatMul,
    Operator,
    Recurrent,
    Scan,
    Split,
)
from zenplan.domain.model.workload import Block, Workload, gradients
from zenplan.domain.provenance import Fact, Origin

# How a layer was counted: by a rule for its kind, by a function the user registered, from the operations it
# called when it was traced; or not at all.
_IMAGE = re.compile(r"\d{2,}×\d{2,}×[134]")  # what is decoded before a device sees it
_MOST = 0.5  # of the FLOP
METHODS = ("rule", "registered", "traced", "unknown")


def moved_elements(op: Operator, batch: float = 1.0) -> float:
    """Elements read and written, forward, by one operator for ``batch`` samples: inputs, weights, outputs.

    Weights are read once for all samples; by a recurrence, once for all samples at each step.
    """
    if isinstance(op, MatMul):
        rows = batch * op.rows * op.active
        return rows * (op.inner + op.columns) + op.inner * op.columns * op.experts
    if isinstance(op, Convolution):
        return batch * (op.input_elements + op.output_elements) + op.parameters
    if isinstance(op, Recurrent):
        return op.steps * (op.inner * op.columns + batch * op.rows * (op.inner + op.columns))
    if isinstance(op, Attention | Scan):
        return batch * op.io_elements
    if isinstance(op, Embedding):
        return batch * op.rows * op.width * 2.0
    return batch * op.elements * op.passes


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCount:
    """One layer of a model, with all its calls.

    Attributes:
        path: names of the layers it lies in and its own, the outermost first; the model is not among them, so
            what the model computes in its own ``call`` has an empty path.
        kind: the name of its class.
        output_shape: of its last call, with the batch; None where a dimension is open.
        calls: how often the model calls it; its operators are those of all calls.
        parameters, trainable_parameters: of weights that no layer before it has counted: those of a shared layer
            count once.
        method: one of ``METHODS``.
        note: what there is to say of how it was counted, empty mostly.
    """

    path: tuple[str, ...]
    kind: str
    output_shape: tuple[int | None, ...] = ()
    calls: int = 1
    parameters: float = 0.0
    trainable_parameters: float = 0.0
    operators: tuple[Operator, ...] = ()
    method: str = "rule"
    note: str = ""

    def __post_init__(self) -> None:
        checks.one_of(f"layer {self.name}", "method", self.method, METHODS)
        checks.not_negative(
            f"layer {self.name}",
            calls=self.calls,
            parameters=self.parameters,
            trainable_parameters=self.trainable_parameters,
        )

    @property
    def name(self) -> str:
        """Its path as one word."""
        return "/".join(self.path)

    @property
    def label(self) -> str:
        """Its path and kind, for a sentence."""
        return f"{self.name or 'the model itself'} ({self.kind})"

    @property
    def forward_flop(self) -> float:
        """FLOP of one sample, forward."""
        return sum(o.flop for o in self.operators)

    @property
    def training_flop(self) -> float:
        """FLOP of one sample, forward and backward, nothing recomputed."""
        return sum(o.flop * (1.0 + gradients(o)) for o in self.operators)

    @property
    def activation_elements(self) -> float:
        """Elements of one sample kept for the backward pass."""
        return sum(o.saved_elements for o in self.operators)

    def moved_bytes(self, batch: float = 1.0, element_bytes: float = 2.0) -> float:
        """Bytes read and written, forward, by the operators one after another, none fused with the next."""
        return sum(moved_elements(o, batch) for o in self.operators) * element_bytes

    def block(self) -> Block | None:
        """Its operators, and elementwise work for weights that none of them has; None without any. Its outputs leave."""
        operators = self.operators + self._other_weights()
        if not operators:
            return None
        output = math.prod(size or 1 for size in self.output_shape[1:])
        return Block(name=self.name or self.kind, operators=operators, boundary=float(output * self.calls))

    def _other_weights(self) -> tuple[Elementwise, ...]:
        learnt = self.trainable_parameters - sum(o.parameters for o in self.operators if o.trainable)
        frozen = self.parameters - self.trainable_parameters
        frozen -= sum(o.parameters for o in self.operators if not o.trainable)
        return tuple(
            Elementwise(
                name=f"{self.name} {name}",
                elements=weights,
                passes=1,
                weights=weights,
                split=Split.NONE,
                trainable=name == "weights",
            )
            for name, weights in (("weights", learnt), ("frozen weights", frozen))
            if weights >= 1.0
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCount:
    """A model, layer by layer in the order of their first calls.

    Attributes:
        backend: of Keras, with which it was built.
        input_shape: of one sample, as text: ``224×224×3``; several inputs with their names.
        notes: what holds for the whole of it.
    """

    name: str
    backend: str
    layers: tuple[LayerCount, ...]
    input_shape: str = ""
    notes: tuple[str, ...] = ()

    @property
    def parameters(self) -> float:
        """All weights, each counted once."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def trainable_parameters(self) -> float:
        """Weights that get a gradient."""
        return sum(layer.trainable_parameters for layer in self.layers)

    @property
    def forward_flop(self) -> float:
        """FLOP of one sample, forward: products and convolutions, a multiply-add as 2."""
        return sum(layer.forward_flop for layer in self.layers)

    @property
    def training_flop(self) -> float:
        """FLOP of one sample of a training step: forward, and the gradients of weights and inputs."""
        return sum(layer.training_flop for layer in self.layers)

    @property
    def activation_elements(self) -> float:
        """Elements of one sample kept for the backward pass."""
        return sum(layer.activation_elements for layer in self.layers)

    @property
    def unknown(self) -> tuple[LayerCount, ...]:
        """Layers whose cost could not be found."""
        return tuple(layer for layer in self.layers if layer.method == "unknown")

    def workload(self) -> Workload:
        """The model as something to train: a block for each layer that computes or learns.

        It is of the family whose coefficients hold for it, by what most of its FLOP are; ``keras`` has the common ones.

        Raises:
            DataError: no layer does.
        """
        blocks = tuple(block for layer in self.layers if (block := layer.block()))
        family, why = self._family()
        return Workload(
            name=self.name,
            family=family,
            blocks=blocks,
            tokens_per_sample=1,
            unit="samples",
            input="image" if _IMAGE.fullmatch(self.input_shape) else "",
            backend=self.backend,
            facts=(
                Fact(name="backend", value=self.backend, origin=Origin.DERIVED, why="with which Keras built it"),
                Fact(name="family", value=family, origin=Origin.DERIVED, why=why),
            ),
        )

    def _family(self) -> tuple[str, str]:
        for kind, family, what in (
            (Convolution, "convnet", "convolutions"),
            (Recurrent, "recurrent", "recurrent steps"),
        ):
            flop = sum(op.flop for layer in self.layers for op in layer.operators if isinstance(op, kind))
            if flop > _MOST * self.forward_flop:
                return family, f"most of its FLOP are those of {what}"
        return "keras", "neither convolutions nor recurrent steps are most of its FLOP"
