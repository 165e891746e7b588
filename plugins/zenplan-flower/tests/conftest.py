"""The plugin is tested from the checkout, installed or not; what needs Flower, in the environment that is named."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from zenplan.testing import write_data

SOURCE = str(Path(__file__).parents[1] / "src")
sys.path.insert(0, SOURCE)


@pytest.fixture
def rows(tmp_path: Path) -> Callable[..., str]:
    """Makes data of which two columns tell the class; the numbers of so many samples are none."""

    def made(broken: int = 0) -> str:
        draw = np.random.default_rng(0)
        arrays = {}
        for part, count in (("train", 300), ("validation", 100), ("test", 200)):
            x = draw.normal(size=(count, 4)).astype(np.float32)
            arrays |= {f"{part}-x": x, f"{part}-y": (x[:, 0] > x[:, 1]).astype(np.int64)}
        arrays["train-x"][:broken] = np.nan
        card = {"kind": "arrays", "inputs": ["x"], "target": "y", "classes": 2}
        return write_data(tmp_path / "data", card, arrays)

    return made
