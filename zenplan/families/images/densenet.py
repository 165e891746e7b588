"""DenseNet (Huang et al. 2017, arXiv 1608.06993): each layer sees all before it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from zenplan.domain.model.workload import Workload
from zenplan.families.images.maps import image
from zenplan.families.images.resnet import classify, stem
from zenplan.families.images.usual import imagenet
from zenplan.families.named import Builder

_GROWTH = 32
_DEPTHS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}


def _densenet(name: str, blocks: tuple[int, ...], image_size: int = 224, classes: int = 1000) -> Workload:
    x = stem(image(image_size))
    for stage, layers in enumerate(blocks):
        if stage:
            x = x.block(f"transition {stage}").norm().act().conv(x.channels // 2).average_pool(2, 2)
        x = x.block(f"stage {stage + 1}")
        for _ in range(layers):
            new = x.norm().act().conv(4 * _GROWTH).norm().act().conv(_GROWTH, 3)
            x = x.concat(new)
    return classify(x.norm().act(), classes).net.workload(name, imagenet(source="Huang et al. 2017"))


def models() -> Mapping[str, Builder]:
    """Names to builders."""
    return {f"densenet{d}": partial(_densenet, f"densenet{d}", blocks) for d, blocks in _DEPTHS.items()}
