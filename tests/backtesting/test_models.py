"""Rows of convnets, recurrent nets, recommenders: which model they are, in which layout, with which kernels."""

from __future__ import annotations

import pytest

from zenplan.adapters.runs.rows import measured_run
from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.backtesting.runs import Run, runs
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.training.layout import Recompute
from zenplan.errors import Skipped

CATALOGUE = Catalogue(accelerators=read_accelerators())
COEFFICIENTS = read_coefficients()
ROW = {
    "family": "cnn",
    "model": "mobilenet_v9",
    "params": "5e6",
    "flop_per_sample_fwd": "1e9",
    "activations_per_sample": "9e6",
    "sample_unit": "images",
    "input": "224x224x3",
    "accelerator": "RTX-3090",
    "devices": "1",
    "precision": "amp-fp16",
    "framework": "pytorch",
    "global_batch": "256",
    "samples_per_s_per_device": "900",
}


def found(**cells: str) -> Run | str:
    (each,) = runs([measured_run(ROW | cells, CATALOGUE)], COEFFICIENTS)
    return each if isinstance(each, Run) else each.message


def one(**cells: str) -> Run:
    run = found(**cells)
    assert isinstance(run, Run), run
    return run


def test_a_model_nobody_knows_has_the_rows_flop_and_parameters() -> None:
    workload = one().plan.workload
    assert workload.family == "convnet"
    assert workload.flop_per_sample == pytest.approx(1e9, rel=1e-3)
    assert workload.parameters == pytest.approx(5e6, rel=0.01)
    # Without activations the usual ones of that size are taken.
    assert one(activations_per_sample="").plan.workload.flop_per_sample == pytest.approx(1e9, rel=1e-3)


@pytest.mark.parametrize(
    ("published", "cells", "parameters"),
    [
        ("resnet50 (tf_cnn_benchmarks)", {}, 25.6e6),
        ("ResNet-50 v1.5", {}, 25.6e6),
        ("inception3 (tf_cnn_benchmarks)", {"input": "299x299x3"}, 23.8e6),
        ("vgg16", {}, 138.4e6),
        ("SE-ResNeXt-101-32x4d", {}, 49e6),
        ("GNMT v2", {"family": "rnn", "sample_unit": "tokens"}, 160e6),
        ("Tacotron2", {"family": "rnn", "sample_unit": "mel-frames"}, 28.2e6),
        ("NCF (NeuMF)", {"family": "mlp", "sample_unit": "samples"}, 31.8e6),
        ("NCF/NeuMF", {"family": "mlp", "sample_unit": "samples"}, 31.8e6),
        ("NeuMF ML-1M", {"family": "recommender", "sample_unit": "samples"}, 1.6e6),
        ("Wide&Deep", {"family": "recommender", "sample_unit": "samples"}, None),
        ("VAE-CF", {"family": "recommender", "sample_unit": "samples"}, None),
    ],
)
def test_published_names_are_those_of_built_in_models(
    published: str, cells: dict[str, str], parameters: float | None
) -> None:
    run = one(model=published, params="", flop_per_sample_fwd="", **cells)
    assert not run.plan.workload.guessed_shape
    if parameters is not None:
        assert run.plan.workload.parameters == pytest.approx(parameters, rel=0.05)


def test_of_two_ways_to_stride_the_rows_flop_tell() -> None:
    first, later = (one(model="resnet50", params="25.6e6", flop_per_sample_fwd=f) for f in ("7.7e9", "8.2e9"))
    assert first.plan.workload.flop_per_sample < 7.9e9 < later.plan.workload.flop_per_sample


def test_the_size_of_the_image_is_the_rows() -> None:
    small, large = (
        one(model="resnet50", params="", flop_per_sample_fwd="", input=size).plan.workload.flop_per_sample
        for size in ("224x224x3", "448x448x3")
    )
    assert large == pytest.approx(4 * small, rel=0.01)


def test_a_row_says_too_little() -> None:
    assert found(flop_per_sample_fwd="") == (
        "family convnet: no built-in model has the name mobilenet_v9, and flop_per_sample or params is empty"
    )
    assert found(family="rnn") == "family recurrent: no built-in model has the name mobilenet_v9"
    frames = found(family="rnn", model="GNMT v2", params="", sample_unit="mel-frames")
    assert isinstance(frames, str)
    assert frames.startswith("measured in mel-frames a second, and gnmt counts tokens")


def test_all_devices_share_out_the_batch() -> None:
    (layout,) = one(devices="8", global_batch="2048").layouts
    assert (layout.dp, layout.zero, layout.micro_batch, layout.accumulation) == (8, 0, 256, 1)
    (steps,) = one(devices="8", global_batch="2048", micro_batch="64").layouts
    assert (steps.micro_batch, steps.accumulation) == (64, 4)
    (again,) = one(recompute="full").layouts
    assert again.recompute is Recompute.FULL
    open_batch = one(global_batch="")
    assert (open_batch.guessed, len(open_batch.layouts) > 1) == (True, True)
    assert "global_batch is empty: the fastest that fits" in open_batch.assumed
    assert found(tp="2", devices="8") == "tp = 2: family convnet is predicted with dp alone"
    assert found(devices="512") == "global batch 256 is below one micro-batch for each data-parallel group"


# One process and eight devices: what compiles turns the maps, what runs operator by operator does not.
REPLICATED = {
    "model": "resnet50 (tf_cnn_benchmarks)",
    "flop_per_sample_fwd": "8.2e9",
    "params": "25.6M",
    "devices": "8",
    "framework": "tensorflow-2.3",
}


@pytest.mark.parametrize(
    ("cells", "last", "told"),
    [
        ({}, False, "channels first, the default of PyTorch"),
        ({"framework": "pytorch-NGC22.09", "compiled": "no"}, False, "channels first"),
        ({**REPLICATED, "compiled": "no"}, False, "channels first"),
        ({**REPLICATED, "compiled": "yes"}, True, "channels last"),
        ({"framework": "tensorflow-2.3"}, True, "channels last"),
        ({"notes": "layout=nhwc"}, True, ""),
        ({"notes": "layout=nchw", "framework": "tensorflow-2.3"}, False, ""),
        ({"precision": "fp32"}, True, ""),
    ],
)
def test_how_feature_maps_lie_is_said_or_goes_by_the_software(cells: dict[str, str], last: bool, told: str) -> None:
    run = one(**cells)
    assert run.plan.channels_last is last
    assert any(told in text for text in run.assumed) if told else not any("layout" in t for t in run.assumed)


def test_the_optimizer_is_the_usual_one() -> None:
    assert one().plan.optimizer.name == "sgd-momentum"
    assert one(model="GNMT v2", family="rnn", params="", flop_per_sample_fwd="").plan.optimizer.name == "adamw"
    assert one(family="transformer").plan.optimizer.name == "adamw"


def test_fp16_without_fp16_products_is_kept_in_16_bits_and_computed_in_32() -> None:
    run = one(accelerator="GTX-1080-Ti")
    assert (run.plan.precision.compute_bytes, run.plan.precision.matmul_dtype) == (2, "fp32")
    assert "precision fp16 on GTX-1080-Ti: kept in fp16, computed in fp32" in run.assumed


def test_a_speed_that_a_table_skips_is_skipped() -> None:
    with pytest.raises(Skipped, match="no measurement"):
        one(samples_per_s_per_device="")
