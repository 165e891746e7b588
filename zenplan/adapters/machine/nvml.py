"""NVIDIA GPUs, read through the driver's own library (NVML).

Each figure is asked for on its own. What the driver refuses becomes a Reading with the reason, and costs
none of the other figures; what is refused is never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from zenplan.domain.hardware.device import Device, DriverState, Process, Reading
from zenplan.errors import printable

# The numbers of NVML's C interface. They never change, and an older binding has not all of their names.
_LIBRARY_NOT_FOUND, _FUNCTION_NOT_FOUND = 12, 13
_SM_CLOCK, _MEMORY_CLOCK, _GPU_SENSOR = 1, 2, 0
_MAX_LINKS = 18
_NOT_AVAILABLE = (2**32 - 1, 2**64 - 1)

_NOT_SUPPORTED, _NO_FUNCTION, _NO_SUCH_LINK = "not supported", "not found in this driver", "invalid argument"
_REASONS = {
    2: _NO_SUCH_LINK,
    3: _NOT_SUPPORTED,
    4: "no permission",
    6: "not found",
    10: "timed out",
    _FUNCTION_NOT_FOUND: _NO_FUNCTION,
    14: "corrupted infoROM",
    15: "the GPU is lost",
    16: "the GPU needs a reset",
    17: "blocked by the operating system",
    18: "driver and library have different versions",
    21: "no data",
    28: "GPU not found",
}
_NO_DRIVER = {
    _LIBRARY_NOT_FOUND: "no NVIDIA driver library (libnvidia-ml.so.1) on this machine",
    9: "the NVIDIA driver is not loaded",
    4: "no permission to use the NVIDIA driver",
    18: "the NVIDIA driver and its library have different versions (a restart of the machine mends that)",
    _FUNCTION_NOT_FOUND: "the NVIDIA driver library is too old",
}
# Why a clock is held down: only what takes away from the peak of an able machine (a power limit is its usual state).
_HELD_DOWN = {0x8: "hardware slowdown", 0x20: "heat", 0x40: "heat", 0x80: "power brake"}
# The driver answers with its own code for a version: an A100 says 5, and means 3.1.
_NVLINK_VERSIONS = {1: "1.0", 2: "2.0", 3: "2.2", 4: "3.0", 5: "3.1", 6: "4.0", 7: "5.0", 8: "6.0"}


def _code(error: Any) -> int:
    return int(error.value)


def _reason(error: Any) -> str:
    return _REASONS.get(_code(error), f"unknown error {_code(error)}")


def _text(answer: str | bytes) -> Reading[str]:
    """A text on one line, whatever bytes the driver put into it."""
    decoded = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    clean = printable(decoded, "?").strip()
    return Reading.of(clean) if clean else Reading.missing("the driver gave an empty text")


def _ratio(percent: int) -> Reading[float]:
    if percent > 100:
        return Reading.missing(f"the driver gave an impossible value ({percent} %)")
    return Reading.of(percent / 100)


@dataclass(frozen=True, slots=True)
class _Library:
    """The binding, with every question to it guarded."""

    nvml: Any

    def ask(self, functions: str | tuple[str, ...], *arguments: Any) -> Reading[Any]:
        """The answer of the first of these functions that both the binding and the driver have."""
        answer: Reading[Any] = Reading.missing(_NO_FUNCTION)
        for name in (functions,) if isinstance(functions, str) else functions:
            function = getattr(self.nvml, name, None)
            if function is not None:
                answer = self._call(function, arguments)
            if answer.reason != _NO_FUNCTION:
                break
        return answer

    def _call(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Reading[Any]:
        try:
            answer = function(*arguments)
        except UnicodeDecodeError as error:
            # The binding decodes strictly; the bytes it choked on are still there.
            return Reading.of(error.object)
        except self.nvml.NVMLError as error:
            return Reading.missing(_reason(error))
        return Reading.missing("not available") if answer in _NOT_AVAILABLE else Reading.of(answer)

    def ask_text(self, function: str, *arguments: Any) -> Reading[str]:
        """The answer as a text."""
        return _flat(self.ask(function, *arguments).map(_text))


def _flat(reading: Reading[Reading[Any]]) -> Reading[Any]:
    return Reading.missing(reading.reason) if reading.value is None else reading.value


def read_gpus() -> tuple[DriverState, tuple[Device, ...]]:
    """The driver and every GPU it counts; without any, the driver's state says why. It never raises."""
    import pynvml  # type: ignore[import-untyped]

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        why = _NO_DRIVER.get(_code(error), f"the NVIDIA driver does not answer: {_reason(error)}")
        return DriverState.absent(why), ()
    try:
        return _read_all(_Library(pynvml))
    finally:
        # The answers are in; a driver that cannot be closed takes nothing from them.
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


