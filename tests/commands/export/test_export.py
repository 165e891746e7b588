"""``zenplan export`` as its user sees it, with a worker that writes a few bytes."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zenplan.adapters.run_folder.exports import read_exports
from zenplan.commands.export import use_case
from zenplan.commands.export.asked import asked_export
from zenplan.commands.main import run
from zenplan.commands.train import scoring
from zenplan.domain.training.forms import FORMS, file_name
from zenplan.errors import UsageError, ZenplanError
from zenplan.worker.protocol import Done, Event, Export, Exported, Input, Job, Score, Scored


class Worker:
    """What the command's workers do: a file of a few bytes, and scores."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.said = Exported(inputs=(Input(name="tokens", written="tokens", shape=(8,), type="int32"),))
        self.difference: float | None = 1e-7
        self.raises: BaseException | None = None

    def __call__(self, job: Job, *_: Any, hear: Callable[[Event], None] | None = None, **_more: Any) -> Event:
        self.jobs.append(job)
        if isinstance(job, Export):
            if self.raises is not None:
                raise self.raises
            path = Path(job.artefact.path)
            if not path.suffix:
                path.mkdir()
                path = path / "weights"
            path.write_text(f"{job.artefact.form} {len(self.jobs)}", encoding="utf-8")
            return self.said
        assert isinstance(job, Score)
        assert Path(job.artefacts[0].path).exists()
        figures: dict[str, Any] = {"values": {"loss": 1.5}, "samples": 20, "batch": 20, "largest": 2.0}
        assert hear is not None
        hear(Scored(**figures, one_s=(0.1, 0.3, 0.2), batch_s=(1.0,)))
        hear(Scored(**figures, name=job.artefacts[0].form, difference=self.difference, one_s=(0.2,), batch_s=(2.0,)))
        return Done()


@pytest.fixture
def worker(trained: Any, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """It, with a finished run in the current folder."""
    found = Worker()
    for module in (use_case, scoring):
        monkeypatch.setattr(module, "run_job", found)
    monkeypatch.setitem(asked_export.__kwdefaults__ or {}, "installed", lambda name: True)
    monkeypatch.setattr(asked_export, "__defaults__", (lambda name: True,))
    return found


def left(folder: str) -> list[str]:
    return sorted(each.name for each in Path(folder).iterdir())


def test_what_is_written_is_listed_shown_and_removed(worker: Worker, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "run", "--to", "onnx,savedmodel", "--format", "json"]) == 0
    onnx, saved = json.loads(capsys.readouterr().out)["exports"]
    assert left("run/exports") == ["exports.json", "model.onnx", "model.onnx.json", "savedmodel", "savedmodel.json"]
    assert (onnx["state"], onnx["part"], onnx["samples"], onnx["relative"]) == ("written", "test", 20, 5e-8)
    assert (onnx["original"]["one_s"], onnx["scores"]["one_s"]) == (0.2, 0.2)
    assert onnx["inputs"] == [{"name": "tokens", "written": "tokens", "shape": [8], "type": "int32"}]
    assert onnx["sha256"] != saved["sha256"]
    manifest = json.loads(Path("run/exports/model.onnx.json").read_text(encoding="utf-8"))
    assert (manifest["path"], manifest["sha256"]) == ("model.onnx", onnx["sha256"])
    # Each is written by one process, and opened by another.
    assert [type(job) for job in worker.jobs] == [Export, Score, Export, Score]
    assert run(["runs", "show", "run", "--format", "json"]) == 0
    assert [each["path"] for each in json.loads(capsys.readouterr().out)["exports"]] == [onnx["path"], saved["path"]]
    assert run(["runs", "show", "run"]) == 0
    assert "model.onnx" in "".join(capsys.readouterr().out.split())
    # What somebody else put there is not the run's.
    Path("run/exports/model.onnx").write_text("another", encoding="utf-8")
    Path("run/exports/mine.txt").write_text("mine", encoding="utf-8")
    assert run(["runs", "rm", "run"]) == 0
    assert left("run/exports") == ["mine.txt", "model.onnx", "model.onnx.json"]


def test_a_run_that_is_removed_leaves_nothing(worker: Worker) -> None:
    assert run(["export", "run", "--to", "keras", "--quantize", "int4"]) == 0
    assert run(["runs", "rm", "run"]) == 0
    assert not Path("run").exists()


def test_a_moved_run_has_its_exports(worker: Worker) -> None:
    assert run(["export", "run", "--to", "onnx"]) == 0
    assert run(["export", "run", "--to", "onnx", "-o", "elsewhere"]) == 0
    Path("run").rename("moved")
    assert [Path(each.path).parent.name for each in read_exports(Path("moved"))] == ["exports", "elsewhere"]


