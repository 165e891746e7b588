"""Fine-tuning methods as a change of the workload: what is frozen, and which adapters are trained instead.

LoRA (Hu et al. 2021) adds to each product of the layers a pair of thin ones, inner → rank → columns, and
freezes all the rest: frozen weights get no gradient, so a step costs about 4·N·D rather than 6·N·D. QLoRA
(Dettmers et al. 2023) keeps the frozen weights in 4 bits.
"""

from __future__ import annotations

from dataclasses import replace

from zenplan.domain.model.operators import Attention, MatMul, Operator, Role, Split
from zenplan.domain.model.workload import Block, Workload
from zenplan.domain.provenance import Fact, Origin

DEFAULT_RANK = 16
# 4-bit NormalFloat with doubly quantized constants: 4.127 bits a weight (Dettmers et al. 2023, section 3).
QLORA_WEIGHT_BYTES = 4.127 / 8


def with_adapters(workload: Workload, rank: int = DEFAULT_RANK) -> Workload:
    """The same model, frozen, with low-rank adapters on every product of its layers."""
    fact = Fact(
        name="adapters",
        value=f"rank {rank} on every product of the layers",
        origin=Origin.ASSUMED,
        why="LoRA (Hu et al. 2021)",
    )
    blocks = tuple(_adapted(block, rank) for block in workload.blocks)
    return replace(workload, blocks=blocks, facts=(*workload.facts, fact))


def _adapted(block: Block, rank: int) -> Block:
    operators: list[Operator] = []
    for op in block.operators:
        operators.append(op if isinstance(op, Attention) else replace(op, trainable=False))
        # Experts and the router are left as they are, as adapter libraries do by default.
        if block.place == "middle" and isinstance(op, MatMul) and op.experts == 1 and op.role is not Role.ROUTER:
            operators += _pair(op, rank)
    return replace(block, operators=tuple(operators))


def _pair(op: MatMul, rank: int) -> tuple[MatMul, MatMul]:
    """inner → rank → columns beside a product, divided as it is."""
    down = Split.ROWS if op.split is Split.ROWS else Split.NONE
    up = Split.COLUMNS if op.split is Split.COLUMNS else Split.NONE
    return (
        MatMul(name=f"{op.name} adapter down", rows=op.rows, inner=op.inner, columns=rank, split=down),
        MatMul(name=f"{op.name} adapter up", rows=op.rows, inner=rank, columns=op.columns, split=up, saved=rank),
    )