@contextmanager
def watched(index: int) -> Iterator[Callable[[], tuple[Reading[float], Reading[str]]]]:
    """A function that reads the clock of a GPU's multiprocessors in Hz, and why it is held down (``heat``; empty
    where it is not), quickly enough to be called at each step. Without a driver its readings say why."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        why = _NO_DRIVER.get(_code(error), _reason(error))
        yield lambda: (Reading.missing(why), Reading.missing(why))
        return
    library = _Library(pynvml)
    handle = library.ask("nvmlDeviceGetHandleByIndex", index)
    names = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")

    def read() -> tuple[Reading[float], Reading[str]]:
        if handle.value is None:
            return Reading.missing(handle.reason), Reading.missing(handle.reason)
        clock = library.ask("nvmlDeviceGetClockInfo", handle.value, _SM_CLOCK).map(lambda mhz: mhz * 1e6)
        held = library.ask(names, handle.value).map(
            lambda bits: ", ".join(dict.fromkeys(why for bit, why in _HELD_DOWN.items() if bits & bit))
        )
        return clock, held

    try:
        yield read
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _read_all(library: _Library) -> tuple[DriverState, tuple[Device, ...]]:
    count = library.ask("nvmlDeviceGetCount")
    if count.value is None:
        why = f"the NVIDIA driver does not count its GPUs: {count.reason}"
    else:
        why = "" if count.value else "the NVIDIA driver sees no GPU"
    cuda = library.ask(("nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion"))
    state = DriverState(
        driver_version=library.ask_text("nvmlSystemGetDriverVersion"),
        cuda_version=cuda.map(lambda code: f"{code // 1000}.{code % 1000 // 10}"),
        reason=why,
    )
    whole = {index: library.ask("nvmlDeviceGetHandleByIndex", index) for index in range(count.value or 0)}
    devices = [_device(library, index, handle) for index, handle in whole.items()]
    for device in tuple(devices):
        if device.mig_enabled.value:
            devices += _slices(library, device.index, whole[device.index].value, len(devices))
    return state, tuple(devices)


def _slices(library: _Library, parent: int, gpu: Any, first: int) -> list[Device]:
    """The instances that a GPU is cut into, each as a device; numbered from ``first`` on.

    They stand in as many places as there can be of them, of which some may be empty.
    """
    places = library.ask("nvmlDeviceGetMaxMigDeviceCount", gpu).value or 0
    handles = (library.ask("nvmlDeviceGetMigDeviceHandleByIndex", gpu, place) for place in range(places))
    found = [handle for handle in handles if handle.value is not None]
    return [_device(library, first + n, handle, slice_of=parent) for n, handle in enumerate(found)]


def _device(library: _Library, index: int, handle: Reading[Any], slice_of: int | None = None) -> Device:
    if handle.value is None:
        return Device.unreadable(index, handle.reason)
    gpu = handle.value
    capability = library.ask("nvmlDeviceGetCudaComputeCapability", gpu)
    return Device(
        index=index,
        slice_of=slice_of,
        name=library.ask_text("nvmlDeviceGetName", gpu),
        uuid=library.ask_text("nvmlDeviceGetUUID", gpu),
        compute_capability=capability.map(lambda pair: f"{pair[0]}.{pair[1]}"),
        # A pair of the mode now and the mode after the next restart.
        mig_enabled=library.ask("nvmlDeviceGetMigMode", gpu).map(lambda pair: bool(pair[0])),
        ecc_enabled=library.ask("nvmlDeviceGetEccMode", gpu).map(lambda pair: bool(pair[0])),
        **_memory(library, gpu),
        **_clocks_and_power(library, gpu),
        **_load(library, gpu),
        **_pcie(library, gpu),
        **_nvlink(library, gpu),
    )


def _memory(library: _Library, gpu: Any) -> dict[str, Any]:
    memory = library.ask("nvmlDeviceGetMemoryInfo", gpu)
    return {
        "memory_total_bytes": memory.map(lambda m: int(m.total)),
        "memory_used_bytes": memory.map(lambda m: int(m.used)),
        "memory_free_bytes": memory.map(lambda m: int(m.free)),
    }


def _clocks_and_power(library: _Library, gpu: Any) -> dict[str, Any]:
    def hz(function: str, clock: int) -> Reading[float]:
        return library.ask(function, gpu, clock).map(lambda mhz: mhz * 1e6)

    def from_milli(function: str) -> Reading[float]:
        return library.ask(function, gpu).map(lambda milli: milli / 1e3)

    return {
        "sm_clock_hz": hz("nvmlDeviceGetClockInfo", _SM_CLOCK),
        "sm_clock_max_hz": hz("nvmlDeviceGetMaxClockInfo", _SM_CLOCK),
        "memory_clock_hz": hz("nvmlDeviceGetClockInfo", _MEMORY_CLOCK),
        "memory_clock_max_hz": hz("nvmlDeviceGetMaxClockInfo", _MEMORY_CLOCK),
        "power_limit_w": from_milli("nvmlDeviceGetEnforcedPowerLimit"),
        "power_draw_w": from_milli("nvmlDeviceGetPowerUsage"),
        "energy_j": from_milli("nvmlDeviceGetTotalEnergyConsumption"),
    }


def _load(library: _Library, gpu: Any) -> dict[str, Any]:
    # The old name of each pair goes away with CUDA 14, the new one is not in older drivers.
    temperature = ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature")
    compute = ("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2")
    graphics = ("nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2")
    busy = library.ask("nvmlDeviceGetUtilizationRates", gpu)
    return {
        "temperature_c": library.ask(temperature, gpu, _GPU_SENSOR),
        "gpu_utilisation": _flat(busy.map(lambda rates: _ratio(rates.gpu))),
        "memory_utilisation": _flat(busy.map(lambda rates: _ratio(rates.memory))),
        "compute_processes": library.ask(compute, gpu).map(lambda rows: _processes(rows, "compute")),
        "graphics_processes": library.ask(graphics, gpu).map(lambda rows: _processes(rows, "graphics")),
    }


def _processes(rows: list[Any], kind: str) -> tuple[Process, ...]:
    def used(row: Any) -> Reading[int]:
        known = row.usedGpuMemory is not None
        return Reading.of(int(row.usedGpuMemory)) if known else Reading.missing("not available")

    return tuple(Process(pid=int(row.pid), used_bytes=used(row), kind=kind) for row in rows)


def _pcie(library: _Library, gpu: Any) -> dict[str, Any]:
    return {
        "pcie_generation": library.ask("nvmlDeviceGetCurrPcieLinkGeneration", gpu),
        "pcie_generation_max": library.ask("nvmlDeviceGetMaxPcieLinkGeneration", gpu),
        "pcie_width": library.ask("nvmlDeviceGetCurrPcieLinkWidth", gpu),
        "pcie_width_max": library.ask("nvmlDeviceGetMaxPcieLinkWidth", gpu),
    }


def _nvlink(library: _Library, gpu: Any) -> dict[str, Any]:
    """Links are found by asking for each that could be there; a driver refuses those that are not."""
    links = range(getattr(library.nvml, "NVML_NVLINK_MAX_LINKS", _MAX_LINKS))
    states = {link: library.ask("nvmlDeviceGetNvLinkState", gpu, link) for link in links}
    refused = [s.reason for s in states.values() if s.reason not in ("", _NOT_SUPPORTED, _NO_SUCH_LINK)]
    present = {link: bool(state.value) for link, state in states.items() if state.value is not None}
    if refused or not present:
        # A count with an unknown link in it would be a guess.
        why: Reading[Any] = Reading.missing(refused[0] if refused else _NOT_SUPPORTED)
        return {"nvlink_count": why, "nvlink_active_count": why, "nvlink_version": why}
    first = max(present, key=lambda link: (present[link], -link))
    version = library.ask("nvmlDeviceGetNvLinkVersion", gpu, first)
    return {
        "nvlink_count": Reading.of(len(present)),
        "nvlink_active_count": Reading.of(sum(present.values())),
        "nvlink_version": _flat(version.map(_nvlink_version)),
    }


def _nvlink_version(code: int) -> Reading[str]:
    known = _NVLINK_VERSIONS.get(code)
    return Reading.of(known) if known else Reading.missing(f"unknown version code {code}")
