"""AMD GPUs, read through AMD's own library (amdsmi, AMD SMI 6 and 7); never run on the hardware by the tests."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import redirect_stdout, suppress
from importlib import import_module
from io import StringIO
from types import ModuleType
from typing import Any, Final

from zenplan.domain.hardware.device import Device, Process, Reading

VENDOR: Final = "AMD"
_NO_ANSWER: Final = "N/A"
# Gigatransfers of a lane to the generation of PCIe, in the library's MT/s.
_GENERATIONS: Final = {2500: 1, 5000: 2, 8000: 3, 16000: 4, 32000: 5, 64000: 6}
_MICRO: Final = 1e-6


def read(first: int) -> tuple[tuple[Device, ...], str]:
    """Every GPU that the library shows, numbered from ``first`` on; and why there is none, in words."""
    try:
        # Where it does not find ROCm's library it says so on standard output, which is not its own.
        with redirect_stdout(StringIO()):
            library = import_module("amdsmi")
    except ImportError:
        return (), "amdsmi, which reads it, is not installed: it comes with ROCm, or by 'pip install amdsmi'"
    except (OSError, KeyError, AttributeError) as error:
        return (), f"amdsmi does not find ROCm's library: {type(error).__name__}"
    try:
        library.amdsmi_init()
    except library.AmdSmiException as error:
        return (), f"amdsmi does not start: {_reason(error)}"
    try:
        handles = library.amdsmi_get_processor_handles()
        found = tuple(_device(_Library(library), first + n, handle) for n, handle in enumerate(handles))
        return found, "" if found else "amdsmi shows no GPU"
    except library.AmdSmiException as error:
        return (), f"amdsmi does not count its GPUs: {_reason(error)}"
    finally:
        with suppress(library.AmdSmiException):
            library.amdsmi_shut_down()


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class _Library:
    """The library, with every question to it guarded."""

    def __init__(self, amdsmi: ModuleType) -> None:
        self.amdsmi = amdsmi

    def ask(self, function: str, *arguments: Any) -> Reading[Any]:
        """The answer; versions differ in what they have."""
        try:
            answer = getattr(self.amdsmi, function)(*arguments)
        except AttributeError:
            return Reading.missing("not found in this version of amdsmi")
        except self.amdsmi.AmdSmiException as error:
            return Reading.missing(_reason(error))
        return Reading.missing("not available") if answer in (None, "", _NO_ANSWER) else Reading.of(answer)

    def constant(self, kind: str, name: str) -> Any:
        """A constant of one of its enumerations; None where it has no such."""
        return getattr(getattr(self.amdsmi, kind, None), name, None)


def _of(answer: Reading[Any], *names: str, scale: float | None = None) -> Reading[Any]:
    """The first of these entries of an answer that has a value, times ``scale``."""
    if answer.value is None:
        return answer
    found = (answer.value.get(name) for name in names)
    value = next((each for each in found if each not in (None, "", _NO_ANSWER)), None)
    if value is None:
        return Reading.missing("not available")
    return Reading.of(value if scale is None else value * scale)


def _device(library: _Library, index: int, gpu: Any) -> Device:
    asic, activity = library.ask("amdsmi_get_gpu_asic_info", gpu), library.ask("amdsmi_get_gpu_activity", gpu)
    cap, power = library.ask("amdsmi_get_power_cap_info", gpu), library.ask("amdsmi_get_power_info", gpu)
    link = library.ask("amdsmi_get_pcie_info", gpu)
    now, most = _of(link, "pcie_metric"), _of(link, "pcie_static")
    readings: dict[str, Reading[Any]] = {
        "name": _of(asic, "market_name"),
        "uuid": library.ask("amdsmi_get_gpu_device_uuid", gpu),
        "compute_capability": _of(asic, "target_graphics_version"),
        "power_limit_w": _of(cap, "power_cap", scale=_MICRO),
        "power_draw_w": _of(power, "current_socket_power", "average_socket_power", "socket_power", scale=1.0),
        "energy_j": _energy(library.ask("amdsmi_get_energy_count", gpu)),
        "gpu_utilisation": _of(activity, "gfx_activity", scale=0.01),
        "memory_utilisation": _of(activity, "umc_activity", scale=0.01),
        "pcie_generation": _generation(_of(now, "pcie_speed")),
        "pcie_generation_max": _generation(_of(most, "max_pcie_speed")),
        "pcie_width": _of(now, "pcie_width"),
        "pcie_width_max": _of(most, "max_pcie_width"),
        "compute_processes": library.ask("amdsmi_get_gpu_process_list", gpu).map(_processes),
        **_memory(library, gpu),
        **_clocks(library, gpu),
        "temperature_c": _temperature(library, gpu),
    }
    return Device.unreadable(index, f"amdsmi is not asked for it of {VENDOR} GPUs", vendor=VENDOR, **readings)


def _memory(library: _Library, gpu: Any) -> dict[str, Reading[Any]]:
    kind = library.constant("AmdSmiMemoryType", "VRAM")
    total = library.ask("amdsmi_get_gpu_memory_total", gpu, kind)
    used = library.ask("amdsmi_get_gpu_memory_usage", gpu, kind)
    free = total.map(lambda whole: whole - used.value) if used.value is not None else used
    return {"memory_total_bytes": total, "memory_used_bytes": used, "memory_free_bytes": free}


def _clocks(library: _Library, gpu: Any) -> dict[str, Reading[Any]]:
    found: dict[str, Reading[Any]] = {}
    for name, kind in (("sm", "GFX"), ("memory", "MEM")):
        clock = library.ask("amdsmi_get_clock_info", gpu, library.constant("AmdSmiClkType", kind))
        found[f"{name}_clock_hz"] = _of(clock, "clk", "cur_clk", scale=1e6)
        found[f"{name}_clock_max_hz"] = _of(clock, "max_clk", scale=1e6)
    return found


def _temperature(library: _Library, gpu: Any) -> Reading[Any]:
    """Of the hottest spot, or else of the edge."""
    current = library.constant("AmdSmiTemperatureMetric", "CURRENT")
    kinds = (library.constant("AmdSmiTemperatureType", name) for name in ("HOTSPOT", "EDGE"))
    found = [library.ask("amdsmi_get_temp_metric", gpu, kind, current) for kind in kinds]
    return next((each for each in found if each.value is not None), found[-1])


def _energy(count: Reading[Any]) -> Reading[Any]:
    """Joules: a counter, and microjoules for each of its steps."""
    steps, each = _of(count, "energy_accumulator", "power"), _of(count, "counter_resolution")
    return each if steps.value is None or each.value is None else Reading.of(steps.value * each.value * _MICRO)


def _generation(speed: Reading[Any]) -> Reading[Any]:
    if speed.value is None:
        return speed
    known = _GENERATIONS.get(int(speed.value))
    return Reading.of(known) if known else Reading.missing(f"a speed of no generation: {speed.value}")


def _processes(rows: Iterable[Any]) -> tuple[Process, ...]:
    def one(row: Any) -> Process:
        used = (row.get("memory_usage") or {}).get("vram_mem", row.get("mem"))
        known = isinstance(used, int)
        bytes_used: Reading[int] = Reading.of(used) if known else Reading.missing("not available")
        return Process(pid=int(row["pid"]), used_bytes=bytes_used, kind="compute")

    return tuple(map(one, rows))
