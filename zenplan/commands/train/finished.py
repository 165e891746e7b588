"""A training run that came to its end, for what is done with its model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zenplan.adapters.run_folder.folder import JOB, MODEL, take
from zenplan.adapters.run_folder.place import find_run
from zenplan.adapters.workers.process import BACKENDS
from zenplan.commands.train.past import read_result, standing
from zenplan.domain.measured.training_run import FINISHED, RUNNING, RunResult, RunStatus
from zenplan.errors import InputFileError, UsageError
from zenplan.worker.protocol import Train, Trained


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A run whose model is there.

    Attributes:
        path: of the model's file; the folder may have been moved since it was written.
        backend: of Keras, that the model was trained on, whichever engine did.
    """

    folder: Path
    result: RunResult
    job: Train
    path: Path
    backend: str

    @property
    def id(self) -> str:
        """Of the run."""
        return self.result.status.id

    def trained(self, precision: str = "", quantize: str = "") -> Trained:
        """Its model, for a worker; arguments as of ``Trained``."""
        return Trained(path=str(self.path), job=self.job, precision=precision, quantize=quantize)


def finished_run(name: str) -> FinishedRun:
    """The run of that id, or in that folder.

    Raises:
        UsageError: there is none, it is not finished, or its model is none of Keras's.
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
    backend = backend_of_model(status)
    if not backend:
        raise UsageError(
            f"the model of run {status.id}, which {status.backend} trained, is none of Keras's",
            f"a model of Keras on {', '.join(BACKENDS)} can be used, whichever engine trained it",
        )
    result = read_result(folder)
    path = folder / MODEL / Path(result.model).name
    if not result.model or not path.is_file():
        raise InputFileError(f"the model of run {status.id} is gone: {path}", "train it anew")
    return FinishedRun(folder=folder, result=result, job=take(folder, JOB, Train), path=path, backend=backend)


def backend_of_model(status: RunStatus) -> str:
    """The backend of Keras that the run's model is of; empty where it is none of Keras's."""
    return status.keras_backend or (status.backend if status.backend in BACKENDS else "")
