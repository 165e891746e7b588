"""Networks without branches: AlexNet, VGG (Simonyan & Zisserman 2014, arXiv 1409.1556), and one of any size."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from zenplan.domain.model.workload import Workload
from zenplan.errors import UsageError
from zenplan.families.images.maps import Map, image
from zenplan.families.images.resnet import classify
from zenplan.families.images.usual import imagenet
from zenplan.families.named import Builder

_MOST_STAGES = 12


def _alexnet(image_size: int = 227, classes: int = 1000) -> Workload:
    """As tf_cnn_benchmarks has it, in one tower: 61.8M parameters (torchvision's has 61.1M)."""
    x = image(image_size).conv(64, 11, 4, "valid", bias=True).act().max_pool(3, 2)
    x = x.conv(192, 5, bias=True).act().max_pool(3, 2)
    for channels in (384, 384, 256):
        x = x.conv(channels, 3, bias=True).act()
    return _two_dense(x.max_pool(3, 2), classes, dropout=True).net.workload(
        "alexnet", imagenet(90, 128, source="Krizhevsky et al. 2012")
    )


def _vgg(name: str, convolutions: tuple[int, ...], image_size: int = 224, classes: int = 1000) -> Workload:
    x = image(image_size)
    for stage, count in enumerate(convolutions):
        for _ in range(count):
            x = x.conv(min(64 * 2**stage, 512), 3, bias=True).act()
        x = x.max_pool(2, 2).block(f"stage {stage + 2}")
    head = _two_dense(x, classes, dropout=False)
    return head.net.workload(name, imagenet(74, 256, source="Simonyan & Zisserman 2014"))


def _two_dense(x: Map, classes: int, *, dropout: bool) -> Map:
    x = x.block("head")
    for _ in range(2):
        x = x.dense(4096).act()
        x = x.dropout() if dropout else x
    return x.dense(classes).loss()


def _convnet(
    depth: int = 16, width: int = 64, kernel: int = 3, image_size: int = 224, classes: int = 1000, stages: int = 4
) -> Workload:
    """``depth`` convolutions with norm and ReLU in stages, each half the size of the one before, twice the channels."""
    if min(depth, width, kernel, classes) < 1 or not 1 <= stages <= min(depth, _MOST_STAGES):
        raise UsageError(
            f"a network of {depth} convolutions in {stages} stages, {width} channels wide, with windows of {kernel} "
            f"and {classes} classes cannot be built",
            f"give numbers above zero, and at most {_MOST_STAGES} stages, of at least one convolution each",
        )
    x = image(image_size)
    for stage in range(stages):
        for index in range(depth * (stage + 1) // stages - depth * stage // stages):
            x = x.block(f"stage {stage + 1}" + ("" if index else ", first"))
            x = x.conv(width * 2**stage, kernel, 1 if index else 2).norm().act()
    return classify(x, classes).net.workload("convnet", imagenet())


def models() -> Mapping[str, Builder]:
    """Names to builders."""
    return {
        "alexnet": _alexnet,
        "vgg16": partial(_vgg, "vgg16", (2, 2, 3, 3, 3)),
        "vgg19": partial(_vgg, "vgg19", (2, 2, 4, 4, 4)),
        "convnet": _convnet,
    }
