"""Energy that the machine takes, as it measures itself: GPUs through NVML, processors through RAPL (Linux)."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

# The counters of RAPL begin anew at their largest value, which a processor under load reaches within some minutes.
_RAPL: Final = "sys/class/powercap"


class EnergyMeter:
    """Joules since it was made, of what can be measured.

    ``read`` has to be called now and then: a counter that has begun anew twice since then would be missed.
    """

    def __init__(self, gpu: int | None, root: Path = Path("/"), clock: Callable[[], float] = time.monotonic) -> None:
        """Of that GPU and the processors; None of the processors alone."""
        self._began = clock()
        self._clock = clock
        self._packages = _packages(root)
        self._last = {package: _counter(package) for package in self._packages}
        self._joules = 0.0
        self._gpu = gpu
        self._gpu_began = _gpu_j(gpu)

    def read(self) -> float | None:
        """So far; None where nothing can be measured, or where a GPU that computes cannot."""
        for package in self._packages:
            now, last = _counter(package), self._last[package]
            if now is not None and last is not None:
                self._joules += (now - last if now >= last else now + _range(package) - last) / 1e6
                self._last[package] = now
        if self._gpu is None:
            return self._joules if self._packages else None
        now_j = _gpu_j(self._gpu)
        if now_j is None or self._gpu_began is None:
            return None
        return self._joules + now_j - self._gpu_began

    def power_w(self) -> float | None:
        """The mean since it was made; None where nobody tells, or within its first second."""
        seconds, joules = self._clock() - self._began, self.read()
        return None if joules is None or seconds < 1.0 else joules / seconds


def _packages(root: Path) -> list[Path]:
    """The zones of whole processors that may be read: often by the administrator alone."""
    with suppress(OSError):
        zones = sorted((root / _RAPL).glob("intel-rapl:*"))
        return [zone for zone in zones if zone.name.count(":") == 1 and _counter(zone) is not None]
    return []


def _counter(zone: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int((zone / "energy_uj").read_text(encoding="ascii"))
    return None


def _range(zone: Path) -> int:
    with suppress(OSError, ValueError):
        return int((zone / "max_energy_range_uj").read_text(encoding="ascii"))
    return 0


def _gpu_j(index: int | None) -> float | None:
    if index is None:
        return None
    from zenplan.adapters.machine.nvml import read_gpus

    device = next((each for each in read_gpus()[1] if each.index == index), None)
    return None if device is None else device.energy_j.value
