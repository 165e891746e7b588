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
# What needs Ray: some hundred megabytes, which are not among those of the other tests.
THERE = all(find_spec(name) for name in ("ray", "keras", "torch", "safetensors"))
collect_ignore = [] if THERE else ["test_engine.py", "test_ray.py"]


@pytest.fixture(autouse=True, scope="session")
def _worker_path() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [SOURCE, os.environ.get("PYTHONPATH", "")])))
        yield
