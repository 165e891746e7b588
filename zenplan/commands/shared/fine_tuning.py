"""A language model on texts of one's own: how long they are, how often they are passed over, how many a step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from zenplan import units
from zenplan.domain.model.workload import Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.training.request import Request
from zenplan.errors import UsageError
from zenplan.families.own_data import FINE_TUNED_SHARE, FINE_TUNING, Practice
from zenplan.families.transformer import recipe, samples

_DECODERS = ("decoder", "moe-decoder")
# Flags that say how much data there is, by the fields of a request.
_DATA = ("tokens", "dataset_bytes", "samples", "data")


def is_language(workload: Workload) -> bool:
    """Whether it is a language model, which takes texts of any length; one of Keras takes samples as it was built."""
    return workload.unit == "tokens" and workload.usual is None and not workload.backend


def adapts(request: Request) -> bool:
    """Whether adapters are trained beside the weights: LoRA, QLoRA."""
    return request.method not in (None, "full")


def kind_of(request: Request, workload: Workload) -> str:
    """What the texts of its samples are: as given, or what is usual in fine-tuning or in training.

    Few texts for a model that has a checkpoint fine-tune it, with adapters or all of it: both take the same texts.
    """
    if request.data_kind is not None or workload.data_kind:
        return request.data_kind or workload.data_kind
    tokens = samples.KINDS[samples.FINE_TUNING].tokens * (request.samples or math.inf)
    trained = request.model is not None or request.config is not None
    few = trained and tokens < FINE_TUNED_SHARE * recipe.recipe_for(workload).optimum
    return samples.FINE_TUNING if adapts(request) or few else samples.TRAINING


def check_data(request: Request, workload: Workload) -> None:
    """Raises UsageError: adapters are to be trained, and nothing says on how much.

    The data of a checkpoint are not those of its fine-tuning: there is no usual amount to take.
    """
    if not adapts(request) or any(getattr(request, field) is not None for field in _DATA):
        return
    ways = "--samples 50k with --data-kind chat or --seq-len 2048, --tokens 40M, or --data FILE"
    raise UsageError(
        f"nothing says on how much data {workload.name} is fine-tuned",
        f"give {ways if is_language(workload) else '--samples 5k, or --data FOLDER'}",
    )


def fitted_length(request: Request, workload: Workload, lowered: Callable[[Request], Workload]) -> Workload:
    """The workload at the length that adapters are usually trained at, with its images beside that where they fill it;
    others, and one that is given, as they are.

    Args:
        lowered: the workload of a request.
    """
    kind = kind_of(request, workload)
    usual = samples.KINDS[kind].seq_len
    if workload.image_tokens >= usual:
        usual += workload.image_tokens
    plain = adapts(request) and request.seq_len is None and workload.family in _DECODERS and is_language(workload)
    if not plain or usual >= workload.tokens_per_sample:
        return workload
    found = lowered(replace(request, seq_len=usual))
    why = f"what adapters are usually trained at on {kind}; the model takes {workload.tokens_per_sample:,}"
    if found.image_tokens > samples.KINDS[kind].seq_len:
        why = f"{why}; {found.image_tokens:,} of images beside it"
    fact = Fact(name="sequence length", value=str(usual), origin=Origin.ASSUMED, why=why)
    return replace(found, facts=tuple(fact if f.name == fact.name else f for f in found.facts))


def with_images(request: Request, workload: Workload, lowered: Callable[[Request], Workload]) -> Workload:
    """The workload with the images of all the texts that share a sequence; others as they are.

    Args:
        lowered: the workload of a request.
    """
    if not (workload.images and request.samples) or _fills(request):
        return workload
    mean, _ = text_length(request, workload)
    length = workload.tokens_per_sample
    images = max(workload.images, round(_images(request) * length / (mean + _image_tokens(request, workload))))
    if images == workload.images:
        return workload
    found = lowered(replace(request, seq_len=length, images=images))
    told = {f.name: f for f in found.facts if f.name == "images a sequence"}
    facts = tuple(replace(told[f.name], origin=Origin.DERIVED) if f.name in told else f for f in workload.facts)
    return replace(found, facts=facts)


def _fills(request: Request) -> bool:
    """Whether each text fills a sequence."""
    return request.seq_len is not None and request.data_kind is None


def _images(request: Request) -> int:
    """Of a text."""
    return 1 if request.images is None else request.images


def _image_tokens(request: Request, workload: Workload) -> float:
    """Of the images of one text."""
    return _images(request) * workload.image_tokens / workload.images if workload.images else 0.0


def cut_at(request: Request, workload: Workload, tokens: float) -> int | None:
    """Tokens that each text of a data set of so many is cut to: a given ``--seq-len`` where it is fine-tuned on; None
    where they are packed whole, as in training from the start."""
    return request.seq_len if request.seq_len and practice(request, workload, tokens) else None


def text_length(request: Request, workload: Workload, average: float | None = None) -> tuple[float, Fact]:
    """Average tokens of a text of ``--samples`` without its images, and why so many.

    Args:
        average: tokens of a text, where it is not the average of its kind.
    """
    kind = kind_of(request, workload)
    tokens = samples.KINDS[kind].tokens if average is None else average
    most = cut_at(request, workload, tokens * (request.samples or 0.0))
    return samples.length(kind, request.data_kind is not None, most, average)


def tokens_of_samples(request: Request, workload: Workload, count: float) -> tuple[float, list[Fact]]:
    """Tokens of so many texts, and why so many.

    Where only ``--seq-len`` is given, it is the length of each. Else a text is as long as is average for its kind,
    never as the model's context: texts are packed, so that several share a sequence; where they are fine-tuned on, what is
    longer than a given ``--seq-len`` is cut.
    """
    length = workload.tokens_per_sample
    if _fills(request):
        why = "each fills a sequence of --seq-len; --data-kind takes the average of a kind, packed"
        fact = Fact(name=samples.LENGTH, value=f"{length:,}", origin=Origin.GIVEN, why=why)
        return count * length, [fact]
    mean, fact = text_length(request, workload)
    seen = _image_tokens(request, workload)
    each = f"({units.count(mean)} + {units.count(seen)} of images)" if seen else units.count(mean)
    total = Fact(
        name="dataset tokens",
        value=units.count(count * (mean + seen)),
        origin=Origin.DERIVED,
        why=f"{units.count(count)} × {each}, packed into sequences of {length:,}",
    )
    return count * (mean + seen), [fact, total]


def practice(request: Request, workload: Workload, tokens: float) -> Practice | None:
    """How a data set of so many tokens is fine-tuned on; None where the model is trained from the start on it."""
    if adapts(request):
        return FINE_TUNING
    share = FINE_TUNED_SHARE * recipe.recipe_for(workload).optimum
    found = FINE_TUNING._replace(seen=min(FINE_TUNING.seen, FINE_TUNING.epochs * share))
    return found if tokens < found.seen else None
