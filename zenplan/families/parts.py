"""Parts that many models are made of: dense layers, activations, convolutions, recurrent layers, a loss.

All sizes are for one sample, forward. Each keeps for the backward pass what the kernels of an eager framework keep.
"""

from __future__ import annotations

import itertools
import math

from zenplan.domain.model.operators import (
    Attention,
    Convolution,
    Elementwise,
    ElementwiseKind,
    Function,
    MatMul,
    Operator,
    Recurrent,
    Role,
    Split,
)
from zenplan.domain.model.workload import Block
from zenplan.errors import UsageError

# Gates of a recurrent cell: products of its input, and of its last state, that make its next one.
GATES = {"lstm": 4, "gru": 3, "simple": 1}


def dense(
    name: str,
    rows: float,
    inner: float,
    columns: float,
    *,
    role: Role = Role.OTHER,
    bias: bool = True,
    first: bool = False,
    kept: bool = True,
) -> MatMul:
    """A dense layer over ``rows``; ``first`` where nothing before it learns, ``kept`` where its input is its own to
    keep (and not another's too)."""
    return MatMul(
        name=name,
        rows=rows,
        inner=inner,
        columns=columns,
        split=Split.NONE,
        role=role,
        bias=bias,
        saved=inner if kept else 0.0,
        input_gradient=not first,
    )


def elementwise(
    kind: ElementwiseKind,
    name: str,
    elements: float,
    passes: float = 2,
    *,
    function: Function | None = None,
    kept: float = 0.0,
    weights: float = 0.0,
) -> Elementwise:
    """An operator that goes over its elements; ``kept``: elements kept for the backward pass, ``weights``: its own."""
    return Elementwise(
        name=name,
        kind=kind,
        function=function,
        elements=elements,
        passes=passes,
        split=Split.NONE,
        saved=kept,
        weights=weights,
    )


def convolution(
    name: str,
    inputs: float,
    outputs: float,
    kernel: tuple[int, ...],
    positions: float,
    *,
    input_positions: float | None = None,
    bias: bool = True,
    first: bool = False,
    kept: float | None = None,
) -> Convolution:
    """A convolution that gives ``positions`` of ``outputs`` channels; as many positions come in, unless said.

    ``kernel``: edges of its window, one for each dimension of the map.
    """
    before = positions if input_positions is None else input_positions
    return Convolution(
        name=name,
        positions=positions,
        window=math.prod(kernel),
        kernel=kernel,
        inputs=inputs,
        outputs=outputs,
        input_elements=before * inputs,
        output_elements=positions * outputs,
        bias=bias,
        saved=kept,
        input_gradient=not first,
    )


def attention(
    name: str, heads: int, key_dim: int, queries: int, *, keys: int | None = None, value_dim: int | None = None
) -> Attention:
    """Attention in which every query sees every key, with keys and values for each head; as many keys as queries, and
    values as wide as keys, unless said."""
    return Attention(
        name=name,
        heads=heads,
        kv_heads=heads,
        key_dim=key_dim,
        value_dim=key_dim if value_dim is None else value_dim,
        queries=queries,
        keys=queries if keys is None else keys,
        causal=False,
    )


def recurrent(
    name: str, cell: str, steps: float, inputs: float, state: float, *, bidirectional: bool = False, first: bool = False
) -> list[Operator]:
    """A recurrent layer as cuDNN runs it: the product with all steps' inputs at once, then one kernel a step.

    It has two biases, of the input's and of the state's product, as cuDNN and PyTorch have.
    """
    columns = GATES[cell] * state
    operators: list[Operator] = []
    for direction in ("", " backwards") if bidirectional else ("",):
        operators += [
            # Both directions read the same input, which is kept once.
            dense(f"{name}{direction} input", steps, inputs, columns, first=first, kept=not direction),
            Recurrent(name=f"{name}{direction}", steps=steps, inner=state, columns=columns, bias=True),
        ]
    return operators


def loss(rows: float, classes: float) -> Elementwise:
    """A softmax and its loss in fp32: 16-bit logits and their fp32 copy are there at once, 6 bytes an element."""
    return Elementwise(
        name="loss",
        kind=ElementwiseKind.LOSS,
        elements=rows * classes,
        passes=4,
        split=Split.NONE,
        saved=1.5 * rows * classes,
        element_bytes=4.0,
    )


def check_heads(heads: int, width: int) -> None:
    """Raises UsageError: the heads do not divide the width."""
    if width % heads:
        raise UsageError(f"{heads} heads do not divide a width of {width}", "give a width that is a multiple of heads")


def block(name: str, operators: list[Operator], boundary: float, *, repeat: int = 1, place: str = "middle") -> Block:
    """A block of these operators, which sends ``boundary`` elements of a sample on."""
    return Block(name=name, operators=tuple(operators), repeat=repeat, boundary=float(boundary), place=place)


def stack(widths: tuple[int, ...], *, first: bool = True, last: bool = False) -> list[Operator]:
    """Dense layers between these widths, each followed by an activation; the last one without it where ``last``
    says that it ends the model, the first without a gradient of its input where ``first`` says nothing learns before.
    """
    operators: list[Operator] = []
    for number, (inner, columns) in enumerate(itertools.pairwise(widths), 1):
        operators.append(dense(f"layer {number}", 1, inner, columns, first=first and number == 1))
        if not last or number < len(widths) - 1:
            operators.append(elementwise(ElementwiseKind.ACTIVATION, f"activation {number}", columns))
    return operators


def side(image_size: int, patch: int) -> int:
    """Patches along one side of the image.

    Raises:
        UsageError: there is none, or a part of one is left.
    """
    if image_size < patch or image_size % patch:
        raise UsageError(
            f"an image of {image_size} is not cut into patches of {patch}",
            f"give --image-size as a multiple of {patch}",
        )
    return image_size // patch
