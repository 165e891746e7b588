"""All networks over images, by name."""

from __future__ import annotations

from collections.abc import Mapping

from zenplan.families.images.classic import inception_models, plain_models
from zenplan.families.images.dense_prediction import detection_models, segmentation_models
from zenplan.families.images.residual import convnext_models, densenet_models, regnet_models, resnet_models
from zenplan.families.images.rtdetr import rtdetr_models
from zenplan.families.images.separable import efficientnet_models, mobilenet_models, separable_models
from zenplan.families.images.yolo import yolo_models
from zenplan.families.named import Builder


def models() -> Mapping[str, Builder]:
    """Names to builders, in the order of the listing."""
    parts = (
        resnet_models,
        plain_models,
        regnet_models,
        densenet_models,
        inception_models,
        separable_models,
        mobilenet_models,
        efficientnet_models,
        convnext_models,
        detection_models,
        yolo_models,
        rtdetr_models,
        segmentation_models,
    )
    return {name: builder for part in parts for name, builder in part().items()}
