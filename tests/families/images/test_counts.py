"""Parameters, FLOP and activations of the named models are those that others count."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from zenplan.domain.model.operators import Convolution, Elementwise, MatMul
from zenplan.domain.model.workload import Workload
from zenplan.families.images.models import models
from zenplan.families.named import NamedFamily

FAMILY = NamedFamily("convnet", models())
Row = Mapping[str, str]


def table(name: str) -> list[Row]:
    with (Path(__file__).parent / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def products(load: Workload) -> list[tuple[MatMul | Convolution, int]]:
    return [(o, b.repeat) for b in load.blocks for o in b.operators if isinstance(o, MatMul | Convolution)]


def activations(load: Workload) -> float:
    """Elements that products and convolutions write."""
    return sum(
        repeat * (op.output_elements if isinstance(op, Convolution) else op.rows * op.columns)
        for op, repeat in products(load)
    )


def test_as_keras_counts_its_own() -> None:
    """Written by benchmarks/keras_applications.py; exact, at the usual image size and at another."""
    for row in table("keras_applications.csv"):
        load = FAMILY.lower({"model": row["model"], "image_size": int(row["image_size"])})
        assert load.parameters == int(row["parameters"]), row
        assert load.trainable_parameters == int(row["trainable_parameters"]), row
        assert load.flop_per_sample == int(row["forward_flop"]), row
        assert activations(load) == pytest.approx(int(row["activations"]), rel=1e-12), row


def test_every_class_of_keras_is_found_by_its_name() -> None:
    """``ResNet50V2``, as Keras writes it, is a name too; and its usual image size is Keras's."""
    for row in table("keras_applications.csv"):
        assert FAMILY.lower({"model": row["keras"]}).name == FAMILY.lower({"model": row["model"]}).name
    usual = {r["keras"]: r["image_size"] for r in reversed(table("keras_applications.csv"))}
    for name, size in usual.items():
        shown = [f.value for f in FAMILY.lower({"model": name}).facts if f.name == "image size"]
        assert shown == [size]


def test_as_published() -> None:
    """Those who print parameters leave out moving statistics, and frozen norms with them; a GMAC is 2 GFLOP."""
    for row in table("published.csv"):
        load = FAMILY.lower({"model": row["model"]})
        frozen_norms = load.parameters - load.trainable_parameters
        frozen_norms -= sum(o.parameters * repeat for o, repeat in products(load) if not o.trainable)
        assert load.parameters - frozen_norms == int(row["parameters"]), row["model"]
        if row["gmac"]:
            # torchvision counts this one on a square, COCO's images are half as long again.
            longer = 1.5 if row["model"] == "retinanet-resnet50" else 1.0
            gmac = longer * float(row["gmac"])
            assert load.flop_per_sample == pytest.approx(2e9 * gmac, rel=0.01, abs=1e7), row["model"]


@pytest.mark.parametrize(
    ("model", "millions"),
    # pytorch-image-models' table of activations, in millions, of the same architectures.
    [
        ("resnet18", 2.48),
        ("resnet50-v1.5", 11.11),
        ("vgg16", 13.56),
        ("densenet121", 6.90),
        ("mobilenetv2", 6.68),
        ("efficientnet-b0", 6.75),
        ("convnext-tiny", 13.44),
        ("regnety-3.2gf", 11.26),
    ],
)
def test_activations_as_published(model: str, millions: float) -> None:
    assert activations(FAMILY.lower({"model": model})) == pytest.approx(millions * 1e6, rel=0.002)


def test_counted_by_hand() -> None:
    """AlexNet in one tower, as tf_cnn_benchmarks has it, and U-Net with two classes and one channel."""
    convolutions = 3 * 121 * 64 + 64 * 25 * 192 + 9 * (192 * 384 + 384 * 384 + 384 * 256) + 64 + 192 + 384 * 2 + 256
    dense = 6 * 6 * 256 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000
    assert FAMILY.lower({"model": "alexnet"}).parameters == convolutions + dense

    down = [1, 64, 128, 256, 512, 1024]
    twice = sum(9 * (a * b + b * b) + 2 * b for a, b in pairwise(down))
    up = sum(4 * 2 * c * c + c + 9 * (2 * c * c + c * c) + 2 * c for c in (512, 256, 128, 64))
    unet = FAMILY.lower({"model": "unet"})
    assert unet.parameters == twice + up + 64 * 2 + 2
    # The paper's output is 388 × 388.
    (head,) = [o for o in unet.blocks[-1].operators if isinstance(o, Convolution)]
    assert head.positions == 388**2


