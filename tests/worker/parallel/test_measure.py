"""Two workers in data parallel: what they find, and that one which fails does not keep the other."""

from __future__ import annotations

import json
import os
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from zenplan.commands.calibrate.data_parallel import (
    ROUNDS,
    SIZES_BYTES,
    Started,
    predicted_step,
    run_ranks,
    stepped,
)
from zenplan.commands.calibrate.how import How
from zenplan.commands.calibrate.record import Recorder
from zenplan.commands.calibrate.subject import Task
from zenplan.domain.measured.calibration import Point
from zenplan.domain.measured.collectives import ALL_GATHER, COLLECTIVES
from zenplan.errors import DataError, FailureKind, ZenplanError
from zenplan.worker.protocol import (
    ALONE,
    AT_ONCE,
    TOGETHER,
    WAYS,
    Built,
    Communicated,
    DataParallel,
    Event,
    Sampled,
    Target,
)

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
needs_two = pytest.mark.skipif(
    not (find_spec("keras") and find_spec("torch")) or CORES < 2, reason="torch or a second core is missing"
)

HOW = How(device="cpu", precision="fp32", threads=1, workers=2)
MODELS = """
import json, os
import keras
from keras import layers

def claim():
    # Which of the two workers this is: the first to make the file.
    try:
        os.close(os.open("claimed", os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False

def small(depth=1, width=8):
    hidden = [layers.Dense(width) for _ in range(depth)]
    return keras.Sequential([keras.Input((width,)), *hidden, layers.Dense(3)], name="small")

def stepped(model, instead):
    # Keras traces the loss with its arguments by place, a step gives them by name.
    loss = model.compute_loss
    model.compute_loss = lambda *by_place, **by_name: loss(*by_place, **by_name) if by_place else instead(loss, by_name)
    return model

def one_dies(depth=1):
    model = small(depth)
    return stepped(model, lambda loss, given: os._exit(3)) if claim() else model

def one_raises(depth=1):
    if claim():
        raise RuntimeError("no weights here")
    return small(depth)

def watched():
    # Each worker begins with values of its own and goes its own way, and writes its weights down at each step.
    model, first = small(), claim()
    model.set_weights([v + first for v in model.get_weights()])
    def told(loss, given):
        flat = [float(w) for v in model.get_weights() for w in v.ravel()]
        with open(f"weights{os.getpid()}", "a") as file:
            file.write(json.dumps([flat, sorted(os.sched_getaffinity(0))]) + "\\n")
        return loss(**given) * (1.0 if first else -0.5)
    return stepped(model, told)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "ranked_models.py").write_text(MODELS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def task(function: str, depth: int = 1, ways: tuple[str, ...] = WAYS, batch: int = 2, **more: int) -> Task:
    arguments = {} if function == "watched" else {"depth": depth, **more}
    model = Target(target=f"ranked_models:{function}", arguments=arguments)
    return Task(point=Point(key=f"depth={depth}", depth=depth, batch=batch), model=model, ways=ways)


def recorder() -> Recorder:
    found = Recorder()
    found.expect([task("small").point])
    return found


def quiet(stage: str, seconds: float) -> None:
    pass


def sample(round_: int, wall_s: float, way: str = TOGETHER) -> Sampled:
    return Sampled(key="depth=1", way=way, round=round_, wall_s=wall_s, cpu_s=0.1)


def test_a_step_ends_with_the_last_worker():
    heard = recorder()
    for round_, wall_s in ((0, 1.0), (0, 3.0), (1, 5.0), (1, 2.0)):
        heard.hear(sample(round_, wall_s))
    assert [s.wall_s for s in stepped(heard, "depth=1", TOGETHER).samples] == [3.0, 5.0]


def communicated(wall_s: float, size_bytes: int = 64, name: str = ALL_GATHER) -> Communicated:
    return Communicated(collective=name, group=1, bytes=size_bytes, round=0, wall_s=wall_s)


def test_a_collective_ends_with_the_last_worker():
    heard = recorder()
    for wall_s in (0.2, 0.5, 0.3):
        heard.hear(communicated(wall_s))
    assert heard.communicated == {(1, ALL_GATHER, 64): {0: 0.5}}


def test_a_way_that_was_not_stepped_is_said():
    heard = recorder()
    with pytest.raises(DataError, match="depth=1 was not stepped alone"):
        stepped(heard, "depth=1", ALONE)
    heard.hear(Built(key="depth=1", setup_s=1.0))
    with pytest.raises(DataError, match="depth=1 was not stepped alone"):
        stepped(heard, "depth=1", ALONE)


@pytest.mark.parametrize(
    "event",
    [
        Built(key="depth=1", setup_s=-1.0),
        Built(key="depth=1", setup_s=1.0, gradient_bytes=-4.0),
        sample(0, 0.0),
        sample(-1, 1.0),
        communicated(1.0, size_bytes=0),
        communicated(-1.0, size_bytes=4),
        communicated(1.0, name="all_hands"),
    ],
    ids=str,
)
def test_what_cannot_be_is_an_error(event: Event):
    heard = recorder()
    with pytest.raises(DataError):
        heard.hear(event)
    assert heard.communicated == {}
    assert [each.count for each in heard.progress.values()] in ([], [0])


def test_a_point_that_nobody_asked_for_is_an_error():
    with pytest.raises(DataError, match="a point that it was not asked for: 'depth=2'"):
        recorder().hear(Built(key="depth=2", setup_s=1.0))


@pytest.mark.slow
@needs_two
def test_every_way_every_size_every_round():
    groups = [[task("small", 1), task("small", 2, (TOGETHER,))], [task("small", 3)]]
    found = run_ranks("small", groups, HOW, quiet)
    heard = found.progress
    assert {(key, way): sorted(rounds) for key, each in heard.items() for way, rounds in each.samples.items()} == {
        (key, way): list(range(ROUNDS))
        for key, ways in (("depth=1", WAYS), ("depth=2", (TOGETHER,)), ("depth=3", WAYS))
        for way in ways
    }
    assert set(found.communicated) == {(g, name, size) for g in (0, 1) for name in COLLECTIVES for size in SIZES_BYTES}
    assert all(sorted(rounds) == list(range(ROUNDS)) for rounds in found.communicated.values())
    # Floats of four bytes: a layer of 8 × 8 and its bias for each depth, and the last one of 8 × 3.
    assert {key: h.gradient_bytes for key, h in heard.items()} == {f"depth={d}": 4 * (72 * d + 27) for d in (1, 2, 3)}
    assert found.machine is not None
    assert found.machine.versions.keys() == {"keras", "torch", "python"}


@pytest.mark.slow
@needs_two
@pytest.mark.parametrize(("way", "alike"), [(TOGETHER, True), (AT_ONCE, False)])
def test_weights_stay_alike_only_where_gradients_are_averaged(folder: Path, way: str, alike: bool):
    """Both start from rank 0's values; their losses differ, so that only averaged gradients keep them alike."""
    run_ranks("watched", [[task("watched", ways=(way,))]], HOW, quiet)
    first, second = ([json.loads(line) for line in file.read_text().splitlines()] for file in folder.glob("weights*"))
    assert len(first) == len(second) == ROUNDS + 2
    assert first[0][0] == second[0][0]
    assert first[0][0] != first[-1][0]
    assert (first[-1][0] == pytest.approx(second[-1][0])) is alike
    assert not set(first[0][1]) & set(second[0][1])


