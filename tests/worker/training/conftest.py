"""Training runs in worker processes, on small prepared data. No framework is imported in the tests' own process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from zenplan import testing
from zenplan.adapters.workers.engines import KerasEngine
from zenplan.testing import Worker, text_data, write_data
from zenplan.worker.protocol import Event, Kind, Optimizer, Train

INSTALLED = [b for b in ("jax", "torch", "tensorflow") if find_spec("keras") and find_spec(b)]
# In which a worker has to say something.
PATIENCE_S = 300.0


def image_data(folder: Path, count: int = 90, classes: int = 3) -> str:
    """Images of bytes, each bright in a row of its class."""
    random = np.random.default_rng(1)
    y = random.integers(0, classes, count).astype(np.int32)
    x = random.integers(0, 90, (count, 8, 8, 1)).astype(np.uint8)
    x[np.arange(count), 2 * y] += 150
    card = {"kind": "arrays", "inputs": ["x"], "target": "y", "classes": classes}
    a, b = count * 2 // 3, count * 5 // 6
    cut = {"train": slice(a), "validation": slice(a, b), "test": slice(b, None)}
    return write_data(folder, card, {f"{p}-{n}": v[s] for p, s in cut.items() for n, v in (("x", x), ("y", y))})


@dataclass
class Lab:
    """A folder, and runs in it."""

    folder: Path

    def text(self) -> str:
        return text_data(self.folder / "text")

    def images(self) -> str:
        return image_data(self.folder / "images")

    def data(self, name: str, card: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
        return write_data(self.folder / name, card, arrays)

    def job(self, name: str, data: str, **changes: Any) -> Train:
        """A small decoder with dropout, accumulation and some epochs, in a folder of that name."""
        options = {"layers": 1, "width": 16, "heads": 2, "length": 8, "dropout": 0.2}
        usual: dict[str, Any] = {
            "what": "the model",
            "folder": str(self.folder / name),
            "data": data,
            "model": Kind(name="decoder", options=options),
            "optimizer": Optimizer(name="adamw", learning_rate=1e-2, weight_decay=0.1, clip_norm=1.0),
            "threads": 1,
            "steps": 24,
            "batch": 8,
            "micro_batch": 4,
            "evaluate_every": 8,
            "evaluate_batches": 6,
            "checkpoint_every": 7,
            "seed": 5,
        }
        return Train(**{**usual, **changes})

    @contextmanager
    def started(self, job: Train, backend: str) -> Iterator[Worker]:
        """A worker at that job; it is gone at the end."""
        engine = KerasEngine(backend)
        place = testing.Lab(engine=engine, folder=self.folder, data=job.data, patience_s=PATIENCE_S)
        with place.started(job) as worker:
            yield worker

    def trained(self, job: Train, backend: str) -> list[Event]:
        """All events of a whole run."""
        with self.started(job, backend) as worker:
            return worker.rest()

    def arrays(self, name: str, step: int) -> dict[str, np.ndarray]:
        """Of a checkpoint of a run."""
        return load_file(self.folder / name / "checkpoints" / f"step-{step:08d}" / "arrays.safetensors")

    def left(self, name: str) -> list[str]:
        """What lies in the folder of a run's checkpoints."""
        return sorted(each.name for each in (self.folder / name / "checkpoints").iterdir())


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Where a test's runs are; its workers start there, and find its builders."""
    monkeypatch.chdir(tmp_path)
    return Lab(tmp_path)


@pytest.fixture(params=INSTALLED or [pytest.param("jax", marks=pytest.mark.skip("no backend is installed"))])
def backend(request: pytest.FixtureRequest) -> str:
    """Each that is installed."""
    return str(request.param)


@pytest.fixture
def one_backend() -> str:
    """The first that is installed: for what is the same on all of them."""
    if not INSTALLED:
        pytest.skip("Keras and a backend are not installed")
    return INSTALLED[0]


@pytest.fixture
def backends() -> list[str]:
    """All that are installed."""
    if not INSTALLED:
        pytest.skip("Keras and a backend are not installed")
    return INSTALLED
