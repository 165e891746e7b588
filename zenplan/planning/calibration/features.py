"""What a training step has of each kind of work: one number for each, from the operators.

The times of a sweep are fitted to these. Forward and backward are together: a product with two gradients is three.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from zenplan.domain.model.count import moved_elements
from zenplan.domain.model.operators import (
    Attention,
    Convolution,
    Elementwise,
    ElementwiseKind,
    Embedding,
    MatMul,
    Operator,
    Recurrent,
    Scan,
)
from zenplan.domain.model.workload import Block, gradients

# Feature to what it is, in the order of tables.
FEATURES: Final = {
    "steps": "1 for each step",
    "operators": "operators, and as many again for each gradient",
    "product_flop": "FLOP of matrix products",
    "product_elements": "elements that matrix products read and write",
    "convolution_flop": "FLOP of convolutions, directly",
    "convolution_elements": "elements that convolutions read and write",
    "grouped_flop": "FLOP of convolutions whose groups do not see each other (depthwise)",
    "attention_flop": "FLOP of scores and weighted sums, masked ones too",
    "score_elements": "elements of score matrices",
    "recurrent_flop": "FLOP of products with the last state",
    "recurrent_steps": "kernels that wait for the one before",
    "recurrent_elements": "elements that recurrent steps read and write, weights at every step",
    "stream_elements": "elements that norms, activations, sums and look-ups read and write",
    "parameters": "weights that are updated",
    "refused_elements": "elements of residual sums, times the sums before them",
}
# Bytes that a backward pass moves for each one forward, as in ``planning.physics.operators``.
_STREAM_BACKWARD: Final = 1.5


def features_of(operators: Iterable[Operator], batch: int) -> dict[str, float]:
    """The features of a step of ``batch`` samples; what there is none of is left out."""
    every = list(operators)
    found = dict.fromkeys(FEATURES, 0.0) | {"steps": 1.0, "refused_elements": batch * _refused(every)}
    for op in every:
        for name, amount in _of_operator(op, float(batch)).items():
            found[name] += amount
    return {name: amount for name, amount in found.items() if amount > 0}


def features_of_blocks(blocks: Iterable[Block], batch: int) -> dict[str, float]:
    """The same of a workload's blocks, each as often as it is repeated."""
    return features_of((op for b in blocks for _ in range(b.repeat) for op in b.operators), batch)


def _of_operator(op: Operator, batch: float) -> dict[str, float]:
    passes = 1.0 + gradients(op)
    found = {"operators": passes, "parameters": op.parameters if op.trainable else 0.0}
    if isinstance(op, MatMul) or (isinstance(op, Scan) and op.chunk):
        return found | {
            "product_flop": passes * batch * op.flop,
            "product_elements": passes * moved_elements(op, batch),
        }
    if isinstance(op, Convolution):
        kind = "grouped_flop" if op.groups > 1 else "convolution_flop"
        moved = moved_elements(op, batch)
        return found | {kind: passes * batch * op.flop, "convolution_elements": passes * moved}
    if isinstance(op, Attention):
        return found | {
            "attention_flop": passes * batch * op.full_flop,
            "score_elements": passes * batch * op.score_elements,
        }
    if isinstance(op, Recurrent):
        return found | {
            "recurrent_flop": passes * batch * op.flop,
            "recurrent_steps": passes * op.steps,
            "recurrent_elements": passes * moved_elements(op, batch),
        }
    elements = moved_elements(op, batch)
    if not (isinstance(op, Embedding) and op.sparse):
        elements *= 1.0 + _STREAM_BACKWARD
    return found | {"stream_elements": elements}


def _refused(operators: Iterable[Operator]) -> float:
    """Elements of each residual sum, times how many of its size came before: what XLA may compute again."""
    sums = Counter(
        op.elements for op in operators if isinstance(op, Elementwise) and op.kind is ElementwiseKind.RESIDUAL
    )
    return sum(elements * count * (count - 1) / 2.0 for elements, count in sums.items())
