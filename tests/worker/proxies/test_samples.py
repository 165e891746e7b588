"""The models of the general sweep: counted whole, dominated by what they are named after, stepped on every backend."""

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

SCRIPT = Path(__file__).with_name("sample_models.py")
INSTALLED = [b for b in ("jax", "torch", "tensorflow") if importlib.util.find_spec(b)]
NAMES = (
    "decoder",
    "encoder",
    "basic",
    "bottleneck",
    "plain",
    "lstm",
    "gru",
    "product",
    "convolution",
    "attention",
    "stream",
)
pytestmark = pytest.mark.skipif(not importlib.util.find_spec("keras") or not INSTALLED, reason="keras is missing")


def asked(backend: str) -> str:
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


@cache
def rows(backend: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(told_once(f"samples-{backend}", lambda: asked(backend)))
    return found


@pytest.mark.parametrize("backend", INSTALLED)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_a_sample_is_counted_whole_and_all_of_it_learns(name: str, backend: str) -> None:
    row = rows(backend)[name]
    assert row["unknown"] == []
    assert row["moved"] == 1.0
    assert row["losses"][0] != row["losses"][1]


@pytest.mark.parametrize(
    ("name", "flop", "parameters"),
    [
        # Three times forward, as the input gets a gradient too.
        ("product", 3 * 3 * 2 * 8 * 16 * 32, 3 * 16 * 32 + 16),
        ("convolution", 3 * 2 * 2 * 16 * 9 * 4 * 6, 2 * 9 * 4 * 6 + 4),
        ("attention", 3 * 3 * 2 * 2 * 8 * 8 * 2 * 4, 8),
        ("stream", 0, 1024),
        # The first layer's input gets none: 8 rows × 4 · 8 gates; state products of 4 steps; the head.
        (
            "lstm",
            2 * 4 * (2 * 6 * 32 + 3 * 8 * 32 + 2 * 3 * 8 * 32 + 3 * 8 * 5),
            (6 + 8 + 1) * 32 + (8 + 8 + 1) * 32 + 9 * 5,
        ),
    ],
)
def test_what_a_sample_computes(name: str, flop: float, parameters: float) -> None:
    row = rows(INSTALLED[0])[name]
    assert row["flop"] == pytest.approx(flop)
    assert row["parameters"] == parameters
