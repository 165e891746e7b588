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


def test_an_option_that_is_given_twice_has_its_last_value_and_is_named(called: Any) -> None:
    once = called("estimate", "--params", "7B", "--gpus", "64", "--gpu", "H100")
    twice = called("estimate", "--params", "7B", "--gpus", "8", "--gpu", "H100", "--gpus", "64")
    assert (twice.code, twice.out, once.err) == (0, once.out, "")
    assert all(each in twice.err for each in ("warning: --gpus is given twice", "zenplan compare"))
    assert "twice" not in called("compare", "--params", "1e9", "--gpu", "H100", "--gpu", "A100").err
