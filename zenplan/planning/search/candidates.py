"""Every layout of a workload on so many devices, in columns, less those that another one always beats.

What a layout must be, to be one at all:

- dp · tp · pp · cp are the devices; no data-parallel group is without a sample.
- A tensor group divides the heads and the widths of the layers' products, and a node.
- A pipeline has no more stages than layers, and no more virtual ones on each than layers on the fullest. Parts need
  not have as many layers, and one may have an end of the model alone (Megatron-Core's pipeline layouts), where the
  software does not ask for equal stages. Virtual stages take at least as many micro-batches as there are stages.
- A pipeline keeps its gradients whole until the step ends: of the ZeRO stages, it goes with the first.
- A context group cuts the sequence into two parts for each device, so that causal attention is shared evenly.
- An expert group divides the experts and the devices of a stage (Megatron-Core's parallel folding).
- The plan's software, where it is named, has all of it: parallelisms, ZeRO stages, groups of hybrid sharding.

What is left out, and why that is harmless whatever the accelerator, is said where it is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from zenplan.domain.model.operators import MatMul, Split
from zenplan.domain.model.workload import LANGUAGE
from zenplan.domain.training.layout import Layout
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.columns import Array, Layouts

# The largest micro-batch of a language model: beyond it products no longer gain, and their activations fill any
# memory. A row of a table or a small image is next to nothing: there it is as large as memory has room for.
_MOST_MICRO_BATCH, _MOST_SMALL_SAMPLES = 128, 2**22
# The fewest tokens a sequence is cut into that a published run had: Llama 3 at 8,192 in two (NVIDIA, performance
# summary of Megatron Bridge). With less, passing keys round would have less attention to hide behind than was
# ever measured.
_LEAST_CONTEXT = 4_096

_Rows = dict[str, Array]
_Index = npt.NDArray[np.intp]


def candidates(plan: TrainingPlan, devices: int, nears: Iterable[int]) -> Layouts:
    """Layouts on so many devices, nothing recomputed, in one order for all accelerators.

    Args:
        plan: what is trained.
        devices: how many in all.
        nears: devices that are near each other, of every cluster that will be asked about; ``reachable`` says
            which entries are for which, and each has some.

    Returns:
        Columns of shape (n,). Micro-batches and virtual stages vary fastest, in that order: entries that
        differ in nothing else stand together, smallest first.
    """
    nodes = sorted({min(near, devices) for near in nears})
    rows = _degrees(plan, devices, nodes)
    rows = _together(plan, _experts(plan, rows))
    rows = _sharded(plan, rows, nodes)
    rows = _micro_batches(plan, rows)
    rows = _interleaved(plan, rows)
    if _equal_stages(plan):
        rows["even"] = (rows["pp"] > 1).astype(float)
    one = Layouts.of([Layout()]).take(np.zeros(len(rows["dp"]), dtype=np.intp))
    return replace(one, **rows)


def reachable(plan: TrainingPlan, layouts: Layouts, devices: int, near: int) -> npt.NDArray[np.bool_]:
    """Which of them can be laid out where so many devices are near each other; shape (n,).

    A tensor group that does not divide a node would lie across two; a hybrid group is the rest of a node.
    Groups without a sample are only for where no other layout is left.

    Args:
        plan: what is trained.
        layouts: n of them.
        devices: of the cluster, a count.
        near: of them, those that are joined by the fast links of a node, a count.
    """
    node = min(near, devices)
    within = (node % layouts.tp == 0) & ((layouts.shard == 0) | (layouts.shard * layouts.tp == node))
    fed: npt.NDArray[np.bool_] = within & (layouts.dp <= plan.global_batch)
    return fed if fed.any() else within


def divisors(number: int) -> list[int]:
    """All of them, smallest first."""
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)})


def virtual_stages(layers: int, stages: int) -> list[int]:
    """How many virtual stages each stage can have, so many that their parts have about as many layers."""
    return divisors(math.ceil(layers / stages))


def _each(rows: _Rows, name: str, choices: Sequence[Sequence[int]], which: _Index) -> _Rows:
    """Every row once for each of its choices, ``choices[which[row]]``, in a column of that name."""
    lengths = np.array([len(c) for c in choices])
    values = np.array([v for c in choices for v in c], dtype=float)
    times = lengths[which]
    again = np.repeat(np.arange(len(which)), times)
    first = np.repeat(np.cumsum(times) - times, times)
    chosen = (np.cumsum(lengths) - lengths)[which][again] + np.arange(len(again)) - first
    return {**{n: column[again] for n, column in rows.items()}, name: values[chosen]}


def _degrees(plan: TrainingPlan, devices: int, nodes: Sequence[int]) -> _Rows:
    """tp, cp, pp and dp whose product is the devices."""
    load, parts = plan.workload, divisors(devices)
    tensor = [t for t in parts if any(node % t == 0 for node in nodes) and _cuts_evenly(plan, t)]
    context = [c for c in parts if c == 1 or _cuts_sequence(load.tokens_per_sample, c)]
    # Other models than language models are not cut into stages by any framework in use.
    equal = _equal_stages(plan)
    stages = [p for p in parts if load.family in LANGUAGE and p <= load.layers and not (equal and load.layers % p)]
    tensor, context, stages = (
        degrees if degrees and _has(plan, name) else [1]
        for name, degrees in (("tp", tensor), ("cp", context), ("pp", stages))
    )
    mesh = np.meshgrid(np.array(tensor), np.array(context), np.array(stages), indexing="ij")
    tp, cp, pp = (axis.ravel() for axis in mesh)
    dp = devices // (tp * cp * pp)
    kept = (devices % (tp * cp * pp) == 0) & (dp <= plan.global_batch) & (dp > 0)
    rows = {n: column[kept].astype(float) for n, column in (("tp", tp), ("cp", cp), ("pp", pp), ("dp", dp))}
    rows = _together(plan, rows)
    if not all((node % rows["tp"] == 0).any() for node in nodes):
        # More devices than the batch can feed: the least wasteful is one sample each.
        alone = {"tp": 1.0, "cp": 1.0, "pp": 1.0, "dp": float(devices)}
        rows = {n: np.append(column, alone[n]) for n, column in rows.items()}
    return rows


def _has(plan: TrainingPlan, parallelism: str) -> bool:
    """Whether the plan's software has a parallelism; where none is named, all are tried."""
    return plan.stack is None or plan.stack.has(parallelism, plan.method)


