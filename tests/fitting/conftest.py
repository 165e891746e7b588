"""A toy table: a dozen runs whose speeds are what known coefficients predict, with seeded noise."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zenplan.backtesting.runs import Run
from zenplan.domain.fit.coefficients import GENERATION, SOFTWARE, Coefficients
from zenplan.fitting.fit import errors_of
from zenplan.fitting.prior import Stage, start
from zenplan.fitting.published import published_runs

PUBLISHED = Path(__file__).parents[2] / "benchmarks" / "published"
HEADER = (PUBLISHED / "language_models.csv").read_text(encoding="utf-8").splitlines()[0].split(",")

# What the toy is made from, and a fit has to find again: in Hopper and Ampere products reach different shares.
TRUE_MATMUL, TRUE_HOST_S = 0.50, 0.030
TRUE_FACTORS = {f"{GENERATION}/Ampere": 1.10, f"{GENERATION}/Hopper": 0.90}
NOISE = 0.01
STAGE = Stage(
    tables=("toy.csv",), common=("matmul", "host_s"), groups={"matmul": {GENERATION: 0.3, SOFTWARE: 0.3}}, pull=0.001
)


def truth() -> Coefficients:
    """The coefficients that the toy's speeds are from."""
    c = start()
    matmul = replace(c.all["matmul"], value=TRUE_MATMUL, factors=TRUE_FACTORS)
    return replace(c, all={**c.all, "matmul": matmul, "host_s": replace(c.all["host_s"], value=TRUE_HOST_S)})


def row(number: int, accelerator: str, micro_batch: int, width: int, source: str) -> dict[str, str]:
    """A decoder on eight devices, all of it said."""
    layers, heads = 24, width // 128
    params = layers * 12 * width**2 + 2 * 50_000 * width
    said: dict[str, Any] = {
        "id": f"toy-{number:02d}",
        "source": source,
        "licence": "none",
        "model": f"toy-{width}",
        "family": "decoder",
        "params": params,
        "layers": layers,
        "width": width,
        "heads": heads,
        "kv_heads": heads,
        "ff_width": 4 * width,
        "gated": "no",
        "vocab": 50_000,
        "seq_len": 2048,
        "task": "pretrain",
        "accelerator": accelerator,
        "devices": 8,
        "node_devices": 8,
        "precision": "bf16",
        "attention": "flash",
        "framework": "Megatron-LM",
        "global_batch": 8 * micro_batch,
        "micro_batch": micro_batch,
        "dp": 8,
        "tp": 1,
        "pp": 1,
        "zero_stage": 1,
        "recompute": "none",
        "tokens_per_s_per_device": 1.0,
    }
    return {name: str(said.get(name, "")) for name in HEADER}


def write(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """A table of runs."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, HEADER)
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where ``toy.csv`` is: 12 runs of four sources, on two generations, of two widths and batches."""
    place = tmp_path_factory.mktemp("published")
    rows = [
        row(
            i,
            ("A100-SXM4-80GB", "H100-SXM5-80GB")[i % 2],
            (1, 2, 4)[i // 4],
            (1024, 2048)[i // 2 % 2],
            f"maker{i % 4}:log",
        )
        for i in range(12)
    ]
    write(place / "toy.csv", rows)
    found = errors_of(published_runs([place / "toy.csv"], truth()), truth())
    noise = np.random.default_rng(11).normal(0.0, NOISE, len(rows))
    # A speed of 1 was written, so that the error is ln of the predicted speed.
    for each, (_, ln_speed), off in zip(rows, found, noise, strict=True):
        each["tokens_per_s_per_device"] = repr(float(np.exp(ln_speed + off)))
    write(place / "toy.csv", rows)
    return place


@pytest.fixture
def toy(folder: Path) -> list[Run]:
    """The runs of the toy table."""
    return published_runs([folder / "toy.csv"], start())


@pytest.fixture
def stage() -> Stage:
    """What is fitted to the toy."""
    return STAGE


@pytest.fixture
def true_coefficients() -> Coefficients:
    """What the toy is made from."""
    return truth()


@pytest.fixture
def as_if() -> Callable[..., Run]:
    """A run with other figures in its row."""

    def changed(run: Run, **figures: Any) -> Run:
        return replace(run, measured=replace(run.measured, **figures))

    return changed
