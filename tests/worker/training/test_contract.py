"""zenplan's own engines keep the contract that those of plugins keep."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

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


PAGE = Path(__file__).parents[3] / "docs" / "plugins" / "engines.md"
# In its table of them; what imports Keras stands below it.
TABLE = "\n".join(line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| "))
SHARED = sorted(set(re.findall(r"`(zenplan[.]worker[.][a-z_.]+)`", TABLE)))


def test_what_engines_share_imports_no_framework() -> None:
    assert "zenplan.worker.training.run" in SHARED
    found = "[n for n in ('keras', 'jax', 'torch', 'tensorflow') if n in sys.modules]"
    code = f"import sys, {', '.join(SHARED)}; print({found})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


SAVED = """
import sys
import keras
from zenplan.worker.training.keras_trainee import without_tensorflow

model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
with without_tensorflow():
    model.save(sys.argv[1])
print("tensorflow" in sys.modules)
"""


@_missing("jax")
def test_what_another_backend_saves_loads_no_tensorflow(tmp_path: Path) -> None:
    """Keras would import it wherever it is installed, for seconds at the end of each run."""
    file = tmp_path / "model.keras"
    environ = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", SAVED, str(file)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout.strip(), file.is_file()) == ("False", True)
