"""The JSON document of a trade-off: its objects, and how they are filled. The schema is made of them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from zenplan.commands.shared.document import (
    FIT_DESCRIPTION,
    Count,
    Day,
    FactDocument,
    LayoutDocument,
    MemoryPartsDocument,
    Name,
    NotNegative,
    Positive,
    Ratio,
    StepPartsDocument,
    one_of,
)
from zenplan.documents import Document, fill
from zenplan.domain.answer.estimate import Estimate
from zenplan.domain.answer.fit import Fit
from zenplan.domain.answer.tradeoff import Tradeoff
from zenplan.domain.fit.efficiency import Grounds
from zenplan.domain.software import Software
from zenplan.domain.training.plan import METHODS


class WorkloadDocument(Document):
    """What is trained."""

    name: Annotated[Name, Meta(description="Name of the model, or what it was made from.")]
    parameters: Annotated[NotNegative, Meta(description="Parameters, a count.")]
    layers: Annotated[Count, Meta(description="Layers, a count.")]
    unit: Annotated[Name, Meta(description="What the data are counted in: tokens, or images, samples and the like.")]
    tokens_per_sample: Annotated[
        Count,
        Meta(description="Tokens of a sequence, or what there is of the unit in a sample, a count."),
    ]


class PlanDocument(Document):
    """How it is trained."""

    global_batch_samples: Annotated[Count, Meta(description="Samples of an optimizer step, a count.")]
    precision: Annotated[Name, Meta(description="Arithmetic of a step, as in bf16.")]
    optimizer: Annotated[Name, Meta(description="The optimizer, as in adamw.")]
    software: Annotated[Software, Meta(description="The kind of framework.")]
    stack: Annotated[
        Name | None,
        Meta(description="The software by name, as in hf-trainer; null where any layout may be run."),
    ]
    method: Annotated[str, one_of(*METHODS), Meta(description="Which parameters are trained.")]


class ClusterDocument(Document):
    """The devices."""

    accelerator: Annotated[Name, Meta(description="Name of the accelerator.")]
    devices: Annotated[Count, Meta(description="Devices that train, a count.")]
    node_devices: Annotated[Count, Meta(description="Devices of a node, a count.")]
    nodes: Annotated[Count, Meta(description="Nodes, a count.")]
    network_bytes_per_s: Annotated[
        Positive | None,
        Meta(description="Node-to-node bandwidth of a device, in bytes a second."),
    ]
    memory_bytes: Annotated[NotNegative, Meta(description="Memory of one device, in bytes.")]


class StepDocument(StepPartsDocument):
    """Where the time of a step goes; the parts add up to the total."""

    total_s: Annotated[NotNegative, Meta(description="The whole step, in seconds.")]


class MemoryDocument(MemoryPartsDocument):
    """Peak memory of the fullest device; the parts add up to the total."""

    total_bytes: Annotated[NotNegative, Meta(description="The whole peak, in bytes.")]


class TriedDocument(Document):
    """One layout and what it takes."""

    layout: Annotated[LayoutDocument, Meta(description="How a step is laid out.")]
    step: Annotated[
        StepDocument,
        Meta(description="Where the time of a step goes, in seconds by part; the parts add up to the total."),
    ]
    memory: Annotated[
        MemoryDocument,
        Meta(description="Peak memory of the fullest device, in bytes by part; the parts add up to the total."),
    ]
    fit: Annotated[Fit, Meta(description=FIT_DESCRIPTION)]
    memory_share: Annotated[NotNegative, Meta(description="The peak over the memory of the device, a ratio.")]
    mfu: Annotated[Ratio, Meta(description="Model FLOP utilisation, a ratio; nothing recomputed is counted.")]
    samples_per_s: Annotated[Positive, Meta(description="Samples (sequences, images) a second of all devices.")]
    tokens_per_s_per_device: Annotated[
        NotNegative,
        Meta(description="Tokens a second of one device, a rate; of other models, in the unit of the workload."),
    ]


class RunnerUpDocument(Document):
    """The best layout with other degrees or another ZeRO stage than the fastest."""

    layout: Annotated[LayoutDocument, Meta(description="How a step is laid out.")]
    slower: Annotated[
        NotNegative,
        Meta(description="How much longer it takes for a sample, over the time of the fastest, a ratio."),
    ]
    parts: Annotated[
        dict[str, float],
        Meta(
            description="Part of the step to what it adds to that ratio; negative where it takes less time. They add "
            "up to it."
        ),
    ]


class SizeDocument(Document):
    """So many devices."""

    devices: Annotated[Count, Meta(description="Devices, a count.")]
    layout: Annotated[LayoutDocument, Meta(description="The fastest layout.")]
    sample_s: Annotated[NotNegative, Meta(description="Time for a sample on all of them together, in seconds.")]
    usd_per_token: Annotated[
        NotNegative | None,
        Meta(
            description="Dollars for a token, or one of the unit of the workload, at the price of a device-hour; null "
            "where none is known."
        ),
    ]


class PriceDocument(Document):
    """The cheapest on-demand price of one device."""

    device_usd_per_h: Annotated[NotNegative, Meta(description="Dollars for a device-hour.")]
    offer: Annotated[Name, Meta(description="Whose price it is.")]
    as_of: Annotated[Day | None, Meta(description="Day of the price; null where it has none.")]


class SpreadDocument(Document):
    """How far measured runs lie from the prediction, as ratios of time."""

    low: Annotated[NotNegative, Meta(description="10th percentile, a ratio.")]
    high: Annotated[NotNegative, Meta(description="90th percentile, a ratio.")]
    basis: Annotated[Name, Meta(description="What it rests on.")]
    grounds: Annotated[
        Grounds,
        Meta(
            description="The kind of evidence, strongest first: measured on that accelerator, carried over from "
            "another one, fitted to published runs, assumed."
        ),
    ]


class ComparedDocument(Document):
    """What was looked at."""

    layouts: Annotated[Count, Meta(description="Layouts compared, a count.")]
    fitting: Annotated[Count, Meta(description="Those that fit memory, a count.")]


class LayoutsDocument(Document, tag_field="schema", tag="zenplan.layouts/1"):
    """Answer of 'zenplan layouts'.

    Layouts of one training step on one cluster. Quantities are in base units, named by the suffix of the field;
    ratios are 0 to 1; null is not known, never 0.
    """

    workload: Annotated[WorkloadDocument, Meta(description="What is trained.")]
    plan: Annotated[PlanDocument, Meta(description="How it is trained.")]
    inputs: Annotated[tuple[FactDocument, ...], Meta(description="Every input with its origin.")]
    cluster: Annotated[ClusterDocument, Meta(description="The devices.")]
    by: Annotated[Literal["time", "memory"], Meta(description="What the list is ordered by.")]
    layouts: Annotated[
        tuple[TriedDocument, ...],
        Meta(
            min_length=1,
            description="The best layouts, in that order; of each set of degrees those that no other one of it beats "
            "in both time and memory.",
        ),
    ]
    frontier: Annotated[
        tuple[TriedDocument, ...],
        Meta(min_length=1, description="Layouts that no other beats in both time and memory, fastest first."),
    ]
    runner_up: Annotated[
        RunnerUpDocument | None,
        Meta(description="Why the second best lost; null where there is no other."),
    ]
    sizes: Annotated[
        tuple[SizeDocument, ...],
        Meta(min_length=1, description="This number of devices and smaller ones that fit, each in its fastest layout."),
    ]
    price: Annotated[PriceDocument | None, Meta(description="What a device costs; null where no offer has it.")]
    spread: Annotated[
        SpreadDocument,
        Meta(description="How far measured runs lie from the prediction, as ratios of time."),
    ]
    compared: Annotated[ComparedDocument, Meta(description="What was looked at.")]


def document(found: Tradeoff) -> LayoutsDocument:
    """The whole answer in base units."""
    plan, cluster, fastest = found.plan, found.cluster, found.fastest
    return fill(
        LayoutsDocument,
        found,
        workload=fill(WorkloadDocument, plan.workload),
        plan=fill(
            PlanDocument,
            plan,
            global_batch_samples=plan.global_batch,
            precision=plan.precision.name,
            optimizer=plan.optimizer.name,
            stack=plan.stack.name if plan.stack else None,
        ),
        inputs=tuple(fill(FactDocument, fact) for fact in plan.facts),
        cluster=fill(
            ClusterDocument,
            cluster,
            accelerator=cluster.accelerator.name,
            memory_bytes=cluster.accelerator.capacity_bytes,
        ),
        layouts=tuple(tried(found, each) for each in found.listed),
        frontier=tuple(tried(found, each) for each in found.frontier),
        runner_up=_runner_up(found),
        sizes=tuple(fill(SizeDocument, size, layout=fill(LayoutDocument, size.layout)) for size in found.sizes),
        price=_price(found),
        spread=SpreadDocument(
            low=fastest.step_s.low / fastest.step_s.mid,
            high=fastest.step_s.high / fastest.step_s.mid,
            basis=fastest.evidence,
            grounds=fastest.grounds,
        ),
        compared=ComparedDocument(layouts=found.considered, fitting=found.fitting),
    )


def tried(found: Tradeoff, estimate: Estimate) -> TriedDocument:
    """One layout and what it takes."""
    return fill(
        TriedDocument,
        estimate,
        layout=fill(LayoutDocument, estimate.layout),
        step=fill(StepDocument, estimate.step),
        memory=fill(MemoryDocument, estimate.memory),
        memory_share=estimate.memory.total_bytes / estimate.cluster.accelerator.capacity_bytes,
        tokens_per_s_per_device=estimate.samples_per_s * found.plan.workload.tokens_per_sample / found.cluster.devices,
    )


def _runner_up(found: Tradeoff) -> RunnerUpDocument | None:
    second = found.runner_up
    if second is None:
        return None
    parts = {name.removesuffix("_s"): share for name, share in second.parts.items()}
    return fill(RunnerUpDocument, second, layout=fill(LayoutDocument, second.layout), parts=parts)


def _price(found: Tradeoff) -> PriceDocument | None:
    price = found.price
    if price is None:
        return None
    as_of = price.as_of.isoformat() if price.as_of else None
    return fill(PriceDocument, price, device_usd_per_h=price.usd_per_h, as_of=as_of)
