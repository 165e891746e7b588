"""What published documents share: figures with their bounds, and objects that are in more than one.

A field has the bounds of its type and a description of its own, in which its unit is named.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta

from zenplan.documents import D, Document, fill
from zenplan.domain.answer.fit import FITS_UP_TO, TIGHT_UP_TO
from zenplan.domain.provenance import Origin
from zenplan.domain.range import Range
from zenplan.domain.training.layout import Recompute

# The same bounds as the checks of the nouns: ``checks.positive``, ``not_negative``, ``named``.
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Ratio = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]
CountFromZero = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1)]
Day = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", extra_json_schema={"format": "date"})]
Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
# Of a list that holds nothing twice.
DISTINCT: Final = Meta(extra_json_schema={"uniqueItems": True})


def one_of(*values: str) -> Meta:
    """Of a text that is one of a noun's closed set, as ``checks.one_of``."""
    return Meta(extra_json_schema={"enum": list(values)})


class RangeDocument(Document):
    """A prediction with its range; the unit is the suffix of the field's name."""

    low: Annotated[NotNegative, Meta(description="10th percentile.")]
    mid: Annotated[NotNegative, Meta(description="The prediction.")]
    high: Annotated[NotNegative, Meta(description="90th percentile.")]


class AmountDocument(Document):
    """Dollars with their range; below 0 where they are taken off."""

    low: Annotated[float, Meta(description="10th percentile, in US dollars.")]
    mid: Annotated[float, Meta(description="The prediction, in US dollars.")]
    high: Annotated[float, Meta(description="90th percentile, in US dollars.")]


def range_document(found: Range | None) -> RangeDocument | None:
    """A range; null where there is none."""
    return None if found is None else fill(RangeDocument, found)


def documents_of(kind: type[D], noun: Any, *names: str) -> dict[str, D | None]:
    """The objects of the noun's attributes of these names, each by its name; null where the attribute is None."""
    return {name: None if (each := getattr(noun, name)) is None else fill(kind, each) for name in names}


class FactDocument(Document):
    """One input of a prediction."""

    name: Annotated[Name, Meta(description="What it is.")]
    value: Annotated[Name, Meta(description="Its value, for people.")]
    origin: Annotated[Origin, Meta(description="Where the value comes from.")]
    why: Annotated[str, Meta(description="Why it is that; empty where nothing is to be said.")]


class LayoutDocument(Document):
    """How one step is laid out over the devices: devices = dp · tp · pp · cp."""

    dp: Annotated[Count, Meta(description="Data-parallel degree, in devices.")]
    tp: Annotated[Count, Meta(description="Tensor-parallel degree, in devices.")]
    pp: Annotated[Count, Meta(description="Pipeline-parallel degree, in devices.")]
    cp: Annotated[Count, Meta(description="Context-parallel degree, in devices.")]
    ep: Annotated[Count, Meta(description="Expert-parallel degree, in devices; it lies inside data parallelism.")]
    zero: Annotated[
        int,
        Meta(
            ge=0,
            le=3,
            description="ZeRO stage: 1 divides the optimizer, 2 the gradients too, 3 the weights too (FSDP); 0 "
            "nothing.",
        ),
    ]
    micro_batch: Annotated[Count, Meta(description="Samples that a device takes at a time.")]
    accumulation: Annotated[Count, Meta(description="Micro-batches of a step.")]
    recompute: Annotated[
        Recompute,
        Meta(
            description="What the backward pass computes again: nothing, attention, every second product, or every "
            "layer."
        ),
    ]
    interleave: Annotated[Count, Meta(description="Virtual pipeline stages on each device.")]
    shard: Annotated[
        Count | None,
        Meta(
            description="Devices over which ZeRO divides, under hybrid sharding; null for all that hold the same "
            "weights."
        ),
    ]
    sequence: Annotated[bool, Meta(description="Whether sequence parallelism goes with tensor parallelism.")]


class StepPartsDocument(Document):
    """Where the time of one step goes."""

    compute_s: Annotated[NotNegative, Meta(description="Matrix products and attention, in seconds.")]
    memory_s: Annotated[NotNegative, Meta(description="Operators bound by memory bandwidth, in seconds.")]
    overhead_s: Annotated[NotNegative, Meta(description="Ramp-up and tail of operators, in seconds.")]
    launch_s: Annotated[NotNegative, Meta(description="Waiting for the host to launch, in seconds.")]
    host_s: Annotated[NotNegative, Meta(description="Waiting for the host between steps, in seconds.")]
    recompute_s: Annotated[NotNegative, Meta(description="Computing again in the backward pass, in seconds.")]
    tensor_s: Annotated[NotNegative, Meta(description="Exposed tensor-parallel communication, in seconds.")]
    pipeline_s: Annotated[NotNegative, Meta(description="Exposed sends between pipeline stages, in seconds.")]
    data_s: Annotated[NotNegative, Meta(description="Exposed data-parallel communication, in seconds.")]
    expert_s: Annotated[NotNegative, Meta(description="Exposed expert all-to-all, in seconds.")]
    lookup_s: Annotated[NotNegative, Meta(description="Exposed exchange of embedding rows, in seconds.")]
    context_s: Annotated[NotNegative, Meta(description="Exposed context-parallel communication, in seconds.")]
    bubble_s: Annotated[NotNegative, Meta(description="Pipeline stages that wait, in seconds.")]
    optimizer_s: Annotated[NotNegative, Meta(description="The optimizer's update, in seconds.")]
    straggler_s: Annotated[NotNegative, Meta(description="All wait for the slowest device, in seconds.")]


FIT_DESCRIPTION = (
    f"Whether the peak fits: up to {FITS_UP_TO:.0%} of the device's memory it does, up to {TIGHT_UP_TO:.0%} it is tight "
    "and may fail."
)


class MemoryPartsDocument(Document):
    """Peak memory of the fullest device, by part."""

    weights_bytes: Annotated[NotNegative, Meta(description="Weights, in bytes.")]
    gradients_bytes: Annotated[NotNegative, Meta(description="Gradients, in bytes.")]
    optimizer_bytes: Annotated[NotNegative, Meta(description="Optimizer states and master weights, in bytes.")]
    activations_bytes: Annotated[NotNegative, Meta(description="What the backward pass keeps, in bytes.")]
    logits_bytes: Annotated[
        NotNegative,
        Meta(description="Logits of the output head, where the loss is computed, in bytes."),
    ]
    workspace_bytes: Annotated[
        NotNegative,
        Meta(description="Framework, libraries and communication buffers, in bytes."),
    ]
    fragmentation_bytes: Annotated[NotNegative, Meta(description="What the allocator holds and cannot use, in bytes.")]
