"""Intel GPUs, read through Intel's own tool (``xpu-smi discovery``, of XPU Manager); never run on the hardware by the
tests."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any, Final

from zenplan.adapters.machine.tools import Run, output_of
from zenplan.domain.hardware.device import Device, Reading

VENDOR: Final = "Intel"
_TOOL: Final = "xpu-smi"
_NOT_SHOWN: Final = f"{_TOOL} discovery does not show it"


def read(first: int, run: Run | None = None) -> tuple[tuple[Device, ...], str]:
    """Every GPU that the tool shows, numbered from ``first`` on; and why there is none, in words.

    Args:
        run: a command; by default of this machine.
    """
    if run is None and shutil.which(_TOOL) is None:
        return (), f"{_TOOL}, which reads it, is not installed: it is of Intel's XPU Manager"
    ask = run or output_of
    try:
        listed = json.loads(ask((_TOOL, "discovery", "-j"))).get("device_list", [])
        each = [json.loads(ask((_TOOL, "discovery", "-d", str(one["device_id"]), "-j"))) for one in listed]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError, AttributeError) as error:
        return (), f"{_TOOL} does not answer as documented: {type(error).__name__}"
    found = tuple(_device(first + n, one) for n, one in enumerate(each))
    return found, "" if found else f"{_TOOL} shows no GPU"


def _number(told: Any, scale: float = 1.0) -> Reading[Any]:
    """The tool writes numbers as texts."""
    try:
        value = float(told) * scale
    except (TypeError, ValueError):
        return Reading.missing(_NOT_SHOWN)
    return Reading.of(int(value) if value.is_integer() else value)


def _text(told: Any) -> Reading[str]:
    clean = " ".join(str(told or "").split())
    return Reading.of(clean) if clean else Reading.missing(_NOT_SHOWN)


def _device(index: int, told: dict[str, Any]) -> Device:
    total, free = _number(told.get("memory_physical_size_byte")), _number(told.get("memory_free_size_byte"))
    used = total.map(lambda whole: whole - free.value) if free.value is not None else free
    return Device.unreadable(
        index,
        _NOT_SHOWN,
        vendor=VENDOR,
        name=_text(told.get("device_name")),
        uuid=_text(told.get("uuid")),
        memory_total_bytes=total,
        memory_free_bytes=free,
        memory_used_bytes=used,
        sm_clock_max_hz=_number(told.get("core_clock_rate_mhz"), 1e6),
        pcie_generation_max=_number(told.get("pcie_generation")),
        pcie_width_max=_number(told.get("pcie_max_link_width")),
    )
