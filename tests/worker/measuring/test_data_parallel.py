"""Two workers in data parallel: what they find, and that one which fails does not keep the other."""

from __future__ import annotations

import json
import os
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from zenplan.commands.calibrate.data_parallel import (
    ALONE,
    AT_ONCE,
    ROUNDS,
    SIZES_BYTES,
    TOGETHER,
    WAYS,
    Heard,
    Replica,
    calibrate_data_parallel,
    run_ranks,
)
from zenplan.errors import DataError, ZenplanError

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
needs_two = pytest.mark.skipif(
    not (find_spec("keras") and find_spec("torch")) or CORES < 2, reason="torch or a second core is missing"
)

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


def replica(function: str, depth: int = 1, ways: tuple[str, ...] = WAYS) -> Replica:
    arguments = {} if function == "watched" else {"depth": depth}
    model = {"kind": "target", "target": f"ranked_models:{function}", "arguments": arguments}
    return Replica(key=f"depth={depth}", depth=depth, batch=2, model=model, ways=ways)


def quiet(stage: str, seconds: float) -> None:
    pass


def sample(round_: int, wall_s: float, way: str = TOGETHER) -> dict[str, object]:
    return {"event": "sample", "key": "depth=1", "way": way, "round": round_, "wall_s": wall_s, "cpu_s": 0.1}


def test_a_step_ends_with_the_last_worker():
    heard = Heard()
    for round_, wall_s in ((0, 1.0), (0, 3.0), (1, 5.0), (1, 2.0)):
        heard.hear(sample(round_, wall_s))
    assert [s.wall_s for s in heard.measured(replica("small"), TOGETHER).samples] == [3.0, 5.0]


def test_an_all_reduce_ends_with_the_last_worker():
    heard = Heard()
    for wall_s in (0.2, 0.5, 0.3):
        heard.hear({"event": "reduced", "group": 1, "bytes": 64, "round": 0, "wall_s": wall_s})
    assert heard.reduced == {(1, 64): {0: 0.5}}


def test_a_way_that_was_not_stepped_is_said():
    with pytest.raises(DataError, match="depth=1 was not stepped alone"):
        Heard().measured(replica("small"), ALONE)


@pytest.mark.slow
@needs_two
def test_every_way_every_size_every_round():
    groups = [[replica("small", 1), replica("small", 2, (TOGETHER,))], [replica("small", 3)]]
    heard = run_ranks("small", groups, 2, quiet)
    assert {(key, way): sorted(rounds) for (key, way), rounds in heard.steps.items()} == {
        (key, way): list(range(ROUNDS))
        for key, ways in (("depth=1", WAYS), ("depth=2", (TOGETHER,)), ("depth=3", WAYS))
        for way in ways
    }
    assert set(heard.reduced) == {(group, size) for group in (0, 1) for size in SIZES_BYTES}
    assert all(sorted(rounds) == list(range(ROUNDS)) for rounds in heard.reduced.values())
    # Floats of four bytes: a layer of 8 × 8 and its bias for each depth, and the last one of 8 × 3.
    assert heard.gradient_bytes == {f"depth={d}": 4 * (72 * d + 27) for d in (1, 2, 3)}
    assert heard.machine["versions"].keys() == {"keras", "torch", "python"}


@pytest.mark.slow
@needs_two
@pytest.mark.parametrize(("way", "alike"), [(TOGETHER, True), (AT_ONCE, False)])
def test_weights_stay_alike_only_where_gradients_are_averaged(folder: Path, way: str, alike: bool):
    """Both start from rank 0's values; their losses differ, so that only averaged gradients keep them alike."""
    run_ranks("watched", [[replica("watched", ways=(way,))]], 2, quiet)
    first, second = ([json.loads(line) for line in file.read_text().splitlines()] for file in folder.glob("weights*"))
    assert len(first) == len(second) == ROUNDS + 2
    assert first[0][0] == second[0][0]
    assert first[0][0] != first[-1][0]
    assert (first[-1][0] == pytest.approx(second[-1][0])) is alike
    assert not set(first[0][1]) & set(second[0][1])


@pytest.mark.slow
@needs_two
def test_the_step_of_a_whole_model_is_made_of_its_parts():
    found = calibrate_data_parallel("ranked_models:small", {"depth": 6, "width": 64}, "depth", 4, 2, quiet)
    assert found.step.step_s.mid == pytest.approx(found.compute.step_s.mid + found.exposed * found.reduce_s)
    assert found.reduce_s == pytest.approx(found.link.seconds(4 * (6 * (64 * 64 + 64) + 64 * 3 + 3)))
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
        run_ranks("bad", [[replica(function)]], 2, quiet)
    assert time.monotonic() - start < 50


def test_the_error_that_others_follow_from_is_told(monkeypatch: pytest.MonkeyPatch):
    """A worker that loses its peer may say so before the parent has seen that the peer is gone."""

    def run_job(job: dict[str, int], *more: object) -> None:
        time.sleep(0.1 * job["rank"])
        raise ZenplanError("[gloo/pair.cc] reset by peer" if job["rank"] == 0 else "the peer's own", "none")

    monkeypatch.setattr("zenplan.commands.calibrate.data_parallel.run_job", run_job)
    with pytest.raises(ZenplanError, match="the peer's own"):
        run_ranks("small", [], 2, quiet)


@pytest.mark.slow
@needs_two
def test_more_workers_than_cores_are_refused():
    with pytest.raises(ZenplanError, match=f"need {CORES + 1} cores, there are {CORES}"):
        run_ranks("small", [[replica("small")]], CORES + 1, quiet)
