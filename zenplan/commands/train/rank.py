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
from zenplan.commands.train.flags import Flags
from zenplan.commands.train.session import asked_of
from zenplan.commands.train.stopping import ENDS, signals
from zenplan.domain.measured.training_run import STOPPED
from zenplan.errors import UsageError
from zenplan.plugins import Plugins
from zenplan.worker.protocol import Ended, Ranks, Stop

_LOOK_S: Final = 0.5


def run_rank(flags: Flags, ranks: Ranks, plugins: Plugins) -> int:
    """Train with the others; the exit code, which is that of rank 0.

    Raises:
        UsageError: it has no folder that rank 0 writes into, or is asked for something else.
        ZenplanError: it failed, or another did.
    """
    asked, engine = asked_of(flags, plugins, warned, lambda *_: None)
    folder = flags.out if flags.out is not None else find_run(flags.resume or "")
    _wait_for(folder, ranks)
    job = msgspec.structs.replace(asked.job, folder=str(folder.absolute()), ranks=ranks)
    with signals() as signal:
        told = False

        def orders() -> list[Stop]:
            # All of them end where one is asked to.
            nonlocal told
            wanted = [] if told or not signal() else [Stop(reason=signal())]
            told = told or bool(wanted)
            return wanted

        ended = run_job(
            job,
            asked.backend,
            Limits(time_s=math.inf),
            lambda *_: None,
            environment=environment_of(job.device, job.threads, job.devices, ranks, os.environ),
            command=engine.worker(),
            orders=orders,
        )
    reason = ended.reason if isinstance(ended, Ended) else ""
    write(sys.stdout, f"rank {ranks.rank} of {ranks.size}: {reason}; the run is in {folder}\n")
    return ENDS.get(reason, (STOPPED, 1))[1]


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
