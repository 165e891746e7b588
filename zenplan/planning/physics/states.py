"""Memory of the states: weights, gradients, master weights and the optimizer's, as ZeRO divides them.

Rajbhandari et al. 2020 (ZeRO) for what each stage divides. Bytes of a trained parameter under mixed precision:
2 of the weight, 4 of the gradient (accumulated in fp32), 4 of the master weight, 8 of Adam: 18 (Megatron-LM's
distributed optimizer divides the last 12). In fp16 the gradients are scaled and in 16 bits: 16. The update unscales
them into fp32 copies, 4 more, which take the place that the activations had. Under ZeRO-3 (PyTorch's FSDP) the sharded
weight is the master weight, 16 in all, and the 16-bit one exists only while its layer is in use.

Libraries of fine-tuning train in bf16 alone: 2 of the weight, 2 of the gradient, 4 of Adam; and PyTorch's update has a
copy of all weights for a moment, 2 more. What software does otherwise is in ``domain.training.kept``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from zenplan.domain.model.operators import Elementwise, MatMul, Operator, Split
from zenplan.domain.model.workload import Block
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.columns import Array, Layouts
from zenplan.planning.physics.operators import divisor, expert_tensor
from zenplan.planning.physics.stages import Stages
from zenplan.planning.physics.tables import is_shared_out, resident_bytes

# A figure on the first pipeline stage and on the last: the fullest device is on one of the two.
Ends = tuple[Array, Array]
# Of a scaled gradient, as in fp16, and of its fp32 copy for the update.
_SCALED_GRADIENT_BYTES, _UNSCALED_BYTES = 2.0, 4.0


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """Bytes at both ends of a pipeline; weights with what ZeRO-3 gathers.

    Attributes:
        copies: what is there during the update only: fp32 copies of scaled gradients, or of the weights.
    """

    weights: Ends
    gradients: Ends
    optimizer: Ends
    copies: Ends


@dataclass(frozen=True, slots=True, eq=False)
class _Counts:
    """Parameters on one device: those that train, frozen products, and what else is frozen, at both ends; and of the
    layers' products those that train."""

    trained: Ends
    products: Ends
    others: Ends
    narrow: Array


class Trained(NamedTuple):
    """Bytes of one parameter that trains; ``copies`` as in ``States``."""

    weight: float
    gradient: float
    optimizer: float
    copies: float


def trained_bytes(plan: TrainingPlan, sharded: bool = False) -> Trained:
    """Bytes of one parameter that trains, on the device; ``sharded`` where ZeRO-3 divides the weights."""
    p, kept = plan.precision, plan.kept
    scaled = p.matmul_dtype == "fp16"
    own = p.master_bytes or p.compute_bytes
    hosted = plan.optimizer.paged or "optimizer" in kept.offload
    master = 0.0 if sharded or "optimizer" in kept.offload else p.master_bytes
    copied = kept.update_copies and not plan.optimizer.in_blocks and not hosted
    return Trained(
        weight=float(own) if sharded else float(p.compute_bytes),
        gradient=_SCALED_GRADIENT_BYTES if scaled else kept.gradient_bytes,
        optimizer=master + (0.0 if hosted else plan.state_bytes),
        copies=(_UNSCALED_BYTES if scaled else 0.0) + (own if copied else 0.0),
    )


def placed(blocks: Iterable[Block], place: str) -> list[Block]:
    """The blocks of one place."""
    return [b for b in blocks if b.place == place]


def with_ends(layouts: Layouts, first: Array, last: Array) -> Ends:
    """What the ends of the model add to each; without a pipeline one device has both."""
    return np.where(layouts.pp > 1, first, first + last), np.where(layouts.pp > 1, last, first + last)


def fullest(share: Stages) -> Ends:
    """Shares of the layers at both ends. The first stage keeps the most micro-batches, the next nearly as many: the
    fuller of the two counts for it."""
    return np.maximum(share.first, share.inner), share.last


def _share(op: Operator, layouts: Layouts, experts: Array) -> Array:
    """Devices of a tensor group, and of an expert group, that divide an operator's parameters."""
    if isinstance(op, MatMul) and op.experts > 1:
        return expert_tensor(layouts) * np.minimum(experts, op.experts)
    return divisor(Split.NONE if isinstance(op, Elementwise) else op.split, layouts)


def _kind(op: Operator, block: Block) -> str:
    if op.trainable:
        return "trained"
    return "products" if isinstance(op, MatMul) and block.place == "middle" else "others"


_KINDS = ("trained", "products", "others", "narrow")
# Kind and place, the split and the experts: what is divided alike.
_Key = tuple[str, str, Split, int]


