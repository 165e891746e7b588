"""Training runs in worker processes, on small prepared data. No framework is imported in the tests' own process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from safetensors.numpy import load_file

from zenplan.documents import encode
from zenplan.worker.protocol import Event, Kind, Optimizer, Steps, Stop, Train, decode_event

INSTALLED = [b for b in ("jax", "torch", "tensorflow") if find_spec("keras") and find_spec(b)]
VOCABULARY = 17


def write_data(folder: Path, card: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """A folder of prepared data: arrays by ``part-name``."""
    folder.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Any] = {}
    for name, array in arrays.items():
        part, _, what = name.partition("-")
        np.save(folder / f"{name}.npy", array)
        entry = parts.setdefault(part, {"files": {}})
        entry["files"][what] = f"{name}.npy"
        entry["tokens" if card["kind"] == "tokens" else "samples"] = len(array)
    whole = {"schema": "zenplan.prepared/1", "fingerprint": "0" * 64, **card, "parts": parts}
    (folder / "data.json").write_text(json.dumps(whole), encoding="utf-8")
    return str(folder)


def text_data(folder: Path, tokens: int = 900) -> str:
    """Tokens that mostly count upwards."""
    random = np.random.default_rng(0)
    steps = random.choice([1, 1, 1, 2], tokens)
    flat = (np.cumsum(steps) % VOCABULARY).astype(np.uint16)
    card = {"kind": "tokens", "vocabulary": VOCABULARY, "end": 0}
    cut = {"train-tokens": flat[: tokens * 2 // 3], "validation-tokens": flat[tokens * 2 // 3 :]}
    return write_data(folder, card, cut | {"test-tokens": flat[-tokens // 5 :]})


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
class Running:
    """A worker that was given a job."""

    process: subprocess.Popen[bytes]
    descriptor: int
    left: bytes = b""
    events: list[Event] = field(default_factory=list)

    def next(self) -> Event | None:
        """Its next event; None at the end."""
        while b"\n" not in self.left:
            more = os.read(self.descriptor, 1 << 16)
            if not more:
                return None
            self.left += more
        line, _, self.left = self.left.partition(b"\n")
        event = decode_event(line)
        assert event is not None
        self.events.append(event)
        return event

    def until(self, wanted: Callable[[Event], bool]) -> Event:
        """The first event of that kind."""
        while (event := self.next()) is not None:
            if wanted(event):
                return event
        raise AssertionError(f"ended without it: {self.events[-3:]} {self.said()}")

    def rest(self) -> list[Event]:
        """All events, once it has ended."""
        while self.next() is not None:
            pass
        self.process.wait(60)
        return self.events

    def say(self, stop: Stop) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(encode(stop).encode() + b"\n")
        self.process.stdin.flush()

    def said(self) -> str:
        assert self.process.stderr is not None
        self.process.kill()
        return self.process.stderr.read().decode(errors="replace")[-2000:]


@dataclass
class Lab:
    """A folder, and runs in it."""

    folder: Path

    def text(self, tokens: int = 900) -> str:
        return text_data(self.folder / "text", tokens)

    def images(self, count: int = 90) -> str:
        return image_data(self.folder / "images", count)

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
    def started(self, job: Train, backend: str) -> Iterator[Running]:
        """A worker at that job; it is gone at the end."""
        ours, theirs = os.pipe()
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), "1")
        environ = {
            **os.environ,
            **threads,
            "KERAS_BACKEND": backend,
            "KERAS_HOME": str(self.folder),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
            "JAX_PLATFORMS": "cpu",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "zenplan.worker"],
            env=environ,
            cwd=self.folder,
            pass_fds=(theirs,),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        os.close(theirs)
        running = Running(process, ours)
        try:
            assert process.stdin is not None
            process.stdin.write(encode(msgspec.structs.replace(job, events=theirs)).encode() + b"\n")
            process.stdin.flush()
            yield running
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait()
            for pipe in (process.stdin, process.stderr):
                with suppress(BrokenPipeError):
                    pipe.close() if pipe else None
            with suppress(OSError):
                os.close(ours)

    def trained(self, job: Train, backend: str) -> list[Event]:
        """All events of a whole run."""
        with self.started(job, backend) as running:
            return running.rest()

    @staticmethod
    def losses(events: list[Event]) -> dict[int, float]:
        """By step, the last that was told of each."""
        return {e.first + i: loss for e in events if isinstance(e, Steps) for i, loss in enumerate(e.losses)}

    def arrays(self, name: str, step: int) -> dict[str, np.ndarray]:
        """Of a checkpoint of a run."""
        return load_file(self.folder / name / "checkpoints" / f"step-{step:08d}" / "arrays.safetensors")

    def left(self, name: str) -> list[str]:
        """What lies in the folder of a run's checkpoints."""
        return sorted(each.name for each in (self.folder / name / "checkpoints").iterdir())


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """Where a test's runs are."""
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
