"""Networks that answer for every part of an image: detectors, each on a residual network, and U-Nets.

SSD, RetinaNet, Faster and Mask R-CNN: Liu et al. 2016 (arXiv 1512.02325), as MLPerf has it; Lin et al. 2017 (1612.03144,
1708.02002) and He et al. 2017 (1703.06870), as torchvision has them: its stem and first stage are frozen, and so is
every batch norm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from zenplan.domain.model.workload import Usual, Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.families.images.maps import Map, image
from zenplan.families.images.residual import DEPTHS, Residual, stages, stem
from zenplan.families.images.usual import coco
from zenplan.families.named import Builder

_PYRAMID = 256  # channels of every level of a feature pyramid
# The longer edge over the shorter of what a detector takes of COCO. DETR's authors count 180 GFLOP for Faster R-CNN on the
# mean of 100 images (Carion et al. 2020, table 1), mmdetection 207 on 800 × 1,280: without the head of fixed size the mean
# is 800 × 1,090. Batches are padded to their longest image, most of which are sorted by upright and wide.
_LONG_EDGE = 1.5
_OPEN_IMAGES = Usual(
    dataset="OpenImages v6 of MLPerf",
    samples=1_170_301,
    epochs=6,
    global_batch=256,
    optimizer="adamw",
    source="MLPerf Training v2.0",
    task="detection",
)

# SSD: channels before and of each extra map, and its stride; boxes at each position of each map.
_EXTRA = ((256, 512, 2), (256, 512, 2), (128, 256, 2), (128, 256, 1), (128, 256, 1))
_BOXES = (4, 6, 6, 6, 4, 4)


def _ssd(name: str, net: Residual, image_size: int = 300, classes: int = 81) -> Workload:
    """Three stages of the network, the last of which keeps its size."""
    x = stages(stem(image(image_size)), net, strides=(1, 2, 1))[-1].block("extra maps")
    found = [x]
    for between, channels, stride in _EXTRA:
        x = x.conv(between, bias=True).act()
        x = x.conv(channels, 3, stride, 1 if stride > 1 else "valid", bias=True).act()
        found.append(x)
    for level, boxes in zip(found, _BOXES, strict=True):
        level.block("head").conv(boxes * 4, 3, bias=True).loss()
        level.conv(boxes * classes, 3, bias=True).loss()
    return x.net.workload(name, coco(65, 32, "MLPerf Training v0.6, reference"))


def _backbone(x: Map, net: Residual) -> list[Map]:
    x.net.frozen = x.net.frozen_norms = True
    return stages(stem(x), net, frozen=1)


def _feature_pyramid(levels: Sequence[Map]) -> list[Map]:
    """Maps of equal channels, each with what the smaller ones saw; largest first."""
    narrow = [level.block("feature pyramid").conv(_PYRAMID, bias=True) for level in levels]
    for index in range(len(narrow) - 2, -1, -1):
        narrow[index] = narrow[index].plus(narrow[index + 1].enlarge(narrow[index].size))
    return [level.conv(_PYRAMID, 3, bias=True) for level in narrow]


def _joined(levels: Sequence[Map]) -> Map:
    """All positions of all levels: a head that the levels share, with its weights once, goes over them in turn."""
    return replace(levels[0], size=(sum(level.positions for level in levels), 1), key=levels[0].net.new_map())


def _tower(x: Map, layers: int) -> Map:
    for _ in range(layers):
        x = x.conv(_PYRAMID, 3, bias=True).act()
    return x


def _padded(image_size: int) -> tuple[Map, Fact]:
    """An image of COCO as detectors take it: resized to that shorter edge, and padded to the longest of its batch."""
    long = round(image_size * _LONG_EDGE)
    why = "2 : 3, the mean of COCO's images, 800 × 1,090, padded to the longest of a batch"
    return image((image_size, long)), Fact(
        name="padded image", value=f"{image_size} × {long}", origin=Origin.ASSUMED, why=why
    )


def _retinanet(x: Map, name: str, net: Residual, usual: Usual, classes: int, facts: tuple[Fact, ...] = ()) -> Workload:
    levels = _feature_pyramid(_backbone(x, net)[1:])
    levels.append(levels[-1].conv(_PYRAMID, 3, 2, 1, bias=True))
    levels.append(levels[-1].act().conv(_PYRAMID, 3, 2, 1, bias=True))
    x = _joined(levels).block("head")
    _tower(x, 4).conv(9 * 4, 3, bias=True).loss()
    _tower(x, 4).conv(9 * classes, 3, bias=True).loss()
    return x.net.workload(name, usual, facts)


def _retinanet_coco(image_size: int = 800, classes: int = 91) -> Workload:
    x, padded = _padded(image_size)
    net, usual = Residual(blocks=DEPTHS[50]), coco(12, 16, "Lin et al. 2017")
    return _retinanet(x, "retinanet-resnet50", net, usual, classes, (padded,))


def _retinanet_mlperf(image_size: int = 800, classes: int = 264) -> Workload:
    """Every image is made a square."""
    net = Residual(blocks=DEPTHS[50], groups=32, width=4)
    return _retinanet(image(image_size), "retinanet-resnext50", net, _OPEN_IMAGES, classes)


def _rcnn(image_size: int = 800, classes: int = 91, proposals: int = 512, *, masks: bool) -> Workload:
    """Faster R-CNN, or with ``masks`` Mask R-CNN; ``image_size`` is the shorter edge."""
    x, padded = _padded(image_size)
    facts = [padded]
    levels = _feature_pyramid(_backbone(x, Residual(blocks=DEPTHS[50])))
    found = _tower(_joined([*levels, levels[-1].max_pool(1, 2)]).block("proposals"), 1)
    found.conv(3, bias=True).loss()
    found.conv(3 * 4, bias=True).loss()
    boxes = _aligned(levels[0].block("boxes"), proposals, 7).project(1024).act().project(1024).act()
    boxes.project(classes).loss()
    boxes.project(4 * classes).loss()
    if masks:
        with_mask = max(1, proposals // 4)
        cut = _tower(_regions(levels[0].block("masks"), with_mask, 14), 4)
        cut.transposed(_PYRAMID, 2, 2).act().conv(classes, bias=True).loss()
        why = "a quarter of the proposals"
        facts.append(Fact(name="regions with a mask", value=str(with_mask), origin=Origin.ASSUMED, why=why))
    usual = coco(12, 16, "He et al. 2017; Detectron's 1x schedule")
    return x.net.workload(f"{'mask' if masks else 'faster'}rcnn-resnet50-fpn", usual, tuple(facts))


def _regions(level: Map, count: int, edge: int) -> Map:
    """Regions cut out and resampled to a square; each element is interpolated from four points of four neighbours."""
    return replace(level, size=(count * edge, edge), key=level.net.new_map()).resampled(16)


def _aligned(level: Map, count: int, edge: int) -> Map:
    """Such regions, each as one row."""
    cut = _regions(level, count, edge)
    return replace(cut, size=(count, 1), channels=cut.channels * edge * edge)


def detection_models() -> Mapping[str, Builder]:
    """Names to builders."""
    resnet50 = Residual(blocks=DEPTHS[50])
    return {
        "ssd300-resnet34": partial(_ssd, "ssd300-resnet34", Residual(blocks=DEPTHS[34][:3], bottleneck=False)),
        "ssd300-resnet50": partial(_ssd, "ssd300-resnet50", replace(resnet50, blocks=DEPTHS[50][:3])),
        "retinanet-resnet50": _retinanet_coco,
        "retinanet-resnext50": _retinanet_mlperf,
        "fasterrcnn-resnet50-fpn": partial(_rcnn, masks=False),
        "maskrcnn-resnet50-fpn": partial(_rcnn, masks=True),
    }


# --- U-Nets
#
# U-Nets: down to a small map and up again, with a copy of each map on the way.
#
# Ronneberger et al. 2015 (arXiv 1505.04597), without padding; in three dimensions as MLPerf has it, after Isensee et
# al. 2018 (1809.10483).

_FILTERS = (32, 64, 128, 256, 320, 320)


def _unet(image_size: int = 572, classes: int = 2, channels: int = 1, width: int = 64, levels: int = 5) -> Workload:
    x, passed = image(image_size, channels), list[Map]()
    for level in range(levels):
        x = _twice(x, width * 2**level)
        if level < levels - 1:
            passed.append(x)
            x = x.max_pool(2, 2).block(f"down {level + 1}")
    for level in range(levels - 2, -1, -1):
        x = x.block(f"up {level + 1}").transposed(width * 2**level, 2, 2)
        x = _twice(x.concat(passed[level].cropped(x.size)), width * 2**level)
    usual = Usual(
        dataset="EM segmentation (ISBI 2012)",
        samples=30,
        epochs=1700,
        global_batch=8,
        optimizer="adamw",
        source="NVIDIA DeepLearningExamples, UNet Medical: 6,400 steps",
        task="segmentation",
    )
    return x.block("head").conv(classes, bias=True).loss().net.workload("unet", usual)


def _twice(x: Map, channels: int) -> Map:
    for _ in range(2):
        x = x.conv(channels, 3, 1, "valid", bias=True).act()
    return x


def _unet3d(image_size: int = 128, classes: int = 3) -> Workload:
    x, passed = image((image_size,) * 3, 1), list[Map]()
    for level, channels in enumerate(_FILTERS):
        if level:
            passed.append(x)
            x = x.block(f"down {level}")
        x = _normed(_normed(x, channels, 2 if level else 1), channels)
    for level in range(len(passed) - 1, -1, -1):
        x = x.block(f"up {level + 1}").transposed(_FILTERS[level], 2, 2).cropped(passed[level].size)
        x = _normed(_normed(x.concat(passed[level]), _FILTERS[level]), _FILTERS[level])
    usual = Usual(
        dataset="KiTS19 of MLPerf",
        samples=168,
        epochs=2000,
        global_batch=32,
        optimizer="sgd-momentum",
        source="MLPerf Training v1.1",
        task="segmentation",
    )
    # Volumes are decoded and resampled beforehand; what is left to do for each is to cut a part out.
    return x.block("head").conv(classes, bias=True).loss().net.workload("unet3d", usual, unit="samples", read="")


def _normed(x: Map, channels: int, stride: int = 1) -> Map:
    return x.conv(channels, 3, stride, 1).layer_norm("instance norm").act()


def segmentation_models() -> Mapping[str, Builder]:
    """Names to builders."""
    return {"unet": _unet, "unet3d": _unet3d}
