"""Parameters, forward FLOP and activations of every architecture in keras.applications, counted by Keras's layers.

    python benchmarks/keras_applications.py           compare zenplan's models with them
    python benchmarks/keras_applications.py --write   also write tests/families/images/keras_applications.csv

Needs Keras with a backend (``pip install 'zenplan[jax]'``); the table in the tests was written with Keras 3.15.1.
FLOP are 2 · multiply-adds of the Dense and convolutional layers, activations are the elements that they write, at the
usual image size and at another one. No weights are loaded.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zenplan.domain.model.operators import Convolution, MatMul
from zenplan.domain.model.workload import Workload
from zenplan.families.images.models import models
from zenplan.families.named import NamedFamily

TABLE = Path(__file__).parents[1] / "tests" / "families" / "images" / "keras_applications.csv"
COLUMNS = ("keras", "model", "image_size", "parameters", "trainable_parameters", "forward_flop", "activations")
# Class in keras.applications to model, and the second image size, which has odd sizes on its way down.
NAMES = {
    **{f"ResNet{d}": f"resnet{d}" for d in (50, 101, 152)},
    **{f"ResNet{d}V2": f"resnet{d}-v2" for d in (50, 101, 152)},
    "VGG16": "vgg16",
    "VGG19": "vgg19",
    **{f"DenseNet{d}": f"densenet{d}" for d in (121, 169, 201)},
    "InceptionV3": "inceptionv3",
    "InceptionResNetV2": "inceptionresnetv2",
    "Xception": "xception",
    "MobileNet": "mobilenet",
    "MobileNetV2": "mobilenetv2",
    "MobileNetV3Small": "mobilenetv3-small",
    "MobileNetV3Large": "mobilenetv3-large",
    "NASNetMobile": "nasnetmobile",
    "NASNetLarge": "nasnetlarge",
    **{f"EfficientNetB{i}": f"efficientnet-b{i}" for i in range(8)},
    **{f"EfficientNetV2{k}": f"efficientnetv2-{k.lower()}" for k in ("B0", "B1", "B2", "B3", "S", "M", "L")},
    **{f"ConvNeXt{k}": f"convnext-{k.lower()}" for k in ("Tiny", "Small", "Base", "Large", "XLarge")},
}
_OTHER_SIZE = 203


def usual_size(model: str) -> int:
    """The image size that zenplan takes for that model."""
    workload = NamedFamily("convnet", models()).lower({"model": model})
    if workload.image_size is None:
        raise LookupError(f"{model} has no image size")
    return workload.image_size


def counted(workload: Workload) -> tuple[float, float]:
    """Forward FLOP, and elements that products and convolutions write."""
    written = sum(
        block.repeat * (op.output_elements if isinstance(op, Convolution) else op.rows * op.columns)
        for block in workload.blocks
        for op in block.operators
        if isinstance(op, Convolution | MatMul)
    )
    return workload.flop_per_sample, written


def by_keras(name: str, image_size: int) -> Mapping[str, Any]:
    """What Keras's own model of that class has, a row of the table."""
    import keras

    with keras.src.backend.StatelessScope(initialize_variables=False):
        model = getattr(keras.applications, name)(
            weights=None, include_top=True, input_shape=(image_size, image_size, 3)
        )
        flop, written = 0, 0
        for layer in _layers(model):
            each, elements = _cost(layer)
            flop, written = flop + each, written + elements
        return {
            "keras": name,
            "model": NAMES[name],
            "image_size": image_size,
            "parameters": sum(math.prod(w.shape) for w in model.weights),
            "trainable_parameters": sum(math.prod(w.shape) for w in model.trainable_weights),
            "forward_flop": flop,
            "activations": written,
        }


def _layers(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield from _layers(layer) if hasattr(layer, "layers") else (layer,)


def _cost(layer: Any) -> tuple[int, int]:
    """FLOP and elements written of one layer, from its kernels and its output's shape (without the batch)."""
    kind = type(layer).__name__
    if kind not in ("Dense", "Conv2D", "DepthwiseConv2D", "SeparableConv2D"):
        return 0, 0
    positions, channels = math.prod(layer.output.shape[1:-1]), layer.output.shape[-1]
    if kind == "SeparableConv2D":
        deep, point = math.prod(layer.depthwise_kernel.shape), math.prod(layer.pointwise_kernel.shape)
        between = layer.depthwise_kernel.shape[-2] * layer.depthwise_kernel.shape[-1]
        return 2 * positions * (deep + point), positions * (between + channels)
    # A kernel holds what one output channel sums over, for each of them; a depthwise one, the window of each channel.
    kernel = layer.kernel if kind != "Dense" else layer._kernel
    return 2 * positions * math.prod(kernel.shape), positions * channels


def rows() -> Iterator[Mapping[str, Any]]:
    """Each architecture at two image sizes."""
    for name, model in NAMES.items():
        for size in (usual_size(model), _OTHER_SIZE):
            yield by_keras(name, size)


def compare(row: Mapping[str, Any]) -> bool:
    """Print zenplan's figures beside Keras's; whether they are the same."""
    workload = NamedFamily("convnet", models()).lower({"model": row["model"], "image_size": row["image_size"]})
    flop, written = counted(workload)
    pairs = (
        (workload.parameters, row["parameters"]),
        (workload.trainable_parameters, row["trainable_parameters"]),
        (flop, row["forward_flop"]),
        (written, row["activations"]),
    )
    shown = "  ".join(f"{ours / theirs:.6f}" for ours, theirs in pairs)
    print(f"{row['keras']:20} {row['image_size']:4}  {row['parameters']:>12,} {row['forward_flop']:.4e}  {shown}")
    return all(ours == theirs for ours, theirs in pairs)


def main() -> None:
    """The comparison; exits with 1 where a figure differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name}")
    write = parser.parse_args().write
    os.environ.setdefault("KERAS_BACKEND", "jax")
    found = list(rows())
    if write:
        with TABLE.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(found)
    print(f"{'':40}  zenplan / Keras: parameters, trainable, FLOP, activations")
    different = [row for row in found if not compare(row)]
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
