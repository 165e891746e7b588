"""An engine that starts its workers itself says that they begin again: by the rules, and within the number, of the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from zenplan.commands.train.supervise import Supervisor
from zenplan.commands.train.use_case import _heard
from zenplan.errors import FailureKind, ZenplanError
from zenplan.worker.protocol import Changed, Event, Restarted


@dataclass
class Watching:
    """Stands in for a supervisor that lets workers begin again so often."""

    restarts: int
    lost: list[ZenplanError] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def begins_again(self, error: ZenplanError) -> bool:
        self.lost.append(error)
        return len(self.lost) <= self.restarts

    def hear(self, event: Event) -> None:
        self.events.append(event)


def test_they_begin_again_as_often_as_they_may() -> None:
    watching: Any = Watching(restarts=2)
    supervisor = cast(Supervisor, watching)
    for _ in range(2):
        _heard(supervisor, Restarted(why="rank 1 was lost"))
    with pytest.raises(ZenplanError, match="rank 1 was lost"):
        _heard(supervisor, Restarted(why="rank 1 was lost"))
    assert {error.kind for error in watching.lost} == {FailureKind.NO_COLLECTIVES}
    assert watching.events == []


def test_other_events_are_heard_as_always() -> None:
    watching: Any = Watching(restarts=0)
    event = Changed(step=3, what="micro_batch", value=2.0, why="memory ran out")
    _heard(cast(Supervisor, watching), event)
    assert watching.events == [event]
    assert watching.lost == []
