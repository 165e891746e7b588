"""``zenplan train`` with real frameworks: a run that is killed goes on bit for bit, and is evidence for the next."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from typing import Any

import pytest

INSTALLED = [name for name in ("jax", "torch", "tensorflow") if find_spec("keras") and find_spec(name)]
OPTIONS = ("layers=1", "width=16", "heads=2", "length=8", "dropout=0.2")


@pytest.mark.slow
@pytest.mark.parametrize("backend", INSTALLED)
def test_a_killed_run_has_the_curve_of_one_that_was_not(backend: str, real: Any) -> None:
    line = [
        *real.line(
            "--backend", backend, "--threads", "1", "--checkpoint-every", "20", "--evaluate-every", "40", steps=120
        )
    ]
    line += [word for option in OPTIONS for word in ("--option", option)]
    code, out, err = real(*line, "--out", "whole")
    assert code == 0, err
    process = real.start(*line)
    real.wait(lambda: real.reached(50), process, seconds=120.0)
    process.kill()
    process.communicate()
    code, _, err = real("train", "--resume", "run")
    assert code == 0, err
    assert "bit for bit" in err

    def curve(folder: str) -> list[Any]:
        text = (real.folder / folder / "metrics.jsonl").read_text(encoding="utf-8")
        found = map(json.loads, text.splitlines())
        return [(each["step"], each.get("loss"), each.get("part"), each.get("values")) for each in found]

    assert curve("run") == curve("whole")
    assert not list((real.folder / "run").rglob(".writing-*"))
    assert "the next estimate on this device" in " ".join(out.split())
    # What was measured of the model is what the next run is predicted by.
    code, out, err = real(*line, "--out", "next", "--dry-run", "--format", "json")
    assert code == 0, err
    assert json.loads(out)["origin"] == "stored calibration"
    found = json.loads(real("calibrations", "list", "--format", "json")[1])
    assert {each["subject"] for each in found["calibrations"]} == {"decoder"}


@pytest.fixture
def real(trainer: Any) -> Any:
    """The same commands, with zenplan's own worker."""
    trainer.driver = "from zenplan.commands.main import main\nmain()"
    trainer.environ |= {"TMPDIR": os.environ.get("TMPDIR", "/tmp")}
    return trainer
