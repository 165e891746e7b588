"""An engine that starts its workers itself says that they begin again: by the rules, and within the number, of the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from zenplan.commands.train.supervise import Supervisor
from zenplan.commands.train.use_case import _heard
from zenplan.commands.train.workers import Workers
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


@pytest.mark.parametrize("stage", ["build", "rehearsal"])
def test_a_worker_that_is_lost_before_the_first_step_is_no_end(stage: str, trainer: Any) -> None:
    """All begin anew, and the run is predicted all the same."""
    code, _, err = trainer.train("--workers", "2", lose=stage)
    assert code == 0, err
    assert trainer.json("prediction.json")["origin"] == "rehearsed"
    assert trainer.json("status.json")["starts"] == 2
    assert [step for step, _ in trainer.losses()] == list(range(1, 41))
    assert "rank 1" in (trainer.folder / "run" / "notices.jsonl").read_text(encoding="utf-8")


def test_a_run_that_ended_in_its_rehearsal_is_rehearsed_when_it_is_gone_on_with(trainer: Any) -> None:
    code, _, err = trainer.train("--workers", "2", "--max-restarts", "0", lose="rehearsal")
    assert code == 1
    assert "--resume" in err
    assert not (trainer.folder / "run" / "prediction.json").exists()
    code, _, err = trainer("train", "--resume", "run")
    assert code == 0, err
    assert trainer.json("prediction.json")["origin"] == "rehearsed"
    assert [step for step, _ in trainer.losses()] == list(range(1, 41))


def test_one_that_does_not_come_is_not_waited_for_again() -> None:
    several: Any = SimpleNamespace(job=SimpleNamespace(workers=2), ranks=None, max_restarts=3)
    silent, killed = (ZenplanError("rank 1", kind=kind) for kind in (FailureKind.NO_COLLECTIVES, FailureKind.KILLED))
    workers = Workers()
    assert [workers.may_begin_again(silent, several, begun) for begun in (False, True)] == [False, True]
    assert workers.may_begin_again(killed, several, False)
    workers.restarts = 3
    assert not workers.may_begin_again(killed, several, True)
