"""Recurrent: the operator that cannot be done for all steps at once. Sizes as in ``domain.model.operators``."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.domain.model.split import Split


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
