"""The plugin is tested from the checkout, installed or not: its worker finds it there too."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

SOURCE = str(Path(__file__).parents[1] / "src")
sys.path.insert(0, SOURCE)
collect_ignore = [] if find_spec("torch") and find_spec("safetensors") else ["test_engine.py", "test_torch.py"]


@pytest.fixture(autouse=True, scope="session")
def _worker_path() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [SOURCE, os.environ.get("PYTHONPATH", "")])))
        yield
