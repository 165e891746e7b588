"""Classic networks: of parallel branches (GoogLeNet, Inception v3, Inception-ResNet v2), and without branches.

Branches: Szegedy et al. 2014 (arXiv 1409.4842), 2015 (1512.00567), 2016 (1602.07261). Channels as in Keras; those of
GoogLeNet as in torchvision, with norms, 3 × 3 in place of 5 × 5, and without the two classifiers at its sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from zenplan.domain.model.workload import Workload
from zenplan.errors import UsageError
from zenplan.families.images.maps import Map, Padding, Window, image
from zenplan.families.images.residual import classify
from zenplan.families.images.usual import imagenet
from zenplan.families.named import Builder

# A convolution of a branch: its channels and its window.
Step = tuple[int, Window]
_SOURCE = "Szegedy et al. 2016"


def _unit(
    x: Map, channels: int, kernel: Window = 1, stride: int = 1, padding: Padding = "same", *, scale: bool = False
) -> Map:
    return x.conv(channels, kernel, stride, padding).norm(scale=scale).act()


def _branch(x: Map, *steps: Step) -> Map:
    for channels, kernel in steps:
        x = _unit(x, channels, kernel)
    return x


def _shrunk(x: Map, *steps: Step) -> Map:
    """A branch whose last convolution halves the size."""
    channels, kernel = steps[-1]
    return _unit(_branch(x, *steps[:-1]), channels, kernel, 2, "valid")


def _pooled(x: Map, channels: int) -> Map:
    return _unit(x.average_pool(3, 1, "same"), channels)


def _inception_v3(image_size: int = 299, classes: int = 1000) -> Workload:
    x = _unit(_unit(image(image_size), 32, 3, 2, "valid"), 32, 3, 1, "valid")
    x = _unit(_unit(_unit(x, 64, 3).max_pool(3, 2), 80, 1, 1, "valid"), 192, 3, 1, "valid").max_pool(3, 2)
    for pool in (32, 64, 64):
        x = x.block("35 × 35")
        x = _branch(x, (64, 1)).concat(
            _branch(x, (48, 1), (64, 5)), _branch(x, (64, 1), (96, 3), (96, 3)), _pooled(x, pool)
        )
    x = x.block("to 17 × 17")
    x = _shrunk(x, (384, 3)).concat(_shrunk(x, (64, 1), (96, 3), (96, 3)), x.max_pool(3, 2))
    for c in (128, 160, 160, 192):
        x = x.block("17 × 17")
        x = _branch(x, (192, 1)).concat(
            _branch(x, (c, 1), (c, (1, 7)), (192, (7, 1))),
            _branch(x, (c, 1), (c, (7, 1)), (c, (1, 7)), (c, (7, 1)), (192, (1, 7))),
            _pooled(x, 192),
        )
    x = x.block("to 8 × 8")
    x = _shrunk(x, (192, 1), (320, 3)).concat(
        _shrunk(x, (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3)), x.max_pool(3, 2)
    )
    for _ in range(2):
        x = x.block("8 × 8")
        parts = [_split(_branch(x, (384, 1))), _split(_branch(x, (448, 1), (384, 3)))]
        x = _branch(x, (320, 1)).concat(*parts, _pooled(x, 192))
    return classify(x, classes).net.workload("inceptionv3", imagenet(100, 1600, source="Szegedy et al. 2015"))


def _split(x: Map) -> Map:
    return _branch(x, (384, (1, 3))).concat(_branch(x, (384, (3, 1))))


def _inception_resnet_v2(image_size: int = 299, classes: int = 1000) -> Workload:
    x = _unit(_unit(image(image_size), 32, 3, 2, "valid"), 32, 3, 1, "valid")
    x = _unit(_unit(_unit(x, 64, 3).max_pool(3, 2), 80, 1, 1, "valid"), 192, 3, 1, "valid").max_pool(3, 2)
    x = _branch(x, (96, 1)).concat(_branch(x, (48, 1), (64, 5)), _branch(x, (64, 1), (96, 3), (96, 3)), _pooled(x, 64))
    for _ in range(10):
        x = x.block("35 × 35")
        branches = [_branch(x, (32, 1), (32, 3)), _branch(x, (32, 1), (48, 3), (64, 3))]
        x = _residual(x, _branch(x, (32, 1)).concat(*branches)).act()
    x = x.block("to 17 × 17")
    x = _shrunk(x, (384, 3)).concat(_shrunk(x, (256, 1), (256, 3), (384, 3)), x.max_pool(3, 2))
    for _ in range(20):
        x = x.block("17 × 17")
        branch = _branch(x, (128, 1), (160, (1, 7)), (192, (7, 1)))
        x = _residual(x, _branch(x, (192, 1)).concat(branch)).act()
    x = x.block("to 8 × 8")
    branches = [_shrunk(x, (256, 1), (288, 3)), _shrunk(x, (256, 1), (288, 3), (320, 3)), x.max_pool(3, 2)]
    x = _shrunk(x, (256, 1), (384, 3)).concat(*branches)
    for index in range(10):
        x = x.block("8 × 8")
        branch = _branch(x, (192, 1), (224, (1, 3)), (256, (3, 1)))
        x = _residual(x, _branch(x, (192, 1)).concat(branch))
        x = x.act() if index < 9 else x
    x = _unit(x, 1536)
    return classify(x, classes).net.workload("inceptionresnetv2", imagenet(100, 640, source=_SOURCE))


def _residual(x: Map, mixed: Map) -> Map:
    return x.plus(mixed.conv(x.channels, bias=True))


# Channels of 1 × 1; before and of 3 × 3; before and of the second 3 × 3; after the pool. None: a pool of that window.
_GOOGLENET: tuple[tuple[int, ...], ...] = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    (3,),
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    (2,),
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)


def _googlenet(image_size: int = 224, classes: int = 1000) -> Workload:
    x = _unit(image(image_size), 64, 7, 2, 3, scale=True).max_pool(3, 2, "same")
    x = _unit(_unit(x, 64, scale=True), 192, 3, scale=True).max_pool(3, 2, "same")
    for row in _GOOGLENET:
        if len(row) == 1:
            x = x.max_pool(row[0], 2, "same")
            continue
        one, before, three, again, second, pooled = row
        x = x.block("inception")
        x = _unit(x, one, scale=True).concat(
            _unit(_unit(x, before, scale=True), three, 3, scale=True),
            _unit(_unit(x, again, scale=True), second, 3, scale=True),
            _unit(x.max_pool(3, 1, "same"), pooled, scale=True),
        )
    return classify(x, classes).net.workload("googlenet", imagenet(source="Szegedy et al. 2014"))


def inception_models() -> Mapping[str, Builder]:
    """Names to builders."""
    return {"googlenet": _googlenet, "inceptionv3": _inception_v3, "inceptionresnetv2": _inception_resnet_v2}


# --- without branches
#
# Networks without branches: AlexNet, VGG (Simonyan & Zisserman 2014, arXiv 1409.1556), and one of any size.

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


def plain_models() -> Mapping[str, Builder]:
    """Names to builders."""
    return {
        "alexnet": _alexnet,
        "vgg16": partial(_vgg, "vgg16", (2, 2, 3, 3, 3)),
        "vgg19": partial(_vgg, "vgg19", (2, 2, 4, 4, 4)),
        "convnet": _convnet,
    }
