"""The work of blocks of operators for one micro-batch, on one device.

Operators of one law (``planning.physics.operators.law_of``) are evaluated together, those of other models too: numpy's
calls cost more than what they compute, and a table of measured runs has a thousand small questions.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from zenplan.domain.model.operators import Attention, Elementwise, ElementwiseKind, MatMul, Operator, Split
from zenplan.domain.model.workload import LANGUAGE, Block
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.columns import Array, Hardware, Index, Layouts, working_alike
from zenplan.planning.physics.operators import VALUES, law_of, moved_bytes, sizes_of, work_of
from zenplan.planning.physics.work import Passes

# Entries that are evaluated together: more of them save no calls that count, and leave the processor's cache.
_TOGETHER = 16_384


class Asked(NamedTuple):
    """A plan in layouts on clusters, which have an entry for each candidate, in the same order."""

    plan: TrainingPlan
    layouts: Layouts
    hw: Hardware


class Parts(NamedTuple):
    """Work of a micro-batch in front of the layers, in all of them, and behind them."""

    first: Passes
    middle: Passes
    last: Passes


def block_passes(block: Block, plan: TrainingPlan, layouts: Layouts, hw: Hardware) -> Passes:
    """The work of one repetition of a block for one micro-batch, on one device.

    Args:
        block: of operators that are sized for one sample.
        plan: what is trained, and in which precision.
        layouts: n entries.
        hw: the devices; n entries, or one.
    """
    every = np.arange(len(layouts.tp))
    if len(hw.devices) != len(every):
        hw = hw.take(0 * every)
    (found,) = _passes([(block, every)], plan, layouts, hw)
    return found


def parts_of(asked: Sequence[Asked]) -> list[Parts]:
    """The parts of each model, in the order of what is asked."""
    groups: dict[Hashable, list[int]] = {}
    for number, (plan, *_) in enumerate(asked):
        arithmetic = plan.precision, plan.weight_bytes, plan.software, plan.fused_attention, plan.channels_last
        key = (*arithmetic, plan.tuning, plan.workload.family in LANGUAGE)
        groups.setdefault(key, []).append(number)
    found: dict[int, Parts] = {}
    for numbers in groups.values():
        for some in _batches(numbers, [len(asked[n].layouts.tp) for n in numbers]):
            found.update(zip(some, _parts([asked[n] for n in some]), strict=True))
    return [found[number] for number in range(len(asked))]


def _batches(numbers: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """The same in parts of ``_TOGETHER`` entries, or of one that has more."""
    batch: list[int] = []
    entries = 0
    for number, length in zip(numbers, lengths, strict=True):
        if batch and entries + length > _TOGETHER:
            yield batch
            batch, entries = [], 0
        batch.append(number)
        entries += length
    yield batch


def _parts(asked: Sequence[Asked]) -> Iterator[Parts]:
    """Of plans in one arithmetic."""
    layouts, hw = Layouts.joined([a.layouts for a in asked]), Hardware.joined([a.hw for a in asked])
    lengths = [len(a.layouts.tp) for a in asked]
    owner = np.repeat(np.arange(len(asked)), lengths)
    # Many layouts differ only in what a device does not notice: how many there are, and how they are joined.
    first_of, alike = working_alike(layouts, hw, owner)
    some, on = layouts.take(first_of), hw.take(first_of)
    # Those of one plan stand together.
    ends = np.searchsorted(owner[first_of], np.arange(len(asked) + 1))
    spans = [np.arange(a, b) for a, b in pairwise(ends)]
    blocks = [(block, span) for a, span in zip(asked, spans, strict=True) for block in a.plan.workload.blocks]
    sums = {place: Passes.none(some) for place in ("first", "middle", "last")}
    for (block, span), found in zip(blocks, _passes(blocks, asked[0].plan, some, on), strict=True):
        if len(span):
            sums[block.place].rows[:, span[0] : span[-1] + 1] += found.rows * float(block.repeat)
    starts = np.cumsum([0, *lengths])
    for a, b in pairwise(starts):
        yield Parts(*(sums[place].take(alike[a:b]) for place in ("first", "middle", "last")))


class _Term(NamedTuple):
    """So many operators alike, of the block of that number."""

    number: int
    op: Operator
    sizes: tuple[float, ...]
    how_many: float


def _passes(blocks: Sequence[tuple[Block, Index]], plan: TrainingPlan, layouts: Layouts, hw: Hardware) -> list[Passes]:
    """The work of one repetition of each block, for its entries of ``layouts`` and ``hw``."""
    terms = [_Term(n, *each) for n, (block, _) in enumerate(blocks) for each in _counted(block, plan)]
    laws: dict[tuple[bool, Hashable], list[int]] = {}
    for place, term in enumerate(terms):
        laws.setdefault((blocks[term.number][0].place == "middle", law_of(term.op)), []).append(place)
    found: dict[int, Array] = {}
    for (in_layer, _), places in laws.items():
        for some in _batches(places, [len(blocks[terms[p].number][1]) for p in places]):
            spans = [blocks[terms[p].number][1] for p in some]
            rows = _rows([terms[p] for p in some], spans, in_layer, plan, layouts, hw)
            found.update(zip(some, np.split(rows, np.cumsum([len(s) for s in spans[:-1]]), axis=1), strict=True))
    sums = [np.zeros((Passes.ROWS, len(span))) for _, span in blocks]
    # In the order of the operators, so that a plan's time does not depend on what else is asked.
    for place, term in enumerate(terms):
        rows = found.pop(place)
        if blocks[term.number][0].passed:
            rows[Passes.BEHIND, :] = 0.0
        sums[term.number] += rows
    return [Passes(rows) for rows in sums]


def _rows(
    terms: Sequence[_Term], spans: Sequence[Index], in_layer: bool, plan: TrainingPlan, layouts: Layouts, hw: Hardware
) -> Array:
    """The rows of ``Passes`` of operators of one law, those of one term after those of another."""
    op = terms[0].op
    if len(terms) == 1 and len(spans[0]) == len(layouts.tp):
        sizes, counts = np.array(terms[0].sizes, dtype=float)[:, None], np.array([terms[0].how_many])
    else:
        lengths, index = [len(span) for span in spans], np.concatenate(spans)
        columns = np.array([(*term.sizes, term.how_many) for term in terms]).repeat(lengths, axis=0).T
        sizes, counts = columns[:-1], columns[-1]
        layouts, hw = layouts.take(index), hw.take(index)
    ahead, back = work_of(op, sizes, in_layer, plan, layouts, hw)
    passes = Passes.none(layouts)
    passes.rows[:4], passes.rows[4:8] = ahead.rows, back.rows
    if in_layer:
        # A fused kernel already computes its scores again; selective recomputation adds nothing to it.
        unfused = isinstance(op, Attention) and not plan.fused_attention
        passes.again.rows[:] = ahead.rows * (layouts.full + layouts.selective if unfused else layouts.full)
        if isinstance(op, MatMul) and op.experts > 1:
            passes.routed.rows[:] = ahead.rows + back.rows + passes.again.rows
        elif isinstance(op, MatMul) and op.split in (Split.COLUMNS, Split.ROWS):
            passes.divided_s[:] = ahead.total_s
            if op.split is Split.COLUMNS and op.trainable:
                # Of the two products of the backward pass one is for the weight.
                passes.gradients_s[:] = back.total_s * (0.5 if op.input_gradient else 1.0)
    rows: Array = passes.rows * counts
    return rows


def _counted(block: Block, plan: TrainingPlan) -> Iterator[tuple[Operator, tuple[float, ...], float]]:
    """A block's operators with their sizes, and how many there are of each. Elementwise ones that are divided alike move
    as much as so many of their average size."""
    others: dict[Hashable, tuple[Operator, int]] = {}
    streams: dict[Split, list[Elementwise]] = {}
    for op in block.operators:
        if isinstance(op, Elementwise) and op.kind is not ElementwiseKind.PERMUTATION:
            streams.setdefault(op.split, []).append(op)
        else:
            key = VALUES[type(op)](op)
            others[key] = (op, 1 + (others[key][1] if key in others else 0))
    yield from ((op, sizes_of(op, plan), float(count)) for op, count in others.values())
    for alike in streams.values():
        average = sum(moved_bytes(op, plan) for op in alike) / len(alike)
        yield alike[0], (average,), float(len(alike))
