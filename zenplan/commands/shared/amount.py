"""How much a request trains on: samples in the whole run, and samples a step, each with where it is from."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from zenplan import units
from zenplan.domain.model.workload import Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.training.request import Request
from zenplan.errors import UsageError
from zenplan.families.transformer import recipe

_MOST: Final = 1e18
# How far a batch may be from the one asked for, so that it divides among devices.
_BATCH_SLACK: Final = 0.05
# Samples a step where nothing says how many: what image classifiers are usually trained with.
_BATCH: Final = 256


class Amount(NamedTuple):
    """Samples of the whole run, repetitions counted; samples a step; and a fact for each input.

    ``batch_fact`` is that of the global batch, the last of ``facts``.
    """

    samples: float
    global_batch: int
    batch_fact: Fact
    facts: tuple[Fact, ...]


def amount(request: Request, workload: Workload, whole_run: bool = True) -> Amount:
    """What was asked for, else what is usual for the model.

    Args:
        whole_run: without it only a step is asked about, and the data need not be known.

    Raises:
        UsageError: two options contradict, are not for such a model, or nothing says how much.
    """
    _check(request, workload)
    data, facts = _data(request, workload, whole_run)
    epochs, told = _epochs(request, workload, data)
    total = data * epochs
    if total * workload.tokens_per_sample > _MOST:
        raise UsageError(
            f"{units.count(total * workload.tokens_per_sample)} {workload.unit} are beyond what zenplan plans for",
            f"the most is {units.count(_MOST)}",
        )
    batch, fact = _global_batch(request, workload, total)
    return Amount(total, batch, fact, (*facts, *told, fact))


def _check(request: Request, workload: Workload) -> None:
    """Options that contradict each other, or count tokens where there are none."""
    given = {
        "--tokens": request.tokens,
        "--dataset-size": request.dataset_bytes,
        "--samples": request.samples,
        "--global-batch": request.global_batch_tokens,
        "--batch": request.batch,
    }
    for one, other in (
        ("--tokens", "--dataset-size"),
        ("--tokens", "--samples"),
        ("--dataset-size", "--samples"),
        ("--global-batch", "--batch"),
    ):
        if given[one] is not None and given[other] is not None:
            raise UsageError(f"{one} and {other} contradict", "give one of them")
    if workload.unit == "tokens":
        return
    for flag, instead in (
        ("--tokens", "--samples 1.2M"),
        ("--dataset-size", "--samples 1.2M"),
        ("--global-batch", "--batch 256"),
    ):
        if given[flag] is not None:
            raise UsageError(
                f"{flag} counts text, and {workload.name} is trained on {workload.unit}",
                f"count samples, as in: {instead}",
            )


def _data(request: Request, workload: Workload, whole_run: bool) -> tuple[float, list[Fact]]:
    """Samples of the data set: as given, or text in bytes, or the model's usual data, or compute-optimal."""
    length, usual = workload.tokens_per_sample, workload.usual
    if request.data is not None:
        from zenplan.commands.shared.data import amount_of

        return amount_of(request.data, workload)
    if request.samples:
        return request.samples, [Fact(name="samples", value=units.count(request.samples), origin=Origin.GIVEN)]
    if request.tokens:
        fact = Fact(name="tokens", value=units.count(request.tokens), origin=Origin.GIVEN)
        return request.tokens / length, [fact]
    if request.dataset_bytes:
        from zenplan.families.transformer.tokens import tokens_of_bytes

        tokens, fact = tokens_of_bytes(request.dataset_bytes)
        return tokens / length, [fact]
    if usual is not None:
        return usual.samples, [
            Fact(
                name="samples",
                value=f"{units.count(usual.samples)}, {usual.dataset}",
                origin=Origin.PUBLISHED,
                why=f"the usual data: {usual.source}",
            )
        ]
    if workload.unit == "tokens":
        optimal = recipe.recipe_for(workload)
        return optimal.tokens / length, [optimal.tokens_fact]
    if whole_run:
        raise UsageError("nothing says how much data there is", "give --samples 1.2M, and --epochs 90")
    return float(request.batch or _BATCH), []


def _epochs(request: Request, workload: Workload, data: float) -> tuple[float, list[Fact]]:
    """Passes over the data: as given, or as usual for the model; one over text, and where nothing is usual."""
    usual, counted = workload.usual, request.tokens or request.dataset_bytes or (request.data and request.data.tokens)
    epochs = request.epochs or (usual.epochs if usual and not counted else None)
    if epochs is None:
        return 1.0, []
    origin, why = (Origin.GIVEN, f"{units.count(data * epochs * workload.tokens_per_sample)} {workload.unit} in all")
    if usual is not None and request.epochs is None:
        origin, why = Origin.PUBLISHED, f"{why}; as usual: {usual.source}"
    return epochs, [Fact(name="epochs", value=f"{epochs:g}", origin=origin, why=why)]


def _global_batch(request: Request, workload: Workload, samples: float) -> tuple[int, Fact]:
    """Samples a step."""
    length, usual = workload.tokens_per_sample, workload.usual
    if request.batch is not None:
        return request.batch, _batch_fact(workload, request.batch, Origin.GIVEN)
    if request.global_batch_tokens is not None:
        return _of_tokens(request.global_batch_tokens, workload)
    if usual is not None:
        return usual.global_batch, _batch_fact(workload, usual.global_batch, Origin.PUBLISHED, usual.source)
    if workload.unit == "tokens":
        found = recipe.recipe_for(workload, samples * length)
        return max(1, found.global_batch_tokens // length), found.batch_fact
    batch = max(1, min(_BATCH, int(samples)))
    return batch, _batch_fact(workload, batch, Origin.ASSUMED, "a common size; --batch changes it")


def _batch_fact(workload: Workload, batch: int, origin: Origin, why: str = "") -> Fact:
    length = workload.tokens_per_sample
    value = f"{units.count(batch * length)} {workload.unit} ({batch} × {length})"
    return Fact(
        name="global batch", value=value if length > 1 else f"{batch:,} {workload.unit}", origin=origin, why=why
    )


def _of_tokens(tokens: float, workload: Workload) -> tuple[int, Fact]:
    """The batch of so many tokens, or the nearest that divides among devices."""
    length = workload.tokens_per_sample
    if tokens < length:
        raise UsageError(
            f"a global batch of {units.count(tokens)} tokens is less than one sequence of {length}",
            "give tokens a step, as in: --global-batch 1M",
        )
    asked = tokens / length
    sequences = _divisible(asked)
    why = "" if sequences == round(asked) else "the nearest that divides among many devices"
    return sequences, _batch_fact(workload, sequences, Origin.GIVEN, why)


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
