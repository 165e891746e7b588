"""What the data of a run take in storage."""

from __future__ import annotations

from typing import Final

from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.request import Request
from zenplan.families.transformer.bytes_per_token import BYTES_PER_TOKEN

# A picture as it is kept: ImageNet-1k has 138 GB of 1.28M JPEGs (image-net.org, recalled).
_IMAGE_BYTES: Final = 110e3


def data_bytes(request: Request, plan: TrainingPlan) -> float | None:
    """Bytes of the data set, each sample once: as counted or given, else as usual for text and pictures; None for
    other samples."""
    if request.data is not None:
        return request.data.size_bytes
    if request.dataset_bytes is not None:
        return request.dataset_bytes
    if plan.workload.unit == "tokens":
        return plan.tokens / plan.epochs * BYTES_PER_TOKEN["mixed"].mid
    return plan.samples / plan.epochs * _IMAGE_BYTES if plan.workload.unit == "images" else None
