"""A trained model and artefacts of it, scored beside each other on the same samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from zenplan.errors import InputFileError, UsageError
from zenplan.worker.protocol import Done, Events, Score, Scored
from zenplan.worker.trained.calling import Call, call_of, first_of, timed
from zenplan.worker.trained.forms import read
from zenplan.worker.trained.opened import Opened, opened
from zenplan.worker.training.evaluation import shares
from zenplan.worker.training.prepared import Array, Samples


def score(job: Score, events: Events) -> None:
    """Do the job, and tell what each scores.

    Raises:
        InputFileError: the model, an artefact or the data cannot be read.
    """
    model = opened(job.model, events)
    samples = model.samples(job.part)
    if samples is None:
        raise UsageError(f"the data of {job.what} have no part '{job.part}'", "they are prepared with one: --test 0.1")
    calls = {"": call_of(model.model), **{each.known_as: read(each, job.model, events) for each in job.artefacts}}
    events.begin("score")
    found = [Scoring(name=name, call=call, job=job, opened=model, samples=samples) for name, call in calls.items()]
    for each in found:
        each.figures(None if each is found[0] else found[0].call)
    _time(found, job)
    for each in found:
        events.send(each.scored())
    events.send(Done())


@dataclass(slots=True, kw_only=True)
class Scoring:
    """One model, or artefact, on the samples of a job.

    Attributes:
        sums: of each figure over all samples, then their number.
        difference, largest, one_s, batch_s, confusion: as of ``Scored``.
    """

    name: str
    call: Call
    job: Score
    opened: Opened
    samples: Samples
    sums: Array = field(default_factory=lambda: np.zeros(1))
    difference: float | None = None
    largest: float | None = None
    one_s: list[float] = field(default_factory=list)
    batch_s: list[float] = field(default_factory=list)
    confusion: Array | None = None

    @property
    def count(self) -> int:
        """Samples that are scored."""
        return min(self.samples.count, self.job.most) if self.job.most else self.samples.count

    def batches(self) -> Iterator[tuple[Any, Array]]:
        """Inputs and targets, spread evenly over the part."""
        chosen = np.arange(self.count) * self.samples.count // self.count
        for first in range(0, self.count, self.job.batch):
            yield self.samples.batch(chosen[first : first + self.job.batch])

    def figures(self, beside: Call | None) -> None:
        """Call it on all samples, and compare what it returns with the run's own model, where that is another."""
        loss, furthest, largest = self.opened.loss, 0.0, 0.0
        sums = np.zeros(len(loss.others) + 2)
        for x, y in self.batches():
            returned = self.call(x)
            own = returned if beside is None else beside(x)
            if returned.shape != own.shape:
                raise InputFileError(f"{self.name} returns {returned.shape}, the model {own.shape}", "export it anew")
            # What is no number stays none.
            furthest = float(np.maximum(furthest, np.max(np.abs(returned - own))))
            largest = float(np.maximum(largest, np.max(np.abs(own))))
            self._confuse(y, returned)
            weights = np.ones(len(y), np.float32)
            sums += keras.ops.convert_to_numpy(loss.sums(y, keras.ops.convert_to_tensor(returned), weights))
        self.sums, self.largest = sums, largest if math.isfinite(largest) else None
        self.difference = furthest if beside is not None and math.isfinite(furthest) else None

    def _confuse(self, y: Array, returned: Array) -> None:
        classes = returned.shape[-1]
        if returned.ndim != 2 or y.dtype.kind not in "iu" or not 1 < classes <= self.job.confusion:
            return
        if self.confusion is None:
            self.confusion = np.zeros((classes, classes), np.int64)
        np.add.at(self.confusion, (y, returned.argmax(axis=-1)), 1)

    def scored(self) -> Scored:
        """What it came to."""
        return Scored(
            name=self.name,
            values={
                n: v for n, v in shares(tuple(self.opened.loss.others), self.sums.tolist()).items() if math.isfinite(v)
            },
            samples=self.count,
            confusion=() if self.confusion is None else tuple(map(tuple, self.confusion.tolist())),
            difference=self.difference,
            largest=self.largest,
            one_s=tuple(self.one_s),
            batch_s=tuple(self.batch_s),
            batch=min(self.job.batch, self.count),
        )


def _time(found: list[Scoring], job: Score) -> None:
    """Time calls of all of them in turns, so that a busy moment falls on each."""
    if not job.times:
        return
    x, _ = next(found[0].batches())
    for size, times in ((1, "one_s"), (job.batch, "batch_s")):
        some = first_of(x, size)
        for each in found:
            # The first call with so many samples compiles.
            each.call(some)
        for _ in range(job.times):
            for each in found:
                getattr(each, times).append(timed(each.call, some))
