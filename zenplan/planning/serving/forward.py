"""A model that answers with one forward pass (a classifier, a regressor), on a machine where some passes were measured.

The time of a pass is a fixed part and one for each sample: a + c·batch, fitted to measured passes with relative errors,
so that a small batch says as much as a large one. A server that takes whatever waits as its next batch answers 1 / c a
second at the most (batch service, Bailey 1954); how full its batches are at a rate follows from Little's law.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from zenplan.domain import checks
from zenplan.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """The time of a forward pass, as fitted to measured ones.

    Attributes:
        fixed_s: of any pass; ``sample_s`` for each sample in it.
        deviation: of the measured passes from it, one standard deviation in ln.
    """

    fixed_s: float
    sample_s: float
    deviation: float

    def __post_init__(self) -> None:
        checks.not_negative("forward pass", fixed_s=self.fixed_s, sample_s=self.sample_s, deviation=self.deviation)

    def pass_s(self, batch: float) -> float:
        """Seconds of a pass over so many samples."""
        return self.fixed_s + self.sample_s * batch

    def per_s(self, batch: float) -> float:
        """Samples a second in passes of so many, one after another."""
        return batch / self.pass_s(batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """How a server answers at a rate.

    Attributes:
        batch: samples of a pass, on average; ``utilisation`` of its time in passes.
        latency_s: of a request on average: the rest of the pass under way, then its own.
    """

    batch: float
    utilisation: float
    latency_s: float


def forward_of(measured: Mapping[int, float]) -> Forward:
    """The fit to measured passes.

    Args:
        measured: samples of a pass to its seconds.

    Raises:
        DataError: none was measured, or a figure is impossible.
    """
    if not measured or any(b < 1 or not s > 0 for b, s in measured.items()):
        raise DataError("forward pass: nothing was measured, or a time that cannot be")
    batches, seconds = (np.array(list(each), dtype=float) for each in zip(*sorted(measured.items()), strict=True))
    if len(batches) == 1:
        # One batch alone cannot tell its fixed part: all of it goes by the sample.
        return Forward(fixed_s=0.0, sample_s=float(seconds[0] / batches[0]), deviation=0.0)
    columns = np.stack([1.0 / seconds, batches / seconds], axis=1)
    fixed, each = np.linalg.lstsq(columns, np.ones(len(seconds)), rcond=None)[0]
    if fixed < 0:
        fixed, each = 0.0, float(1.0 / np.mean(batches / seconds))
    elif each < 0:
        fixed, each = float(1.0 / np.mean(1.0 / seconds)), 0.0
    off = np.log(seconds / (fixed + each * batches))
    return Forward(fixed_s=float(fixed), sample_s=float(each), deviation=float(np.sqrt(np.mean(off**2))))


def answering(forward: Forward, rate_per_s: float, max_batch: int) -> Answering | None:
    """How a server answers so many a second; None where it cannot.

    Args:
        forward: of its model on its machine.
        rate_per_s: requests of one sample each.
        max_batch: samples that it takes at a time, at most.
    """
    checks.positive("server", rate_per_s=rate_per_s, max_batch=max_batch)
    if rate_per_s >= forward.per_s(max_batch):
        return None
    # What comes during a pass is the next one: batch = rate · (fixed + sample · batch), and at least one.
    full = rate_per_s * forward.fixed_s / (1.0 - rate_per_s * forward.sample_s)
    batch = min(max(1.0, full), float(max_batch))
    busy = min(1.0, rate_per_s / batch * forward.pass_s(batch))
    return Answering(batch=batch, utilisation=busy, latency_s=forward.pass_s(batch) * (1.0 + busy / 2.0))
