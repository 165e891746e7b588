"""``zenplan accelerators``: the catalogue, and one data sheet with the source of each figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from zenplan import units
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.precision import DTYPES
from zenplan.domain.report import Column, Report, Table

_UNKNOWN = "–"
# Fields whose own name says less than a few words do.
_NAMES = {
    "memory_bytes": "memory, printed",
    "visible_bytes": "memory, visible",
    "memory_bytes_per_s": "memory bandwidth",
    "link_bytes_per_s": "link, one direction",
    "network_bytes_per_s": "usual network",
    "clock_hz": "clock",
    "tensor_clock_hz": "tensor clock",
    "fp32_flop_per_clock": "fp32 FLOP a clock",
    "tensor_flop_per_clock": "tensor FLOP a clock",
    "link_devices": "devices on a link",
    "node_devices": "devices in a node",
    "pcie_generation": "PCIe generation",
    "power_w": "power limit",
    "threads": "threads of the processor",
}


def accelerators_report(sheets: Sequence[Accelerator]) -> Report:
    """A row for each accelerator: by vendor, by generation as they come, then the fastest first."""
    sheets = tuple(sorted(sheets, key=_order(sheets)))
    columns = (
        Column(name="name"),
        Column(name="architecture"),
        Column(name="bf16", numeric=True),
        Column(name="fp16", numeric=True),
        Column(name="fp32", numeric=True, optional=True),
        Column(name="memory", numeric=True),
        Column(name="bandwidth", numeric=True),
        Column(name="link", numeric=True, optional=True),
        Column(name="power", numeric=True, optional=True),
    )
    rows = tuple(
        (
            sheet.name,
            sheet.architecture,
            _rate(sheet, "bf16"),
            _rate(sheet, "fp16"),
            _rate(sheet, "fp32"),
            units.size(sheet.memory_bytes),
            f"{units.size(sheet.memory_bytes_per_s)}/s",
            _link(sheet),
            f"{sheet.power_w:.0f} W" if sheet.power_w else _UNKNOWN,
        )
        for sheet in sheets
    )
    return Report(
        make_document=lambda: _catalogue(sheets),
        make_records=lambda: _catalogue(sheets).accelerators,
        tables=(Table(columns=columns, rows=rows),),
        notes=(
            f"Accelerators: {len(sheets)}. Peaks are dense, in TFLOP/s with fp32 accumulation; – is not known "
            "or not there. 'zenplan accelerators show NAME' has the source of each figure.",
        ),
    )


def _order(sheets: Sequence[Accelerator]) -> Callable[[Accelerator], tuple[str, int, float, str]]:
    # The catalogue has the generations of a vendor in their order, which their names do not tell.
    generations: dict[str, int] = {}
    for sheet in sheets:
        generations.setdefault(sheet.architecture, len(generations))

    def order(sheet: Accelerator) -> tuple[str, int, float, str]:
        peak = sheet.peak("bf16") or sheet.peak("fp16") or sheet.peak("fp32") or 0.0
        return sheet.vendor.casefold(), generations[sheet.architecture], -peak, sheet.name

    return order


def _rate(sheet: Accelerator, dtype: str) -> str:
    peak = sheet.peak(dtype)
    return units.significant(peak / units.TFLOP_PER_S) if peak else _UNKNOWN


def _link(sheet: Accelerator) -> str:
    if sheet.link_bytes_per_s is None:
        return _UNKNOWN
    return f"{units.size(sheet.link_bytes_per_s)}/s × {sheet.link_devices}"


def _catalogue(sheets: tuple[Accelerator, ...]) -> Any:
    from zenplan.commands.accelerators.document import accelerators_document

    return accelerators_document(sheets)


def accelerator_report(sheet: Accelerator) -> Report:
    """One data sheet: each figure with its source, how it was had, and when."""
    figures = [(name, value, shown) for name, value, shown in _figures(sheet) if value is not None]
    rows = []
    for name, _, shown in figures:
        source = sheet.sources.get(name)
        text = f"{source.status} {source.date}: {source.text}" if source else "not stated"
        rows.append((_NAMES.get(name, name.removeprefix("peak_flop_per_s.")), shown, text))
    columns = (Column(name="figure"), Column(name="value", numeric=True), Column(name="source"))
    names = f"aliases: {', '.join(sheet.aliases) or 'none'}; NVML: {', '.join(sheet.nvml_names) or 'not known'}"
    return Report(
        make_document=lambda: _sheet(sheet),
        make_records=lambda: (_record(sheet, name, value) for name, value, _ in figures),
        tables=(
            Table(
                title=f"{sheet.name} ({sheet.vendor} {sheet.architecture})",
                columns=columns,
                rows=tuple(rows),
                caption=sheet.notes,
            ),
        ),
        notes=(names,),
    )


def _sheet(sheet: Accelerator) -> Any:
    from zenplan.commands.accelerators.document import accelerator_document

    return accelerator_document(sheet)


def _record(sheet: Accelerator, figure: str, value: float) -> dict[str, Any]:
    source = sheet.sources.get(figure)
    return {
        "figure": figure,
        "value": value,
        "source": source.text if source else None,
        "status": source.status if source else None,
    }


def _figures(sheet: Accelerator) -> Iterator[tuple[str, float | None, str]]:
    """Field name (as in ``sources``), value in base units, and how it is shown."""
    for dtype in DTYPES:
        peak = sheet.peak(dtype)
        yield f"peak_flop_per_s.{dtype}", peak, units.flop_per_s(peak or 0)
    for name in ("memory_bytes", "visible_bytes", "memory_bytes_per_s", "link_bytes_per_s", "network_bytes_per_s"):
        value = getattr(sheet, name)
        yield name, value, units.size(value or 0) + ("/s" if name.endswith("_s") else "")
    for name, unit in (("clock_hz", "MHz"), ("tensor_clock_hz", "MHz")):
        value = getattr(sheet, name)
        yield name, value, f"{(value or 0) / 1e6:,.0f} {unit}"
    for name in (
        "multiprocessors",
        "threads",
        "fp32_flop_per_clock",
        "tensor_flop_per_clock",
        "link_devices",
        "node_devices",
        "pcie_generation",
    ):
        value = getattr(sheet, name)
        yield name, value, f"{value}"
    yield "power_w", sheet.power_w, f"{sheet.power_w or 0:.0f} W"