def test_what_differs_is_not_left(worker: Worker, capsys: pytest.CaptureFixture[str]) -> None:
    for difference in (1e-3, None):
        worker.difference = difference
        assert run(["export", "run", "--to", "litert", "--format", "json"]) == 3
        (found,) = json.loads(capsys.readouterr().out)["exports"]
        assert (found["state"], found["path"], found["sha256"]) == ("differs", "", "")
    assert left("run/exports") == []
    # Weights in fewer bits are other numbers.
    worker.difference = 1e-1
    assert run(["export", "run", "--to", "litert", "--quantize", "int8"]) == 0


def test_what_is_refused_names_its_layer_and_others_are_written(
    worker: Worker, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", "run", "--to", "onnx,savedmodel", "--quantize", "int4"]) == 3
    out = "".join(capsys.readouterr().out.split())
    assert "onnxinint4isnotwritten" in out
    assert "savedmodel-int4" in out
    worker.said = Exported(refused="onnx has no operation Erfinv", layer="my_layer")
    assert run(["export", "run", "--to", "onnx"]) == 3
    assert "layer my_layer: onnx has no operation Erfinv" in " ".join(capsys.readouterr().out.split())
    assert left("run/exports") == ["exports.json", "savedmodel-int4", "savedmodel-int4.json"]


def test_what_is_there_stays(worker: Worker, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "run", "--to", "onnx", "-o", "mine.onnx"]) == 0
    first = Path("mine.onnx").read_bytes()
    assert run(["export", "run", "--to", "onnx", "-o", "mine.onnx"]) == 2
    assert "--force" in capsys.readouterr().err
    worker.raises = ZenplanError("it cannot be")
    assert run(["export", "run", "--to", "onnx", "-o", "mine.onnx", "--force"]) == 1
    assert Path("mine.onnx").read_bytes() == first
    worker.raises = None
    assert run(["export", "run", "--to", "onnx", "-o", "mine.onnx", "--force"]) == 0
    assert Path("mine.onnx").read_bytes() != first
    assert not list(Path().glob("zenplan-scratch-*"))


def test_a_folder_takes_the_place_of_another(worker: Worker) -> None:
    for more in ((), ("--force",)):
        assert run(["export", "run", "--to", "savedmodel", "-o", "out", *more]) == 0
    assert left("out") == ["savedmodel", "savedmodel.json"]
    assert left("out/savedmodel") == ["weights"]
    assert len(read_exports(Path("run"))) == 1


def test_a_full_disk_loses_nothing(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", "run", "--to", "onnx", "-o", "out"]) == 0
    before = Path("out/model.onnx").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out/model.onnx")

    monkeypatch.setattr(use_case, "take_place", full)
    assert run(["export", "run", "--to", "onnx", "-o", "out", "--force"]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert Path("out/model.onnx").read_bytes() == before
    assert left("out") == ["model.onnx", "model.onnx.json"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "nothing says which form"),
        (("--to", "onnx,pickle"), "unknown form 'pickle'"),
        (("--to", "onnx", "--quantize", "int2"), "unknown quantization 'int2'"),
        (("--to", "onnx", "-o", "data/data.json"), "is a file"),
        (("--to", "onnx", "--samples", "-3"), "--samples"),
    ],
)
def test_what_is_asked_for_wrongly(
    worker: Worker, argv: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", "run", *argv]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) <= 2
    assert worker.jobs == []


def test_a_missing_library_is_named_with_its_extra(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    for form in FORMS:
        with pytest.raises(UsageError, match="tensorflow is not installed") as told:
            asked_export("run", [form], None, None, False, None, None, lambda name: name != "tensorflow" or None)
        assert "zenplan[export]" in told.value.hint
    with pytest.raises(UsageError, match="tf2onnx"):
        asked_export("run", ["onnx"], None, None, False, None, None, lambda name: name != "tf2onnx" or None)


def test_a_run_that_is_not_finished_is_refused(worker: Worker, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("run/status.json")
    path.write_text(path.read_text(encoding="utf-8").replace('"finished"', '"stopped"'), encoding="utf-8")
    assert run(["export", "run", "--to", "onnx"]) == 2
    assert "is not finished" in capsys.readouterr().err
    path.write_text("{}", encoding="utf-8")
    assert run(["export", "run", "--to", "onnx"]) == 1
    assert len(capsys.readouterr().err.splitlines()) <= 2


def test_names_of_artefacts() -> None:
    names = {file_name(form, quantize) for form in FORMS for quantize in ("", "int8", "int4")}
    assert len(names) == 3 * len(FORMS)
    assert scoring.MOST_SAMPLES > 0
