"""Flags of a system that say nothing, that it could not read, or that it has no use for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RUN = """
[data]
data = "/shared/corpus"

[train]
model = "decoder"
backend = "torch"
steps = 100
max_hours = 3
"""
SHARED = ("--shared", "/shared", "--volume")
KUBERNETES = ("kubernetes", *SHARED, "claim")


@pytest.fixture(autouse=True)
def run(called: Callable[..., Any]) -> None:
    Path("run.toml").write_text(RUN, encoding="utf-8")


@pytest.mark.parametrize(
    "flag",
    ["--shared", "--volume", "--image", "--venv", "--run-folder", "--accelerator", "--data", "--package", "--name"],
)
def test_an_empty_flag_is_none_that_was_left_out(flag: str, called: Callable[..., Any]) -> None:
    # Nodes would read this machine's folders, or install what they have.
    done = called("launch", "run.toml", "--on", "slurm", flag, "")
    assert (done.code, done.err.count("\n")) == (2, 2), done.err
    assert flag in done.err


@pytest.mark.parametrize(
    "argv",
    [
        ("slurm", "--venv", "venv"),
        ("slurm", "--gpu", "H100", "--accelerator", "two words"),
        ("slurm", "--gpu", "H100", "--accelerator", "a:b"),
        (*KUBERNETES, "--image", "two words"),
        (*KUBERNETES, "--gpu", "H100", "--accelerator", "H100"),
        (*KUBERNETES, "--option", "namespace=Two Words"),
        (*KUBERNETES, "--option", "namespace="),
        (*KUBERNETES, "--option", "kind=TrainJob", "--option", "runtime=Mine!"),
        ("skypilot", *SHARED, "s3://"),
        ("skypilot", *SHARED, "a:b"),
        ("dstack", *SHARED, "a:b"),
    ],
)
def test_what_a_system_could_not_read_is_refused(argv: tuple[str, ...], called: Callable[..., Any]) -> None:
    done = called("launch", "run.toml", "--on", *argv)
    assert (done.code, done.err.count("\n")) == (2, 2), done.err
    assert not Path(f"launch-{argv[0]}").exists()


def test_what_a_system_has_no_use_for_is_said(called: Callable[..., Any]) -> None:
    image = ("--image", "registry.io/mine:1")
    for argv, flags in (
        (("slurm", *image, "--volume", "claim"), ["--image", "--volume"]),
        (("ray", *SHARED, "nfs", *image), ["--image"]),
        ((*KUBERNETES, *image), []),
    ):
        done = called("launch", "run.toml", "--on", *argv, "--format", "json")
        assert done.code == 0, done.err
        notes = json.loads(done.out)["notes"]
        assert [note.split()[0] for note in notes if "changes nothing there" in note] == flags
