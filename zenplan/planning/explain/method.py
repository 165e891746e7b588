"""Fine-tuning methods as a change of the workload: what is frozen, and which adapters are trained instead.

LoRA (Hu et al. 2021) adds to products of the layers pairs of thin ones, inner → rank → columns, and freezes all the
rest: frozen weights get no gradient, so a step costs about 4·N·D rather than 6·N·D. QLoRA (Dettmers et al. 2023) keeps
the frozen weights in 4 bits. Parts of a model may be frozen as they are, as the tower of images usually is (Zhai et al.
2022, LiT; Liu et al. 2023, LLaVA): where nothing before them learns, they have no backward pass at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from enum import StrEnum
from typing import Final

from zenplan.domain.model.operators import (
    Attention,
    Convolution,
    Elementwise,
    ElementwiseKind,
    MatMul,
    Operator,
    Recurrent,
    Role,
    Scan,
    Split,
)
from zenplan.domain.model.workload import PARTS, Block, Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import UsageError

DEFAULT_RANK: Final = 16
_TOWERS: Final = ("vision", "audio")
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


def with_adapters(
    workload: Workload,
    rank: int = DEFAULT_RANK,
    targets: Targets = Targets.ALL,
    without: Collection[str] = (),
    why: str = "",
) -> Workload:
    """The same model, frozen, with low-rank adapters on products of its layers.

    Args:
        workload: the model.
        rank: of each adapter.
        targets: which products of a layer have one.
        without: parts of the model that have none.
        why: where rank and targets are from, where they were given.
    """
    fact = Fact(
        name="adapters",
        value=f"rank {rank} on {_WORDS[targets]}",
        origin=Origin.GIVEN if why else Origin.ASSUMED,
        why=why or "LoRA (Hu et al. 2021)",
    )
    blocks = tuple(_adapted(block, rank, targets, block.part not in without) for block in workload.blocks)
    return replace(workload, blocks=blocks, facts=(*workload.facts, fact))


def _adapted(block: Block, rank: int, targets: Targets, has_adapters: bool) -> Block:
    operators: list[Operator] = []
    for op in block.operators:
        operators.append(_frozen(op))
        if has_adapters and block.place == "middle" and isinstance(op, MatMul) and _is_target(op, targets):
            operators += _adapter(op, rank)
    return replace(block, operators=tuple(operators))


def _frozen(op: Operator) -> Operator:
    return op if isinstance(op, Attention | Scan) else replace(op, trainable=False)


def with_frozen(workload: Workload, parts: Collection[str]) -> Workload:
    """The same model, of which these parts do not learn.

    Args:
        parts: of ``domain.model.workload.PARTS``; none leaves it as it is.

    Raises:
        UsageError: the model has no such part.
    """
    if not parts:
        return workload
    there = dict.fromkeys(block.part for block in workload.blocks if block.part)
    for part in parts:
        if part not in there:
            hint = (
                f"it has {', '.join(there)}" if there else "it is for models of several parts, as --config gives them"
            )
            raise UsageError(f"{workload.name} has no part '{part}' to freeze", hint)
    blocks, learns, tower = [], dict.fromkeys(("", *PARTS), False), ""
    for block in workload.blocks:
        tower = block.part if block.part in _TOWERS else tower
        # A projector has its tower before it, text the projectors, and what belongs to no part has all.
        ahead = {"projector": (tower,), "text": ("text", "projector"), "": tuple(learns)}
        before = any(learns[part] for part in ahead.get(block.part, (block.part,)))
        own = block.part not in parts and any(op.trainable for op in block.operators)
        blocks.append(_without_gradients(block, block.part in parts, before, own))
        learns[block.part] |= own or before
    why = "their weights get no gradient; where nothing before them learns, they have no backward pass"
    fact = Fact(name="frozen", value=", ".join(parts), origin=Origin.GIVEN, why=why)
    return replace(workload, blocks=tuple(blocks), facts=(*workload.facts, fact))


def _without_gradients(block: Block, frozen: bool, before: bool, own: bool) -> Block:
    """A block without the gradients that nobody needs: of frozen weights, and of an input before which nothing learns."""
    operators = tuple(map(_frozen, block.operators)) if frozen else block.operators
    if before:
        return replace(block, operators=operators)
    if own:
        if block.repeat > 1:
            return replace(block, operators=operators)
        first = next((n for n, op in enumerate(operators) if isinstance(op, MatMul | Convolution)), None)
        operators = tuple(_first(op) if n == first else op for n, op in enumerate(operators))
        return replace(block, operators=operators)
    return replace(block, operators=tuple(map(_first, operators)), passed=True)


def _first(op: Operator) -> Operator:
    """The same where nothing before it learns."""
    return replace(op, input_gradient=False) if isinstance(op, MatMul | Convolution | Recurrent) else op


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
