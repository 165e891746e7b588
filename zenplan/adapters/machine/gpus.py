"""The GPUs of this machine, whoever made them: each maker's own library is asked, where it has something to tell."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path
from typing import Final

from zenplan.adapters.machine import amd, apple, intel, nvml
from zenplan.domain.hardware.device import Device, DriverState

# Makers by their number on the bus (PCI-SIG).
_MAKERS: Final = {"0x1002": amd, "0x8086": intel}


def read_gpus(root: Path = Path("/"), system: str = "") -> tuple[DriverState, tuple[Device, ...]]:
    """NVIDIA's driver, and every GPU: NVIDIA's and their slices first. Without any, the state says why. It never raises.

    Args:
        root: where ``sys`` is.
        system: as ``platform.system`` calls it; by default this one's.
    """
    state, devices = nvml.read_gpus()
    found, reasons = list(devices), [state.reason] if state.reason else []
    apples = [apple] if (system or platform.system()) == "Darwin" else []
    for maker in (*(each for number, each in _MAKERS.items() if number in _on_the_bus(root)), *apples):
        more, why = maker.read(len(found))
        found += more
        if why:
            reasons.append(f"there is a GPU of {maker.VENDOR}, but {why}")
    return replace(state, reason="" if found else "; ".join(reasons)), tuple(found)


def _on_the_bus(root: Path) -> set[str]:
    """Numbers of the makers of graphics and compute cards."""
    found = set()
    for file in (root / "sys/class/drm").glob("card*/device/vendor"):
        try:
            found.add(file.read_text(encoding="ascii").strip().casefold())
        except (OSError, UnicodeDecodeError):
            continue
    return found
