"""From a request to a training plan: what was not given is inferred, and said to be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zenplan.commands.shared.amount import amount
from zenplan.commands.shared.fine_tuning import fitted_length, with_images
from zenplan.commands.shared.software import software_of
from zenplan.commands.shared.workload import workload_of
from zenplan.domain.fit.attention import usual_kernels
from zenplan.domain.model.operators import Attention, Convolution
from zenplan.domain.model.workload import Workload
from zenplan.domain.precision import PRECISIONS, Precision
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.software import Software
from zenplan.domain.training.plan import METHODS, OPTIMIZERS, Optimizer, TrainingPlan
from zenplan.domain.training.request import Request
from zenplan.domain.training.tuning import USUAL
from zenplan.errors import UnknownName, UsageError
from zenplan.planning.explain.method import QLORA_WEIGHT_BYTES, with_adapters, with_frozen
from zenplan.protocols import WorkloadFamily

_METHOD_NAMES = {"full": "full training of all parameters", "lora": "LoRA", "qlora": "QLoRA, 4-bit weights"}


def training_plan(request: Request, families: Sequence[WorkloadFamily], whole_run: bool = True) -> TrainingPlan:
    """The plan that a request asks for; of one step alone where it is not about a ``whole_run``.

    Raises:
        UsageError: the request contradicts itself, or names something unknown.
    """
    method = "full" if request.method is None else request.method
    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    workload = workload_of(request, families)
    for fitted in (fitted_length, with_images):
        workload = fitted(request, workload, lambda other: workload_of(other, families))
    precision, precision_fact = _precision(request)
    optimizer, optimizer_fact = _optimizer(request, workload)
    software, stack, software_fact = software_of(request, workload, method, precision)
    weight_bytes = QLORA_WEIGHT_BYTES if method == "qlora" else precision.compute_bytes
    trained = with_frozen(workload if method == "full" else _adapted(request, workload), request.freeze)
    if not trained.trainable_parameters:
        raise UsageError(
            f"nothing of {workload.name} would be trained",
            "adapters are for products of its layers; try --method full"
            if method != "full"
            else "all of its layers are frozen",
        )
    how_much = amount(request, workload, whole_run)
    facts = (
        *trained.facts,
        *how_much.facts,
        precision_fact,
        software_fact,
        optimizer_fact,
        Fact(name="method", value=_METHOD_NAMES[method], origin=_origin(request.method)),
        *_kernels(trained, software),
    )
    return TrainingPlan(
        workload=trained,
        samples=how_much.samples,
        epochs=how_much.epochs,
        global_batch=how_much.global_batch,
        precision=precision,
        optimizer=optimizer,
        method=method,
        weight_bytes=weight_bytes,
        software=software,
        tuning=stack.tuning if stack else USUAL,
        stack=stack,
        batch_fact=how_much.batch_fact,
        facts=facts,
    )


def _adapted(request: Request, workload: Workload) -> Workload:
    """The workload with the usual adapters, or those of a configuration."""
    if request.adapter is None:
        return with_adapters(workload, without=request.freeze)
    from zenplan.commands.shared.adapters import targets_of

    why = "the adapter's configuration"
    if request.adapter.normed:
        why = f"{why}; DoRA's lengths of the weights are not counted: its steps take longer than LoRA's"
    rank, targets = request.adapter.rank, targets_of(request.adapter)
    return with_adapters(workload, rank, targets, request.freeze, why)


def _origin(given: str | None) -> Origin:
    return Origin.GIVEN if given else Origin.ASSUMED


def _precision(request: Request) -> tuple[Precision, Fact]:
    name = "bf16" if request.precision is None else request.precision
    if name not in PRECISIONS:
        raise UnknownName("precision", name, PRECISIONS)
    why = "" if request.precision else "what large models are trained in; fp32 master weights beside it"
    return PRECISIONS[name], Fact(name="precision", value=name, origin=_origin(request.precision), why=why)


def _optimizer(request: Request, workload: Workload) -> tuple[Optimizer, Fact]:
    """As given, as usual for the model, or AdamW."""
    usual = workload.usual
    if request.optimizer is None and usual is not None:
        name = usual.optimizer
        fact = Fact(name="optimizer", value=name, origin=Origin.PUBLISHED, why=usual.source)
    else:
        name = "adamw" if request.optimizer is None else request.optimizer
        fact = Fact(name="optimizer", value=name, origin=_origin(request.optimizer))
    if name not in OPTIMIZERS:
        raise UnknownName("optimizer", name, OPTIMIZERS)
    return OPTIMIZERS[name], fact


def _kernels(workload: Workload, software: Software | None) -> Iterator[Fact]:
    """How attention and feature maps are computed, where the model has them."""
    kinds = {type(o) for b in workload.blocks for o in b.operators}
    if Attention in kinds:
        why = f"the default of today's stacks: {usual_kernels(software)}"
        yield Fact(name="attention", value="fused (flash)", origin=Origin.ASSUMED, why=why)
    if Convolution in kinds:
        yield Fact(
            name="feature maps", value="channels last (NHWC)", origin=Origin.ASSUMED, why="as tensor cores take them"
        )
