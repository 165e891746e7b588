"""How much a request trains on: samples in the whole run, and samples a step, each with where it is from."""

from __future__ import annotations

from math import log
from typing import Final, NamedTuple

from zenplan import units
from zenplan.commands.shared.fine_tuning import adapts, check_data, cut_at, is_language, practice, tokens_of_samples
from zenplan.domain.model.workload import Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.training.request import Request
from zenplan.errors import UsageError
from zenplan.families.own_data import FAMILIES, Practice, batch_of, practice_for, sequences_of_a_step
from zenplan.families.transformer import recipe
from zenplan.families.transformer.samples import PROTEINS

_MOST: Final = 1e18
# Samples a step where nothing says how many: what image classifiers are usually trained with.
_BATCH: Final = 256


class Amount(NamedTuple):
    """Samples of the whole run, repetitions counted; samples a step; and a fact for each input.

    ``batch_fact`` is that of the global batch, the last of ``facts``; ``epochs`` are the repetitions.
    """

    samples: float
    global_batch: int
    batch_fact: Fact
    facts: tuple[Fact, ...]
    epochs: float


def amount(request: Request, workload: Workload, whole_run: bool = True) -> Amount:
    """What was asked for, else what is usual for the model, or for data of one's own.

    Args:
        whole_run: without it only a step is asked about, and the data need not be known.

    Raises:
        UsageError: two options contradict, are not for such a model, or nothing says how much.
    """
    _check(request, workload)
    if whole_run:
        check_data(request, workload)
    data, facts = _data(request, workload, whole_run)
    own = _practice(request, workload, data)
    epochs, told = _epochs(request, workload, data, own)
    data, facts = _padded(request, workload, data, facts)
    total = data * epochs
    if total * workload.tokens_per_sample > _MOST:
        raise UsageError(
            f"{units.count(total * workload.tokens_per_sample)} {workload.unit} are beyond what zenplan plans for",
            f"the most is {units.count(_MOST)}",
        )
    batch, fact = _global_batch(request, workload, data, total, own)
    if whole_run:
        batch, fact = _within(batch, fact, data, workload)
    return Amount(total, batch, fact, (*facts, *told, fact), epochs)


def meant(request: Request, workload: Workload) -> str:
    """A question where ``--tokens`` are fewer than those of one sample, and so were meant as thousands, millions, ...:
    what is nearest to compute-optimal. Empty where there is none."""
    if not request.tokens or not is_language(workload) or request.tokens >= workload.tokens_per_sample:
        return ""
    optimum = recipe.recipe_for(workload).optimum
    nearest = min((request.tokens * 10.0**power for power in (3, 6, 9, 12)), key=lambda each: abs(log(each / optimum)))
    given, asked = units.count(request.tokens), units.count(nearest)
    return f"--tokens {given} is less than one sequence of {workload.tokens_per_sample:,}: did you mean {asked}?"


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
    if request.data_kind is not None and not (request.samples and is_language(workload)):
        what = f"{workload.name} takes samples as they are" if request.samples else "nothing is counted in samples"
        raise UsageError(f"--data-kind says how long the texts of --samples are, and {what}", "leave it out")
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
    """Samples of the data set: as given, or text in bytes, or the model's usual or published data, or compute-optimal."""
    length, usual = workload.tokens_per_sample, workload.usual
    if request.data is not None:
        from zenplan.commands.shared.data import amount_of

        whole = request.data.tokens.mid if request.data.tokens else 0.0
        return amount_of(request.data, workload, cut_at(request, workload, whole) if is_language(workload) else None)
    if request.samples:
        given = Fact(name="samples", value=units.count(request.samples), origin=Origin.GIVEN)
        if not is_language(workload):
            return request.samples, [given]
        tokens, told = tokens_of_samples(request, workload, request.samples)
        return tokens / length, [given, *told]
    if request.tokens:
        fact = Fact(name="tokens", value=units.count(request.tokens), origin=Origin.GIVEN)
        return request.tokens / length, [fact]
    if request.dataset_bytes and workload.data_kind == PROTEINS:
        fact = Fact(
            name="tokens",
            value=units.count(request.dataset_bytes),
            origin=Origin.DERIVED,
            why=f"a byte a residue, of {units.size(request.dataset_bytes)} of sequences without their names",
        )
        return request.dataset_bytes / length, [fact]
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
        found = recipe.recipe_for(workload)
        return found.tokens / length, [found.tokens_fact]
    if whole_run:
        raise UsageError("nothing says how much data there is", "give --samples 1.2M, and --epochs 90")
    return float(request.batch or _BATCH), []


