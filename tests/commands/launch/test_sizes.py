"""The run's model beside the plan's: of any kind that can be counted, and a line where it cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.commands.train.conftest import prepared
from zenplan.errors import ZenplanError

RUN = """
[data]
data = "corpus"

[train]
model = "{model}"
backend = "torch"
steps = 100
"""
COUNTED = "zenplan.commands.launch.sizes.count_job"


@pytest.fixture(autouse=True)
def plan(called: Callable[..., Any]) -> None:
    argv = ("--params", "1e8", "--tokens", "1B", "--gpu", "H100", "--gpus", "8", "--provider", "aws")
    assert called("estimate", *argv, "--save", "plan.json").code == 0


def said(called: Callable[..., Any], model: str) -> str:
    """What is said of its parameters."""
    Path("run.toml").write_text(RUN.format(model=model), encoding="utf-8")
    done = called("launch", "plan.json", "--on", "slurm", "--overwrite", "--format", "json")
    assert done.code == 0, done.err
    return " ".join(note for note in json.loads(done.out)["notes"] if "parameters, run.toml" in note)


@pytest.mark.parametrize("model", ["lstm", "package.module:build"])
def test_a_model_of_any_kind_is_counted(
    model: str, called: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(Path("corpus"))
    monkeypatch.setattr(COUNTED, lambda job, backend: SimpleNamespace(parameters=1.01e8))
    assert said(called, model) == ""
    monkeypatch.setattr(COUNTED, lambda job, backend: SimpleNamespace(parameters=3e7))
    assert "30.0M" in said(called, model)


def test_what_cannot_be_counted_is_said(called: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "corpus are not prepared" in said(called, "lstm")

    def fails(job: Any, backend: Any) -> Any:
        raise ZenplanError("there is no module package")

    monkeypatch.setattr(COUNTED, fails)
    assert "there is no module package" in said(called, "package.module:build")


@pytest.mark.parametrize(
    ("model", "more"),
    [("no-such", ""), ("lstm", 'schedule = "odd"'), ("lstm", "learning_rate = -1"), ("lstm", "seed = 1.5")],
)
def test_what_training_would_refuse_is_refused_before_machines_are_paid(
    model: str, more: str, called: Callable[..., Any]
) -> None:
    Path("run.toml").write_text(f"{RUN.format(model=model)}{more}\n", encoding="utf-8")
    done = called("launch", "plan.json", "--on", "slurm")
    assert (done.code, done.err.count("\n")) == (2, 2), done.err
    assert not Path("launch-slurm").exists()
