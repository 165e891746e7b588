"""MLflow, Trackio and wandb: what their libraries are asked for, by libraries of the tests' own of the same names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from zenplan.adapters.trackers.services import MLflow, Trackio, WandB
from zenplan.domain.measured.tracked_run import TrackedRun
from zenplan.errors import UsageError

LIBRARY = """
class Called:
    def __init__(self, name):
        self.name = name
    def __call__(self, *arguments, **options):
        calls.append((self.name, arguments, options))
        return Called(self.name)
    def __getattr__(self, name):
        return "run-1" if name == "run_id" else self if name == "info" else Called(name)
calls = []
def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return Called(name)
"""
TRACKERS: dict[str, Any] = {"mlflow": MLflow(), "trackio": Trackio(), "wandb": WandB()}


@pytest.fixture(params=TRACKERS)
def library(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of one, which keeps what it is asked for."""
    name = str(request.param)
    (tmp_path / f"{name}.py").write_text(LIBRARY, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    for variable in ("MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID", "WANDB_PROJECT"):
        monkeypatch.delenv(variable, raising=False)
    return name


def run(folder: Path, resumed: bool = False) -> TrackedRun:
    settings: dict[str, str | float] = {"batch": 8}
    return TrackedRun(id="abcd", name="decoder", backend="jax", folder=str(folder), resumed=resumed, settings=settings)


def test_a_run_is_begun_logged_and_ended(library: str, tmp_path: Path) -> None:
    tracking = TRACKERS[library].start(run(tmp_path))
    tracking.log(3, {"loss": 2.5})
    tracking.finish("stopped")
    names = [name for name, _, _ in sys.modules[library].calls]
    assert (
        names
        == {
            "mlflow": ["set_experiment", "start_run", "log_params", "log_metrics", "end_run"],
            "trackio": ["init", "log", "finish"],
            "wandb": ["init", "log", "finish"],
        }[library]
    )
    said = str(sys.modules[library].calls)
    assert "'zenplan'" in said
    assert "decoder abcd" in said
    assert "{'loss': 2.5}" in said
    assert "'step': 3" in said
    assert "'batch': 8" in said


def test_a_resumed_run_is_the_same_there(library: str, tmp_path: Path) -> None:
    TRACKERS[library].start(run(tmp_path))
    before = len(sys.modules[library].calls)
    TRACKERS[library].start(run(tmp_path, resumed=True))
    again = sys.modules[library].calls[before:]
    if library == "mlflow":
        assert ("start_run", (), {"run_id": "run-1"}) in again
    else:
        assert again[0][2]["resume"] == "allow"
        assert again[0][2]["name"] == "decoder abcd"


@pytest.mark.parametrize("name", TRACKERS)
def test_one_that_is_missing_says_what_to_install(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zenplan.adapters.trackers.services.find_spec", lambda library: None)
    with pytest.raises(UsageError, match=f"pip install {name}"):
        TRACKERS[name].start(run(tmp_path))
