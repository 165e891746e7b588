"""The fixtures of training runs, whose models these tests go on with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.worker.together import together
from tests.worker.training.conftest import Lab
from tests.worker.training.conftest import backend as backend
from tests.worker.training.conftest import lab as lab
from tests.worker.training.conftest import one_backend as one_backend
from zenplan.worker.protocol import Ended, Metric, Train, Trained


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A folder of the whole module, with runs that its tests leave as they are."""
    return Lab(tmp_path_factory.mktemp("shared"))


def to_be(job: Train) -> Trained:
    """The model of a run that is still to be done."""
    return Trained(path=str(Path(job.folder, "model", "model.keras")), job=job, precision="fp32")


def finished(lab: Lab, backend: str, runs: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[Trained, Metric]]:
    """Runs to their end, all in one process: the model of each, and what the run said of the test data.

    Args:
        runs: changes of the usual job, by the name of the run.
    """
    jobs = {name: lab.job(f"{backend}-{name}", **changes) for name, changes in runs.items()}
    found = {}
    for (name, job), events in zip(jobs.items(), together(lab.folder, backend, list(jobs.values())), strict=True):
        assert isinstance(events[-1], Ended), (name, events[-1])
        test = next(each for each in events if isinstance(each, Metric) and each.part == "test")
        found[name] = Trained(path=events[-1].model, job=job, precision="fp32"), test
    return found
