"""Steps of a run that are kept as evidence: means of neighbours, from all over it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from zenplan.domain.measured.calibration import Sample
from zenplan.planning.watch.drift import StepTime

# Twice as many are there at most.
MOST_SAMPLES: Final = 50


@dataclass(slots=True)
class KeptSteps:
    """The mean of neighbouring steps is kept as one: what a run took is their sum, not their median.

    Attributes:
        samples: of so many neighbours each, ``stride``.
    """

    samples: list[Sample] = field(default_factory=list)
    stride: int = 1
    _block: list[StepTime] = field(default_factory=list)

    def add(self, each: StepTime) -> None:
        """The next step."""
        self._block.append(each)
        if len(self._block) < self.stride:
            return
        wall_s = sum(each.wall_s for each in self._block) / len(self._block)
        cpu_s = sum(each.cpu_s or 0.0 for each in self._block) / len(self._block)
        self._block = []
        if wall_s > 0.0:
            self.samples.append(Sample(round=len(self.samples), wall_s=wall_s, cpu_s=cpu_s))
        if len(self.samples) >= 2 * MOST_SAMPLES:
            pairs = zip(self.samples[::2], self.samples[1::2], strict=True)
            self.samples = [
                Sample(round=number, wall_s=(a.wall_s + b.wall_s) / 2.0, cpu_s=(a.cpu_s + b.cpu_s) / 2.0)
                for number, (a, b) in enumerate(pairs)
            ]
            self.stride *= 2
