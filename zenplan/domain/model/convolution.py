"""Convolution: an operator over feature maps. Sizes as in ``domain.model.operators``."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.domain.model.split import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """A convolution over feature maps, in any number of dimensions.

    Attributes:
        positions: of the output; of a transposed convolution, of the input.
        window: elements of the kernel's window: 9 of a 3 × 3.
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
