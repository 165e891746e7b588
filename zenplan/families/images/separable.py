"""Networks of separable convolutions: Xception, NASNet.

Chollet 2017 (arXiv 1610.02357); Zoph et al. 2018 (1707.07012). As Keras has them.
"""

from __future__ import annotations

from collections.abc import Mapping

from zenplan.domain.model.workload import Workload
from zenplan.families.images.maps import Map, image
from zenplan.families.images.resnet import classify
from zenplan.families.images.usual import imagenet
from zenplan.families.named import Builder


def _xception(image_size: int = 299, classes: int = 1000) -> Workload:
    x = image(image_size).conv(32, 3, 2, "valid").norm().act().conv(64, 3, 1, "valid").norm().act()
    for index, channels in enumerate((128, 256, 728)):
        x = x.block(f"entry {index + 1}")
        x = _xception_shrunk(x, channels, channels, activate=index > 0)
    for _ in range(8):
        x = before = x.block("middle")
        for _ in range(3):
            x = x.act().separable(728, 3).norm()
        x = x.plus(before)
    x = _xception_shrunk(x.block("exit"), 728, 1024, activate=True)
    for channels in (1536, 2048):
        x = x.separable(channels, 3).norm().act()
    return classify(x, classes).net.workload("xception", imagenet(100, 320, source="Chollet 2017"))


def _xception_shrunk(x: Map, first: int, second: int, *, activate: bool) -> Map:
    shortcut = x.conv(second, 1, 2).norm()
    x = (x.act() if activate else x).separable(first, 3).norm()
    return x.act().separable(second, 3).norm().max_pool(3, 2, "same").plus(shortcut)


def _nasnet(
    name: str, cells: int, stem: int, filters: int, skip: bool, image_size: int, classes: int = 1000
) -> Workload:
    """``cells`` normal cells, a reduction cell that doubles the filters, and so on; three times."""
    x = image(image_size).conv(stem, 3, 2, "valid").norm()
    before: Map | None = None
    for divisor in (4, 2):
        x, before = _reduction(x.block("stem cell"), before, filters // divisor), x
    for stage in range(3):
        wide = filters * 2**stage
        if stage:
            small = _reduction(x.block(f"reduction {stage}"), before, wide)
            x, before = small, before if skip else x
        for _ in range(cells):
            x, before = _normal(x.block(f"stage {stage + 1}"), before, wide), x
    return classify(x.act(), classes).net.workload(name, imagenet(250, 1600, source="Zoph et al. 2018"))


def _twice(x: Map, filters: int, kernel: int, stride: int = 1) -> Map:
    x = x.act()
    x = x.fixed(kernel).separable(filters, kernel, 2, "valid") if stride == 2 else x.separable(filters, kernel)
    return x.norm().act().separable(filters, kernel).norm()


def _adjusted(before: Map | None, x: Map, filters: int) -> Map:
    """The input before the last, as large as the last one; the last itself in the first cell."""
    if before is None:
        return x
    if before.size != x.size:
        before = before.act()
        halves = [before.average_pool(1, 2).conv(filters // 2) for _ in range(2)]
        return halves[0].concat(halves[1]).norm()
    if before.channels != filters:
        return before.act().conv(filters).norm()
    return before


def _normal(x: Map, before: Map | None, filters: int) -> Map:
    before = _adjusted(before, x, filters)
    h = x.act().conv(filters).norm()
    first = _twice(h, filters, 5).plus(_twice(before, filters, 3))
    second = _twice(before, filters, 5).plus(_twice(before, filters, 3))
    third = h.average_pool(3, 1, "same").plus(before)
    fourth = before.average_pool(3, 1, "same").plus(before.average_pool(3, 1, "same"))
    fifth = _twice(h, filters, 3).plus(h)
    return before.concat(first, second, third, fourth, fifth)


def _reduction(x: Map, before: Map | None, filters: int) -> Map:
    before = _adjusted(before, x, filters)
    h = x.act().conv(filters).norm()
    padded = h.fixed(3)
    first = _twice(h, filters, 5, 2).plus(_twice(before, filters, 7, 2))
    second = padded.max_pool(3, 2).plus(_twice(before, filters, 7, 2))
    third = padded.average_pool(3, 2).plus(_twice(before, filters, 5, 2))
    fourth = second.plus(first.average_pool(3, 1, "same"))
    fifth = _twice(first, filters, 3).plus(padded.max_pool(3, 2))
    return second.concat(third, fourth, fifth)


def _mobile(image_size: int = 224, classes: int = 1000) -> Workload:
    return _nasnet("nasnetmobile", 4, 32, 44, False, image_size, classes)


def _large(image_size: int = 331, classes: int = 1000) -> Workload:
    return _nasnet("nasnetlarge", 6, 96, 168, True, image_size, classes)


def models() -> Mapping[str, Builder]:
    """Names to builders."""
    return {"xception": _xception, "nasnetmobile": _mobile, "nasnetlarge": _large}
