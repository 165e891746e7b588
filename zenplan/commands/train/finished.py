"""A training run that came to its end, for what is done with its model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zenplan.adapters.run_folder.folder import JOB, MODEL, take
from zenplan.adapters.run_folder.place import find_run
from zenplan.adapters.workers.process import BACKENDS
from zenplan.commands.train.past import read_result, standing
from zenplan.domain.measured.training_run import FINISHED, RUNNING, RunResult
from zenplan.errors import InputFileError, UsageError
from zenplan.worker.protocol import Train, Trained


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A run whose model is there.

    Attributes:
        path: of the model's file; the folder may have been moved since it was written.
    """

    folder: Path
    result: RunResult
    job: Train
    path: Path

    @property
    def id(self) -> str:
        """Of the run."""
        return self.result.status.id

    @property
    def backend(self) -> str:
        """That it was trained on."""
        return self.result.status.backend

    def trained(self, precision: str = "", quantize: str = "") -> Trained:
        """Its model, for a worker; arguments as of ``Trained``."""
        return Trained(path=str(self.path), job=self.job, precision=precision, quantize=quantize)


def finished_run(name: str) -> FinishedRun:
    """The run of that id, or in that folder.

    Raises:
        UsageError: there is none, it is not finished, or another engine than zenplan's own trained it.
        InputFileError, DataError: its files are gone, or of another version.
    """
    folder = find_run(name).resolve()
    status, _ = standing(folder)
    if status.state != FINISHED:
        runs = status.state == RUNNING
        stands = (
            "still runs" if runs else f"is not finished, but {status.state}: step {status.step:,} of {status.steps:,}"
        )
        hint = "wait for its end" if runs else f"go on with it: zenplan train --resume {status.id}"
        raise UsageError(f"run {status.id} {stands}", hint)
    if status.backend not in BACKENDS:
        raise UsageError(
            f"run {status.id} was trained by {status.backend}, an engine of a plugin's",
            f"the model of a run on {', '.join(BACKENDS)} can be used",
        )
    result = read_result(folder)
    path = folder / MODEL / Path(result.model).name
    if not result.model or not path.is_file():
        raise InputFileError(f"the model of run {status.id} is gone: {path}", "train it anew")
    return FinishedRun(folder=folder, result=result, job=take(folder, JOB, Train), path=path)
