"""``zenplan compress`` as its user sees it: with a worker that writes a few bytes, and on a real run."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zenplan
from tests.commands.conftest import Ended
from zenplan.adapters.run_folder.exports import read_exports
from zenplan.commands.compress import use_case
from zenplan.commands.main import run
from zenplan.commands.train import scoring
from zenplan.errors import FailureKind, ZenplanError
from zenplan.worker.protocol import Compress, Compressed, Done, Event, Job, Score, Scored

# Bytes of each version, and its accuracy; the model has 0.8.
MADE = {"int8": (300, 0.79), "int4": (200, 0.6), "pruned": (500, 0.8), "student-0.5": (400, 0.81)}


class Worker:
    """What the command's workers do: files of a few bytes, and scores."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.refused: dict[str, str] = {}
        self.unreadable: set[str] = set()
        self.ends_after: int | None = None

    def __call__(self, job: Job, *_: Any, hear: Callable[[Event], None] | None = None, **_more: Any) -> Event:
        self.jobs.append(job)
        assert hear is not None
        if isinstance(job, Compress):
            artefacts = [each for piece in job.pieces for each in piece.artefacts]
            for number, each in enumerate(artefacts):
                if number == self.ends_after:
                    raise ZenplanError("the worker was killed", kind=FailureKind.KILLED)
                if each.name in self.refused:
                    hear(Compressed(name=each.name, refused=self.refused[each.name], layer="my_layer"))
                    continue
                path = Path(each.path)
                if not path.suffix or (path.name.startswith("student-0") and each.quantize):
                    path.mkdir()
                    path = path / "weights"
                path.write_bytes(b"x" * MADE.get(each.name, (450, 0.8))[0])
                hear(Compressed(name=each.name, path=each.path, parameters=9, steps=3, wall_s=1.5))
            return Done()
        assert isinstance(job, Score)
        for each in job.artefacts:
            assert Path(each.path).exists()
            if each.name in self.unreadable:
                raise ZenplanError(f"{each.name} cannot be read")
        hear(Scored(values={"loss": 1.0, "accuracy": 0.8}, samples=100, batch=20, one_s=(0.002,), batch_s=(0.01,)))
        for each in job.artefacts:
            values = {"loss": 1.0, "accuracy": MADE.get(each.name, (0, 0.8))[1]}
            hear(Scored(name=each.name, values=values, samples=100, batch=20, one_s=(0.001,), batch_s=(0.005,)))
        return Done()


