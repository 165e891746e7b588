"""Acme keeps the contract of a tracker, and writes what it is told."""

from __future__ import annotations

import json
from pathlib import Path

from zenplan_acme import Acme

from zenplan import TrackedRun
from zenplan.testing import TrackerContract


class TestAcme(TrackerContract):
    tracker = Acme()


def test_a_line_for_each_step(tmp_path: Path) -> None:
    followed = Acme().start(TrackedRun(id="abcd2345", name="run", backend="jax", folder=str(tmp_path)))
    followed.log(1, {"loss": 2.5})
    followed.finish("finished")
    begun, step, end = (json.loads(line) for line in (tmp_path / "acme.jsonl").read_text().splitlines())
    assert begun["id"] == "abcd2345"
    assert (step, end) == ({"step": 1, "loss": 2.5}, {"state": "finished"})
