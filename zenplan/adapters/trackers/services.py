"""MLflow, Trackio and Weights & Biases, through their own libraries, which are imported when a run starts.

Where a run is kept, and who may see it, is the library's own business: its variables and files of settings hold.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from zenplan.domain.measured.tracked_run import TrackedRun
from zenplan.errors import UsageError

_PROJECT: Final = "zenplan"
# In the run's folder, the id that MLflow has given it: a resumed run is the same one there.
_MLFLOW_ID: Final = "mlflow-run"


@dataclass(frozen=True, slots=True)
class MLflow:
    """A run of MLflow, in the experiment ``zenplan`` or that of MLFLOW_EXPERIMENT_NAME."""

    name: str = "mlflow"

    def start(self, run: TrackedRun) -> MLflowRun:
        """Begin it, or go on with it. Raises UsageError: MLflow is not installed."""
        _needed("mlflow")
        import mlflow

        if "MLFLOW_EXPERIMENT_NAME" not in os.environ and "MLFLOW_EXPERIMENT_ID" not in os.environ:
            mlflow.set_experiment(_PROJECT)
        known = Path(run.folder) / _MLFLOW_ID
        if run.resumed and known.is_file():
            mlflow.start_run(run_id=known.read_text(encoding="ascii").strip())
        else:
            begun = mlflow.start_run(run_name=f"{run.name} {run.id}")
            mlflow.log_params({"backend": run.backend, **run.settings})
            known.write_text(f"{begun.info.run_id}\n", encoding="ascii")
        return MLflowRun(mlflow)


@dataclass(frozen=True, slots=True)
class MLflowRun:
    """As of ``Tracking``."""

    library: Any

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """The values."""
        self.library.log_metrics(dict(values), step=step)

    def finish(self, state: str) -> None:
        """End it, as finished, failed, or killed where it can be gone on with."""
        self.library.end_run({"finished": "FINISHED", "failed": "FAILED"}.get(state, "KILLED"))


@dataclass(frozen=True, slots=True)
class Trackio:
    """A run of Trackio, in the project ``zenplan``."""

    name: str = "trackio"

    def start(self, run: TrackedRun) -> TrackioRun:
        """Begin it, or go on with it. Raises UsageError: Trackio is not installed."""
        _needed("trackio")
        import trackio

        settings = {"backend": run.backend, **run.settings}
        trackio.init(project=_PROJECT, name=f"{run.name} {run.id}", config=settings, resume="allow")
        return TrackioRun(trackio)


@dataclass(frozen=True, slots=True)
class TrackioRun:
    """As of ``Tracking``."""

    library: Any

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """The values."""
        self.library.log(dict(values), step=step)

    def finish(self, state: str) -> None:
        """End it."""
        self.library.finish()


@dataclass(frozen=True, slots=True)
class WandB:
    """A run of Weights & Biases, in the project ``zenplan`` or that of WANDB_PROJECT."""

    name: str = "wandb"

    def start(self, run: TrackedRun) -> WandBRun:
        """Begin it, or go on with it. Raises UsageError: wandb is not installed."""
        _needed("wandb")
        import wandb

        begun = wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            id=run.id,
            name=f"{run.name} {run.id}",
            config={"backend": run.backend, **run.settings},
            dir=run.folder,
            resume="allow",
        )
        return WandBRun(begun)


@dataclass(frozen=True, slots=True)
class WandBRun:
    """As of ``Tracking``."""

    run: Any

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """The values."""
        self.run.log(dict(values), step=step)

    def finish(self, state: str) -> None:
        """End it."""
        self.run.finish(exit_code=0 if state == "finished" else 1)


def _needed(library: str) -> None:
    if find_spec(library) is None:
        raise UsageError(
            f"{library} is not installed: pip install {library}", "the run is kept without it all the same"
        )
