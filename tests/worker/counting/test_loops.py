"""Loops, choices and products of weights of real Keras models count alike on every backend."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.session import told_once

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("keras"), reason="keras is missing")
SCRIPT = Path(__file__).parent / "looping_models.py"
INSTALLED = [name for name in ("jax", "torch", "tensorflow") if importlib.util.find_spec(name)]

# Products of the whole call; the two of low rank are two more, once.
KNOWN = {"bounded": 7, "for": 5, "scan": 6, "map": 6, "vectorized": 6, "cond": 2, "switch": 3}
OTHERS = {"low_rank": 3, "low_rank_dense": 3, "fourier": 0, "two_inputs": 2}
OPEN = ("open_ended", "open_ended_raw", "alone", "alone_raw", "open_for", "open_for_raw", "backend_loop", "within")


def asked(backend: str, *turns: str) -> str:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *turns],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


@cache
def counts(backend: str, *turns: str) -> dict[str, dict[str, Any]]:
    name = "-".join(("loops", backend, *turns))
    found: dict[str, dict[str, Any]] = json.loads(told_once(name, lambda: asked(backend, *turns)))
    return found


@pytest.mark.parametrize("backend", INSTALLED)
def test_what_runs_a_known_number_of_times_counts_so_often(backend: str) -> None:
    found = counts(backend)
    expected = KNOWN | {f"{name}_raw": turns for name, turns in KNOWN.items()} | OTHERS
    assert {name: found[name]["products"] for name in expected} == expected
    assert not any(found[name]["unknown"] for name in expected)
    assert "Fourier" in found["fourier"]["notes"]


@pytest.mark.parametrize("backend", INSTALLED)
def test_a_loop_of_unknown_length_is_unknown(backend: str) -> None:
    found = counts(backend)
    seen = {name: (found[name]["products"], found[name]["unknown"] > 0) for name in OPEN}
    assert seen == dict.fromkeys(OPEN, (0, True))


@pytest.mark.parametrize("backend", INSTALLED)
def test_or_as_long_as_somebody_says(backend: str) -> None:
    found = counts(backend, "5")
    # A loop of Python's on values of PyTorch's is none that can be bounded.
    told = [name for name in OPEN if (backend, name) != ("torch", "backend_loop")]
    assert {name: (found[name]["products"], found[name]["unknown"]) for name in told} == dict.fromkeys(told, (5, 0))
    assert found["bounded"]["products"] == 7


def test_all_backends_agree() -> None:
    first, *others = (
        {name: (row["products"], row["training"], row["unknown"]) for name, row in counts(backend).items()}
        for backend in INSTALLED
    )
    assert all(other == first for other in others)
