"""What a run leaves behind for the next ones."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from zenplan.commands.shared.known import known
from zenplan.commands.shared.training_plan import training_plan
from zenplan.commands.train.ending import calibration_of
from zenplan.domain.measured.calibration import Sample
from zenplan.domain.training.request import Request
from zenplan.plugins import load_plugins

KNOWN = known(load_plugins({"ZENPLAN_PLUGINS": ""}), None, None)
PLAN = training_plan(Request(model="gpt2", seq_len=32, batch=4, samples=100.0), KNOWN.families)


def run_of(busy: str = "", wall_s: float = 1.0) -> Any:
    machine = SimpleNamespace(device="a processor", kind="cpu", driver="", threads=2, versions={}, compiled=False)
    return SimpleNamespace(
        world=SimpleNamespace(plan=PLAN, busy=busy),
        asked=SimpleNamespace(
            job=SimpleNamespace(batch=4, precision="fp32", several=False), name="net", backend="torch"
        ),
        machine=machine,
        device_name="",
        kept=SimpleNamespace(samples=[Sample(round=n, wall_s=wall_s, cpu_s=1.0) for n in range(20)]),
        spent=SimpleNamespace(setup_s=1.0),
    )


RESULT: Any = SimpleNamespace(peak_bytes=None, status=SimpleNamespace(id="a-run"))


@pytest.mark.parametrize(
    ("busy", "wall_s", "disturbed"), [("", 1.0, False), ("busy: others took a core", 1.0, True), ("", 2.0, True)]
)
def test_steps_of_a_busy_machine_are_marked(busy: str, wall_s: float, disturbed: bool) -> None:
    found = calibration_of(run_of(busy, wall_s), RESULT, "abcdefgh")
    assert found is not None
    assert found.disturbed is disturbed
    assert sum(note.startswith("busy:") for note in found.notes) == disturbed
