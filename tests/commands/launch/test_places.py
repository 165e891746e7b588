"""Folders that this machine alone has are said, with the flag that names another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import platformdirs
import pytest

RUN = """
[data]
data = "{data}"

[train]
model = "decoder"
backend = "torch"
steps = 100
max_hours = 3
"""
SAID = "folder that all nodes see"
MOUNTED = ("--shared", "/shared", "--volume", "claim")


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests are in a temporary folder, which is none here."""
    monkeypatch.setattr("zenplan.commands.launch.places._TEMPORARY", ("/var/tmp",))
    monkeypatch.setattr("zenplan.commands.launch.places.tempfile", SimpleNamespace(gettempdir=lambda: "/none"))


def notes(called: Callable[..., Any], data: str, *argv: str) -> str:
    Path("run.toml").write_text(RUN.format(data=data), encoding="utf-8")
    done = called("launch", "run.toml", "--on", *argv, "--overwrite", "--format", "json")
    assert done.code == 0, done.err
    return "\n".join(json.loads(done.out)["notes"])


@pytest.mark.parametrize("argv", [("slurm",), ("kubernetes", *MOUNTED)])
def test_data_in_a_folder_of_this_machine_alone_are_said(argv: tuple[str, ...], called: Callable[..., Any]) -> None:
    own = (platformdirs.user_cache_path() / "x", platformdirs.user_data_path() / "x", Path("/var/tmp/x"))
    for folder in own:
        said = notes(called, str(folder), *argv)
        assert f"{folder} is in" in said
        assert "--data says" in said
    assert SAID not in notes(called, "/home/data", *argv)


def test_the_run_and_the_files_too_where_nodes_see_this_machines_folders(called: Callable[..., Any]) -> None:
    said = notes(called, "/home/data", "slurm", "--out", str(platformdirs.user_cache_path() / "out"))
    assert "--run-folder" in said
    assert "--out" in said
    # Below the folder that is mounted nothing is of this machine.
    assert SAID not in notes(called, "corpus", "kubernetes", *MOUNTED)


@pytest.mark.parametrize("argv", [("slurm",), ("kubernetes", *MOUNTED)])
def test_data_are_where_nodes_call_them(argv: tuple[str, ...], called: Callable[..., Any]) -> None:
    said = notes(called, str(platformdirs.user_cache_path() / "x"), *argv, "--data", "/pool/corpus")
    assert SAID not in said
    words = json.loads(Path(f"launch-{argv[0]}/launch.json").read_text(encoding="utf-8"))["job"]["command"]
    assert [words[i + 1] for i, word in enumerate(words) if word == "--data"] == ["/pool/corpus"]
    done = called("launch", "run.toml", "--on", *argv, "--data", "corpus")
    assert (done.code, done.err.count("\n")) == (2, 2)
