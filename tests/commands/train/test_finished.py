"""A finished run, for what is done with its model: on which backend of Keras, whichever engine trained it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from zenplan.commands.train.finished import FinishedRun, finished_run
from zenplan.errors import UsageError


def finished(trainer: Any, versions: dict[str, str], **status: str | None) -> FinishedRun:
    """A run whose worker has said those versions, and whose status says otherwise so; None for what it does not say."""
    code, _, err = trainer.train(versions=versions)
    assert code == 0, err
    path = Path(trainer.folder) / "run" / "status.json"
    said = {**json.loads(path.read_text(encoding="utf-8")), **status}
    kept = {name: value for name, value in said.items() if value is not None}
    path.write_text(json.dumps(kept), encoding="utf-8")
    return finished_run(str(path.parent))


def test_the_model_of_a_plugins_engine_is_of_the_backend_that_its_worker_said(trainer: Any) -> None:
    assert finished(trainer, {"keras": "3", "torch": "2", "ray": "2"}, backend="ray").backend == "torch"


def test_what_is_recorded_goes_before_the_name_of_the_engine(trainer: Any) -> None:
    assert finished(trainer, {"keras": "3", "tensorflow": "2"}).backend == "tensorflow"


def test_a_run_that_recorded_none_is_of_its_own_engine(trainer: Any) -> None:
    assert finished(trainer, {"keras": "3", "torch": "2"}, keras_backend=None).backend == "jax"


@pytest.mark.parametrize("versions", [{"torch": "2"}, {"keras": "3"}, {}])
def test_a_model_that_is_none_of_keras_is_refused(trainer: Any, versions: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="none of Keras's") as error:
        finished(trainer, versions, backend="pytorch")
    assert error.value.hint