def test_ssd_has_the_papers_boxes() -> None:
    """8732 boxes of 4 numbers and 81 classes, and about the 20M parameters of MLPerf's reference."""
    load = FAMILY.lower({"model": "ssd300-resnet34"})
    heads = [o for b in load.blocks if b.name == "head" for o in b.operators if isinstance(o, Convolution)]
    assert sum(o.output_elements for o in heads) == 8732 * (4 + 81)
    assert load.trainable_parameters == pytest.approx(20e6, rel=0.01)


def test_unet3d_is_that_of_mlperf() -> None:
    """Five levels down to 4³ voxels with 320 channels; 31.2M parameters as nnU-Net prints for that shape."""
    load = FAMILY.lower({"model": "unet3d"})
    assert (load.unit, load.input) == ("samples", "")
    assert min(o.positions for o, _ in products(load)) == 4**3
    assert load.parameters == pytest.approx(31.2e6, rel=0.002)


def test_yolo_as_its_library_counts_it() -> None:
    """The library's numbers 0 to 15 for the distribution of an edge are among its parameters; nothing learns them."""
    rows = [row for row in table("yolo.csv") if row["parameters"]]
    for row in rows:
        load = FAMILY.lower({"model": row["model"]})
        assert load.parameters == int(row["parameters"]) - 16, row["model"]
        assert load.flop_per_sample == pytest.approx(int(row["forward_flop"]), rel=2e-4), row["model"]
    assert len(rows) == 30


def test_yolo_as_published() -> None:
    """Publishers count the network that is run: with one head, with the twins of a convolution folded into it, and
    without the products of attention. Norms that are folded in leave half of their weights out."""
    for row in table("yolo.csv"):
        if not row["published_gflop"]:
            continue
        load = FAMILY.lower({"model": row["model"]})
        flop = load.flop_per_sample
        if row["convention"] == "no attention":
            flop = sum(o.flop * repeat for o, repeat in products(load))
        if row["convention"] == "one head":
            flop -= sum(b.flop * b.repeat for b in load.blocks if b.name == "head") / 2
        rel = 0.09 if row["convention"] == "twins folded in" else 0.02
        assert flop == pytest.approx(1e9 * float(row["published_gflop"]), rel=rel, abs=5e7), row["model"]
        if row["convention"] in ("", "no attention"):
            assert load.parameters == pytest.approx(1e6 * float(row["published_millions"]), rel=2e-3, abs=1e5)


def test_yolo_of_fewer_classes_and_other_images() -> None:
    whole, few, large = (
        FAMILY.lower({"model": f"yolo11m{changes}", "image_size": size})
        for changes, size in (("", None), (":classes=3", None), ("", 1280))
    )
    # A product to the classes at each of three scales, with its bias.
    assert whole.parameters - few.parameters == 77 * 3 * (256 + 1)
    assert large.parameters == whole.parameters
    assert 4 * whole.flop_per_sample < large.flop_per_sample < 4.2 * whole.flop_per_sample


# Parameters and FLOP: RTDetrForObjectDetection of transformers 5.24.0 with 80 classes, which counts no norm of the
# backbone, and whose products of attention PyTorch's counter does not see; GFLOP and millions: lyuwenyu/RT-DETR, README.md.
RTDETR = {
    "rtdetr-r18": (20_174_608, 61_071_974_400, 60, 20),
    "rtdetr-r34": (31_424_388, 93_098_803_200, 92, 31),
    "rtdetr-r50": (42_891_372, 137_124_659_200, 136, 42),
    "rtdetr-r101": (76_556_268, 259_834_265_600, 259, 76),
}


@pytest.mark.parametrize("model", RTDETR)
def test_rtdetr_as_counted_and_as_published(model: str) -> None:
    parameters, flop, gflop, millions = RTDETR[model]
    load = FAMILY.lower({"model": model})
    norms = sum(
        o.parameters * b.repeat
        for b in load.blocks
        for o in b.operators
        if b.name.startswith("st") and isinstance(o, Elementwise)
    )
    assert load.parameters - norms == parameters
    assert sum(o.flop * repeat for o, repeat in products(load)) == pytest.approx(flop, rel=1e-3)
    assert load.flop_per_sample == pytest.approx(1e9 * gflop, rel=0.03)
    assert load.parameters == pytest.approx(1e6 * millions, rel=0.025)
