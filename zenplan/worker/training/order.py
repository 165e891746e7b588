"""The order of samples: which ones a step takes, as a function of the seed and the step's number alone.

A run that is resumed asks for the step that it is at, and skips nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from zenplan.errors import UsageError
from zenplan.worker.training.prepared import Array


@dataclass(slots=True, kw_only=True)
class Order:
    """Each epoch is a permutation of all samples, cut into batches; a rest that fills no batch is left out.

    Attributes:
        samples: of an epoch.
        batch: samples of a step.
    """

    samples: int
    batch: int
    seed: int
    _epoch: int = field(default=-1, init=False)
    _permutation: Array = field(default_factory=lambda: np.empty(0, np.uint32), init=False)

    def __post_init__(self) -> None:
        if self.batch > self.samples:
            raise UsageError(
                f"a batch of {self.batch} is larger than the training data, {self.samples} samples",
                f"--batch {max(1, self.samples)} is the largest",
            )

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return self.samples // self.batch

    def numbers(self, step: int) -> Array:
        """Numbers of the samples of a step; the first step is 0."""
        epoch, place = divmod(step, self.steps)
        if epoch != self._epoch:
            # Philox: a generator whose streams are told apart by their key.
            random = np.random.Generator(np.random.Philox(key=(self.seed, epoch)))
            self._permutation = random.permutation(np.arange(self.samples, dtype=np.uint32))
            self._epoch = epoch
        return self._permutation[place * self.batch : (place + 1) * self.batch]