def _padded(request: Request, workload: Workload, data: float, facts: list[Fact]) -> tuple[float, list[Fact]]:
    """The samples with their padding, which is computed as any text is, and why so many.

    Raises:
        UsageError: the model takes no texts of any length, or all of a batch would be padding.
    """
    share = request.padding
    if share is None:
        return data, facts
    if not is_language(workload):
        raise UsageError(f"--padding is of texts, and {workload.name} takes samples as they are", "leave it out")
    if share >= 1.0:
        raise UsageError("with --padding 100% nothing of a batch is text", "give the share, as in: --padding 30%")
    value = f"{units.percent(share)} of a batch"
    why = f"computed as any text is: 1/(1 - {share:g}) times the sequences; packing leaves next to none"
    return data / (1.0 - share), [*facts, Fact(name="padding", value=value, origin=Origin.GIVEN, why=why)]


def _practice(request: Request, workload: Workload, data: float) -> Practice | None:
    """How the data are usually trained on if they are one's own; None for those that come with the model."""
    if is_language(workload):
        given = request.samples or request.data or request.dataset_bytes or (adapts(request) and request.tokens)
        return practice(request, workload, data * workload.tokens_per_sample) if given else None
    return practice_for(workload.usual, data, workload.family) if request.samples or request.data else None


def _epochs(request: Request, workload: Workload, data: float, own: Practice | None) -> tuple[float, list[Fact]]:
    """Passes over the data: as given, as usual for one's own or for the model; one over so many tokens."""
    usual = None if request.tokens or request.dataset_bytes else workload.usual
    epochs, origin, whose = 1.0, Origin.ASSUMED, ""
    if request.epochs:
        epochs, origin = request.epochs, Origin.GIVEN
    elif own is not None and not request.tokens:
        epochs = own.passes(data * workload.tokens_per_sample if is_language(workload) else data)
        whose = f"; usual for a set of that size: {own.source}"
    elif usual is not None:
        epochs, origin, whose = usual.epochs, Origin.PUBLISHED, f"; as usual: {usual.source}"
    elif workload.unit == "tokens" or not (request.samples or request.data):
        return 1.0, []
    else:
        whose = "; nothing says what is usual: --epochs changes it"
    why = f"{units.count(data * epochs * workload.tokens_per_sample)} {workload.unit} in all{whose}"
    return epochs, [Fact(name="epochs", value=f"{epochs:.4g}", origin=origin, why=why)]


def _global_batch(
    request: Request, workload: Workload, data: float, total: float, own: Practice | None
) -> tuple[int, Fact]:
    """Samples a step; ``total`` counts the repetitions of ``data``."""
    length, usual = workload.tokens_per_sample, workload.usual
    if request.batch is not None:
        return request.batch, _batch_fact(workload, request.batch, Origin.GIVEN)
    if request.global_batch_tokens is not None:
        return _of_tokens(request.global_batch_tokens, workload)
    if own is not None and is_language(workload):
        batch = sequences_of_a_step(total)
        return batch, _batch_fact(workload, batch, Origin.ASSUMED, "usual in fine-tuning: 16 (QLoRA) to 128 (Alpaca)")
    if own is not None:
        batch = batch_of(own, data, usual.global_batch if usual else FAMILIES[workload.family][1])
        return batch, _batch_fact(workload, batch, Origin.ASSUMED, f"usual for a set of that size: {own.source}")
    if usual is not None:
        return usual.global_batch, _batch_fact(workload, usual.global_batch, Origin.PUBLISHED, usual.source)
    if workload.unit == "tokens":
        found = recipe.recipe_for(workload, total * length)
        return max(1, found.global_batch_tokens // length), found.batch_fact
    return _BATCH, _batch_fact(workload, _BATCH, Origin.ASSUMED, "a common size; --batch changes it")


def _within(batch: int, fact: Fact, data: float, workload: Workload) -> tuple[int, Fact]:
    """The batch, or all the data where it is larger than they are."""
    most = max(1, int(data))
    if batch <= most:
        return batch, fact
    what = "sequences" if workload.tokens_per_sample > 1 else workload.unit
    return most, _batch_fact(workload, most, fact.origin, f"all there is, cut from {batch:,} {what}")


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
    sequences = recipe.divisible(asked)
    why = "" if sequences == round(asked) else "the nearest that divides among many devices"
    return sequences, _batch_fact(workload, sequences, Origin.GIVEN, why)
