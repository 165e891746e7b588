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
        (("nothing",), ("'zenplan --help' lists the commands",)),
    ],
)
def test_the_hint_is_of_the_command_that_was_meant(argv: tuple[str, ...], hints: tuple[str, ...], called: Any) -> None:
    done = called(*argv)
    assert (done.code, done.out) == (2, "")
    hint = done.err.splitlines()[-1]
    assert hint.startswith("hint: ")
    assert all(each in hint for each in hints)
