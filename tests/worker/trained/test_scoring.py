"""Models of finished runs, read again and scored, on every backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.worker.training.conftest import INSTALLED, Lab, image_data
from zenplan.adapters.workers.process import Limits, run_job
from zenplan.errors import UsageError
from zenplan.worker.protocol import Artefact, Ended, Event, Kind, Metric, Score, Scored, Trained


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


@pytest.mark.parametrize("kind", ["decoder", "convnet"])
def test_a_model_scores_what_its_run_said(lab: Lab, backend: str, kind: str) -> None:
    given: dict[str, Any] = {"data": lab.text()}
    if kind == "convnet":
        given = {"data": lab.images(), "model": Kind(name="convnet", options={"width": 4, "stages": 1}), "steps": 8}
    trained, test = finished(lab, backend, **given)
    own, copy = scored(
        Score(
            what="run",
            model=trained,
            artefacts=(Artefact(form="keras", path=trained.path),),
            batch=7,
            times=2,
        ),
        backend,
    )
    assert own.values == pytest.approx(test.values, rel=1e-5)
    assert own.difference is None
    assert copy.name == "keras"
    assert copy.difference == pytest.approx(0.0, abs=1e-6)
    assert copy.values == pytest.approx(own.values, rel=1e-6)
    assert len(own.one_s) == len(copy.batch_s) == 2
    assert min(own.one_s) > 0.0


@pytest.mark.skipif(len(INSTALLED) < 2, reason="one backend is installed")
def test_another_backend_scores_the_same(lab: Lab) -> None:
    trained, test = finished(lab, INSTALLED[0], data=lab.text())
    (own,) = scored(Score(what="run", model=trained), INSTALLED[-1])
    assert own.values == pytest.approx(test.values, rel=1e-4)


def test_a_part_that_the_data_do_not_have_is_refused(lab: Lab, one_backend: str) -> None:
    trained, _ = finished(lab, one_backend, data=lab.text())
    with pytest.raises(UsageError, match="no part 'other'"):
        scored(Score(what="run", model=trained, part="other"), one_backend)


def test_samples_are_spread_over_the_part(lab: Lab, one_backend: str) -> None:
    data = image_data(lab.folder / "many", 400)
    trained, _ = finished(
        lab, one_backend, data=data, steps=2, model=Kind(name="convnet", options={"width": 4, "stages": 1})
    )
    some, whole = (
        scored(Score(what="run", model=trained, most=most, confusion=classes), one_backend)[0]
        for most, classes in ((20, 2), (0, 3))
    )
    # Of more classes than were asked for nothing is counted.
    assert some.confusion == ()
    right = sum(row[number] for number, row in enumerate(whole.confusion))
    assert right / whole.samples == pytest.approx(whole.values["accuracy"])
    assert some.samples == 20 < whole.samples
    assert np.isfinite(some.values["loss"])
