"""Fine-tuning methods as a change of the workload: what is frozen, and which adapters are trained instead.

LoRA (Hu et al. 2021) adds to products of the layers pairs of thin ones, inner → rank → columns, and freezes all the
rest: frozen weights get no gradient, so a step costs about 4·N·D rather than 6·N·D. QLoRA (Dettmers et al. 2023) keeps
the frozen weights in 4 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from typing import Final

from zenplan.domain.model.operators import (
    Attention,
    Elementwise,
    ElementwiseKind,
    MatMul,
    Operator,
    Role,
    Scan,
    Split,
)
from zenplan.domain.model.workload import Block, Workload
from zenplan.domain.provenance import Fact, Origin

DEFAULT_RANK: Final = 16
# 4-bit NormalFloat with doubly quantized constants: 4.127 bits a weight (Dettmers et al. 2023, section 3).
QLORA_WEIGHT_BYTES: Final = 4.127 / 8
# Passes over the columns of a product where its adapter's output is scaled and added to it, forward: two kernels (peft,
# tuners/lora/layer.py); where the thin product adds to what is there, that is read once more.
_EAGER_SUM, _FUSED_SUM = 5.0, 1.0


class Targets(StrEnum):
    """Which products of a layer have adapters."""

    ALL = "all"
    ATTENTION = "attention"  # queries, keys, values and the output
    QUERY_KEY_VALUE = "query-key-value"  # those that attention reads


_WORDS: Final = {
    Targets.ALL: "every product of the layers",
    Targets.ATTENTION: "the products of attention",
    Targets.QUERY_KEY_VALUE: "the queries, keys and values",
}


def with_adapters(workload: Workload, rank: int = DEFAULT_RANK, targets: Targets = Targets.ALL) -> Workload:
    """The same model, frozen, with low-rank adapters on products of its layers."""
    fact = Fact(
        name="adapters",
        value=f"rank {rank} on {_WORDS[targets]}",
        origin=Origin.ASSUMED,
        why="LoRA (Hu et al. 2021)",
    )
    blocks = tuple(_adapted(block, rank, targets) for block in workload.blocks)
    return replace(workload, blocks=blocks, facts=(*workload.facts, fact))


def _adapted(block: Block, rank: int, targets: Targets) -> Block:
    operators: list[Operator] = []
    for op in block.operators:
        operators.append(op if isinstance(op, Attention | Scan) else replace(op, trainable=False))
        if block.place == "middle" and isinstance(op, MatMul) and _is_target(op, targets):
            operators += _adapter(op, rank)
    return replace(block, operators=tuple(operators))


def _is_target(op: MatMul, targets: Targets) -> bool:
    """Experts and the router are left as they are, as adapter libraries do by default."""
    if op.experts > 1 or op.role is Role.ROUTER:
        return False
    if targets is Targets.ALL:
        return True
    # What is divided by rows is the output.
    reads = op.role is Role.KEY_VALUE or (op.role is Role.ATTENTION and op.split is not Split.ROWS)
    return reads or (targets is Targets.ATTENTION and op.role is Role.ATTENTION)


def _adapter(op: MatMul, rank: int) -> Iterator[Operator]:
    """inner → rank → columns beside a product, divided as it is, and the sum; a pair for each layer in its place."""
    down = Split.ROWS if op.split is Split.ROWS else Split.NONE
    up = Split.COLUMNS if op.split is Split.COLUMNS else Split.NONE
    wide, thin = rank * op.parts, float(rank)
    yield MatMul(
        name=f"{op.name} adapter down",
        role=Role.ADAPTER,
        rows=op.rows,
        inner=op.inner,
        columns=wide,
        split=down,
        parts=op.parts,
    )
    yield MatMul(
        name=f"{op.name} adapter up",
        role=Role.ADAPTER,
        rows=op.rows,
        inner=thin,
        columns=op.columns,
        split=up,
        saved=wide,
        parts=op.parts,
    )
    yield Elementwise(
        name=f"{op.name} adapter sum",
        kind=ElementwiseKind.ADAPTER_SUM,
        elements=op.rows * op.columns,
        passes=_FUSED_SUM,
        eager_passes=_EAGER_SUM,
        split=Split.HEADS if op.split is Split.COLUMNS else Split.SEQUENCE,
    )
