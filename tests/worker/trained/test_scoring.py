"""Models of finished runs, read again and scored, on every backend."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from tests.worker.together import together
from tests.worker.trained.conftest import finished as finished_together
from tests.worker.training.conftest import INSTALLED, Lab, image_data
from zenplan.adapters.workers.process import Limits, run_job
from zenplan.errors import UsageError
from zenplan.worker.protocol import Artefact, Ended, Event, Kind, Metric, Score, Scored, Trained

CONVNET = Kind(name="convnet", options={"width": 4, "stages": 1})
Models = Callable[[str], dict[str, tuple[Trained, Metric]]]


def scored(job: Score, backend: str) -> list[Scored]:
    heard: list[Event] = []
    run_job(job, backend, Limits(), lambda stage, seconds: None, hear=heard.append)
    return [each for each in heard if isinstance(each, Scored)]


def finished(lab: Lab, backend: str, **changes: Any) -> tuple[Trained, Metric]:
    """A run to its end, and what it said of the test data."""
    job = lab.job("run", changes.pop("data"), **changes)
    events = lab.trained(job, backend)
    (end,) = (each for each in events if isinstance(each, Ended))
    (test,) = (each for each in events if isinstance(each, Metric) and each.part == "test")
    return Trained(path=end.model, job=job), test


@pytest.fixture(scope="module")
def models(shared: Lab) -> Models:
    """Of each backend: finished runs, and what each said of the test data."""
    runs: dict[str, dict[str, Any]] = {
        "decoder": {"data": shared.text()},
        "convnet": {
            "data": image_data(shared.folder / "many", 400),
            "model": CONVNET,
            "steps": 8,
            "evaluate_batches": 0,
        },
    }
    return cache(lambda backend: finished_together(shared, backend, runs))


def test_a_model_scores_what_its_run_said(shared: Lab, models: Models, backend: str) -> None:
    found = models(backend)
    jobs = [
        Score(what="run", model=model, artefacts=(Artefact(form="keras", path=model.path),), batch=7, times=2)
        for model, _ in found.values()
    ]
    for (_, test), events in zip(found.values(), together(shared.folder, backend, jobs), strict=True):
        own, copy = (each for each in events if isinstance(each, Scored))
        assert own.values == pytest.approx(test.values, rel=1e-5)
        assert own.difference is None
        assert copy.name == "keras"
        assert copy.difference == pytest.approx(0.0, abs=1e-6)
        assert copy.values == pytest.approx(own.values, rel=1e-6)
        assert len(own.one_s) == len(copy.batch_s) == 2
        assert min(own.one_s) > 0.0


@pytest.mark.skipif(len(INSTALLED) < 2, reason="one backend is installed")
def test_another_backend_scores_the_same(models: Models) -> None:
    trained, test = models(INSTALLED[0])["decoder"]
    (own,) = scored(Score(what="run", model=trained), INSTALLED[-1])
    assert own.values == pytest.approx(test.values, rel=1e-4)


def test_a_part_that_the_data_do_not_have_is_refused(models: Models, one_backend: str) -> None:
    trained, _ = models(one_backend)["decoder"]
    with pytest.raises(UsageError, match="no part 'other'"):
        scored(Score(what="run", model=trained, part="other"), one_backend)


def test_samples_are_spread_over_the_part(shared: Lab, models: Models, one_backend: str) -> None:
    trained, _ = models(one_backend)["convnet"]
    jobs = [Score(what="run", model=trained, most=most, confusion=classes) for most, classes in ((20, 2), (0, 3))]
    (some,), (whole,) = (
        [each for each in events if isinstance(each, Scored)] for events in together(shared.folder, one_backend, jobs)
    )
    # Of more classes than were asked for nothing is counted.
    assert some.confusion == ()
    right = sum(row[number] for number, row in enumerate(whole.confusion))
    assert right / whole.samples == pytest.approx(whole.values["accuracy"])
    assert some.samples == 20 < whole.samples
    assert np.isfinite(some.values["loss"])