@pytest.mark.slow
@needs_two
def test_the_step_of_a_whole_model_is_made_of_its_parts():
    shallow = [task("small", depth, batch=4, width=64) for depth in (1, 2, 4)]
    found = predicted_step(run_ranks("small", [shallow], HOW, quiet), 0, shallow, 6, HOW)
    assert found.step.step_s.mid == pytest.approx(found.compute.step_s.mid + found.exposed * found.reduce_s)
    gradients = 4 * (6 * (64 * 64 + 64) + 64 * 3 + 3)
    assert found.reduce_s == pytest.approx(found.latency_s + gradients * found.s_per_byte)
    assert found.scaling[0].step_s.mid == pytest.approx(found.step.step_s.mid)
    assert found.step.step_s.low < found.step.step_s.mid < found.step.step_s.high
    assert found.compute.method == "depths 1, 2, 4 at batch 4"


@pytest.mark.slow
@needs_two
@pytest.mark.parametrize(
    ("function", "said"), [("one_dies", "code 3"), ("one_raises", "no weights here")], ids=["dies", "raises"]
)
def test_a_worker_that_fails_does_not_keep_the_other(function: str, said: str):
    start = time.monotonic()
    with pytest.raises(ZenplanError, match=said):
        run_ranks("bad", [[task(function)]], HOW, quiet)
    assert time.monotonic() - start < 50


@pytest.mark.parametrize(("lost", "own"), [("lost", "the peer's own"), ("the peer's own", "gloo: reset by peer")])
def test_the_error_that_others_follow_from_is_told(monkeypatch: pytest.MonkeyPatch, lost: str, own: str):
    """A worker that loses its peer may say so before the parent has seen that the peer is gone. Its words are nothing."""

    def run_job(job: DataParallel, *more: object, **named: object) -> None:
        time.sleep(0.1 * job.ranks.rank)
        if job.ranks.rank == 0:
            raise ZenplanError(lost, "none", kind=FailureKind.NO_COLLECTIVES)
        raise ZenplanError(own, "none", kind=FailureKind.RAISED)

    monkeypatch.setattr("zenplan.adapters.workers.ranks.run_job", run_job)
    with pytest.raises(ZenplanError, match=own):
        run_ranks("small", [], HOW, quiet)


@pytest.mark.slow
@needs_two
@pytest.mark.skipif(not find_spec("jax"), reason="jax is missing")
def test_jax_steps_in_every_way_and_times_every_collective():
    started = Started(sizes=(2**12, 2**16), rounds=2)
    shallow = [task("small", depth) for depth in (1, 2)]
    found = run_ranks("small", [shallow], HOW, quiet, "jax", started)
    assert {(g, name, size) for g, name, size in found.communicated} == {
        (0, name, size) for name in COLLECTIVES for size in started.sizes
    }
    assert {way: len(rounds) for way, rounds in found.progress["depth=2"].samples.items()} == dict.fromkeys(WAYS, 2)
    assert found.progress["depth=2"].gradient_bytes == 4 * (72 * 2 + 27)
    assert predicted_step(found, 0, shallow, 2, HOW, "jax").step.step_s.low > 0
