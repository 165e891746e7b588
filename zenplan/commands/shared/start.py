"""When the command was started: what a run costs is counted from there on, and not from where zenplan was loaded."""

from __future__ import annotations

import time

# Filled where the process is of one command from its start to its end.
_of_process: list[bool] = []


def of_process() -> None:
    """This process was started for the command that comes."""
    _of_process.append(True)


def began_s() -> float:
    """When the command was started, by the monotonic clock: with its process, or now where a program goes on in it."""
    from zenplan.adapters.machine.processes import age_s

    return time.monotonic() - (age_s() if _of_process else 0.0)
