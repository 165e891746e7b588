"""Runs that are over: what their folders say, for those that come after them."""

from __future__ import annotations

import math
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from zenplan.adapters.run_folder.folder import CHECKPOINTS, FEDERATION, JOB, PREDICTION, RESULT, STATUS, is_held, take
from zenplan.adapters.run_folder.place import known_runs
from zenplan.commands.train.document import PredictionDocument, RunDocument, prediction_of, result_of
from zenplan.domain.measured.training_run import FINISHED, KILLED, RUNNING, RunPrediction, RunResult, RunStatus
from zenplan.errors import DataError, InputFileError
from zenplan.planning.watch.rehearsal import MOST_RUNS
from zenplan.worker.protocol import Train

_STEP: Final = "step-"
# Of figures that cannot be.
_OTHER: Final = "was it written by another version of zenplan, or changed since? 'zenplan runs list' shows the others"
# Fields of a job that a run of the same has in common with another, for what it took.
_SAME: Final = (
    "data",
    "model",
    "loss",
    "precision",
    "compiled",
    "threads",
    "device",
    "batch",
    "micro_batch",
    "workers",
    "devices",
    "tensor_parallel",
    "zero",
    "lora_rank",
    "quantize",
    "evaluate_batches",
)


def read_result(folder: Path) -> RunResult:
    """What came out of a run. Raises InputFileError: it is not over; DataError: its file holds something else."""
    document = take(folder, RESULT, RunDocument)
    try:
        return result_of(document)
    except ValueError as error:
        raise DataError(f"{RESULT} of the run in {folder}: {error}", _OTHER) from error


def read_prediction(folder: Path) -> RunPrediction | None:
    """What was predicted of it; None where nothing was yet. Raises DataError: its file holds something else."""
    if not (folder / PREDICTION).exists():
        return None
    document = take(folder, PREDICTION, PredictionDocument)
    try:
        return prediction_of(document)
    except ValueError as error:
        raise DataError(f"{PREDICTION} of the run in {folder}: {error}", _OTHER) from error


class Starting(DataError):
    """A process is at the run, and has told nothing of it yet."""


def standing(folder: Path, foreign: bool = False) -> tuple[RunStatus, bool | None]:
    """How a run stands, and whether a process is at it; None where that cannot be seen from here, as not every file system
    shows the locks of another machine. One that says it runs, and that nobody is at, was killed.

    Args:
        foreign: whether another version may have written it, which says more than is known here.

    Raises:
        Starting: it has told nothing yet. InputFileError, DataError: its folder does not say.
    """
    # Before it is read: the last word of one that ends comes before it lets go.
    held = is_held(folder)
    if held and not (folder / STATUS).exists():
        raise Starting(f"the run in {folder} is starting: it has written nothing yet", "look again in a moment")
    status = take(folder, STATUS, RunStatus, foreign)
    if status.state != RUNNING:
        return status, False
    if held or is_held(folder):
        return status, True
    if status.host != socket.gethostname():
        return status, None
    return replace(status, state=KILLED), False


def resumable(status: RunStatus, folder: Path) -> bool:
    """Whether there is a checkpoint to go on from."""
    return status.step < status.steps and bool(_checkpoints(folder))


def resumed_job(job: Train, folder: Path) -> Train:
    """The job of a run that is gone on with; from its beginning where it has no checkpoint yet, and with its rehearsal where
    it ended in that."""
    steps = [int(each.name.removeprefix(_STEP)) for each in _checkpoints(folder)]
    predicted = job.rehearsal is None or (folder / PREDICTION).exists()
    if not any(steps) and not predicted:
        return msgspec.structs.replace(job, resume=False, folder=str(folder.absolute()))
    return msgspec.structs.replace(job, resume=bool(steps), rehearsal=None, folder=str(folder.absolute()))


def forget_checkpoints(folder: Path) -> None:
    """Remove those of a run that begins anew: it has made no step."""
    for each in _checkpoints(folder):
        shutil.rmtree(each)


def _checkpoints(folder: Path) -> list[Path]:
    return [each for each in (folder / CHECKPOINTS).glob(f"{_STEP}*") if each.name.removeprefix(_STEP).isdecimal()]


def finished_runs() -> Sequence[tuple[Path, RunResult]]:
    """Those in one place that came to their end here, the newest first; what cannot be read is left out."""
    found = []
    for folder in known_runs().values():
        # Of a run among clients a step is a round, which says nothing of one process.
        if (folder / FEDERATION).exists():
            continue
        with suppress(InputFileError, DataError):
            result = read_result(folder)
            if result.status.state == FINISHED:
                found.append((folder, result))
    return sorted(found, key=lambda each: each[1].status.updated_at, reverse=True)


def like(job: Train, backend: str, runs: Sequence[tuple[Path, RunResult]]) -> RunResult | None:
    """The newest of these that trained the same in the same way; None without one."""
    for folder, result in runs:
        with suppress(InputFileError, DataError):
            other = take(folder, JOB, Train)
            if result.status.backend == backend and all(getattr(other, f) == getattr(job, f) for f in _SAME):
                return result
    return None


def usual_s(runs: Sequence[tuple[Path, RunResult]], backend: str, of: Callable[[RunResult], float]) -> float | None:
    """What runs on that backend that were started once took here for something, in the median; None without one.

    Args:
        runs: the newest first; backend: of those that count.
        of: the seconds of one.
    """
    found = [of(each) for _, each in runs if each.status.backend == backend and each.status.starts == 1]
    return median(found[:MOST_RUNS]) if found else None


def step_ratios(runs: Sequence[tuple[Path, RunResult]], device: str, host: str) -> Mapping[str, Sequence[float]]:
    """Measured over predicted mean step, by the origin of the prediction, of runs on that device here, the latest last.

    What earlier runs had corrected of a prediction is left out of it.
    """
    found: dict[str, list[float]] = {}
    for _, result in reversed(runs[:MOST_RUNS]):
        known = result.prediction
        if known is None or known.step_s is None or not result.step_s or known.step_s.mid <= 0.0:
            continue
        if result.status.device == device and result.status.host == host and result.status.starts == 1:
            ratio = result.step_s / (known.step_s.mid / known.correction)
            if math.isfinite(ratio):
                found.setdefault(known.origin, []).append(ratio)
    return found