@pytest.fixture
def worker(trained: Any, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """It, with a finished run in the current folder."""
    found = Worker()
    for module in (use_case, scoring):
        monkeypatch.setattr(module, "run_job", found)
    monkeypatch.setattr("zenplan.commands.compress.from_flags.backend_of", lambda wanted, _: wanted or "jax")
    # The data of that run are tokens, which are judged by their loss.
    monkeypatch.setattr("zenplan.commands.compress.use_case._BY_LOSS", "no such kind")
    return found


def left(folder: str) -> list[str]:
    return sorted(each.name for each in Path(folder).iterdir())


def test_the_smallest_within_the_bounds_is_kept(worker: Worker, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compress", "run", "--usd-per-hour", "3.6", "--picture", "a.svg", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    # int4 is smaller, and too bad.
    assert (found["chosen"], found["metric"]) == ("int8", "accuracy")
    rows = {each["name"]: each for each in found["versions"]}
    assert rows["int8"]["kept"] == pytest.approx(0.79 / 0.8)
    assert rows["int4"]["misses"] == ["min_kept"]
    # 3.60 dollars an hour are 0.001 a second, in which four batches of 20 go through.
    assert rows["int8"]["usd_per_million"] == pytest.approx(0.001 * 0.005 / 20 * 1e6)
    assert "steps of training" in err
    assert left("run/compressed") == ["compression.json", "compression.svg", "keras-int8", "keras-int8.json"]
    manifest = json.loads(Path("run/compressed/keras-int8.json").read_text(encoding="utf-8"))
    assert (manifest["path"], manifest["quantize"], manifest["form"]) == ("keras-int8", "int8", "keras")
    assert json.loads(Path("run/compressed/compression.json").read_text(encoding="utf-8"))["chosen"] == "int8"
    assert [Path(each.path).name for each in read_exports(Path("run"))] == ["keras-int8"]
    assert Path("a.svg").read_text(encoding="utf-8").startswith("<svg")
    # One process makes, another scores.
    assert [type(job) for job in worker.jobs] == [Compress, Score]
    assert run(["runs", "rm", "run"]) == 0
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("flags", "chosen"),
    [
        (("--min-accuracy", "0.5"), "int4"),
        (("--min-metric", "101%"), None),
        (("--min-metric", "1", "--max-ms", "5"), "student-0.5"),
        (("--max-mb", "0.00025"), ""),
        (("--max-ms", "0.5"), ""),
        (("--method", "prune"), "pruned-int8"),
        (("--method", "prune,int4", "--max-share", "1e-9"), ""),
    ],
)
def test_bounds(worker: Worker, flags: tuple[str, ...], chosen: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["compress", "run", "--format", "json", *flags])
    out, err = capsys.readouterr()
    if chosen is None:
        assert code == 2
        return
    assert code == (0 if chosen else 3)
    assert json.loads(out)["chosen"] == chosen
    assert Path("run/compressed").exists() is bool(chosen)
    assert ("error: no smaller version" in err) is not bool(chosen)
    assert not list(Path("run").glob("zenplan-scratch-*"))


def test_what_cannot_be_made_keeps_no_other_from_it(worker: Worker, capsys: pytest.CaptureFixture[str]) -> None:
    worker.refused = {"int8": "it has no form"}
    worker.unreadable = {"pruned"}
    assert run(["compress", "run", "--method", "int8,prune", "--min-accuracy", "0.1"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "int8 is not there: layer my_layer: it has no form." in out
    assert "pruned is not there" in out
    assert "pruned-int8 is the smallest" in out


def test_a_worker_that_ends_leaves_what_it_made(worker: Worker, capsys: pytest.CaptureFixture[str]) -> None:
    worker.ends_after = 1
    assert run(["compress", "run", "--method", "int8,prune", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [bool(each["why"]) for each in found["versions"]] == [False, True, True]
    worker.ends_after = 0
    assert run(["compress", "run", "--method", "int8", "--force"]) == 1


def test_what_is_there_stays(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["compress", "run", "--method", "int8", "-o", "out"]
    assert run(line) == 0
    assert run(line) == 2
    assert "--force" in capsys.readouterr().err
    before = Path("out/keras-int8/weights").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out")

    with monkeypatch.context() as broken:
        broken.setattr(use_case, "take_place", full)
        assert run([*line, "--force"]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert Path("out/keras-int8/weights").read_bytes() == before
    assert run([*line[:-1], "out", "--force", "--method", "prune"]) == 0
    # A folder of the user's is never replaced.
    Path("mine").mkdir()
    Path("mine/letter").write_text("mine", encoding="utf-8")
    assert run(["compress", "run", "-o", "mine", "--force"]) == 2
    assert left("mine") == ["letter"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--method", "int8,magic"), "unknown method 'magic'"),
        (("--sparsity", "100%"), "leaves nothing"),
        (("--student", "no function"), "names no function"),
        (("--max-mb", "-1"), "--max-mb"),
        (("--max-ms", "nan"), "--max-ms"),
        (("--max-share", "3"), "more than the whole"),
        (("--minutes", "0"), "--minutes"),
        (("--steps", "-3"), "--steps"),
        (("--picture", "a.docx"), "neither .svg nor .png"),
        (("-o", "data/data.json"), "is a file"),
    ],
)
def test_what_is_asked_for_wrongly(
    worker: Worker, argv: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compress", "run", *argv]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) <= 2
    assert worker.jobs == []


def test_a_run_that_is_not_finished_is_refused(worker: Worker, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("run/status.json")
    path.write_text(path.read_text(encoding="utf-8").replace('"finished"', '"stopped"'), encoding="utf-8")
    assert run(["compress", "run"]) == 2
    assert "is not finished" in capsys.readouterr().err


def test_from_python(worker: Worker, tmp_path: Path) -> None:
    found = zenplan.compress("run", method=["int8", "prune"], min_metric=0.5, minutes=1, out=tmp_path / "small")
    assert (found.chosen, found.best and found.best.name) == ("int8", "int8")
    found.save(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert found.to_dict()["chosen"] == "int8"


# --- on a real run


def test_a_text_classifier_is_made_smaller(called: Callable[..., Ended], texts_run: Path) -> None:
    line = ("--width", "0.5", "--steps", "60", "--min-metric", "0.5", "--threads", "1", "-o", "small")
    done = called("compress", str(texts_run), "--method", "int8,prune,distill", *line, "--format", "json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    rows = {each["name"]: each for each in found["versions"]}
    assert [each["why"] for each in rows.values()] == [""] * 5
    assert rows["pruned"]["zeros"] == pytest.approx(0.5, abs=0.01)
    assert rows["pruned"]["packed_bytes"] < 0.8 * found["original"]["packed_bytes"]
    assert rows["student-0.5"]["options"]["width"] == 8
    assert rows["student-0.5"]["parameters"] < 0.7 * found["original"]["parameters"]
    assert rows["int8"]["kept"] > 0.95
    assert min(each["kept"] for each in rows.values()) > 0.5
    assert Path(found["path"]).exists()


def test_a_kind_without_a_smaller_one_needs_a_student(called: Callable[..., Ended], rows_run: Path) -> None:
    Path("students.py").write_text(STUDENT, encoding="utf-8")
    line = ("compress", str(rows_run), "--method", "distill", "--steps", "10", "-o", "small", "--format", "json")
    done = called(*line)
    assert done.code == 3
    assert "--student package.module:function" in json.loads(done.out)["versions"][0]["why"]
    done = called(*line, "--student", "students:build", "--min-metric", "0.01")
    assert done.code == 0, done.err
    assert [each["why"] for each in json.loads(done.out)["versions"]] == ["", ""]


STUDENT = """
import keras

def build():
    x = keras.Input((6,), name="x")
    return keras.Model(x, keras.layers.Dense(2)(keras.layers.Dense(3, activation="relu")(x)))
"""
