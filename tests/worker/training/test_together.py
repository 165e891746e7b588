"""Two workers, or two devices, against one: the same losses at the same batch. No framework is imported here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from zenplan.adapters.workers.process import Limits, run_job, untold
from zenplan.adapters.workers.ranks import environments_of, free_address, run_ranks
from zenplan.testing import figures, losses
from zenplan.worker.protocol import Event, Kind, Optimizer, Ranks, Ready, Train

# What each backend has.
TWO = {"jax": {"workers": 2}, "torch": {"workers": 2}, "tensorflow": {"devices": 2}}
LIMITS = Limits(time_s=300.0)
DECODER = Kind(name="decoder", options={"layers": 1, "width": 16, "heads": 2, "length": 8})


def trained(job: Train, backend: str) -> list[Event]:
    """What rank 0 says, to its end."""
    heard: list[Event] = []
    environments = environments_of("cpu", 1, job.workers, job.devices, os.environ)
    if job.workers == 1:
        last = run_job(job, backend, LIMITS, hear=heard.append, environment=environments[0])
    else:
        address = free_address()
        jobs = [
            msgspec.structs.replace(job, ranks=Ranks(rank=rank, size=job.workers, local=rank, address=address))
            for rank in range(job.workers)
        ]

        def hear(rank: int, event: Event) -> None:
            if rank == 0:
                heard.append(event)

        last = run_ranks(jobs, backend, LIMITS, untold, hear, environments)
    return [*heard, last]


def job_of(folder: Path, data: str, kind: str, **changes: Any) -> Train:
    usual: dict[str, Any] = {
        "what": "the model",
        "folder": str(folder),
        "data": data,
        "model": Kind(name=kind, options={"width": 2, "stages": 1} if kind == "convnet" else {}),
        "optimizer": Optimizer(name="adamw", learning_rate=1e-2, weight_decay=0.1, clip_norm=0.5),
        "threads": 1,
        "steps": 6,
        "batch": 8,
        "micro_batch": 4,
        "evaluate_every": 3,
        "checkpoint_every": 3,
        "seed": 5,
    }
    return Train(**{**usual, **changes})


def ready(events: Sequence[Event]) -> Ready:
    return next(each for each in events if isinstance(each, Ready))


@pytest.mark.slow
def test_two_have_the_losses_of_one(lab: Any, backend: str) -> None:
    """And their checkpoint is one that one goes on from; softmax regression, gradients clipped."""
    data = lab.images()
    one = trained(job_of(lab.folder / "one", data, "softmax-regression"), backend)
    job = job_of(lab.folder / "two", data, "softmax-regression", **TWO[backend])
    two = trained(job, backend)
    assert list(losses(two)) == [1, 2, 3, 4, 5, 6]
    assert losses(two) == pytest.approx(losses(one), rel=1e-6)
    assert {key: values["loss"] for key, values in figures(two).items()} == pytest.approx(
        {key: values["loss"] for key, values in figures(one).items()}, rel=1e-6
    )
    assert ready(two).own == ()

    (lab.folder / "two" / "checkpoints" / "step-00000006").rename(lab.folder / "aside")
    again = trained(msgspec.structs.replace(job, workers=1, devices=1, resume=True), backend)
    assert ready(again).step == 3
    assert {step: loss for step, loss in losses(again).items() if step > 3} == pytest.approx(
        {step: loss for step, loss in losses(one).items() if step > 3}, rel=1e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch", "tensorflow"])
def test_batch_normalisation_goes_by_a_replicas_part_and_that_is_said(lab: Any, backends: list[str], name: str) -> None:
    """On JAX one program has the whole batch."""
    if name not in backends:
        pytest.skip(f"{name} is not installed")
    changes = {"steps": 2, "evaluate_every": 2, "checkpoint_every": 0}
    events = trained(job_of(lab.folder / "two", lab.images(), "convnet", **changes, **TWO[name]), name)
    assert {path.partition("/")[0] for path in ready(events).own} == {"norm0a", "norm0b"}


def evaluations(events: Sequence[Event]) -> dict[Any, float]:
    return {key: values["loss"] for key, values in figures(events).items()}


@pytest.mark.slow
def test_parts_have_the_losses_of_the_whole_and_any_number_of_workers_goes_on(lab: Any) -> None:
    """A decoder whose gradients are clipped and added up over micro-batches. Its checkpoints are whole."""
    data = lab.text()
    whole = job_of(lab.folder / "one", data, "decoder", model=DECODER, micro_batch=2)
    one = trained(whole, "torch")
    parts = msgspec.structs.replace(whole, folder=str(lab.folder / "two"), workers=2, zero=3)
    two = trained(parts, "torch")
    assert list(losses(two)) == [1, 2, 3, 4, 5, 6]
    assert losses(two) == pytest.approx(losses(one), rel=1e-6)
    assert evaluations(two) == pytest.approx(evaluations(one), rel=1e-6)

    shutil.rmtree(lab.folder / "two" / "checkpoints" / "step-00000006")
    for name, changes in (("as before", {}), ("alone", {"workers": 1}), ("four", {"workers": 4})):
        folder = lab.folder / name
        shutil.copytree(lab.folder / "two", folder)
        again = trained(msgspec.structs.replace(parts, folder=str(folder), resume=True, **changes), "torch")
        assert ready(again).step == 3
        after = {step: loss for step, loss in losses(again).items() if step > 3}
        truth = losses(one) if changes else losses(two)
        assert after == pytest.approx({step: truth[step] for step in (4, 5, 6)}, rel=1e-6 if changes else 0.0)
