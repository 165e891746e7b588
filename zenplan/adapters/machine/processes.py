"""Processes of this machine, by their numbers."""

from __future__ import annotations

import os
import time
from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether there is a process of that number, whoever it is of."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def age_s() -> float:
    """Seconds since this process was started, of which Python sees the last alone; 0 where the system does not tell."""
    try:
        # proc_pid_stat(5): the 22nd field, in ticks since the machine was started; the second may hold blanks.
        ticks = int(
            Path("/proc/self/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[19]
        )
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0
