"""Trackers of a run: each follows it from beside, and what becomes of them never changes the run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from zenplan.commands.train.asked import Asked
from zenplan.domain.measured.tracked_run import TrackedRun
from zenplan.errors import UnknownName
from zenplan.plugins.guard import Aside
from zenplan.protocols import Tracker, Tracking

# A service may be far away: a call has this long, and what is left to send at the end of a run this.
PATIENCE_S, LAST_S = 60.0, 30.0
_MOST_WAITING: Final = 10_000
# Of a line of a step, what trackers get, by their name for it.
_OF_STEP: Final = {
    "loss": "loss",
    "wall_s": "step_s",
    "wait_s": "wait_s",
    "gradient_norm": "gradient_norm",
    "learning_rate": "learning_rate",
}


def trackers_of(names: Sequence[str], known: Sequence[Tracker]) -> tuple[Tracker, ...]:
    """Those of the names. Raises UnknownName: nobody has such a one."""
    by_name = {each.name: each for each in known}
    for name in names:
        if name not in by_name:
            raise UnknownName("tracker", name, by_name)
    return tuple(by_name[name] for name in dict.fromkeys(names))


@dataclass(slots=True)
class Follower:
    """A tracker at a run."""

    tracker: Tracker
    aside: Aside
    tracking: Tracking | None = None

    def start(self, run: TrackedRun) -> None:
        """In the thread of its own, as are the others."""
        self.tracking = self.tracker.start(run)

    def log(self, lines: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Figures of steps."""
        for step, values in lines:
            if self.tracking is not None:
                self.tracking.log(step, values)

    def finish(self, state: str) -> None:
        """The end."""
        if self.tracking is not None:
            self.tracking.finish(state)


@dataclass(slots=True)
class Followers:
    """All trackers at a run.

    Attributes:
        every: those that were asked for, but for those that have failed.
    """

    every: list[Follower] = field(default_factory=list)

    @classmethod
    def of(cls, trackers: Sequence[Tracker], run: TrackedRun) -> Followers:
        """They begin to follow it."""
        found = [Follower(each, Aside(f"zenplan-{each.name}", _MOST_WAITING)) for each in trackers]
        for each in found:
            each.aside.call(partial(each.start, run))
        return cls(found)

    def add(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Lines of the metrics."""
        values = [(int(line["step"]), found) for line in lines if (found := _figures(line))] if self.every else []
        if values:
            for each in self.every:
                each.aside.call(partial(each.log, values))

    def failures(self) -> list[tuple[str, str]]:
        """Those that failed since this was last asked, and why: they are left out from here on."""
        found = [(each, reason) for each in self.every if (reason := each.aside.failure(PATIENCE_S))]
        for each, _ in found:
            each.aside.close(0.0)
            self.every.remove(each)
        return [(each.tracker.name, reason) for each, reason in found]

    def close(self, state: str) -> list[tuple[str, str]]:
        """The run is over; those that failed by now, and why."""
        found = self.failures()
        for each in self.every:
            each.aside.call(partial(each.finish, state))
        for each in reversed(self.every):
            each.aside.close(LAST_S)
        return found + self.failures()


def tracked_run(asked: Asked, id: str, resumed: bool) -> TrackedRun:
    """The run, for trackers."""
    job = asked.job
    return TrackedRun(
        id=id,
        name=asked.name,
        backend=asked.backend,
        folder=job.folder,
        resumed=resumed,
        settings={
            "batch": job.batch,
            "micro_batch": job.micro_batch,
            "steps": job.steps,
            "seed": job.seed,
            "precision": job.precision,
            "device": job.device,
            "threads": job.threads,
            "optimizer": job.optimizer.name,
            "learning_rate": job.optimizer.learning_rate,
            "schedule": job.optimizer.schedule,
            "warmup_steps": job.optimizer.warmup_steps,
            "weight_decay": job.optimizer.weight_decay,
            "clip_norm": job.optimizer.clip_norm,
        },
    )


def _figures(line: Mapping[str, Any]) -> dict[str, float]:
    if "part" in line:
        found = {f"{line['part']}/{name}": value for name, value in line["values"].items()}
    else:
        found = {name: line[key] for key, name in _OF_STEP.items() if key in line}
    return {name: value for name, value in found.items() if math.isfinite(value)}
