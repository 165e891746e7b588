"""The JSON documents of the catalogue and of one data sheet. Their schemas are made of them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from zenplan.commands.shared.document import (
    DISTINCT,
    Count,
    Day,
    Name,
    Positive,
)
from zenplan.documents import Document, fill
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.precision import DTYPES


class ProductDocument(Document):
    """One product; null is not known, never 0."""

    name: Annotated[Name, Meta(description="Canonical name.")]
    vendor: Annotated[Name, Meta(description="Maker.")]
    architecture: Annotated[Name, Meta(description="The maker's name of the generation.")]
    compute_capability: Annotated[
        str | None,
        Meta(description="CUDA compute capability, as in 9.0; null for other makers."),
    ]
    memory_bytes: Annotated[Positive, Meta(description="Memory as printed on the data sheet, in bytes.")]
    visible_bytes: Annotated[
        Positive | None,
        Meta(description="Memory that the vendor's tool shows, in bytes; null where it is not known."),
    ]
    memory_bytes_per_s: Annotated[Positive, Meta(description="Memory bandwidth, in bytes a second.")]
    fp32_flop_per_s: Annotated[
        Positive | None,
        Meta(description="Dense fp32 peak, in FLOP a second; null where it has none or it is not known."),
    ]
    tf32_flop_per_s: Annotated[
        Positive | None,
        Meta(description="Dense tf32 peak, in FLOP a second; null where it has none or it is not known."),
    ]
    fp16_flop_per_s: Annotated[
        Positive | None,
        Meta(description="Dense fp16 peak, in FLOP a second; null where it has none or it is not known."),
    ]
    bf16_flop_per_s: Annotated[
        Positive | None,
        Meta(description="Dense bf16 peak, in FLOP a second; null where it has none or it is not known."),
    ]
    fp8_flop_per_s: Annotated[
        Positive | None,
        Meta(description="Dense fp8 peak, in FLOP a second; null where it has none or it is not known."),
    ]
    fp4_flop_per_s: Annotated[
        Positive | None,
        Meta(description="Dense fp4 peak, in FLOP a second; null where it has none or it is not known."),
    ]
    int8_flop_per_s: Annotated[
        Positive | None,
        Meta(description="Dense int8 peak, in operations a second; null where it has none or it is not known."),
    ]
    link: Annotated[Name, Meta(description="What joins devices of a machine, as in nvlink or pcie.")]
    link_bytes_per_s: Annotated[
        Positive | None,
        Meta(description="Bandwidth of the link in one direction, in bytes a second."),
    ]
    link_devices: Annotated[Count, Meta(description="Devices that the link joins, a count.")]
    node_devices: Annotated[Count, Meta(description="Devices of the usual machine, a count.")]
    network_bytes_per_s: Annotated[
        Positive | None,
        Meta(description="Usual bandwidth between machines for each device, in bytes a second."),
    ]
    power_w: Annotated[Positive | None, Meta(description="Power limit, in watts.")]
    threads: Annotated[
        Count | None,
        Meta(description="Hardware threads of a processor (CPU), a count; null for every other product."),
    ]
    trains: Annotated[bool, Meta(description="Whether it can train, or only infer.")]
    peer_access: Annotated[bool, Meta(description="Whether one device reaches another's memory over PCIe.")]


class AcceleratorsDocument(Document, tag_field="schema", tag="zenplan.accelerators/1"):
    """Answer of 'zenplan accelerators'.

    Accelerators with the main figures of their data sheets.
    """

    accelerators: Annotated[
        tuple[ProductDocument, ...],
        Meta(description="The catalogue, or the part that was asked for."),
    ]


class SourceDocument(Document):
    """A source."""

    text: Annotated[Name, Meta(description="The document, or how it was derived.")]
    status: Annotated[
        Literal["read", "recalled", "derived"],
        Meta(description="read in that source, stated from memory of it, or computed from other figures."),
    ]
    date: Annotated[Day, Meta(description="When, ISO 8601.")]


class AcceleratorDocument(ProductDocument, tag_field="schema", tag="zenplan.accelerator/1"):
    """Answer of 'zenplan accelerators show'.

    One data sheet with the source of each figure; null is not known, never 0.
    """

    nvml_names: Annotated[
        tuple[Name, ...],
        DISTINCT,
        Meta(description="Exactly what NVML (or the vendor's tool) calls it."),
    ]
    aliases: Annotated[tuple[Name, ...], DISTINCT, Meta(description="Other names that people type.")]
    notes: Annotated[str, Meta(description="What else is to be said; may be empty.")]
    sources: Annotated[
        dict[str, SourceDocument],
        Meta(description="Field of the data sheet to where its figure comes from."),
    ]


def accelerators_document(sheets: tuple[Accelerator, ...]) -> AcceleratorsDocument:
    """The catalogue, or a part of it."""
    return AcceleratorsDocument(accelerators=tuple(fill(ProductDocument, sheet, **_peaks(sheet)) for sheet in sheets))


def accelerator_document(sheet: Accelerator) -> AcceleratorDocument:
    """One data sheet."""
    sources = {figure: fill(SourceDocument, source) for figure, source in sheet.sources.items()}
    return fill(AcceleratorDocument, sheet, **_peaks(sheet), sources=sources)


def _peaks(sheet: Accelerator) -> dict[str, float | None]:
    return {f"{dtype}_flop_per_s": sheet.peak(dtype) for dtype in DTYPES}
