"""What the data of a run take in storage."""

from __future__ import annotations

from typing import Final

from zenplan.domain.range import Range
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.request import Request
from zenplan.families.transformer.bytes_per_token import BYTES_PER_TOKEN

# A picture as it is kept: ImageNet-1k has 138 GB of 1.28M JPEGs (image-net.org, recalled).
_IMAGE_BYTES: Final = 110e3
# Other samples, assumed: from a click of a few columns to a long row, and sound of a few seconds to half a minute.
_SAMPLE_BYTES: Final = Range(low=100.0, mid=1e3, high=1e4)
_SOUND_BYTES: Final = Range(low=1e5, mid=5e5, high=1e6)
_SOUND: Final = ("audio-samples", "mel-frames")


def data_bytes(request: Request, plan: TrainingPlan) -> Range:
    """Bytes of the data set, each sample once: as counted or given, else as usual for what is trained on."""
    known = request.dataset_bytes if request.data is None else request.data.size_bytes
    unit, samples = plan.workload.unit, plan.samples / plan.epochs
    if known is None and unit == "tokens":
        known = plan.tokens / plan.epochs * BYTES_PER_TOKEN["mixed"].mid
    if known is None and unit == "images":
        known = samples * _IMAGE_BYTES
    if known is not None:
        return Range.exactly(known)
    return (_SOUND_BYTES if unit in _SOUND else _SAMPLE_BYTES) * samples
