"""Tables scored as they are published, and figures in them that are no speed."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import pytest

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.commands.backtest.use_case import backtest
from zenplan.domain.answer.backtest import Backtest
from zenplan.domain.hardware.catalogue import Catalogue

CATALOGUE = Catalogue(accelerators=read_accelerators())
PAGE = {
    "model": "BERT",
    "task": "train",
    "batch": "32",
    "backend": "keras3-jax",
    "ms_per_step": "222.37",
    "gpu": "A100-SXM4-40GB (GCE a2-highgpu-1g)",
    "precision": "float32",
    "input": "bert_base_en seq512 2-class",
    "params": "108000000.0",
    "jit": "xla",
}
RESULT = {
    "benchmark": "unet3d",
    "version": "v3.1",
    "gpu": "H100-SXM5-80GB",
    "n_gpus": "8",
    "n_nodes": "1",
    "global_batch": "56",
    "logged_throughput": "567.6",
    "framework": "MXNet",
}
CONVNET = {
    "model": "resnet50",
    "family": "convnet",
    "gpu": "T4",
    "n_gpus": "1",
    "precision": "fp16",
    "framework": "PyTorch",
    "global_batch": "64",
    "samples_per_s_per_device": "200",
}


def scored(path: Path, *rows: Mapping[str, str]) -> Backtest:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return backtest(path, CATALOGUE, read_coefficients())


def test_the_benchmark_page_of_keras_is_scored_as_it_is_published(tmp_path: Path) -> None:
    found = scored(tmp_path / "t.csv", PAGE, PAGE | {"task": "predict"})
    (row,) = found.rows
    assert (row.model, row.software, row.precision) == ("BERT-base", "jax", "tf32")
    assert row.measured == pytest.approx(32 / 0.22237)
    assert abs(row.error) < 1.0
    assert [skip.reason for skip in found.skipped] == ["task predict is no training"]


def test_results_of_mlperf_are_scored_as_they_are_published(tmp_path: Path) -> None:
    found = scored(tmp_path / "t.csv", RESULT, RESULT | {"logged_throughput": ""})
    (row,) = found.rows
    assert (row.model, row.devices) == ("unet3d", 8)
    assert row.measured == pytest.approx(567.6 / 8)
    assert found.skipped[0].reason.startswith("no logged throughput")


def test_a_figure_far_below_the_prediction_is_no_speed(tmp_path: Path) -> None:
    (usual,) = scored(tmp_path / "t.csv", CONVNET).rows
    slow, slower = (CONVNET | {"samples_per_s_per_device": repr(usual.predicted.mid / times)} for times in (290, 310))
    found = scored(tmp_path / "t.csv", slow, slower)
    assert [row.line for row in found.rows] == [2]
    assert found.skipped[0].reason == "slower than any run: 310 times slower than predicted"
