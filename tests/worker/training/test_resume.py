"""A run that was killed and goes on is the run that was not: every loss, every evaluation, every weight."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from zenplan.testing import figures, losses
from zenplan.worker.protocol import Checkpointed, Ended, Error, Event, Kind, Ready, Rehearsal, Rehearsed

# A second or two of steps: the kill is to come in the middle of them.
STEPS = {"jax": 1500, "torch": 150, "tensorflow": 300}


@pytest.mark.slow
def test_killed_and_resumed_is_never_killed(lab: Any, backend: str) -> None:
    """With dropout, accumulated micro-batches and clipping, within an epoch; the whole run was rehearsed before, and
    the killed one was not: so a rehearsal leaves no trace either."""
    data, steps = lab.text(), STEPS[backend]
    whole = lab.job("whole", data, steps=steps, rehearsal=Rehearsal(seconds=0.0, least=3))
    events = lab.trained(whole, backend)
    assert isinstance(events[-1], Ended), events[-1]
    rehearsed = next(e for e in events if isinstance(e, Rehearsed))
    assert len(rehearsed.step_wall_s) == len(rehearsed.step_cpu_s) == 3
    assert rehearsed.evaluate_s is not None
    assert rehearsed.checkpoint_bytes is not None
    assert rehearsed.checkpoint_bytes > 10_000

    cut = lab.job("cut", data, steps=steps)
    with lab.started(cut, backend) as running:
        running.until(lambda e: isinstance(e, Checkpointed) and e.step >= steps // 4)
        running.process.kill()
        first = running.rest()
    assert not isinstance(first[-1], Ended)
    again = lab.trained(msgspec.structs.replace(cut, resume=True), backend)
    ready = next(e for e in again if isinstance(e, Ready))
    assert (ready.exact, ready.differs, ready.passed) == (True, (), ())
    assert steps // 4 - 7 <= ready.step < steps
    assert ready.step % 7 == 0

    assert losses(first, again) == losses(events)
    assert len(losses(events)) == steps
    assert figures(first, again) == figures(events)
    one, other = lab.arrays("whole", steps), lab.arrays("cut", steps)
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert lab.left("cut") == [f"step-{steps - steps % 7 if steps % 7 else steps - 7:08d}", f"step-{steps:08d}"]


def resumed(lab: Any, job: Any, backend: str) -> tuple[list[Event], Any]:
    events = lab.trained(msgspec.structs.replace(job, resume=True), backend)
    return events, next((e for e in events if isinstance(e, Ready)), None)


@pytest.mark.slow
def test_what_is_not_as_it_was_is_said_before_it_goes_on(lab: Any, backends: list[str]) -> None:
    """Another seed, a damaged checkpoint, another backend, another model."""
    job = lab.job("run", lab.text(), steps=14)
    lab.trained(job, backends[0])
    newest = lab.folder / "run" / "checkpoints" / "step-00000014" / "arrays.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    events, ready = resumed(lab, msgspec.structs.replace(job, seed=6, steps=16), backends[0])
    assert (ready.step, ready.exact) == (7, False)
    assert ready.differs == ("seed: 5 then, 6 now",)
    assert len(ready.passed) == 1
    # Steps of shortly before the checkpoint may be told once more.
    assert {step for step in losses(events) if step > 7} == set(range(8, 17))
    assert lab.left("run") == ["step-00000014", "step-00000016"]

    wide = msgspec.structs.replace(job, model=Kind(name="decoder", options={"layers": 1, "width": 32, "length": 8}))
    events, ready = resumed(lab, wide, backends[0])
    assert ready is None
    assert isinstance(events[-1], Error)
    assert "another model" in events[-1].message
    assert lab.left("run") == ["step-00000014", "step-00000016"]

    for number, other in enumerate(backends[1:], 1):
        events, ready = resumed(lab, msgspec.structs.replace(job, seed=6, steps=16 + 2 * number), other)
        assert not ready.exact
        assert any(each.startswith("backend:") for each in ready.differs)
        assert events[-1].reason == "finished"
        assert max(losses(events).values()) < 2.9


def test_there_must_be_something_to_go_on_from(lab: Any, one_backend: str) -> None:
    job = lab.job("run", lab.text(), resume=True)
    events = lab.trained(job, one_backend)
    assert isinstance(events[-1], Error)
    assert "no checkpoint to go on from" in events[-1].message
