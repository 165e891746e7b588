"""Measured single operators (a product, a convolution, a recurrent layer), predicted pass by pass.

They are from benchmarks of a vendor's library, and are predicted with the law of the operators of a training step,
without what a framework adds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from zenplan.adapters.runs.cells import stored
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.measured.run import MeasuredOperator
from zenplan.domain.model.operators import Convolution, MatMul
from zenplan.domain.model.workload import Block, Workload
from zenplan.domain.training.layout import Layout
from zenplan.domain.training.plan import OPTIMIZERS, TrainingPlan
from zenplan.planning.physics.columns import Hardware, Layouts
from zenplan.planning.physics.operators import operator_work


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """A pass of an operator, measured and predicted.

    Attributes:
        name: ``forward``, ``input gradient`` or ``weight gradient``.
        measured_ms, predicted_ms: milliseconds.
    """

    name: str
    measured_ms: float
    predicted_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedOperator:
    """The operator alone on one device, and its passes that were measured.

    Attributes:
        plan, cluster: what a training step of that operator alone would be.
        assumed: what the row does not say.
    """

    plan: TrainingPlan
    cluster: Cluster
    passes: tuple[Pass, ...]
    assumed: tuple[str, ...]


def predicted_operator(measured: MeasuredOperator, coefficients: Coefficients) -> PredictedOperator:
    """The operator beside the prediction of each pass."""
    operator, accelerator = measured.operator, measured.accelerator
    family = "recurrent"
    if isinstance(operator, MatMul):
        family = "mlp"
    elif isinstance(operator, Convolution):
        family = "convnet"
    workload = Workload(
        name=operator.name,
        family=family,
        tokens_per_sample=1,
        unit="samples",
        blocks=(Block(name=operator.name, operators=(operator,)),),
    )
    # The library's benchmark has channels first.
    plan = TrainingPlan(
        workload=workload,
        samples=measured.batch,
        global_batch=measured.batch,
        precision=measured.precision,
        optimizer=OPTIMIZERS["sgd"],
        channels_last=False,
    )
    efficiency = coefficients.of(accelerator.architecture, measured.precision, None, family)
    cluster = Cluster(accelerator=accelerator, efficiency=efficiency, node_devices=1, nodes=1, network_bytes_per_s=None)
    taken = (
        stored(measured.precision, accelerator),
        "layout: channels first" if isinstance(operator, Convolution) else "",
    )
    return PredictedOperator(
        plan=plan,
        cluster=cluster,
        passes=_passes(measured, plan, cluster),
        assumed=(*measured.assumed, *filter(None, taken)),
    )


def _passes(measured: MeasuredOperator, plan: TrainingPlan, cluster: Cluster) -> tuple[Pass, ...]:
    """Forward, for the gradient of the input, and for that of the weight; those that were measured."""
    layouts, hardware = (Layouts.of([Layout(micro_batch=plan.global_batch)]), Hardware.of([cluster], plan.precision))
    operator, block = measured.operator, plan.workload.blocks[0]
    forward, backward = operator_work(operator, block, plan, layouts, hardware)
    _, inputs = operator_work(replace(operator, trainable=False), block, plan, layouts, hardware)
    both, one = float(backward.total_s[0]), float(inputs.total_s[0])
    found = (
        ("forward", measured.forward_ms, 1e3 * float(forward.total_s[0])),
        ("input gradient", measured.input_gradient_ms, 1e3 * one),
        ("weight gradient", measured.weight_gradient_ms, 1e3 * (both - one)),
    )
    return tuple(
        Pass(name=name, measured_ms=given, predicted_ms=predicted) for name, given, predicted in found if given
    )
