"""Apple's chips: the GPU through ``system_profiler``, the processor and its memory through ``sysctl``; never run on the
hardware by the tests."""

from __future__ import annotations

import json
import subprocess
from typing import Any, Final

from zenplan.adapters.machine.tools import Run, output_of
from zenplan.domain.hardware.device import Device, Reading

VENDOR: Final = "Apple"
_DISPLAYS: Final = "SPDisplaysDataType"
_NOT_SHOWN: Final = "macOS does not show it"


def read(first: int, run: Run = output_of) -> tuple[tuple[Device, ...], str]:
    """The GPU of Apple's own chip, numbered ``first``; and why there is none, in words. Its memory is the machine's."""
    try:
        listed = json.loads(run(("system_profiler", _DISPLAYS, "-json")))[_DISPLAYS]
        own = [one for one in listed if VENDOR.casefold() in str(one.get("spdisplays_vendor", "")).casefold()]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError, AttributeError) as error:
        return (), f"system_profiler does not answer as documented: {type(error).__name__}"
    memory = sysctl("hw.memsize", run)
    total: Reading[Any] = Reading.of(int(memory)) if memory.isdecimal() else Reading.missing(_NOT_SHOWN)
    found = tuple(
        Device.unreadable(
            first + n,
            _NOT_SHOWN,
            vendor=VENDOR,
            name=Reading.of(str(one.get("sppci_model") or one.get("_name") or VENDOR)),
            memory_total_bytes=total,
        )
        for n, one in enumerate(own)
    )
    return found, "" if found else "system_profiler shows no GPU of Apple's"


def sysctl(name: str, run: Run = output_of) -> str:
    """A value of the kernel's, as in ``machdep.cpu.brand_string``; empty where it tells none."""
    try:
        return run(("sysctl", "-n", name)).strip()
    except (OSError, subprocess.SubprocessError):
        return ""
