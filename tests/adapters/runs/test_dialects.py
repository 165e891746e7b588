"""Rows of Keras' benchmark page and of MLPerf's results, under the project's column names."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from zenplan.adapters.runs.rows import measured_run
from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.measured.run import MeasuredRun
from zenplan.errors import Skipped

PUBLISHED = Path(__file__).parents[3] / "benchmarks" / "published"
CATALOGUE = Catalogue(accelerators=read_accelerators())
KERAS = {
    "model": "SegmentAnything",
    "task": "train",
    "batch": "1",
    "backend": "keras3-jax",
    "ms_per_step": "361.69",
    "gpu": "A100-SXM4-40GB (GCE a2-highgpu-1g)",
    "precision": "float32",
    "input": "1024x1024x3; backbone only, Adam",
    "params": "637000000.0",
    "jit": "xla",
}
BERT = {"model": "BERT", "batch": "32", "input": "bert_base_en seq512 2-class, AdamW", "params": "108000000.0"}
GEMMA = {
    "model": "Gemma-7B",
    "batch": "8",
    "input": "LoRA rank 4, seq128, AdamW",
    "params": "8500000000.0",
    "precision": "bfloat16",
}
IMAGES = {"model": "StableDiffusion", "batch": "8", "input": "512x512x3; trains the encoder", "params": "34000000.0"}
MISTRAL = GEMMA | {"model": "Mistral-7B", "input": "LoRA rank 4, seq128", "params": "7200000000.0"}
MLPERF = {
    "benchmark": "resnet",
    "version": "v3.1",
    "gpu": "H100-SXM5-80GB",
    "n_gpus": "8",
    "n_nodes": "1",
    "minutes_to_train": "13.4",
    "global_batch": "3264",
    "logged_throughput": "52000.0",
    "framework": "NGC MXNet 23.09 , NGC PyTorch 23.09",
}


def read(row: Mapping[str, str], **changes: str) -> MeasuredRun:
    return measured_run({**row, **changes}, CATALOGUE)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("keras-01", {"backend": "native-pytorch-eager", "jit": "eager", "ms_per_step": "1305.52"}),
        ("keras-02", {"backend": "native-pytorch-compiled", "jit": "torch.compile", "ms_per_step": "1222.85"}),
        ("keras-05", {}),
        ("keras-07", IMAGES | {"backend": "native-pytorch-eager", "jit": "eager", "ms_per_step": "481.48"}),
        ("keras-09", IMAGES | {"backend": "keras2-tensorflow", "ms_per_step": "1023.21"}),
        ("keras-14", BERT | {"backend": "native-pytorch-compiled", "jit": "torch.compile", "ms_per_step": "202.43"}),
        ("keras-16", BERT | {"backend": "keras3-tensorflow", "ms_per_step": "214.49"}),
        ("keras-18", BERT | {"backend": "keras3-torch-eager", "jit": "eager", "ms_per_step": "808.68"}),
        ("keras-22", GEMMA | {"ms_per_step": "273.67"}),
        ("keras-28", MISTRAL | {"backend": "keras3-torch-eager", "jit": "eager", "ms_per_step": "452.12"}),
    ],
)
def test_the_page_of_keras_says_what_the_rows_made_of_it_say(name: str, changes: Mapping[str, str]) -> None:
    with (PUBLISHED / "keras_backends.csv").open(encoding="utf-8") as file:
        published = measured_run(next(row for row in csv.DictReader(file) if row["id"] == name), CATALOGUE)
    found = read(KERAS, **changes)
    assert found.samples_per_s_per_device == pytest.approx(published.samples_per_s_per_device, rel=1e-5)
    # The page tells neither where it is from nor how attention runs; sequences are the unit of no unit.
    untold = {"id", "source", "fused_attention", "unit", "kv_heads", "samples_per_s_per_device"}
    assert found.unit in (published.unit, "")
    assert found.kv_heads or found.heads == published.kv_heads
    # What is written is in the page's words, and what is taken of it is told.
    untold |= {"written_precision", "written_task", "assumed"}
    for name in {field.name for field in dataclasses.fields(MeasuredRun)} - untold:
        assert getattr(found, name) == getattr(published, name), name


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ("precision is float32: tf32, the default of TensorFlow and JAX",)),
        ({"backend": "keras3-torch-eager"}, ()),
        (
            IMAGES | {"backend": "keras3-torch-eager"},
            ("precision is float32: tf32, PyTorch's default of convolutions",),
        ),
        ({"backend": "another"}, ()),
        # What has no TF32 multiplies in fp32.
        ({"gpu": "T4"}, ()),
    ],
)
def test_what_float32_was_multiplied_in_is_told(changes: Mapping[str, str], told: tuple[str, ...]) -> None:
    found = read(KERAS, **changes)
    assert found.assumed == told
    assert found.written_precision == ("tf32" if told else "float32")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task": "predict"}, "task predict is no training"),
        ({"task": "generate"}, "task generate is no training"),
        ({"task": ""}, "task is empty"),
        ({"model": "Whisper"}, "no built-in model is the Whisper of Keras' benchmark page"),
    ],
)
def test_other_rows_of_the_page_of_keras_are_skipped(changes: Mapping[str, str], reason: str) -> None:
    with pytest.raises(Skipped, match=reason):
        read(KERAS, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ms_per_step": ""}, "ms_per_step is empty"),
        ({"ms_per_step": "n/a"}, "ms_per_step is empty"),
        ({"ms_per_step": "0"}, "ms_per_step must be above zero"),
        ({"ms_per_step": "5e-324"}, "ms_per_step of 5e-324 is beyond any run"),
        ({"batch": "few"}, "batch is not a number|batch must be"),
        ({"batch": "1.5"}, "global_batch must be a whole number"),
        ({"gpu": "A100-SXM4-40GB (on my desk)"}, "unknown accelerator"),
    ],
)
def test_a_cell_of_the_page_that_is_wrong_is_named(changes: Mapping[str, str], message: str) -> None:
    with pytest.raises(Skipped, match=message):
        read(KERAS, **changes)


def test_a_table_with_speeds_of_its_own_is_no_dialect() -> None:
    row = {"model": "resnet50", "family": "convnet", "gpu": "T4", "n_gpus": "1", "samples_per_s_per_device": "300"}
    assert read(row, ms_per_step="9", logged_throughput="1").samples_per_s_per_device == 300


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            {
                "model": "resnet50-v1.5",
                "family": "convnet",
                "unit": "images",
                "framework": "NGC MXNet 23.09",
                "written_precision": "fp16",
                "devices": 8,
                "node_devices": 8,
                "samples_per_s_per_device": 6500.0,
                "source": "mlcommons/training_results_v3.1",
            },
        ),
        ({"benchmark": "ssd"}, {"model": "retinanet-resnext50", "samples_per_s_per_device": 52000.0}),
        ({"benchmark": "ssd", "version": "v1.1"}, {"model": "ssd300-resnet34", "samples_per_s_per_device": 6500.0}),
        (
            {"benchmark": "bert", "n_gpus": "16", "n_nodes": "2"},
            {
                "model": "bert-large",
                "family": "encoder",
                "written_precision": "fp8",
                "seq_len": 512,
                "node_devices": 8,
                "framework": "NGC PyTorch 23.09",
                "samples_per_s_per_device": 3250.0,
            },
        ),
        ({"benchmark": "bert", "gpu": "A100-SXM4-80GB"}, {"written_precision": "fp16"}),
        ({"benchmark": "bert", "gpu": "Gaudi2"}, {"written_precision": "bf16"}),
        (
            {"benchmark": "gpt3"},
            {
                "model": "gpt3-175b",
                "tokens_per_s_per_device": 6500.0,
                "seq_len": 2048,
                "samples_per_s_per_device": None,
                "framework": "",
            },
        ),
        (
            {"benchmark": "llama2_70b_lora", "framework": "PyTorch 24.04; NeMo Framework"},
            {"model": "llama2-70b", "task": "lora", "written_precision": "fp8", "framework": "NeMo Framework"},
        ),
        (
            {"benchmark": "dlrm", "framework": "NVIDIA PyTorch/MxNet/HugeCTR"},
            {"model": "dlrm-mlperf", "framework": "HugeCTR"},
        ),
        (
            {"benchmark": "rnnt", "framework": "NVIDIA Release 23.04 MxNet, dgl and 23.09 pytorch"},
            {"model": "rnn-t", "framework": "23.09 pytorch"},
        ),
        ({"benchmark": "unet3d", "framework": "Some Framework"}, {"framework": "Some Framework"}),
    ],
)
def test_a_result_of_mlperf_is_a_speed_of_one_device(
    changes: Mapping[str, str], expected: Mapping[str, object]
) -> None:
    found = read(MLPERF, **changes)
    assert {name: getattr(found, name) for name in expected} == expected
    assert any(f"precision is not printed: {found.written_precision}" in each for each in found.assumed)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"logged_throughput": ""}, "no logged throughput; minutes to a target are not a speed"),
        ({"benchmark": "minigo"}, "no built-in model is MLPerf's minigo"),
        ({"gpu": "N/A"}, "accelerator is empty"),
        ({"gpu": "Abacus 3000"}, "unknown accelerator 'Abacus 3000'"),
        ({"n_gpus": ""}, "n_gpus is empty"),
        ({"logged_throughput": "fast"}, "logged_throughput"),
    ],
)
def test_a_result_of_mlperf_without_a_speed_is_skipped(changes: Mapping[str, str], reason: str) -> None:
    with pytest.raises(Skipped, match=reason):
        read(MLPERF, **changes)
