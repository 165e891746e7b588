"""All networks over images, by name."""

from __future__ import annotations

from collections.abc import Mapping

from zenplan.families.images import (
    convnext,
    densenet,
    detection,
    efficientnet,
    inception,
    mobilenet,
    plain,
    regnet,
    resnet,
    segmentation,
    separable,
)
from zenplan.families.named import Builder


def models() -> Mapping[str, Builder]:
    """Names to builders, in the order of the listing."""
    parts = (
        resnet,
        plain,
        regnet,
        densenet,
        inception,
        separable,
        mobilenet,
        efficientnet,
        convnext,
        detection,
        segmentation,
    )
    return {name: builder for part in parts for name, builder in part.models().items()}
