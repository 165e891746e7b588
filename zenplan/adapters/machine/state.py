"""Whether the machine is fit to be measured: what else runs on it, what it runs on, and how fast its GPU may go."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zenplan import units
from zenplan.domain.hardware.device import Device

# Others may take that much of a core that we were to have before it is said.
_SPARE_CORES: Final = 0.25
# A GPU that others use this much is not ours.
_BUSY_GPU: Final = 0.05
_LOOK_S: Final = 0.5
# Columns of /proc/stat's first line: what is idle, and what is counted twice (a guest is in user, too).
_IDLE, _GUEST = (3, 4), (8, 9)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorTime:
    """Clocks of the processors, read at one moment.

    Attributes:
        busy_s: of all cores of the machine, whoever it was for; None on a system that does not tell.
        own_s: of this process and of those that it has waited for.
    """

    wall_s: float
    busy_s: float | None
    own_s: float


def processor_time(root: Path = Path("/")) -> ProcessorTime:
    """The clocks now."""
    own = os.times()
    return ProcessorTime(
        wall_s=time.monotonic(),
        busy_s=_busy_s(root),
        own_s=own.user + own.system + own.children_user + own.children_system,
    )


def _busy_s(root: Path) -> float | None:
    try:
        first = (root / "proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    except (OSError, IndexError, ValueError):
        return None
    ticks = [int(t) for index, t in enumerate(first) if index not in (*_IDLE, *_GUEST)]
    return sum(ticks) / os.sysconf("SC_CLK_TCK")


def crowded(begin: ProcessorTime, end: ProcessorTime, cores: int, threads: int) -> str:
    """Why ``threads`` cores of the machine's ``cores`` were not free between two readings; empty where they were.

    A core that nobody of ours wants may be as busy as it likes.
    """
    if begin.busy_s is None or end.busy_s is None:
        return ""
    passed_s = max(end.wall_s - begin.wall_s, 1e-3)
    others = max(0.0, (end.busy_s - begin.busy_s) - (end.own_s - begin.own_s)) / passed_s
    if others <= max(0, cores - threads) + _SPARE_CORES:
        return ""
    machine = units.many(cores, "core")
    return f"busy: other programs use {units.significant(others, 2)} of this machine's {machine}; computing needs {threads}"


def crowded_now(cores: int, threads: int, sleep: Callable[[float], None] = time.sleep) -> str:
    """The same for the next half second, in which nothing of ours runs."""
    begin = processor_time()
    sleep(_LOOK_S)
    return crowded(begin, processor_time(), cores, threads)


def on_battery(root: Path = Path("/")) -> str:
    """That the machine runs on its battery; empty where it does not, or has none."""
    supplies = root / "sys/class/power_supply"
    mains = [_word(each) for each in sorted(supplies.glob("*/online"))]
    draining = [each for each in sorted(supplies.glob("*/status")) if _word(each) == "Discharging"]
    if draining and "1" not in mains:
        return "on battery: the machine may slow down to save it"
    return ""


def _word(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def gpu_in_use(device: Device, just_used: bool = False) -> str:
    """Who else is on the GPU; empty where nobody is, or the driver does not tell. Nothing of ours runs meanwhile.

    Args:
        just_used: by us, so that how much it was used in the last second says nothing of others.
    """
    others = device.compute_processes.value or ()
    if others:
        held = sum(p.used_bytes.value or 0 for p in others)
        more = f", with {units.size(held)} of its memory" if held else ""
        many = f"{len(others)} other processes are" if len(others) > 1 else "another process is"
        return f"busy: {many} on GPU {device.index}{more}"
    used = device.gpu_utilisation.value
    if not just_used and used is not None and used > _BUSY_GPU:
        return f"busy: GPU {device.index} is used to {units.percent(used)} before anything of ours runs"
    return ""
