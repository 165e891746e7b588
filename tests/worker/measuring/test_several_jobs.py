"""Jobs one after another in one worker: what is held is stepped as it is, what is forgotten is built anew."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from msgspec import structs

from zenplan.adapters.workers.process import Limits, measuring_environment, run_job
from zenplan.errors import ZenplanError
from zenplan.worker.protocol import Built, Done, Event, Job, Measure, Rounds, Sampled, Target, WantedPoint

BACKEND = next((b for b in ("jax", "torch", "tensorflow") if find_spec("keras") and find_spec(b)), "")
pytestmark = pytest.mark.skipif(not BACKEND, reason="Keras and a backend are not installed")

MODELS = """
import os
import keras

def net(depth=1):
    open("built", "a").write(f"{os.getpid()} {depth}\\n")
    x = keras.Input((4,))
    y = x
    for _ in range(depth):
        y = keras.layers.Dense(4)(y)
    return keras.Model(x, y)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "nets.py").write_text(MODELS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def job(*depths: int, rounds: int = 1, more: bool = True, forget: bool = False, programs: str = "") -> Measure:
    points = [
        WantedPoint(key=f"depth={d}", batch=2, model=Target(target="nets:net", arguments={"depth": d})) for d in depths
    ]
    return Measure(
        what="nets:net",
        precision="fp32",
        threads=1,
        device="cpu",
        points=tuple(points),
        rounds=Rounds(least=rounds, most=rounds, seconds=60.0),
        more=more,
        forget=forget,
        programs=programs,
    )


def done(first: Measure, *others: Measure) -> tuple[Event, list[Event]]:
    """The last event, and those before it."""
    heard: list[Event] = []
    following: Iterator[Job] = iter(others)
    last = run_job(
        first,
        BACKEND,
        Limits(time_s=300.0),
        lambda stage, seconds: None,
        heard.append,
        measuring_environment("cpu", 1, os.environ),
        more=lambda: next(following, None),
    )
    return last, heard


def test_a_model_that_is_held_is_built_once(project: Path) -> None:
    last, heard = done(job(1), job(2), job(1, 2, rounds=2))
    assert isinstance(last, Done)
    lines = (project / "built").read_text(encoding="utf-8").split("\n")[:-1]
    assert [line.split()[1] for line in lines] == ["1", "2"]
    assert len({line.split()[0] for line in lines}) == 1
    assert [e.key for e in heard if isinstance(e, Built)] == ["depth=1", "depth=2"]
    sampled = [e.key for e in heard if isinstance(e, Sampled)]
    assert sampled == ["depth=1", "depth=2", "depth=1", "depth=2", "depth=1", "depth=2"]


def test_what_is_forgotten_is_built_anew(project: Path) -> None:
    _, heard = done(job(1), job(1, forget=True))
    assert [e.key for e in heard if isinstance(e, Built)] == ["depth=1", "depth=1"]


def test_a_job_that_is_the_only_one_ends_its_worker(project: Path) -> None:
    last, heard = done(job(1, more=False), job(2))
    assert isinstance(last, Done)
    assert not last.stays
    assert [e.key for e in heard if isinstance(e, Built)] == ["depth=1"]


def test_what_a_later_job_raises_is_told(project: Path) -> None:
    wrong = WantedPoint(key="wrong", batch=2, model=Target(target="nets:net", arguments={"width": 3}))
    with pytest.raises(ZenplanError, match="nets:net"):
        done(job(1), structs.replace(job(1), points=(wrong,)))


@pytest.mark.skipif(BACKEND != "jax", reason="jax keeps programs")
def test_programs_are_kept_for_the_next_worker(project: Path) -> None:
    folder = project / "programs"

    def steps() -> set[str]:
        done(job(1, more=False, programs=str(folder)))
        return {path.name for path in folder.iterdir() if "train_step" in path.name and path.name.endswith("-cache")}

    first = steps()
    assert first
    assert steps() == first