def _alike(plan: TrainingPlan) -> dict[_Key, tuple[Operator, float]]:
    """An operator of each kind that is divided in one way, and the parameters of all of them together."""
    found: dict[_Key, tuple[Operator, float]] = {}

    def add(key: _Key, op: Operator, count: float) -> None:
        found[key] = (op, count + (found[key][1] if key in found else 0.0))

    narrow = plan.kept.narrow_inputs
    for block in plan.workload.blocks:
        for op in block.operators:
            if not op.parameters or is_shared_out(op):
                continue
            split = Split.NONE if isinstance(op, Elementwise) else op.split
            key = (block.place, split, op.experts if isinstance(op, MatMul) else 1)
            count = op.parameters * block.repeat
            add((_kind(op, block), *key), op, count)
            if narrow and isinstance(op, MatMul) and op.trainable and block.place == "middle":
                add(("narrow", *key), op, count)
    return found


def _counts(plan: TrainingPlan, layouts: Layouts, experts: Array, stage_shares: Stages) -> _Counts:
    """Parameters on one device of a stage, experts divided by that."""
    sums = {(kind, place): np.zeros_like(layouts.tp) for kind in _KINDS for place in ("first", "middle", "last")}
    for (kind, place, _, _), (op, count) in _alike(plan).items():
        sums[kind, place] = sums[kind, place] + count / _share(op, layouts, experts)
    before, at_the_end = fullest(stage_shares)
    ends = {}
    for kind in ("trained", "products", "others"):
        head, tail = with_ends(layouts, sums[kind, "first"], sums[kind, "last"])
        middle = sums[kind, "middle"]
        ends[kind] = (middle * before + head, middle * at_the_end + tail)
    # A tied head on another stage than the embedding is a parameter of its own there, kept equal by a sum.
    tied = sum(
        float(o.inner * o.columns)
        for b in placed(plan.workload.blocks, "last")
        for o in b.operators
        if isinstance(o, MatMul) and o.tied and o.trainable
    )
    first, last = ends["trained"]
    last = last + np.where(layouts.pp > 1, tied / layouts.tp, 0.0)
    return _Counts(
        (first, last), ends["products"], ends["others"], sums["narrow", "middle"] * np.maximum(before, at_the_end)
    )


def states(plan: TrainingPlan, layouts: Layouts, shares: Stages) -> States:
    """The states of the fullest device at both ends of the pipeline; shape (n,) each, in bytes.

    ``shares`` is what the stages have of the layers (``planning.physics.stages.stages``).
    """
    p = plan.precision

    dense = _counts(plan, layouts, layouts.ep, shares) if plan.workload.experts == 1 else None

    devices = layouts.shards

    def divided(stage: int) -> tuple[_Counts, Array]:
        # An expert is on every ep-th of them, which share its states: with ep that is all, as for the rest.
        on = layouts.zero >= stage
        among = np.where(on, devices, 1.0)
        if dense:
            return dense, among
        experts = np.where(on, np.maximum(layouts.ep / devices, 1.0), layouts.ep)
        return _counts(plan, layouts, experts, shares), among

    (own, among), (late, gradients), (early, optimizer) = (divided(stage) for stage in (3, 2, 1))
    sharded = layouts.zero >= 3
    plain, under3 = trained_bytes(plan), trained_bytes(plan, sharded=True)
    trained = np.where(sharded, under3.weight, plain.weight)
    state = np.where(sharded, under3.optimizer, plain.optimizer)
    in_use = np.where(sharded, _gathered(plan, layouts), 0.0) if sharded.any() else 0.0

    # Under ZeRO-3 only a layer in use is there in the type that it computes in.
    copies = np.where(sharded, 0.0, plan.kept.copies_bytes * own.narrow)

    def weights(end: int) -> Array:
        frozen = own.products[end] * plan.weight_bytes + own.others[end] * p.compute_bytes
        total: Array = (own.trained[end] * trained + frozen) / among + copies + in_use
        return total

    tables, table_states = resident_bytes(plan, layouts)
    held = _both(early.trained, state / optimizer)
    return States(
        weights=(weights(0) + tables, weights(1) + tables),
        gradients=_both(late.trained, plain.gradient / gradients),
        optimizer=(held[0] + table_states, held[1] + table_states),
        copies=_both(early.trained, plain.copies / optimizer),
    )


def _both(ends: Ends, factor: Array) -> Ends:
    return ends[0] * factor, ends[1] * factor


def _gathered(plan: TrainingPlan, layouts: Layouts) -> Array:
    """What ZeRO-3 holds whole, in the compute type: the layer in use and the one fetched ahead, and the gradient
    of the one in use; the ends of the model stay whole from the forward pass to the backward."""
    width = float(plan.precision.compute_bytes)
    largest, ends = np.zeros_like(layouts.tp), np.zeros_like(layouts.tp)
    for block in plan.workload.blocks:
        count = np.zeros_like(layouts.tp)
        for op in (o for o in block.operators if not is_shared_out(o)):
            size = plan.weight_bytes if not op.trainable and isinstance(op, MatMul) else width
            count = count + op.parameters * size / _share(op, layouts, layouts.ep)
        if block.place == "middle":
            largest = np.maximum(largest, count)
        else:
            ends = ends + count
    whole: Array = 3.0 * largest + ends
    return whole
