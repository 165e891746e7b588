"""Two workers of a real cluster on this machine: the curve of one worker, whatever befalls them in between."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from zenplan.errors import FailureKind
from zenplan.testing import KerasEngine, Lab, losses, write_data
from zenplan.worker.protocol import (
    Checkpointed,
    Ended,
    Error,
    Event,
    Kind,
    Optimizer,
    Ready,
    Rehearsal,
    Rehearsed,
    Restarted,
    Steps,
    Stop,
    Train,
)

from zenplan_ray import Ray

STEPS, MANY = 40, 10**6
# As Ray calls the processes of its workers.
WORKER = "RayTrainWorker"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    draw = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for part, count in (("train", 300), ("validation", 100)):
        x = draw.normal(size=(count, 4)).astype(np.float32)
        arrays |= {f"{part}-x": x, f"{part}-y": (x[:, 0] > x[:, 1]).astype(np.int64)}
    data = write_data(tmp_path / "data", {"kind": "arrays", "inputs": ["x"], "target": "y", "classes": 2}, arrays)
    return Lab(engine=Ray(), folder=tmp_path, data=data, patience_s=300.0)


@pytest.fixture
def joined(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cluster of one CPU that is there before the run."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    yield
    cluster.shutdown()


def job(lab: Lab, name: str, **changes: Any) -> Train:
    usual: dict[str, Any] = {
        "what": "the model",
        "folder": str(lab.folder / name),
        "data": lab.data,
        "model": Kind(name="softmax-regression"),
        "loss": "classes",
        "optimizer": Optimizer(name="sgd", learning_rate=0.5, momentum=0.9),
        "threads": 1,
        "seed": 1,
        "steps": STEPS,
        "batch": 16,
        "micro_batch": 8,
        "evaluate_every": 20,
        "checkpoint_every": 5,
    }
    return Train(**{**usual, **changes})


def ranks_of(session: int) -> list[int]:
    """Processes of Ray's workers that were started by the leader of that session."""
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                named = WORKER in (each / "cmdline").read_text(encoding="utf-8", errors="replace")
                if named and os.getsid(int(each.name)) == session:
                    found.append(int(each.name))
            except OSError:
                continue
    return sorted(found)


def left_behind() -> set[str]:
    return {str(each) for each in Path(tempfile.gettempdir()).glob("ray*")}


def of(events: list[Event], kind: type[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.slow
def test_two_workers_have_the_curve_of_one_though_one_is_killed_and_the_run_is_stopped(lab: Lab) -> None:
    before = left_behind()
    alone = Lab(engine=KerasEngine("torch"), folder=lab.folder, data=lab.data, patience_s=300.0)
    wanted = losses(alone.done(job(lab, "alone")))
    assert len(wanted) == STEPS

    two = job(lab, "two", workers=2, max_restarts=1, steps=MANY, rehearsal=Rehearsal(seconds=0.0, waits=True))
    with lab.started(two) as worker:
        worker.until(lambda event: isinstance(event, Rehearsed))
        worker.say(Stop(checkpoint_every=5, evaluate_every=20))
        worker.until(lambda event: isinstance(event, Checkpointed) and event.step >= 5)
        os.kill(ranks_of(worker.process.pid)[-1], signal.SIGKILL)
        worker.until(lambda event: isinstance(event, Restarted))
        worker.until(lambda event: isinstance(event, Ready))
        worker.until(lambda event: isinstance(event, Steps))
        worker.say(Stop(reason="max_usd"))
        first = list(worker.rest())
    ended = first[-1]
    assert isinstance(ended, Ended), first[-3:]
    assert (ended.reason, ended.model) == ("max_usd", "")
    (restarted,) = of(first, Restarted)
    assert "rank" in restarted.why
    again = first[first.index(restarted) :]
    (ready,) = of(again, Ready)
    assert ready.step >= 5
    assert ended.step == max(losses(again)) == lab.checkpoints("two")[-1]

    steps = max(STEPS, ended.step + 3)
    (*more, last) = lab.done(msgspec.structs.replace(two, resume=True, steps=steps, max_restarts=0))
    assert isinstance(last, Ended), last
    assert (last.reason, last.step) == ("finished", steps)
    assert Path(last.model).is_file()
    curve = losses(first[: first.index(restarted)], again, more)
    assert sorted(curve) == list(range(1, steps + 1))
    assert {step: curve[step] for step in wanted} == pytest.approx(wanted, abs=1e-6)
    # Nothing is left of Ray: no folder, no process, nothing in the user's home.
    assert left_behind() == before
    assert not ranks_of(worker.process.pid)
    assert not (lab.folder / "user").exists()
    assert sorted(each.name for each in (lab.folder / "two").iterdir()) == ["checkpoints", "model"]


@pytest.mark.slow
def test_what_a_worker_refuses_is_said_once_and_not_tried_again(lab: Lab) -> None:
    events = lab.done(job(lab, "bad", workers=2, max_restarts=3, model=Kind(name="no-such-model")))
    assert isinstance(events[-1], Error)
    assert "softmax-regression" in f"{events[-1].message} {events[-1].hint}"
    assert not of(events, Restarted)


@pytest.mark.slow
def test_workers_that_find_no_room_are_named_and_so_is_what_they_need(lab: Lab, joined: None) -> None:
    last = lab.done(job(lab, "crowded", workers=2, threads=2, wait_s=10.0))[-1]
    assert isinstance(last, Error)
    assert last.kind is FailureKind.NO_COLLECTIVES
    assert "rank 0, 1 of 2" in last.message
    assert "within 10 s" in last.message
    assert "2 CPUs, and the cluster has 1 CPUs" in last.message
    assert "--rendezvous-timeout" in last.hint


@pytest.mark.slow
def test_a_run_joins_a_cluster_that_is_there_and_leaves_it(lab: Lab, joined: None) -> None:
    (*events, last) = lab.done(job(lab, "guest"))
    assert isinstance(last, Ended), last
    assert len(losses(events)) == STEPS
    # The next one finds it as it was.
    assert isinstance(lab.done(job(lab, "next"))[-1], Ended)


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_said_in_a_line(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("RAY_gcs_rpc_server_connect_timeout_s", "1")
    monkeypatch.setenv("RAY_NUM_REDIS_GET_RETRIES", "1")
    last = lab.done(job(lab, "nowhere", workers=2))[-1]
    assert isinstance(last, Error)
    assert last.kind is FailureKind.NO_COLLECTIVES
    assert "127.0.0.1:1" in last.message
    assert last.hint
