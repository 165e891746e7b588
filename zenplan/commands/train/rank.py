"""``zenplan train`` as one of several workers that another system has started, but rank 0: that one leads the run."""

from __future__ import annotations

import math
import os
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from zenplan.adapters.run_folder.place import find_run
from zenplan.adapters.workers.process import Limits, run_job
from zenplan.adapters.workers.ranks import environment_of
from zenplan.commands.shared.output import warned, write
from zenplan.commands.train.flags import Flags, parsed_train
from zenplan.commands.train.session import job_of_rank
from zenplan.commands.train.stopping import ENDS, signals
from zenplan.domain.measured.training_run import STOPPED
from zenplan.errors import FailureKind, UsageError, ZenplanError
from zenplan.planning.watch.ranks import silence_of
from zenplan.plugins import Plugins
from zenplan.protocols import Engine
from zenplan.worker.protocol import Ended, Event, Pulse, Ranks, Stop, Train

_LOOK_S: Final = 0.5


def run_rank(flags: Flags, ranks: Ranks, plugins: Plugins) -> int:
    """Train with the others; the exit code, which is that of rank 0.

    Raises:
        UsageError: it has no folder that rank 0 writes into, or is asked for something else.
        ZenplanError: it failed, or another did.
    """
    folder = flags.out if flags.out is not None else find_run(flags.resume or "")
    wait_s = parsed_train(flags.own).get("rendezvous_timeout") or ranks.wait_s
    ranks = msgspec.structs.replace(ranks, wait_s=wait_s)
    job, backend, engine = job_of_rank(flags, folder, plugins, warned, lambda *_: None)
    _wait_for(folder, ranks)
    job = msgspec.structs.replace(job, folder=str(folder.absolute()), ranks=ranks)
    reason = _trained(job, backend, engine, ranks)
    write(sys.stdout, f"rank {ranks.rank} of {ranks.size}: {reason}; the run is in {folder}\n")
    return ENDS.get(reason, (STOPPED, 1))[1]


def _trained(job: Train, backend: str, engine: Engine, ranks: Ranks) -> str:
    """Why it ended."""
    heard_s = math.inf
    told = False

    def hear(event: Event) -> None:
        nonlocal heard_s
        heard_s = time.monotonic() if isinstance(event, Pulse) else heard_s

    def tell(stage: str, _seconds: float) -> None:
        if stage == "start" and signal():
            # It waits for the others, and hears nothing; there is nothing to keep yet.
            raise KeyboardInterrupt
        if time.monotonic() - heard_s > silence_of(stage):
            raise ZenplanError(
                f"the worker of rank {ranks.rank} gives no sign of life for {silence_of(stage):.0f} s",
                "look at its machine; the last checkpoint is as it was",
                kind=FailureKind.NO_COLLECTIVES,
            )

    def orders() -> list[Stop]:
        # All of them end where one is asked to.
        nonlocal told
        wanted = [] if told or not signal() else [Stop(reason=signal())]
        told = told or bool(wanted)
        return wanted

    environment = environment_of(job.device, job.threads, job.devices, ranks, os.environ)
    limits, command = Limits(time_s=math.inf), engine.worker()
    with signals() as signal:
        try:
            ended = run_job(job, backend, limits, tell, hear, environment=environment, command=command, orders=orders)
        except KeyboardInterrupt:
            # A second signal ends it too.
            return signal()
    return ended.reason if isinstance(ended, Ended) else ""


def _wait_for(folder: Path, ranks: Ranks) -> None:
    """Until rank 0 has made the run's folder, which may take as long as it prepares the data."""
    end = time.monotonic() + ranks.wait_s
    while not folder.is_dir():
        if time.monotonic() > end:
            raise UsageError(
                f"rank 0 has made no folder {folder} within {ranks.wait_s:,.0f} s, as rank {ranks.rank} sees it",
                "--out must be a folder that all machines share; did rank 0 start?",
            )
        time.sleep(_LOOK_S)
