"""U-Nets: down to a small map and up again, with a copy of each map on the way.

Ronneberger et al. 2015 (arXiv 1505.04597), without padding; in three dimensions as MLPerf has it, after Isensee et
al. 2018 (1809.10483).
"""

from __future__ import annotations

from collections.abc import Mapping

from zenplan.domain.model.workload import Usual, Workload
from zenplan.families.images.maps import Map, image
from zenplan.families.named import Builder

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
    )
    # Volumes are decoded and resampled beforehand; what is left to do for each is to cut a part out.
    return x.block("head").conv(classes, bias=True).loss().net.workload("unet3d", usual, unit="samples", read="")


def _normed(x: Map, channels: int, stride: int = 1) -> Map:
    return x.conv(channels, 3, stride, 1).layer_norm("instance norm").act()


def models() -> Mapping[str, Builder]:
    """Names to builders."""
    return {"unet": _unet, "unet3d": _unet3d}