def _together(plan: TrainingPlan, rows: _Rows) -> _Rows:
    """The rows without two parallelisms, of those that they have, that the plan's software does not have together."""
    for one, other in plan.stack.apart if plan.stack else ():
        if one not in rows or other not in rows:
            continue
        kept = (rows[one] == 1) | (rows[other] == 1)
        rows = {n: column[kept] for n, column in rows.items()}
    return rows


def _cuts_evenly(plan: TrainingPlan, tensor: int) -> bool:
    """Whether a tensor group of that size has whole heads and whole columns of each product of a layer."""
    if max(plan.workload.heads, 1) % tensor:
        return False
    products = (o for b in plan.workload.blocks if b.place == "middle" for o in b.operators if isinstance(o, MatMul))
    size = {Split.COLUMNS: "columns", Split.ROWS: "inner"}
    return all(getattr(o, size[o.split]) % tensor == 0 for o in products if o.split in size)


def _cuts_sequence(tokens: int, context: int) -> bool:
    return tokens % (2 * context) == 0 and tokens // context >= _LEAST_CONTEXT


def _experts(plan: TrainingPlan, rows: _Rows) -> _Rows:
    """Expert groups, within the devices of a stage: over whole data-parallel groups, then over tensor groups."""
    groups = divisors(plan.workload.experts) if _has(plan, "ep") else [1]
    pairs, which = np.unique(np.stack([rows["dp"] * rows["cp"], rows["tp"]]), axis=1, return_inverse=True)
    choices = [
        [e for e in groups if r % e == 0 or (e % r == 0 and t % (e // r) == 0)] for r, t in pairs.T.astype(int).tolist()
    ]
    return _each(rows, "ep", choices, which.ravel())


def _sharded(plan: TrainingPlan, rows: _Rows, nodes: Sequence[int]) -> _Rows:
    """ZeRO stages, and for the third also within each node alone (hybrid sharding).

    Left out, where there is the first stage: no ZeRO at all, which is no faster (it moves as many bytes, and its
    update reads all states on every device) and needs more memory.
    """
    has = plan.stack.zero if plan.stack else (0, 1, 2, 3)
    least = 1 if 1 in has else 0
    replicas = rows["dp"] * rows["cp"]
    kind = np.where(replicas == 1, 0, np.where(rows["pp"] > 1, 1, 2))
    rows = _each(rows, "zero", [[0], [least], [z for z in has if z >= least]], kind.astype(np.intp))
    if plan.stack and not plan.stack.hybrid:
        return {**rows, "shard": np.zeros_like(rows["dp"])}
    pairs = np.stack([rows["dp"] * rows["cp"], rows["tp"], rows["zero"]])
    kinds, which = np.unique(pairs, axis=1, return_inverse=True)
    choices = [
        [0, *dict.fromkeys(n // t for n in nodes if n % t == 0 and 1 < n // t < r and r % (n // t) == 0)]
        if stage == 3
        else [0]
        for r, t, stage in kinds.T.astype(int).tolist()
    ]
    return _each(rows, "shard", choices, which.ravel())


def _micro_batches(plan: TrainingPlan, rows: _Rows) -> _Rows:
    """Micro-batches: powers of two, and what divides the samples of a device, which wastes none.

    Left out: what a context group would take of several samples at once. With f of both its devices and its
    samples moved to data parallelism every device computes and keeps the same, and no keys travel.
    """
    share, which = np.unique(np.ceil(plan.global_batch / rows["dp"]), return_inverse=True)
    most = _MOST_MICRO_BATCH if plan.workload.family in LANGUAGE else _MOST_SMALL_SAMPLES
    powers = [2**i for i in range(int(math.log2(most)) + 1)]
    choices = [
        sorted({*(p for p in powers if p <= s), *(d for d in divisors(s) if d <= most)})
        for s in share.astype(int).tolist()
    ]
    rows = _each(rows, "micro_batch", choices, which.ravel())
    common = np.gcd(rows["cp"].astype(int), rows["micro_batch"].astype(int))
    kept = (common == 1) | (rows["dp"] * common > plan.global_batch)
    rows = {n: column[kept] for n, column in rows.items()}
    rows["accumulation"] = np.ceil(plan.global_batch / (rows["dp"] * rows["micro_batch"]))
    return rows


def _interleaved(plan: TrainingPlan, rows: _Rows) -> _Rows:
    """Virtual stages: none, or any number that divides the layers of the fullest stage.

    More of them make the bubble smaller, and as many more sends: which is best depends on the network.
    """
    if plan.stack and not plan.stack.interleaves:
        return rows
    layers, equal = plan.workload.layers, _equal_stages(plan)
    stages, which = np.unique(rows["pp"], return_inverse=True)
    # The last round of micro-batches may be longer than the others (Megatron-Core's groups of micro-batches), where
    # stages need not be alike.
    rounds = rows["accumulation"] % rows["pp"] == 0 if equal else rows["accumulation"] >= rows["pp"]
    choices = [[1], *(virtual_stages(layers, p) for p in stages.astype(int).tolist())]
    return _each(rows, "interleave", choices, np.where(rounds & (rows["pp"] > 1), which.ravel() + 1, 0))


def _equal_stages(plan: TrainingPlan) -> bool:
    """Whether the plan's software asks for as many layers on each stage; where none is named, it does not."""
    return plan.stack is not None and plan.stack.equal_stages
