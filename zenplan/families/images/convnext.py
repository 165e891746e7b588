"""ConvNeXt (Liu et al. 2022, arXiv 2201.03545), as Keras has it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from zenplan.domain.model.operators import Function
from zenplan.domain.model.workload import Workload
from zenplan.families.images.maps import Map, image
from zenplan.families.images.usual import imagenet
from zenplan.families.named import Builder

_SIZES = {
    "tiny": ((3, 3, 9, 3), 96),
    "small": ((3, 3, 27, 3), 96),
    "base": ((3, 3, 27, 3), 128),
    "large": ((3, 3, 27, 3), 192),
    "xlarge": ((3, 3, 27, 3), 256),
}


def _convnext(name: str, blocks: tuple[int, ...], width: int, image_size: int = 224, classes: int = 1000) -> Workload:
    x = image(image_size).conv(width, 4, 4, "valid", bias=True).layer_norm()
    for stage, count in enumerate(blocks):
        if stage:
            x = x.block(f"to stage {stage + 1}").layer_norm().conv(width * 2**stage, 2, 2, "valid", bias=True)
        for _ in range(count):
            x = _block(x.block(f"stage {stage + 1}"))
    x = x.block("head").global_pool().layer_norm().dense(classes).loss()
    return x.net.workload(name, imagenet(300, 4096, "adamw", "Liu et al. 2022"))


def _block(x: Map) -> Map:
    wide = x.depthwise(7, bias=True).layer_norm().project(4 * x.channels).act(Function.GELU)
    return wide.project(x.channels).scale().plus(x)


def models() -> Mapping[str, Builder]:
    """Names to builders."""
    return {f"convnext-{s}": partial(_convnext, f"convnext-{s}", *shape) for s, shape in _SIZES.items()}
