"""The fit of kernels of attention to measurements of them alone, and how well it carries to another accelerator.

Each kernel has four parameters of its own and shares the law of ``planning/physics/attention.py``. What comes out is
written by hand into ``domain/fit/attention.py``, rounded; a test fits again and compares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from zenplan.adapters.files.csv_file import read_rows
from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.domain.fit.attention import KERNELS, AttentionKernel, cudnn
from zenplan.domain.fit.efficiency import Efficiency
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.model.operators import Attention
from zenplan.domain.precision import PRECISIONS
from zenplan.fitting.model import at_data_sheet
from zenplan.planning.physics.attention import kernel_s, score_flop, scored_keys
from zenplan.planning.physics.columns import Array, Hardware

# What is fitted of a kernel, each with its bounds; and how far it may be from where it starts, in ln.
_FITTED = {"forward": (0.05, 1.0), "backward": (0.05, 1.0), "softmax": (0.05, 6.0), "ramp_keys": (10.0, 2000.0)}
_WIDTH = 1.5
# As in ``fit.py``: absolute errors beyond this, squares below.
_SQUARE, _STEPS = 0.02, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelRow:
    """One measurement: a kernel alone, in one pass or in both.

    Attributes:
        samples: of the batch.
        flop: that the speed counts: what the mask leaves.
    """

    kernel: str
    accelerator: Accelerator
    op: Attention
    samples: float
    forward: bool
    backward: bool
    flop_per_s: float
    source: str

    @property
    def flop(self) -> float:
        """Of the passes that were measured."""
        ahead, back = score_flop(self.op)
        scores = self.samples * self.op.heads * self.op.queries * self.op.seen_keys
        return scores * (ahead * self.forward + back * self.backward)


def kernel_rows(table: Path) -> list[KernelRow]:
    """The rows of ``attention_kernels.csv`` whose kernel is a fused one.

    Raises:
        InputFileError: there is no such table, or it is none of kernels.
    """
    accelerators = {a.name: a for a in read_accelerators()}
    rows = [row for _, row in read_rows(table, ("kernel", "accelerator", "tflops"), "table of attention kernels")]
    return [_row(row, accelerators[row["accelerator"]]) for row in rows if row["kernel"] != "standard"]


def _row(row: Mapping[str, str], accelerator: Accelerator) -> KernelRow:
    named = row["kernel"]
    op = Attention(
        name=named,
        heads=int(row["heads"]),
        kv_heads=int(row["kv_heads"]),
        key_dim=int(row["key_dim"]),
        value_dim=int(row["value_dim"]),
        queries=int(row["seq_len"]),
        keys=int(row["seq_len"]),
        causal=row["causal"] == "yes",
        window=int(row["window"]) if row["window"] else None,
    )
    return KernelRow(
        kernel=cudnn(accelerator.architecture).name if named == "cudnn" else named,
        accelerator=accelerator,
        op=op,
        samples=float(row["batch"]),
        forward=row["direction"] != "backward",
        backward=row["direction"] != "forward",
        flop_per_s=1e12 * float(row["tflops"]),
        source=row["source"],
    )


def kernel_errors(rows: Sequence[KernelRow], kernel: AttentionKernel) -> Array:
    """ln(predicted / measured) speed of each row under a kernel's figures, shape (rows,)."""
    whole = replace(at_data_sheet(), kernel=kernel)
    hw = Hardware.of([_alone(r.accelerator, whole) for r in rows], PRECISIONS["bf16"])
    heads = np.array([r.samples * r.op.heads * r.op.queries for r in rows])
    keys = np.array([scored_keys(r.op) for r in rows]) + hw.attention_ramp_keys
    ahead, back = (np.array(each) for each in zip(*(score_flop(r.op) for r in rows), strict=True))
    forward, backward = kernel_s(heads, keys, ahead, back, hw)
    passes = np.array([(r.forward, r.backward) for r in rows])
    seconds = passes[:, 0] * forward + passes[:, 1] * backward
    measured = np.array([r.flop / r.flop_per_s for r in rows])
    found: Array = np.log(measured / seconds)
    return found


def _alone(accelerator: Accelerator, efficiency: Efficiency) -> Cluster:
    return Cluster(accelerator=accelerator, efficiency=efficiency, node_devices=1, nodes=1, network_bytes_per_s=None)


def fitted_kernel(rows: Sequence[KernelRow], start: AttentionKernel) -> AttentionKernel:
    """The kernel's figures on its rows, by reweighted Gauss-Newton steps in ln of each; accelerators weigh alike."""
    names = [r.accelerator.name for r in rows]
    share = np.array([1.0 / names.count(n) for n in names])
    kernel, begin = start, np.log([getattr(start, name) for name in _FITTED])
    bounds = np.log(list(_FITTED.values()))
    at = begin.copy()
    for _ in range(_STEPS):
        errors = kernel_errors(rows, kernel)
        moved = [kernel_errors(rows, _with(kernel, at + 0.02 * unit)) for unit in np.eye(len(at))]
        slopes = (np.array(moved) - errors).T / 0.02
        weights = share / np.maximum(np.abs(errors), _SQUARE)
        left = (slopes.T * weights) @ slopes + np.eye(len(at)) * 1e-2 / _WIDTH**2
        right = -(slopes.T * weights) @ errors + 1e-2 / _WIDTH**2 * (begin - at)
        at = np.clip(at + np.clip(np.linalg.solve(left, right), -0.3, 0.3), bounds[:, 0], bounds[:, 1])
        kernel = _with(kernel, at)
    return kernel


def _with(kernel: AttentionKernel, values: Array) -> AttentionKernel:
    forward, backward, softmax, ramp = (float(v) for v in np.exp(values))
    return replace(kernel, forward=min(forward, 1.0), backward=min(backward, 1.0), softmax=softmax, ramp_keys=ramp)


def left_out_kernels(rows: Sequence[KernelRow]) -> list[tuple[KernelRow, float]]:
    """Each row with its error under the kernel fitted without its accelerator; of kernels measured on several."""
    found = list[tuple[KernelRow, float]]()
    for name in dict.fromkeys(r.kernel for r in rows):
        of_kernel = [r for r in rows if r.kernel == name]
        for out in dict.fromkeys(r.accelerator.name for r in of_kernel):
            kept = [r for r in of_kernel if r.accelerator.name != out]
            left = [r for r in of_kernel if r.accelerator.name == out]
            if kept:
                errors = kernel_errors(left, fitted_kernel(kept, KERNELS[name]))
                found += zip(left, map(float, errors), strict=True)
    return found
