"""Measured single operators (a product, a convolution, a recurrent layer): from a row of a table to its passes.

Such rows are from benchmarks of a vendor's library. They are predicted with the law of the operators of a training
step, without what a framework adds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from zenplan.adapters.runs import words
from zenplan.adapters.runs.accelerator import accelerator_of
from zenplan.backtesting.precisions import precision_of, stored
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.model.operators import Convolution, MatMul, Recurrent, Split
from zenplan.domain.model.workload import Block, Workload
from zenplan.domain.training.layout import Layout
from zenplan.domain.training.plan import OPTIMIZERS, TrainingPlan
from zenplan.errors import DataError, Skipped
from zenplan.planning.physics.columns import Hardware, Layouts
from zenplan.planning.physics.operators import operator_work

Cells = Mapping[str, str]
Op = MatMul | Convolution | Recurrent

# What is measured of a row, and what it is called in a score.
PASSES: Final = {"fwd_ms": "forward", "bwd_inputs_ms": "input gradient", "bwd_weights_ms": "weight gradient"}
# Gates of a cell, and the family whose coefficients go with an operator.
_GATES: Final = {"rnn-vanilla": 1, "rnn-gru": 3, "rnn-lstm": 4}
_FAMILIES: Final = {"gemm": "mlp", "conv": "convnet"}
_SPEC: Final = re.compile(r"(\w+)=(\d{1,6})(?:/(\d{1,6}))?")
_MOST: Final = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """A pass of an operator, measured and predicted.

    Attributes:
        name: one of ``PASSES``.
        measured_ms, predicted_ms: milliseconds.
    """

    name: str
    measured_ms: float
    predicted_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredOperator:
    """A row: the operator alone on one device, and its passes.

    Attributes:
        plan, cluster: what a training step of that operator alone would be.
        assumed: what the row does not say.
    """

    plan: TrainingPlan
    cluster: Cluster
    passes: tuple[Pass, ...]
    assumed: tuple[str, ...]


def measured_operator(cells: Cells, catalogue: Catalogue, coefficients: Coefficients) -> MeasuredOperator:
    """The operator of a row.

    Args:
        cells: ``op`` (GEMM, CONV, RNN-LSTM, RNN-GRU, RNN-Vanilla), ``accelerator``, ``precision``, the sizes ``m``,
            ``n``, ``k``, or ``spec`` and ``batch``, or ``hidden``, ``timesteps`` and ``batch``; and ``PASSES``.
        catalogue: the accelerators that rows may name.
        coefficients: of the step-time model.

    Raises:
        DataError: a cell is missing or no figure; Skipped: no such operator can be predicted, or nothing is measured.
    """
    sheet, assumed = accelerator_of(cells, catalogue)
    precision = precision_of(_text(cells, "precision"), sheet)
    op, batch = operator_of(cells)
    kind = _text(cells, "op").lower()
    workload = Workload(
        name=op.name,
        family=_FAMILIES.get(kind, "recurrent"),
        tokens_per_sample=1,
        unit="samples",
        blocks=(Block(name=op.name, operators=(op,)),),
    )
    # The library's benchmark has channels first.
    plan = TrainingPlan(
        workload=workload,
        samples=batch,
        global_batch=batch,
        precision=precision,
        optimizer=OPTIMIZERS["sgd"],
        channels_last=False,
    )
    efficiency = coefficients.of(sheet.architecture, precision, None, workload.family)
    cluster = Cluster(accelerator=sheet, efficiency=efficiency, node_devices=1, nodes=1, network_bytes_per_s=None)
    told = (stored(precision, sheet), "layout: channels first" if isinstance(op, Convolution) else "")
    return MeasuredOperator(
        plan=plan,
        cluster=cluster,
        passes=tuple(_passes(cells, plan, cluster, op)),
        assumed=(*assumed, *filter(None, told)),
    )


def operator_of(cells: Cells) -> tuple[Op, int]:
    """The operator of one sample, and samples in the batch.

    Raises:
        DataError: a size is missing or no figure; Skipped: the operator is none of those that can be predicted.
    """
    kind = _text(cells, "op").lower()
    if kind == "gemm":
        # A column of the result is a sample: that is how a layer multiplies its weight with a batch.
        return MatMul(
            name="product", rows=1, inner=_whole(cells, "k"), columns=_whole(cells, "m"), split=Split.NONE
        ), _whole(cells, "n")
    if kind == "conv":
        return _convolution(_text(cells, "spec")), _whole(cells, "batch")
    if kind in _GATES:
        hidden = _whole(cells, "hidden")
        return Recurrent(
            name=kind, steps=_whole(cells, "timesteps"), inner=hidden, columns=_GATES[kind] * hidden
        ), _whole(cells, "batch")
    raise Skipped(f"operator '{words.short(_text(cells, 'op'))}' cannot be predicted")


def _convolution(spec: str) -> Convolution:
    """Of ``W=56,H=56,C=64,K=64,S=3,R=3,pad=1/1,stride=1/1``: input, channels, window (S along W), both ways."""
    found = {name: (int(first), int(second or first)) for name, first, second in _SPEC.findall(spec)}
    missing = [name for name in ("W", "H", "C", "K", "S", "R", "pad", "stride") if name not in found]
    if missing:
        raise DataError(f"spec has no {missing[0]}: '{words.short(spec)}'")
    width, height, inputs, outputs, wide, high = (found[name][0] for name in ("W", "H", "C", "K", "S", "R"))
    sides = zip((width, height), (wide, high), found["pad"], found["stride"], strict=True)
    if not min(found["stride"]):
        raise DataError(f"spec has a stride of 0: '{words.short(spec)}'")
    across, down = ((side + 2 * pad - window) // stride + 1 for side, window, pad, stride in sides)
    return Convolution(
        name="convolution",
        positions=across * down,
        window=wide * high,
        inputs=inputs,
        outputs=outputs,
        input_elements=width * height * inputs,
        output_elements=across * down * outputs,
    )


def _passes(cells: Cells, plan: TrainingPlan, cluster: Cluster, op: Op) -> Iterator[Pass]:
    predicted = dict(zip(PASSES, _predicted_ms(plan, cluster, op), strict=True))
    measured = {name: words.number(name, _text(cells, name)) for name in PASSES if _text(cells, name)}
    if not measured:
        raise Skipped(f"no measurement: {', '.join(PASSES)} are empty")
    for name, value in measured.items():
        yield Pass(name=PASSES[name], measured_ms=value, predicted_ms=predicted[name])


def _predicted_ms(plan: TrainingPlan, cluster: Cluster, op: Op) -> tuple[float, float, float]:
    """Milliseconds forward, for the gradient of the input, and for that of the weight."""
    layouts, hardware = (Layouts.of([Layout(micro_batch=plan.global_batch)]), Hardware.of([cluster], plan.precision))
    block = plan.workload.blocks[0]
    forward, backward = operator_work(op, block, plan, layouts, hardware)
    _, inputs = operator_work(replace(op, trainable=False), block, plan, layouts, hardware)
    both, one = float(backward.total_s[0]), float(inputs.total_s[0])
    return 1e3 * float(forward.total_s[0]), 1e3 * one, 1e3 * (both - one)


def _text(cells: Cells, name: str) -> str:
    return words.known(name, cells.get(name, ""))


def _whole(cells: Cells, name: str) -> int:
    text = _text(cells, name)
    if not text:
        raise DataError(f"{name} is empty")
    value = words.number(name, text)
    if value != int(value) or value > _MOST:
        raise DataError(f"{name} is not a whole number up to {_MOST:g}: {words.short(text)}")
    return int(value)
