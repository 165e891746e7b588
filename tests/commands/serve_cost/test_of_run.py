"""``zenplan serve-cost RUN``: a finished run's server, measured here; and what its flags may not be."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.commands.conftest import Ended, Zenplan

Answer = Callable[..., Ended]
HAVE = pytest.mark.skipif(not find_spec("uvicorn"), reason="the libraries of serving are not installed")


@HAVE
def test_a_run_is_measured_and_carried_to_a_rate(rows_run: Path, tmp_path: Path) -> None:
    asked = ("serve-cost", str(rows_run), "--rate", "5/s", "--max-batch", "4", "--usd-per-hour", "0.36")
    ended = Zenplan(tmp_path)(*asked, "--format", "json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert [each["samples"] for each in found["calls"]] == [1, 2, 4]
    assert found["replicas"]["mid"] == 1
    assert found["p50_s"]["low"] < found["p50_s"]["mid"] < found["p50_s"]["high"]
    # A request waits for others, for the model and for the server.
    assert found["p50_s"]["mid"] > found["max_wait_s"] + found["calls"][0]["median_s"]
    assert found["rate_per_s"] == pytest.approx(5.0, rel=0.1)
    assert found["usd_per_month"]["mid"] == pytest.approx(0.36 * 730, rel=0.01)
    share = found["usd_per_1000_used"]["mid"] / found["usd_per_1000"]["mid"]
    assert share == pytest.approx(found["utilisation"])


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--rate", "5/s", "--concurrency", "4"),
        ("--rate", "5/s", "--gpu", "L4"),
        ("--rate", "5/s", "--tp", "2"),
        ("--rate", "5/s", "--model", "llama3-8b"),
        ("--rate", "5/s", "--max-batch", "0"),
        ("--rate", "5/s", "--max-wait", "soon"),
        ("--rate", "fast"),
        ("--rate", "5/s", "--usd-per-hour", "cheap"),
    ],
)
def test_flags_that_do_not_go_with_a_run(answer: Answer, flags: tuple[str, ...]) -> None:
    _refused(answer("serve-cost", "nowhere", *flags))


def test_a_run_that_is_not_there_and_flags_that_want_one(answer: Answer) -> None:
    _refused(answer("serve-cost", "nowhere", "--rate", "5/s"))
    _refused(answer("serve-cost", "--model", "llama3-8b", "--gpu", "L4", "--rate", "1/s", "--max-batch", "4"))


def _refused(ended: Ended) -> None:
    assert (ended.code, ended.out) == (2, "")
    assert [line.partition(":")[0] for line in ended.err.splitlines()] == ["error", "hint"]
