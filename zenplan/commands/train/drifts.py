"""Times in which the steps of a run are not as predicted: each is said when it begins, and again when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from zenplan import units
from zenplan.domain.measured.training_run import RunPrediction
from zenplan.domain.range import Range
from zenplan.planning.watch.drift import LEAST, Drift
from zenplan.worker.protocol import Train

# A run that goes in and out of its range is told of so often at most; and of so many times its card tells each.
_AGAIN_S: Final = 60.0
_MOST_NOTES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """Steps that were not as predicted.

    Attributes:
        drift: as it was seen first.
        first, last: steps at which it was seen, and was seen no more; ``last`` is None while it goes on.
    """

    drift: Drift
    first: int
    last: int | None = None

    @property
    def text(self) -> str:
        """In a line."""
        when = f"from step {self.first:,} on" if self.last is None else f"from step {self.first:,} to {self.last:,}"
        return f"{when} {self.drift.text}"


@dataclass(slots=True)
class Drifts:
    """Those of a run so far.

    Attributes:
        episodes: the latest last.
    """

    episodes: list[Episode] = field(default_factory=list)
    _said: str = ""
    _said_s: float | None = None

    @property
    def now(self) -> str:
        """A line, while steps are not as predicted."""
        return self.episodes[-1].drift.text if self.episodes and self.episodes[-1].last is None else ""

    @property
    def faster(self) -> bool:
        """Whether steps take less time than predicted, while they are not as predicted."""
        return bool(self.now) and self.episodes[-1].drift.ratio < 1.0

    def look(self, found: Drift | None, step: int, now_s: float) -> str:
        """What is to be said of the last steps; empty where it is what was said last, or too soon after it.

        Args:
            found: the drift of them; None where they are as predicted.
            step: the last of them.
            now_s: of any clock.
        """
        if self.now and (found is None or _kind(found) != _kind(self.episodes[-1].drift)):
            self.episodes[-1] = replace(self.episodes[-1], last=step)
        if found is not None and not self.now:
            self.episodes.append(Episode(drift=found, first=step))
        if _kind(found) == self._said or (self._said_s is not None and now_s - self._said_s < _AGAIN_S):
            return ""
        self._said_s = now_s
        return self._say(found, step)

    def end(self, step: int) -> str:
        """What is still to be said at the end of a run: that what was said last is over.

        What was seen in too few of its last steps to say something of them is no episode of it.
        """
        text = "" if self.now or not self._said else self._say(None, step)
        latest = self.episodes[-1] if self.episodes else None
        if latest is not None and latest.last in (None, step) and step - latest.first < LEAST:
            self.episodes.pop()
        return text

    def notes(self) -> Iterator[str]:
        """A line for each, for the card of a run."""
        for each in self.episodes[:_MOST_NOTES]:
            yield each.text
        if (more := len(self.episodes) - _MOST_NOTES) > 0:
            yield f"steps were not as predicted {units.many(more, 'time')} more"

    def _say(self, found: Drift | None, step: int) -> str:
        self._said = _kind(found)
        if found is not None:
            return found.text
        return f"steps are within the predicted {_span(self.episodes[-1].drift.predicted)} again, at step {step:,}"


def _kind(found: Drift | None) -> str:
    return "" if found is None else f"{found.cause} {found.ratio > 1.0}"


def _span(of: Range) -> str:
    return units.span(units.duration(of.low), units.duration(of.high))


def cores_of(prediction: RunPrediction | None, job: Train) -> float | None:
    """Of the processor, which a step has: as the rehearsal measured it; one thread that nobody disturbs has all of a core.

    A worker that waits for others has less, and nobody disturbs it.
    """
    if job.several:
        return None
    cores = prediction.cores if prediction else None
    return 1.0 if cores is None and job.threads == 1 else cores
