"""Processes of this machine, by their numbers."""

from __future__ import annotations

import os


def is_alive(pid: int) -> bool:
    """Whether there is a process of that number, whoever it is of."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
