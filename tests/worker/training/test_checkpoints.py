"""Checkpoints on disk: whole or not taken, whatever has become of them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zenplan.errors import InputFileError, UsageError, ZenplanError
from zenplan.worker.training import checkpoints as module
from zenplan.worker.training.checkpoints import Checkpoints, State, Variable, check_model, differences, replacing

VARIABLES = (
    Variable(name="model/00000", path="a/kernel", shape=(3, 2), kind="float32"),
    Variable(name="model/00001", path="a/count", shape=(), kind="int32"),
)


def arrays(step: int) -> list[tuple[str, np.ndarray]]:
    return [("model/00000", np.full((3, 2), step, np.float32)), ("model/00001", np.array(step, np.int32))]


def state(step: int, **changes: Any) -> State:
    usual: dict[str, Any] = {"job": {"seed": "1"}, "machine": {"backend": "jax"}, "micro_batch": 4}
    return State(**{**usual, "step": step, "variables": VARIABLES, **changes})


@pytest.fixture
def kept(tmp_path: Path) -> Checkpoints:
    """Two checkpoints, of steps 10 and 20."""
    found = Checkpoints(folder=tmp_path / "checkpoints", keep=2)
    found.open()
    for step in (0, 10, 20):
        found.write(state(step), arrays(step))
    return found


def test_the_newest_are_kept_and_read(kept: Checkpoints) -> None:
    assert sorted(each.name for each in kept.folder.iterdir()) == ["step-00000010", "step-00000020"]
    found, passed = kept.newest()
    assert found is not None
    assert (found.state.step, passed) == (20, [])
    back = found.arrays()
    assert back["model/00000"].tolist() == [[20, 20]] * 3
    assert (back["model/00001"].shape, back["model/00001"].item()) == ((), 20)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def change(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def agree(folder: Path) -> None:
    """Make the manifest agree with what is there: as one does who wants to mislead."""
    names = ("arrays.safetensors", "state.json")
    found = {n: (folder / n).read_bytes() for n in names}
    files = {n: {"bytes": len(b), "sha256": hashlib.sha256(b).hexdigest()} for n, b in found.items()}
    (folder / "manifest.json").write_text(json.dumps({"schema": "zenplan.manifest/1", "files": files}))


def other_shape(folder: Path) -> None:
    content = (folder / "state.json").read_text().replace("[3, 2]", "[30000000, 2]")
    (folder / "state.json").write_text(content)
    agree(folder)


def other_names(folder: Path) -> None:
    content = (folder / "state.json").read_text().replace("model/00001", "model/00002")
    (folder / "state.json").write_text(content)
    agree(folder)


def long_header(folder: Path) -> None:
    (folder / "arrays.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}")
    agree(folder)


def linked(folder: Path) -> None:
    (folder / "arrays.safetensors").rename(folder.parent / "elsewhere")
    (folder / "arrays.safetensors").symlink_to(folder.parent / "elsewhere")


def way_out(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["../../secret"] = manifest["files"].pop("state.json")
    (folder / "manifest.json").write_text(json.dumps(manifest))


def other_step(folder: Path) -> None:
    content = (folder / "state.json").read_text().replace('"step": 20', '"step": 2000')
    (folder / "state.json").write_text(content)
    agree(folder)


DAMAGES: list[Callable[[Path], None]] = [
    lambda folder: cut(folder / "arrays.safetensors"),
    lambda folder: change(folder / "arrays.safetensors"),
    lambda folder: cut(folder / "state.json"),
    lambda folder: cut(folder / "manifest.json"),
    lambda folder: (folder / "manifest.json").write_text("[" * 100_000),
    lambda folder: (folder / "manifest.json").unlink(),
    lambda folder: (folder / "state.json").unlink(),
    lambda folder: os.truncate(folder / "manifest.json", 10**11),
    other_shape,
    other_names,
    long_header,
    linked,
    way_out,
    other_step,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda each: getattr(each, "__name__", ""))
def test_what_is_damaged_is_passed_over_and_told(damage: Callable[[Path], None], kept: Checkpoints) -> None:
    damage(kept.folder / "step-00000020")
    found, passed = kept.newest()
    assert found is not None
    assert found.state.step == 10
    assert len(passed) == 1
    assert "step-00000020" in passed[0]
    assert passed[0].isprintable()
    # The next ones take its place: one that is good is never removed for one that is not.
    kept.good = {10: found.path}
    kept.write(state(15), arrays(15))
    assert sorted(n.name for n in kept.folder.glob("step-*")) == ["step-00000010", "step-00000015"]


def test_what_a_killed_run_left_is_cleared_away(kept: Checkpoints) -> None:
    kept.close()
    for name in (".writing-00000030", ".removed-step-00000001"):
        (kept.folder / name).mkdir()
        (kept.folder / name / "arrays.safetensors").write_bytes(b"half")
    kept.open()
    assert sorted(each.name for each in kept.folder.iterdir()) == ["step-00000010", "step-00000020"]


def test_two_runs_do_not_share_a_folder(kept: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WAIT_S", 0.2)
    with pytest.raises(UsageError, match="another run"):
        Checkpoints(folder=kept.folder, keep=2).open()
    kept.close()
    Checkpoints(folder=kept.folder, keep=2).open()


@pytest.mark.parametrize("where", ["save_file", "sync"])
def test_a_full_disk_leaves_what_was_there(where: str, kept: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, where, full)
    with pytest.raises(ZenplanError, match="the disk is full") as caught:
        kept.write(state(30), arrays(30))
    assert "--resume" in caught.value.hint
    monkeypatch.undo()
    assert sorted(each.name for each in kept.folder.iterdir()) == ["step-00000010", "step-00000020"]
    assert kept.newest()[0] is not None


def test_a_model_takes_its_place_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"

    def write(text: str, error: Exception | None = None) -> None:
        with replacing(path) as aside:
            aside.write_text(text)
            if error is not None:
                raise error

    write("one")
    with pytest.raises(OSError, match="full"):
        write("half", OSError("full"))
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("model.keras", "one")]


def test_a_checkpoint_of_another_model_is_refused() -> None:
    check_model(state(1), VARIABLES, "jax")
    wide = (Variable(name="model/00000", path="a/kernel", shape=(3, 4), kind="float32"), VARIABLES[1])
    for other in (wide, VARIABLES[:1]):
        with pytest.raises(InputFileError, match="another model"):
            check_model(state(1), other, "jax")
    # Another backend counts in wider numbers.
    long = (VARIABLES[0], Variable(name="model/00001", path="a/count", shape=(), kind="int64"))
    check_model(state(1), long, "torch")
    with pytest.raises(InputFileError):
        check_model(state(1), long, "jax")


def test_what_is_not_as_it_was_is_said() -> None:
    assert differences({"threads": "1", "a": "b"}, {"threads": "2", "a": "b"}) == ["threads: 1 then, 2 now"]
    assert differences({"a": "b"}, {"a": "b"}) == []
    assert differences({"workers": "2 workers"}, {}) == ["2 workers then, 1 worker now"]
