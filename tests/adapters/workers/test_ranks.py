"""Several workers as one: whose failure is told, and that none is left behind."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from zenplan.adapters.workers import ranks as workers
from zenplan.adapters.workers.process import Limits, untold
from zenplan.adapters.workers.ranks import environments_of, free_address, run_ranks
from zenplan.errors import FailureKind, ZenplanError
from zenplan.worker.protocol import Ended, Event, Kind, Optimizer, Pulse, Ranks, Train

JOB = Train(
    what="the model",
    folder="",
    data="",
    model=Kind(name="decoder"),
    optimizer=Optimizer(learning_rate=1.0),
    threads=1,
    steps=1,
    batch=4,
    micro_batch=1,
)
# What a worker does: it has its rank, what tells its parent, and a folder that all share.
HEAD = """
import json, os, signal, sys, time
from pathlib import Path
job = json.loads(sys.stdin.readline())
rank, shared = job["ranks"]["rank"], Path(job["folder"])
def send(**event): os.write(job["events"], (json.dumps(event) + "\\n").encode())
def error(text, kind): send(event="error", message=text, kind=kind)
def end(): send(event="ended", reason="finished", step=rank)
(shared / f"pid-{rank}").write_text(str(os.getpid()))
while len(list(shared.glob("pid-*"))) < job["ranks"]["size"]:
    time.sleep(0.01)
"""
Start = Callable[..., Event]


@pytest.fixture
def started(tmp_path: Path) -> Start:
    """Runs that program as each of three ranks, and sees that all are gone after it."""

    def run(program: str, size: int = 3, **more: Any) -> Event:
        jobs = [
            msgspec.structs.replace(JOB, folder=str(tmp_path), ranks=Ranks(rank=r, size=size, local=r, address="a:1"))
            for r in range(size)
        ]
        usual: dict[str, Any] = {"tell": untold, "hear": lambda rank, event: None, "environments": [{}] * size}
        try:
            command = (sys.executable, "-c", HEAD + program)
            return run_ranks(jobs, "mine", Limits(time_s=60.0), **{**usual, **more}, command=command)
        finally:
            for each in tmp_path.glob("pid-*"):
                with pytest.raises(ProcessLookupError):
                    os.kill(int(each.read_text(encoding="utf-8")), 0)

    return run


def test_the_answer_is_that_of_rank_0(started: Start) -> None:
    heard: list[tuple[int, Event]] = []
    answer = started(
        "send(event='pulse', rank=rank, host='h', begun=1, done=0); end()",
        hear=lambda rank, event: heard.append((rank, event)),
    )
    assert isinstance(answer, Ended)
    assert answer.step == 0
    assert sorted((rank, event.rank) for rank, event in heard if isinstance(event, Pulse)) == [(0, 0), (1, 1), (2, 2)]


def test_each_has_an_environment_of_its_own(started: Start) -> None:
    program = "(shared / f'place-{rank}').write_text(os.environ['PLACE'])\n"
    program += "while len(list(shared.glob('place-*'))) < 3: time.sleep(0.01)\n"
    program += "send(event='ended', reason=' '.join((shared / f'place-{n}').read_text() for n in range(3)), step=0)"
    answer = started(program, environments=[{"PLACE": str(10 + rank)} for rank in range(3)])
    assert isinstance(answer, Ended)
    assert answer.reason == "10 11 12"


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_one_that_is_killed_is_named_though_the_others_say_first_that_they_lost_it(started: Start, lost: int) -> None:
    program = f"""
if rank == {lost}:
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGKILL)
error(f"rank {{rank}} lost a worker", "no_collectives")
"""
    with pytest.raises(ZenplanError, match=f"rank {lost}: .*SIGKILL") as caught:
        started(program)
    assert caught.value.kind is FailureKind.KILLED


def test_where_all_have_but_lost_each_other_one_says_so(started: Start) -> None:
    with pytest.raises(ZenplanError, match=r"rank \d lost") as caught:
        started("error(f'rank {rank} lost a worker', 'no_collectives')")
    assert caught.value.kind is FailureKind.NO_COLLECTIVES


def test_those_that_wait_for_one_that_failed_are_ended(started: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_GRACE_S", 0.1)
    with pytest.raises(ZenplanError, match="there is no room"):
        started("error('there is no room', 'refused') if rank == 2 else time.sleep(60)")


def test_one_that_does_not_leave_is_ended_and_the_run_is_as_rank_0_says(
    started: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_LEAVE_S", 0.1)
    answer = started("end() if rank == 0 else time.sleep(60)")
    assert isinstance(answer, Ended)
    assert answer.reason == "finished"


@pytest.mark.parametrize("of", ["rank 0", "another"])
def test_what_goes_wrong_here_ends_all_at_once(started: Start, of: str) -> None:
    """As a second Ctrl-C does."""

    def tell(stage: str, seconds: float) -> None:
        if of == "rank 0" and seconds > 0.3:
            raise KeyboardInterrupt

    def hear(rank: int, event: Event) -> None:
        if of == "another" and rank == 2:
            raise KeyboardInterrupt

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        started("send(event='pulse', rank=rank, host='h', begun=1, done=0); time.sleep(60)", tell=tell, hear=hear)
    assert time.monotonic() - begin < 20.0


def test_nothing_is_heard_while_something_is_told(started: Start) -> None:
    """What is known of the workers is looked at and changed by one at a time."""
    inside: list[str] = []
    seen: set[int] = set()

    def alone() -> None:
        seen.add(len(inside))
        inside.append("")
        time.sleep(0.002)
        inside.pop()

    program = "for _ in range(20): send(event='pulse', rank=rank, host='h', begun=1, done=0); time.sleep(0.003)\nend()"
    started(program, tell=lambda stage, seconds: alone(), hear=lambda rank, event: alone())
    assert seen == {0}


def devices(found: Sequence[Mapping[str, str]]) -> list[str]:
    return [each["CUDA_VISIBLE_DEVICES"] for each in found]


def test_each_worker_has_gpus_of_its_own() -> None:
    assert devices(environments_of("gpu", 1, 2, 2, {})) == ["0,1", "2,3"]
    assert devices(environments_of("gpu", 1, 2, 1, {"CUDA_VISIBLE_DEVICES": "5,3"})) == ["5", "3"]
    assert devices(environments_of("cpu", 1, 2, 1, {"CUDA_VISIBLE_DEVICES": "5,3"})) == ["", ""]


def test_an_address_is_of_this_machine_and_free() -> None:
    host, _, port = free_address().partition(":")
    assert host == "127.0.0.1"
    assert 1024 <= int(port) < 65536
