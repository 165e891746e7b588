"""Why runs end, and what is left of them then."""

from __future__ import annotations

import signal
from typing import Any

import msgspec
import numpy as np
import pytest

from zenplan.testing import losses
from zenplan.worker.protocol import (
    Changed,
    Checkpointed,
    Ended,
    Error,
    Metric,
    Optimizer,
    Ready,
    Rehearsal,
    Rehearsed,
    Steps,
    Stop,
    Target,
)

LONG = 10**7

BUILDERS = """
import keras
from keras import layers

class Hungry(layers.Layer):
    def call(self, x):
        # Keras itself calls it with 83 and 89 samples where it looks for shapes.
        if x.shape[0] in (8, 4):
            raise MemoryError("out of memory")
        return x

def hungry():
    x = keras.Input((8,), dtype="int32")
    y = layers.Dense(17)(Hungry()(layers.Embedding(17, 8)(x)))
    return keras.Model(x, y)
"""


def long(lab: Any, name: str, **changes: Any) -> Any:
    return lab.job(name, lab.text(), steps=LONG, evaluate_every=0, checkpoint_every=0, **changes)


def test_the_parent_says_after_the_rehearsal_how_often_it_is_evaluated(lab: Any, one_backend: str) -> None:
    job = lab.job(
        "run",
        lab.text(),
        steps=50,
        evaluate_every=5,
        checkpoint_every=0,
        rehearsal=Rehearsal(seconds=0.0, least=3, waits=True),
    )
    with lab.started(job, one_backend) as running:
        running.until(lambda e: isinstance(e, Rehearsed))
        running.say(Stop(checkpoint_every=40, evaluate_every=20))
        events = running.rest()
    assert [e.step for e in events if isinstance(e, Metric) and e.part == "validation"] == [20, 40, 50]
    assert [e.step for e in events if isinstance(e, Checkpointed)] == [0, 40, 50]


def test_the_parent_ends_it(lab: Any, one_backend: str) -> None:
    """A Stop that changes the distance of checkpoints does not end it; one with a reason does, and it goes on later."""
    job = long(lab, "run")
    with lab.started(job, one_backend) as running:
        running.until(lambda e: isinstance(e, Steps))
        running.say(Stop(checkpoint_every=50))
        running.until(lambda e: isinstance(e, Checkpointed) and e.step > 0)
        running.say(Stop(reason="max_usd"))
        events = running.rest()
        assert running.process.returncode == 0
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert (ended.reason, ended.model, ended.diverged_at) == ("max_usd", "", None)
    assert ended.step == max(losses(events))
    assert all(e.step % 50 == 0 for e in events[:-2] if isinstance(e, Checkpointed))
    assert not any(isinstance(e, Metric) for e in events)
    again = lab.trained(msgspec.structs.replace(job, resume=True, steps=ended.step + 5), one_backend)
    # What was told shortly before the checkpoint is told once more: a parent may not have heard it.
    done = {step for step in losses(again) if step > ended.step}
    assert done == set(range(ended.step + 1, ended.step + 6))
    assert again[-1].reason == "finished"


def test_sigterm_ends_it_with_a_checkpoint(lab: Any, one_backend: str) -> None:
    with lab.started(long(lab, "run"), one_backend) as running:
        running.until(lambda e: isinstance(e, Steps))
        running.process.send_signal(signal.SIGTERM)
        events = running.rest()
    assert isinstance(events[-1], Ended)
    assert events[-1].reason == "terminated"
    assert events[-1].step == max(losses(events)) > 0
    assert f"step-{events[-1].step:08d}" in lab.left("run")


def test_a_parent_that_is_gone_ends_it_with_a_checkpoint(lab: Any, one_backend: str) -> None:
    """Both pipes are shut, as the system shuts those of a killed process."""
    with lab.started(long(lab, "run"), one_backend) as running:
        running.until(lambda e: isinstance(e, Steps))
        running.leave()
    *_, newest = lab.left("run")
    assert int(newest.removeprefix("step-")) > 0


def test_it_ends_once_the_loss_is_low_enough(lab: Any, one_backend: str) -> None:
    job = lab.job("run", lab.text(), steps=400, until_loss=2.0)
    events = lab.trained(job, one_backend)
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert ended.reason == "until_loss"
    assert ended.model
    seen = [e.values["loss"] for e in events if isinstance(e, Metric) and e.part == "validation"]
    assert seen[-1] <= 2.0 < min(seen[:-1])
    assert ended.step == 8 * len(seen) < 400
    assert [e.part for e in events if isinstance(e, Metric)][-1] == "test"
    # Asked to go on, it has nothing left to do.
    again = lab.trained(msgspec.structs.replace(job, resume=True), one_backend)
    assert again[-1].reason == "until_loss"
    # But for what was told shortly before the checkpoint.
    assert max(losses(again), default=0) <= ended.step


def test_it_ends_when_it_gets_no_better(lab: Any, one_backend: str) -> None:
    slow = Optimizer(name="sgd", learning_rate=1e-12)
    events = lab.trained(lab.job("run", lab.text(), steps=400, patience=3, optimizer=slow), one_backend)
    assert events[-1].reason == "patience"
    seen = [e for e in events if isinstance(e, Metric) and e.part == "validation"]
    best = min(range(len(seen)), key=lambda i: seen[i].values["loss"])
    assert len(seen) == best + 1 + 3


@pytest.mark.slow
def test_a_loss_that_is_no_number_ends_it_at_the_last_good_checkpoint(lab: Any, backend: str) -> None:
    """The learning rate rises until it is too much."""
    wild = Optimizer(name="sgd", learning_rate=1e25, warmup_steps=1000)
    events = lab.trained(lab.job("run", lab.text(), steps=1000, checkpoint_every=1, optimizer=wild), backend)
    ended = events[-1]
    assert isinstance(ended, Ended), ended
    assert ended.reason == "diverged"
    assert ended.diverged_at is not None
    assert ended.step < ended.diverged_at
    assert max(losses(events), default=0) <= ended.diverged_at
    assert lab.left("run")[-1] == f"step-{ended.step:08d}"
    assert all(np.isfinite(a).all() for n, a in lab.arrays("run", ended.step).items() if n.startswith("model/"))


@pytest.mark.slow
def test_too_little_memory_halves_the_micro_batch(lab: Any, backend: str) -> None:
    (lab.folder / "builders.py").write_text(BUILDERS, encoding="utf-8")
    job = lab.job("run", lab.text(), model=Target(target="builders:hungry"), micro_batch=8, steps=5)
    events = lab.trained(job, backend)
    changed = [e for e in events if isinstance(e, Changed)]
    assert [(e.step, e.what, e.value) for e in changed] == [(0, "micro_batch", 4), (0, "micro_batch", 2)]
    assert next(e for e in events if isinstance(e, Ready)).micro_batch == 2
    assert events[-1].reason == "finished"
    assert set(losses(events)) == set(range(1, 6))
    again = lab.trained(msgspec.structs.replace(job, steps=7, resume=True), backend)
    assert not any(isinstance(e, Changed) for e in again)
    # What was told shortly before the checkpoint is told once more.
    assert {step for step in losses(again) if step > 5} == {6, 7}


def test_jobs_that_cannot_be_done_are_one_line(lab: Any, one_backend: str) -> None:
    data = lab.text()
    job = lab.job("run", data, batch=80, micro_batch=80)
    (events,) = [e for e in lab.trained(job, one_backend) if isinstance(e, Error)]
    assert "larger than the training data, 74 samples" in events.message
    assert (events.exit_code, bool(events.hint)) == (2, True)
