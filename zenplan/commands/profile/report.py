"""What ``zenplan profile`` answers: the profile as a document, as records and as tables for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zenplan import units
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.device import NOT_SET, Device, DriverState, Host, Process, Profile, Reading
from zenplan.domain.report import Column, Report, Table

# Of the data sheet's power, a limit that is worth a word.
_HELD_DOWN = 0.97

# What a row is of: a GPU, or the processor, which every machine has.
_WHAT = ("kind", "index", "vendor", "slice_of")
# Of the data sheet, beside each device.
_SHEET = ("sheet", "sheet_bf16_flop_per_s", "sheet_memory_bytes", "sheet_memory_bytes_per_s")
_READINGS = Device.readings()


def profile_report(
    profile: Profile,
    sheets: Mapping[int, Accelerator | None],
    missing: Mapping[int, str] | None = None,
    processor: Accelerator | None = None,
) -> Report:
    """The report of a profile.

    Args:
        profile: what is present.
        sheets: index of a device to its data sheet; None, or no entry, where the catalogue has none.
        missing: index of a device to the reason why it has none.
        processor: the data sheet of the machine's processor; None where the catalogue has none.
    """
    pairs = [(device, sheets.get(device.index)) for device in profile.devices]
    why, reasons = profile.driver.reason, missing or {}
    return Report(
        make_document=lambda: _document(profile, sheets, processor),
        make_records=lambda: [*(_record(d, s) for d, s in pairs), _host_record(profile.host, processor)],
        make_header=lambda: (*_WHAT, *_READINGS, *_SHEET),
        tables=(
            *(_device_table(d, sheet, reasons.get(d.index, "")) for d, sheet in pairs),
            _host_table(profile.host, profile.driver, processor),
        ),
        notes=(f"no GPU: {why}",) if why else (),
    )


# --- for programs


def _document(profile: Profile, sheets: Mapping[int, Accelerator | None], processor: Accelerator | None) -> Any:
    from zenplan.commands.profile.document import profile_document

    return profile_document(profile, sheets, processor)


def _record(device: Device, sheet: Accelerator | None) -> dict[str, Any]:
    """One flat row; what could not be read is None, never 0. Of the processes it has the number."""
    row: dict[str, Any] = dict(zip(_WHAT, ("gpu", device.index, device.vendor, device.slice_of), strict=True))
    for name in _READINGS:
        value = getattr(device, name).value
        row[name] = len(value) if isinstance(value, tuple) else value
    return row | _of_sheet(sheet)


def _host_record(host: Host, sheet: Accelerator | None) -> dict[str, Any]:
    """The processor as a row of the same columns."""
    what = dict(zip(_WHAT, ("processor", None, sheet and sheet.vendor, None), strict=True))
    memory = {
        "memory_total_bytes": host.memory_total_bytes.value,
        "memory_free_bytes": host.memory_available_bytes.value,
    }
    return what | dict.fromkeys(_READINGS) | {"name": host.cpu_model.value} | memory | _of_sheet(sheet)


def _of_sheet(sheet: Accelerator | None) -> dict[str, Any]:
    told = (sheet.name, sheet.peak("bf16"), sheet.memory_bytes, sheet.memory_bytes_per_s) if sheet else (None,) * 4
    return dict(zip(_SHEET, told, strict=True))


# --- for people


def _table(title: str, rows: list[tuple[str, str]]) -> Table:
    return Table(title=title, columns=(Column(name="what"), Column(name="reading")), rows=tuple(rows))


def _show(reading: Reading[Any], write: Callable[[Any], str] = str) -> str:
    return reading.reason if reading.value is None else write(reading.value)


def _of(now: Reading[Any], most: Reading[Any], write: Callable[[Any], str] = str) -> str:
    """``now of most``, or a reason once where both lack a value for the same one."""
    if now.value is None and now.reason == most.reason:
        return now.reason
    return f"{_show(now, write)} of {_show(most, write)}"


def _mhz(hz: float) -> str:
    return f"{hz / 1e6:,.0f} MHz"


def _watts(power_w: float) -> str:
    return f"{units.significant(power_w)} W"


def _on_off(on: bool) -> str:
    return "on" if on else "off"


def _device_table(device: Device, sheet: Accelerator | None, why: str) -> Table:
    of = f", slice of GPU {device.slice_of}" if device.slice_of is not None else ""
    title = f"GPU {device.index}{of}: {_show(device.name)}"
    if device.problem:
        return _table(title, [("state", device.problem), ("data sheet", "none: the GPU gave no name")])
    rows = [
        ("uuid", _show(device.uuid)),
        ("compute capability", _show(device.compute_capability)),
        ("memory", _memory_text(device)),
        ("SM clock", _of(device.sm_clock_hz, device.sm_clock_max_hz, _mhz)),
        ("memory clock", _of(device.memory_clock_hz, device.memory_clock_max_hz, _mhz)),
        ("power", _of(device.power_draw_w, device.power_limit_w, _watts)),
        ("energy counter", _show(device.energy_j, lambda j: f"{units.significant(j / units.KWH_J)} kWh")),
        ("temperature", _show(device.temperature_c, lambda c: f"{c} °C")),
        ("GPU busy", _show(device.gpu_utilisation, units.percent)),
        ("memory busy", _show(device.memory_utilisation, units.percent)),
        ("PCIe generation", _of(device.pcie_generation, device.pcie_generation_max)),
        ("PCIe lanes", _of(device.pcie_width, device.pcie_width_max)),
        ("NVLink", _nvlink_text(device)),
        ("MIG", _show(device.mig_enabled, _on_off)),
        ("ECC", _show(device.ecc_enabled, _on_off)),
        ("compute processes", _show(device.compute_processes, _processes_text)),
        ("graphics processes", _show(device.graphics_processes, _processes_text)),
    ]
    return _table(title, rows + _sheet_rows(device, sheet, why))


def _memory_text(device: Device) -> str:
    total, free = device.memory_total_bytes, device.memory_free_bytes
    if total.value is None:
        return total.reason
    return f"{units.size(total.value)}, {_show(free, units.size)} free"


def _nvlink_text(device: Device) -> str:
    if device.nvlink_count.value is None:
        return device.nvlink_count.reason
    links = _of(device.nvlink_active_count, device.nvlink_count)
    return f"{links} links up, version {_show(device.nvlink_version)}"


def _processes_text(processes: tuple[Process, ...]) -> str:
    if not processes:
        return "none"
    known = [each.used_bytes.value for each in processes if each.used_bytes.value is not None]
    unknown = len(processes) - len(known)
    parts = [f"{units.size(sum(known))}"] if known else []
    parts += [f"memory of {unknown} unknown"] if unknown else []
    return f"{len(processes)} ({', '.join(parts)})"


def _sheet_rows(device: Device, sheet: Accelerator | None, why: str) -> list[tuple[str, str]]:
    if sheet is None:
        return [("data sheet", f"none: {why or 'the catalogue knows no device of that name'}")]
    limit_w = device.power_limit_w.value
    held = limit_w is not None and sheet.power_w is not None and limit_w < _HELD_DOWN * sheet.power_w
    peak = sheet.peak("bf16")
    return [
        ("data sheet", sheet.name),
        ("  bf16 dense peak", units.flop_per_s(peak) if peak else "none on the data sheet"),
        ("  memory", units.size(sheet.memory_bytes)),
        ("  bandwidth", f"{units.size(sheet.memory_bytes_per_s)}/s"),
        *([("  power", f"{_watts(sheet.power_w)}: the limit holds it down")] if held and sheet.power_w else []),
    ]


def _processor_rows(sheet: Accelerator | None) -> list[tuple[str, str]]:
    if sheet is None:
        return [("  data sheet", "none: the catalogue knows no processor of that name")]
    peaks = ", ".join(f"{units.flop_per_s(peak)} in {dtype}" for dtype, peak in sheet.peak_flop_per_s.items())
    return [
        ("  data sheet", sheet.name),
        ("  peak of it all", peaks),
        ("  bandwidth", f"{units.size(sheet.memory_bytes_per_s)}/s"),
    ]


def _host_table(host: Host, driver: DriverState, sheet: Accelerator | None) -> Table:
    made = {name: asked for name, asked in host.blas_threads.items() if asked.reason != NOT_SET}
    threads = [f"{name}: {_show(asked)}" for name, asked in made.items()]
    rows = [
        ("processor", _show(host.cpu_model)),
        *_processor_rows(sheet),
        ("cores, logical", _show(host.logical_cores)),
        ("cores, physical", _show(host.physical_cores)),
        ("sockets", _show(host.sockets)),
        ("NUMA nodes", _show(host.numa_nodes)),
        ("cores, this process", _show(host.affinity_cores)),
        ("cores, container", _show(host.cpu_limit_cores, units.significant)),
        ("BLAS threads", ", ".join(threads) or NOT_SET),
        ("memory", _show(host.memory_total_bytes, units.size)),
        ("memory, available", _show(host.memory_available_bytes, units.size)),
        ("memory, container", _show(host.memory_limit_bytes, units.size)),
        ("disk, free", _show(host.disk_free_bytes, units.size)),
        ("system", _show(host.os)),
        ("kernel", _show(host.kernel)),
        ("Python", _show(host.python_version)),
    ]
    if driver.driver_version.value is not None:
        rows += [("NVIDIA driver", driver.driver_version.value), ("CUDA, up to", _show(driver.cuda_version))]
    return _table("host", rows)
