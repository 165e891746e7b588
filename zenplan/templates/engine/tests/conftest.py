"""The plugin is tested from the checkout, installed or not: its worker, a process of its own, finds it there too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = str(Path(__file__).parents[1] / "src")


@pytest.fixture(autouse=True, scope="session")
def _worker_path() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [SOURCE, os.environ.get("PYTHONPATH", "")])))
        yield
