"""Which process is at a calibration, and whether it still is."""

from __future__ import annotations

import os
import platform
import time
from typing import Final

from zenplan.domain.measured.stored import DONE, RUNNING, UNFINISHED

# So long after its last change nobody is measuring any more, whatever process has the writer's number now.
_SILENCE_S: Final = 3600.0
_STARTED: Final = time.time()


def this_process() -> str:
    """The machine and the number of this process there."""
    return f"{platform.node()}:{os.getpid()}"


def state_of(finished: int, writer: str, written_at: float) -> str:
    """The state of a calibration. It is running while its writer lives; of another machine's only silence tells.

    Args:
        finished: whether all was measured.
        writer: what ``this_process`` was to the last that changed it; empty where it was imported.
        written_at: when that was, in seconds since 1970.
    """
    if finished:
        return DONE
    node, _, process = writer.rpartition(":")
    if not process or time.time() - written_at > _SILENCE_S:
        return UNFINISHED
    if writer == this_process():
        # In a container every run may have the same number.
        return RUNNING if written_at >= _STARTED else UNFINISHED
    return RUNNING if node != platform.node() or _lives(int(process)) else UNFINISHED


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
