"""From a request to a training plan: what was not given is inferred, and said to be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from zenplan import units
from zenplan.app.inputs import family_of
from zenplan.domain.evidence import Fact, Origin
from zenplan.domain.plan import METHODS, OPTIMIZERS, TrainingPlan
from zenplan.domain.precision import PRECISIONS, Precision
from zenplan.domain.request import Request
from zenplan.domain.software import Software
from zenplan.domain.workload import Workload
from zenplan.errors import UnknownName, UsageError
from zenplan.families import recipe
from zenplan.planning.method import QLORA_WEIGHT_BYTES, with_adapters
from zenplan.protocols import WorkloadFamily

_MOST_TOKENS = 1e18
# How far a batch may be from the one asked for, so that it divides among devices.
_BATCH_SLACK = 0.05
_METHOD_NAMES = {"full": "full training of all parameters", "lora": "LoRA", "qlora": "QLoRA, 4-bit weights"}


def training_plan(request: Request, families: Sequence[WorkloadFamily]) -> TrainingPlan:
    """The plan that a request asks for.

    Raises:
        UsageError: the request contradicts itself, or names something unknown.
    """
    workload = _workload(request, families)
    precision, precision_fact = _precision(request)
    optimizer = "adamw" if request.optimizer is None else request.optimizer
    method = "full" if request.method is None else request.method
    if optimizer not in OPTIMIZERS:
        raise UnknownName("optimizer", optimizer, OPTIMIZERS)
    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    tokens, data_facts = _tokens(request, workload)
    samples = tokens / workload.tokens_per_sample
    batch, batch_fact = _global_batch(request, workload, tokens)
    software, software_fact = _software(request)
    weight_bytes = QLORA_WEIGHT_BYTES if method == "qlora" else precision.compute_bytes
    if method != "full":
        workload = with_adapters(workload)
    facts = (
        *workload.facts,
        *data_facts,
        batch_fact,
        precision_fact,
        software_fact,
        Fact(name="optimizer", value=optimizer, origin=_origin(request.optimizer)),
        Fact(name="method", value=_METHOD_NAMES[method], origin=_origin(request.method)),
        Fact(
            name="attention",
            value="fused (flash)",
            origin=Origin.ASSUMED,
            why="the default of today's stacks",
        ),
    )
    return TrainingPlan(workload=workload, samples=samples, global_batch=batch, precision=precision,
                        optimizer=OPTIMIZERS[optimizer], method=method, weight_bytes=weight_bytes,
                        software=software, facts=facts)  # fmt: skip


def _origin(given: str | None) -> Origin:
    return Origin.GIVEN if given else Origin.ASSUMED


def _workload(request: Request, families: Sequence[WorkloadFamily]) -> Workload:
    """The workload of the family that knows the model; configurations and sizes go to zenplan's own, the last."""
    given = [n for n in ("params", "model", "config") if getattr(request, n) is not None]
    if len(given) != 1:
        what = (
            "nothing says what to train"
            if not given
            else f"{' and '.join('--' + g for g in given)} contradict"
        )
        raise UsageError(what, "give one of --params 1e9, --model llama3-8b, --config config.json")
    options: dict[str, Any] = {given[0]: getattr(request, given[0])}
    if request.active_params is not None:
        options["active_params"] = request.active_params
    if request.seq_len is not None:
        options["seq_len"] = request.seq_len
    return family_of(families, request.model).lower(options)


def _precision(request: Request) -> tuple[Precision, Fact]:
    name = "bf16" if request.precision is None else request.precision
    if name not in PRECISIONS:
        raise UnknownName("precision", name, PRECISIONS)
    why = "" if request.precision else "what large models are trained in; fp32 master weights beside it"
    return PRECISIONS[name], Fact(name="precision", value=name, origin=_origin(request.precision), why=why)


def _software(request: Request) -> tuple[Software, Fact]:
    name = Software.FUSED if request.software is None else request.software
    if name not in tuple(Software):
        raise UnknownName("software", name, Software)
    why = (
        ""
        if request.software
        else "as in Megatron-LM; plain PyTorch is --software eager, torch.compile compiled"
    )
    return Software(name), Fact(name="software", value=str(name), origin=_origin(request.software), why=why)


def _tokens(request: Request, workload: Workload) -> tuple[float, list[Fact]]:
    """Tokens of the whole run: as given, or text in bytes, or compute-optimal; repeated by epochs."""
    if request.tokens and request.dataset_bytes:
        raise UsageError("--tokens and --dataset-size contradict", "give one of them")
    epochs = request.epochs or 1.0
    if request.tokens:
        tokens = request.tokens
        facts = [Fact(name="tokens", value=units.count(tokens), origin=Origin.GIVEN)]
    elif request.dataset_bytes:
        tokens, fact = recipe.tokens_of_bytes(request.dataset_bytes)
        facts = [fact]
    else:
        usual = recipe.recipe_for(workload)
        tokens = usual.tokens
        facts = [f for f in usual.facts if f.name == "tokens"]
    if request.epochs:
        facts.append(Fact(name="epochs", value=f"{request.epochs:g}", origin=Origin.GIVEN,
                          why=f"{units.count(tokens * epochs)} tokens in all"))  # fmt: skip
    if tokens * epochs > _MOST_TOKENS:
        raise UsageError(f"{units.count(tokens * epochs)} tokens are beyond what zenplan plans for",
                         f"the most is {units.count(_MOST_TOKENS)}")  # fmt: skip
    return tokens * epochs, facts


def _global_batch(request: Request, workload: Workload, tokens: float) -> tuple[int, Fact]:
    """Samples a step."""
    length = workload.tokens_per_sample
    if request.global_batch_tokens is None:
        usual = recipe.recipe_for(workload, tokens)
        fact = next(f for f in usual.facts if f.name == "global batch")
        return max(1, usual.global_batch_tokens // length), fact
    if request.global_batch_tokens < length:
        raise UsageError(f"a global batch of {units.count(request.global_batch_tokens)} tokens is less than "
                         f"one sequence of {length}", "give tokens a step, as in: --global-batch 1M")  # fmt: skip
    asked = request.global_batch_tokens / length
    sequences = _divisible(asked)
    value = f"{units.count(sequences * length)} tokens ({sequences} × {length})"
    why = "" if sequences == round(asked) else "the nearest that divides among many devices"
    return sequences, Fact(name="global batch", value=value, origin=Origin.GIVEN, why=why)


def _divisible(count: float) -> int:
    """The whole number within ``_BATCH_SLACK`` of ``count`` that the highest power of two divides.

    976.6 sequences (4M tokens of 4,096) cannot be shared by 64 devices; 1,024 can.
    """
    nearest = max(1, round(count))
    for power in range(int(math.log2(count)) + 1, 0, -1):
        rounded = int(round(count / 2**power) * 2**power)
        if rounded and abs(rounded / count - 1) <= _BATCH_SLACK:
            return rounded
    return nearest
