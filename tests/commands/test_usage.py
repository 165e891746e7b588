"""What a command line that cannot be read is told."""

from __future__ import annotations

from typing import Any

import pytest

RUNS = "'zenplan runs list'"


@pytest.mark.parametrize(
    ("argv", "hints"),
    [
        (("train", "--foo"), ("'zenplan train --help'",)),
        (("estimate", "--params"), ("'zenplan estimate --help'",)),
        (("runs", "show", "--format"), ("'zenplan runs show --help'",)),
        (("count",), ("'zenplan count --help'", "package.module:function")),
        (("launch", "plan.json"), ("'zenplan launch --help'", "slurm", "kubernetes")),
        (("stop",), ("'zenplan stop --help'", RUNS)),
        (("watch",), ("'zenplan watch --help'", RUNS)),
        (("runs", "compare"), ("'zenplan runs compare --help'", RUNS)),
        (("runs", "shwo"), ("'zenplan runs --help' lists its commands",)),
        (("estimate", "--params", "7B", "--gpus", "8", "--gpus", "64"), ("give one", "zenplan compare")),
        (("layouts", "--params", "1e9", "--params", "2e9"), ("give one",)),
        (("train", "init", "decoder", "-", "--steps", "5", "--steps", "6"), ("give one",)),
        (("compare", "--params", "7B", "--gpus", "8,16"), ("--gpus 8 --gpus 16",)),
        (("compare", "--params", "7B,13.5B"), ("--params 7B --params 13.5B",)),
        (("nothing",), ("'zenplan --help' lists the commands",)),
    ],
)
def test_the_hint_is_of_the_command_that_was_meant(argv: tuple[str, ...], hints: tuple[str, ...], called: Any) -> None:
    done = called(*argv)
    assert (done.code, done.out) == (2, "")
    hint = done.err.splitlines()[-1]
    assert hint.startswith("hint: ")
    assert all(each in hint for each in hints)
