"""zenplan's own engines keep the contract that those of plugins keep."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from zenplan.adapters.workers.engines import KerasEngine
from zenplan.testing import EngineContract


def _missing(backend: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not (find_spec("keras") and find_spec(backend)), reason=f"{backend} is not installed")


@_missing("jax")
@pytest.mark.slow
class TestJax(EngineContract):
    engine = KerasEngine("jax")


@_missing("torch")
@pytest.mark.slow
class TestTorch(EngineContract):
    engine = KerasEngine("torch")


@_missing("tensorflow")
@pytest.mark.slow
class TestTensorFlow(EngineContract):
    engine = KerasEngine("tensorflow")


# What docs/plugins.md names as shared by engines.
SHARED = ("serving", "protocol", "counting.target", "measuring.machine", "measuring.memory")
SHARED += tuple(
    f"training.{n}" for n in ("run", "loop", "order", "prepared", "checkpoints", "rate", "weights", "wishes")
)
SHARED += tuple(f"training.{n}" for n in ("evaluation", "stepper", "trainee"))


def test_what_engines_share_imports_no_framework() -> None:
    names = ", ".join(f"zenplan.worker.{name}" for name in SHARED)
    code = f"import sys, {names}; print([n for n in ('keras', 'jax', 'torch', 'tensorflow') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
