"""The bundled table of processors (CPUs): a row each, and one for each generation of cores.

    peak = cores × clock × FLOP of a core in a clock        bandwidth = channels × transfers a second × 8 bytes

The clock is the base clock, which every core keeps up: with fewer at work, or in the cold, it is higher.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from zenplan.adapters.files.csv_file import DataRow, data_rows
from zenplan.domain.hardware.accelerator import Accelerator, Source
from zenplan.units import GB

_FILE: Final = "processors.csv"
_CORES_FILE: Final = "processor_cores.csv"
_SOURCED: Final = ("source", "status", "date")
_COLUMNS: Final = (
    *("name", "vendor", "architecture", "names", "aliases", "cores", "threads", "clock_mhz"),
    *("channels", "mega_transfers_per_s", "memory_gb_per_s", "memory_gb", "power_w", *_SOURCED, "notes"),
)
_CORES_COLUMNS: Final = (
    *("architecture", "fp32_flop_per_clock", "bf16_flop_per_clock", "bf16_sustained_share", *_SOURCED),
)
_MEGA: Final = 1e6
# A channel of DDR is 64 bits wide.
_CHANNEL_BYTES: Final = 8
# What a machine of one's own is taken to have: of a server's channels a module of 64 GB each, of a desktop's 16 GB.
_SERVER_CHANNELS, _SERVER_GB, _DESKTOP_GB = 4, 64.0, 16.0


def read_processors() -> tuple[Accelerator, ...]:
    """Every processor of the bundled table, in the order of the file.

    Raises:
        DataError: a row is malformed; the message names the file, the line and the column.
    """
    cores = {row.cells["architecture"]: row for row in data_rows(_CORES_FILE, _CORES_COLUMNS)}
    return tuple(_processor(row, cores) for row in data_rows(_FILE, _COLUMNS))


def _processor(row: DataRow, generations: Mapping[str, DataRow]) -> Accelerator:
    cells = row.cells
    core = generations.get(cells["architecture"])
    if core is None:
        raise row.wrong("architecture", f"'{cells['architecture']}' is not in {_CORES_FILE}")
    cores, clock_hz = row.whole("cores"), row.number("clock_mhz") * _MEGA
    peaks = {
        dtype: cores * clock_hz * core.number(f"{dtype}_flop_per_clock")
        for dtype in ("fp32", "bf16")
        if core.cells[f"{dtype}_flop_per_clock"]
    }
    memory_bytes, memory_bytes_per_s = _memory(row)
    return Accelerator(
        name=cells["name"],
        vendor=cells["vendor"],
        architecture=cells["architecture"],
        nvml_names=row.several("names"),
        aliases=row.several("aliases"),
        multiprocessors=cores,
        threads=row.whole("threads"),
        clock_hz=clock_hz,
        fp32_flop_per_clock=core.whole("fp32_flop_per_clock"),
        tensor_flop_per_clock=core.whole("bf16_flop_per_clock") if core.cells["bf16_flop_per_clock"] else None,
        peak_flop_per_s=peaks,
        sustained_share=core.number_or_none("bf16_sustained_share"),
        memory_bytes=memory_bytes,
        memory_bytes_per_s=memory_bytes_per_s,
        power_w=row.number("power_w") if cells["power_w"] else None,
        notes=cells["notes"],
        sources=_sources(row, core),
    )


def _memory(row: DataRow) -> tuple[float, float]:
    """Bytes, and bytes a second."""
    if row.cells["memory_gb_per_s"]:
        return row.number("memory_gb") * GB, row.number("memory_gb_per_s") * GB
    channels = row.whole("channels")
    each_gb = _SERVER_GB if channels >= _SERVER_CHANNELS else _DESKTOP_GB
    return channels * each_gb * GB, channels * row.number("mega_transfers_per_s") * _MEGA * _CHANNEL_BYTES


def _sources(row: DataRow, core: DataRow) -> dict[str, Source]:
    """Of each figure."""
    own, units = _source(row), _source(core)
    date = own.date
    peak = Source(text=f"cores × base clock × FLOP a clock: {own.text}; {units.text}", status="derived", date=date)
    known = bool(row.cells["memory_gb_per_s"])
    assumed = Source(text="assumed: a module in each channel; a machine states its own", status="derived", date=date)
    channels = Source(text=f"channels × transfers × 8 bytes: {own.text}", status="derived", date=date)
    found: dict[str, Any] = {
        "multiprocessors": own,
        "threads": own,
        "clock_hz": own,
        "memory_bytes": own if known else assumed,
        "memory_bytes_per_s": own if known else channels,
        "fp32_flop_per_clock": units,
        "peak_flop_per_s.fp32": peak,
    }
    if core.cells["bf16_flop_per_clock"]:
        found |= {"tensor_flop_per_clock": units, "sustained_share": units, "peak_flop_per_s.bf16": peak}
    return found | ({"power_w": own} if row.cells["power_w"] else {})


def _source(row: DataRow) -> Source:
    return Source(text=row.cells["source"], status=row.cells["status"], date=row.cells["date"])
