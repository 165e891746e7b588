"""Input pipeline: how many samples a second the processors of the machines can prepare for the devices.

What a processor does for a sample before a device sees it goes by ``Workload.input``. The seconds are assumed: they
depend on the library, the processor and the data. A vCPU is a thread, half of a core of most instances. Nothing of it
is in the step time; where the processors cannot keep up, a run is as long as they need, and that is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from zenplan.domain.answer.estimate import Quote
from zenplan.domain.model.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What is done for a sample of one kind.

    Attributes:
        verb: what it is called.
        vcpu_s: seconds of one vCPU for a sample.
        source: what the figure is near to.
    """

    verb: str
    vcpu_s: float
    source: str


# How far the time of a sample may be above its figure: as far as the two that are published of images are apart.
PREPARED_SPREAD: Final = 1.5
PREPARATIONS: Final = {
    "image": Preparation(
        verb="decode",
        vcpu_s=1 / 125,
        source="a photograph of 110 kB decoded, cropped and flipped by Pillow or OpenCV: 121 images/s a thread "
        "(PaddlePaddle/Paddle issue 12861, 2018), 80 a core with resizing (rom1504/img2dataset issue 127, 2022)",
    ),
    "audio": Preparation(
        verb="prepare",
        vcpu_s=1 / 50,
        source="ten seconds of speech read and made into a mel spectrogram: our assumption, no published figure",
    ),
    "table": Preparation(
        verb="prepare",
        vcpu_s=1 / 50_000,
        source="a row of 40 columns read from a binary file and put into a batch: our assumption, no published figure",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """Samples that the processors of a quote can prepare, beside those that its devices take.

    Attributes:
        vcpus: of all machines together.
        prepared_per_s, taken_per_s: samples a second.
    """

    preparation: Preparation
    vcpus: int
    prepared_per_s: float
    taken_per_s: float

    @property
    def share(self) -> float:
        """Of what the devices take, the share that the processors can prepare; above 1 they have time left."""
        return self.prepared_per_s / self.taken_per_s

    @property
    def waits(self) -> float:
        """Share of the time in which the devices would wait for samples; 0 where the processors keep up."""
        return max(0.0, 1.0 - self.share)


def supply(workload: Workload, quote: Quote) -> Supply | None:
    """What the processors of a quote's machines can prepare; None where samples need next to nothing, or where it is
    not known how many processors there are."""
    preparation, vcpus = PREPARATIONS.get(workload.input), quote.offer.instance.vcpus
    if preparation is None or vcpus is None:
        return None
    total = quote.nodes * vcpus
    return Supply(
        preparation=preparation,
        vcpus=total,
        prepared_per_s=total / preparation.vcpu_s,
        taken_per_s=quote.estimate.samples_per_s,
    )
