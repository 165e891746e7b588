"""The JSON document of a profile: its objects, and how they are filled. The schema is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Generic, Literal, TypeVar

from msgspec import UNSET, Meta, UnsetType

from zenplan.commands.shared.document import (
    CountFromZero,
    Moment,
    Name,
    Positive,
)
from zenplan.documents import Document, fill
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.device import Device, Host, Process, Profile, Reading

T = TypeVar("T")
U = TypeVar("U")

# A value with its unit, or null with the reason why there is none: one of the two.
_ONE = Meta(
    extra_json_schema={
        "oneOf": [
            {"required": ["unit"], "properties": {"value": {"description": "What was read.", "not": {"type": "null"}}}},
            {"required": ["reason"], "properties": {"value": {"description": "Nothing was read.", "type": "null"}}},
        ]
    }
)


class ReadingDocument(Document, Generic[T, U]):
    """A reading. One that could not be had has a reason; it is never shown as 0."""

    value: Annotated[T | None, Meta(description="What was read; null where nothing was.")]
    unit: Annotated[U | UnsetType, Meta(description="Unit of the value; null for what has none.")] = UNSET
    reason: Annotated[Name | UnsetType, Meta(description="Why there is no value.")] = UNSET


TextReading = Annotated[ReadingDocument[str, None], _ONE]
NumberReading = Annotated[ReadingDocument[int, None], _ONE]
SwitchReading = Annotated[ReadingDocument[bool, None], _ONE]
BytesReading = Annotated[ReadingDocument[int, Literal["B"]], _ONE]
HzReading = Annotated[ReadingDocument[float, Literal["Hz"]], _ONE]
WattsReading = Annotated[ReadingDocument[float, Literal["W"]], _ONE]
JoulesReading = Annotated[ReadingDocument[float, Literal["J"]], _ONE]
CelsiusReading = Annotated[ReadingDocument[int, Literal["°C"]], _ONE]
RatioReading = Annotated[ReadingDocument[float, Literal["ratio"]], _ONE]
CoresReading = Annotated[ReadingDocument[int, Literal["cores"]], _ONE]
ShareOfCoresReading = Annotated[ReadingDocument[float, Literal["cores"]], _ONE]
ThreadsReading = Annotated[ReadingDocument[int, Literal["threads"]], _ONE]


class ProcessDocument(Document):
    """A process on the GPU."""

    pid: Annotated[CountFromZero, Meta(description="Process id; in a container it can be the one outside.")]
    used_bytes: Annotated[BytesReading, Meta(description="Memory of the GPU it holds, in bytes.")]
    kind: Annotated[Literal["compute", "graphics"], Meta(description="What it does there.")]


ProcessesReading = Annotated[ReadingDocument[tuple[ProcessDocument, ...], None], _ONE]


class SheetDocument(Document):
    """A data sheet."""

    name: Annotated[Name, Meta(description="Canonical name.")]
    vendor: Annotated[Name, Meta(description="Maker.")]
    architecture: Annotated[Name, Meta(description="The maker's name of the generation.")]
    peak_flop_per_s: Annotated[
        dict[str, Annotated[Positive, Meta(description="A dense peak, in FLOP a second.")]],
        Meta(description="Number format to its dense peak, in FLOP a second."),
    ]
    memory_bytes: Annotated[Positive, Meta(description="Memory as printed, in bytes.")]
    memory_bytes_per_s: Annotated[Positive, Meta(description="Memory bandwidth, in bytes a second.")]


class DriverDocument(Document):
    """The NVIDIA driver."""

    driver_version: Annotated[TextReading, Meta(description="Version of the NVIDIA driver.")]
    cuda_version: Annotated[TextReading, Meta(description="The newest CUDA that the driver knows.")]
    reason: Annotated[str | None, Meta(description="Why no GPU could be asked; null where that worked.")]


class DeviceDocument(Document):
    """A GPU of this machine; what it does not tell is null with a reason."""

    index: Annotated[CountFromZero, Meta(description="Its number; slices and GPUs of other makers come last.")]
    vendor: Annotated[Name, Meta(description="Its maker.")]
    slice_of: Annotated[
        CountFromZero | None,
        Meta(description="Index of the GPU that it is a slice (MIG) of; null for a whole one."),
    ]
    name: Annotated[TextReading, Meta(description="What NVML, or the maker's tool, calls it.")]
    uuid: Annotated[TextReading, Meta(description="Its unique id.")]
    compute_capability: Annotated[TextReading, Meta(description="CUDA compute capability, as in 9.0.")]
    memory_total_bytes: Annotated[BytesReading, Meta(description="Memory, in bytes.")]
    memory_used_bytes: Annotated[BytesReading, Meta(description="Memory in use, the driver's own included, in bytes.")]
    memory_free_bytes: Annotated[BytesReading, Meta(description="Free memory, in bytes.")]
    sm_clock_hz: Annotated[HzReading, Meta(description="Clock of the multiprocessors now, in Hz.")]
    sm_clock_max_hz: Annotated[HzReading, Meta(description="The most that clock can be, in Hz.")]
    memory_clock_hz: Annotated[HzReading, Meta(description="Clock of the memory now, in Hz.")]
    memory_clock_max_hz: Annotated[HzReading, Meta(description="The most that clock can be, in Hz.")]
    power_limit_w: Annotated[WattsReading, Meta(description="Power limit that is enforced now, in watts.")]
    power_draw_w: Annotated[WattsReading, Meta(description="Power drawn now, in watts.")]
    energy_j: Annotated[JoulesReading, Meta(description="Energy since the driver was loaded, in joules.")]
    temperature_c: Annotated[CelsiusReading, Meta(description="Temperature, in degrees Celsius.")]
    gpu_utilisation: Annotated[RatioReading, Meta(description="Share of the time that something ran, a ratio.")]
    memory_utilisation: Annotated[
        RatioReading,
        Meta(description="Share of the time that memory was read or written, a ratio."),
    ]
    pcie_generation: Annotated[NumberReading, Meta(description="PCIe generation now.")]
    pcie_generation_max: Annotated[NumberReading, Meta(description="The highest PCIe generation.")]
    pcie_width: Annotated[NumberReading, Meta(description="PCIe lanes now, a count.")]
    pcie_width_max: Annotated[NumberReading, Meta(description="The most PCIe lanes, a count.")]
    nvlink_count: Annotated[NumberReading, Meta(description="NVLinks that the driver can describe, a count.")]
    nvlink_active_count: Annotated[NumberReading, Meta(description="NVLinks that are up, a count.")]
    nvlink_version: Annotated[TextReading, Meta(description="Version of the NVLinks.")]
    mig_enabled: Annotated[SwitchReading, Meta(description="Whether the GPU is cut into instances.")]
    ecc_enabled: Annotated[SwitchReading, Meta(description="Whether memory errors are corrected.")]
    compute_processes: Annotated[ProcessesReading, Meta(description="Processes that compute on it.")]
    graphics_processes: Annotated[ProcessesReading, Meta(description="Processes that draw on it.")]
    sheet: Annotated[SheetDocument | None, Meta(description="Its data sheet; null where the catalogue has none.")]


class HostDocument(Document):
    """The machine around them."""

    logical_cores: Annotated[CoresReading, Meta(description="Logical cores of the machine, a count.")]
    physical_cores: Annotated[CoresReading, Meta(description="Physical cores of the machine, a count.")]
    sockets: Annotated[NumberReading, Meta(description="Processors that are plugged in, a count.")]
    numa_nodes: Annotated[NumberReading, Meta(description="Parts of memory, each nearest to some cores, a count.")]
    affinity_cores: Annotated[CoresReading, Meta(description="Logical cores that this process may run on, a count.")]
    cpu_limit_cores: Annotated[
        ShareOfCoresReading,
        Meta(description="Processor time that the container allows, in cores."),
    ]
    memory_total_bytes: Annotated[BytesReading, Meta(description="Memory, in bytes.")]
    memory_available_bytes: Annotated[
        BytesReading,
        Meta(description="Memory that is available on the machine, in bytes."),
    ]
    memory_limit_bytes: Annotated[BytesReading, Meta(description="Memory that the container allows, in bytes.")]
    cpu_model: Annotated[TextReading, Meta(description="Name of the processor.")]
    os: Annotated[TextReading, Meta(description="The distribution, or the system's name.")]
    kernel: Annotated[TextReading, Meta(description="Version of the kernel.")]
    python_version: Annotated[TextReading, Meta(description="Version of Python.")]
    disk_free_bytes: Annotated[BytesReading, Meta(description="Free disk where zenplan keeps its data, in bytes.")]
    blas_threads: Annotated[
        dict[str, Annotated[ThreadsReading, Meta(description="Threads that the variable asks for, a count.")]],
        Meta(description="Environment variable to the number of threads it asks for."),
    ]


class ProfileDocument(Document, tag_field="schema", tag="zenplan.profile/1"):
    """Answer of 'zenplan profile'.

    The machine as it was at one moment.
    """

    taken_at: Annotated[Moment, Meta(description="When, ISO 8601 in UTC.")]
    driver: Annotated[DriverDocument, Meta(description="The NVIDIA driver.")]
    devices: Annotated[tuple[DeviceDocument, ...], Meta(description="GPUs and their slices.")]
    host: Annotated[HostDocument, Meta(description="The machine around them.")]
    processor_sheet: Annotated[
        SheetDocument | None, Meta(description="Data sheet of its processor; null where the catalogue has none.")
    ]


_UNIT_OF_SUFFIX = {
    "_bytes": "B",
    "_hz": "Hz",
    "_w": "W",
    "_j": "J",
    "_c": "°C",
    "_utilisation": "ratio",
    "_cores": "cores",
    "_THREADS": "threads",
}


def profile_document(
    profile: Profile, sheets: Mapping[int, Accelerator | None], processor: Accelerator | None = None
) -> ProfileDocument:
    """The machine, each GPU with its data sheet where there is one."""
    driver = profile.driver
    return ProfileDocument(
        taken_at=profile.taken_at.isoformat(timespec="seconds"),
        driver=DriverDocument(
            driver_version=_reading("driver_version", driver.driver_version),
            cuda_version=_reading("cuda_version", driver.cuda_version),
            reason=driver.reason or None,
        ),
        devices=tuple(
            DeviceDocument(**_readings(device), sheet=_sheet(sheets.get(device.index))) for device in profile.devices
        ),
        host=HostDocument(**_readings(profile.host)),
        processor_sheet=_sheet(processor),
    )


def _readings(noun: Device | Host | Process) -> dict[str, Any]:
    return {each.name: _known(each.name, getattr(noun, each.name)) for each in fields(noun)}


def _known(name: str, item: Any) -> Any:
    if isinstance(item, Mapping):
        return {key: _reading(key, each) for key, each in item.items()}
    return _reading(name, item) if isinstance(item, Reading) else item


def _reading(name: str, item: Reading[Any]) -> ReadingDocument[Any, Any]:
    """A reading; the unit is the one that the field's name ends in."""
    if item.value is None:
        return ReadingDocument(value=None, reason=item.reason)
    value = item.value
    if isinstance(value, tuple):
        value = tuple(ProcessDocument(**_readings(each)) for each in value)
    unit = next((unit for suffix, unit in _UNIT_OF_SUFFIX.items() if name.endswith(suffix)), None)
    return ReadingDocument(value=value, unit=unit)


def _sheet(sheet: Accelerator | None) -> SheetDocument | None:
    return None if sheet is None else fill(SheetDocument, sheet)
