"""The model of a finished run and artefacts of it, scored beside each other in a worker; and the flags that say on what."""

from __future__ import annotations

import os
from collections.abc import Sequence
from statistics import median
from typing import Final

from zenplan.adapters.machine.host import allowed_cores
from zenplan.adapters.workers.process import Limits, Tell, measuring_environment, run_job, untold
from zenplan.commands.train.data import Prepared
from zenplan.commands.train.finished import FinishedRun
from zenplan.domain.measured.export import Scores
from zenplan.errors import FailureKind
from zenplan.units import parse_whole
from zenplan.worker.protocol import Artefact, Event, Score, Scored

MOST_SAMPLES: Final = 2000
# That artefacts are written from, and compared in.
PRECISION: Final = "fp32"
# What is no fault of an artefact's.
OF_THE_MACHINE: Final = (FailureKind.OUT_OF_MEMORY, FailureKind.KILLED, FailureKind.TIMED_OUT)
_PARTS: Final = ("test", "validation", "train")
_MOST: Final = 1e9
# Of samples that are called at once, and how often one and as many are timed.
_BATCH, _TIMES = 32, 20


def part_of(data: Prepared) -> str:
    """The part of the data that a model is scored on: the test data, where there are some."""
    return next(part for part in _PARTS if part in data.parts)


def samples_of(text: str | None) -> int:
    """How many samples are scored, by ``--samples``; 0 for all.

    Raises:
        UsageError: it is no whole number.
    """
    if text is None:
        return MOST_SAMPLES
    return 0 if text == "0" else parse_whole(text, "--samples", _MOST, 2000)


def threads_of(text: str | None) -> int:
    """Of the host, by ``--threads``: all cores that this process may use, or fewer.

    Raises:
        UsageError: it is no whole number.
    """
    cores = allowed_cores()
    return cores if text is None else min(cores, parse_whole(text, "--threads", _MOST, 2))


def job_of(run: FinishedRun, part: str, most: int, threads: int, artefacts: Sequence[Artefact]) -> Score:
    """The job that scores and times the run's model, and artefacts of it; arguments as of ``Score``."""
    return Score(
        what=f"run {run.id}",
        model=run.trained(precision=PRECISION),
        artefacts=tuple(artefacts),
        part=part,
        most=most,
        batch=_BATCH,
        times=_TIMES,
        threads=threads,
    )


def compare(job: Score, backend: str, limits: Limits, tell: Tell = untold) -> list[Scored]:
    """What the model comes to, then each artefact, on the processor.

    Raises:
        ZenplanError: one of them cannot be read, or the worker failed.
    """
    heard: list[Event] = []
    environment = measuring_environment("cpu", job.threads, os.environ)
    run_job(job, backend, limits, tell, hear=heard.append, environment=environment)
    return [each for each in heard if isinstance(each, Scored)]


def scores_of(found: Scored) -> Scores:
    """The figures, and the medians of the times."""
    return Scores(
        values=found.values,
        one_s=median(found.one_s) if found.one_s else None,
        batch_s=median(found.batch_s) if found.batch_s else None,
    )
