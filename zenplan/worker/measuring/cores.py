"""Processor cores for one of several processes that compute at the same time."""

from __future__ import annotations

import os

from zenplan.errors import UsageError


def own_cores(rank: int, world: int, threads: int) -> None:
    """Keep this process to cores that no other rank has; a system without affinity places them as it likes.

    Raises:
        UsageError: there are too few.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < world * threads:
        raise UsageError(
            f"{world} workers of {threads} thread(s) need {world * threads} cores, there are {len(allowed)}",
            "take fewer workers or threads",
        )
    os.sched_setaffinity(0, allowed[rank * threads : (rank + 1) * threads])
