"""Explanations find what was planted, on every backend, and say themselves whether they can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.worker.together import together
from tests.worker.trained.conftest import to_be
from tests.worker.training.conftest import Lab, image_data
from zenplan.adapters.workers.process import Limits, run_job
from zenplan.errors import UsageError
from zenplan.worker.protocol import Ended, Event, Explain, Explained, Importance, Kind, Optimizer, Target, Train
from zenplan.worker.trained.places import places_of, rank_correlation

BUILDER = """
import keras

def mlp():
    x = keras.Input((8,), name="x")
    y = keras.layers.Dense(16, activation="tanh")(x)
    return keras.Model(x, keras.layers.Dense(2)(y))
"""


def planted(lab: Lab) -> str:
    """Rows of eight numbers, of which the first and the fourth say the class."""
    draw = np.random.default_rng(3)
    x = draw.normal(size=(900, 8)).astype(np.float32)
    y = (x[:, 0] - x[:, 3] > 0).astype(np.int32)
    card = {"kind": "arrays", "inputs": ["x"], "target": "y", "classes": 2}
    cut = {"train": slice(700), "validation": slice(700, 800), "test": slice(800, None)}
    return lab.data("planted", card, {f"{p}-{n}": v[s] for p, s in cut.items() for n, v in (("x", x), ("y", y))})


def texts(lab: Lab) -> str:
    """Rows of twelve tokens, of which one of 3 or 4 says the class."""
    draw = np.random.default_rng(4)
    x, y = draw.integers(5, 20, (900, 12)).astype(np.int32), draw.integers(0, 2, 900).astype(np.int32)
    x[np.arange(900), draw.integers(0, 12, 900)] = 3 + y
    card = {"kind": "arrays", "inputs": ["x"], "target": "y", "classes": 2}
    cut = {"train": slice(700), "validation": slice(700, 800), "test": slice(800, None)}
    return lab.data("words", card, {f"{p}-{n}": v[s] for p, s in cut.items() for n, v in (("x", x), ("y", y))})


def job_of(lab: Lab, data: str, model: Any, steps: int = 150) -> Train:
    optimizer = Optimizer(name="adam", learning_rate=1e-2)
    return lab.job(
        "run", data, model=model, optimizer=optimizer, steps=steps, batch=32, micro_batch=32, evaluate_every=0
    )


def explained(lab: Lab, backend: str, job: Train, *asked: Mapping[str, Any]) -> list[list[Any]]:
    """What is said of the model of a run to each question, in the process that trained it."""
    model = to_be(job)
    trained, *answers = together(lab.folder, backend, [job, *(Explain(what="run", model=model, **q) for q in asked)])
    assert isinstance(trained[-1], Ended)
    assert trained[-1].model == model.path
    return [found(answer) for answer in answers]


def found(events: list[Event]) -> list[Any]:
    return [each for each in events if isinstance(each, Explained | Importance)]


def told(backend: str, **job: Any) -> list[Any]:
    """The same in a process of its own."""
    heard: list[Event] = []
    run_job(Explain(what="run", **job), backend, Limits(), lambda stage, seconds: None, hear=heard.append)
    return found(heard)


def test_planted_columns_are_found(lab: Lab, backend: str) -> None:
    (lab.folder / "builder.py").write_text(BUILDER)
    job = job_of(lab, planted(lab), Target(target="builder:mlp"))
    methods = ("gradients", "occlusion")
    questions = [*({"method": method, "count": 20} for method in methods), {"method": "permutation", "repeats": 2}]
    *each_method, (whole,) = explained(lab, backend, job, *({"count": 0, **asked} for asked in questions))
    for method, found in zip(methods, each_method, strict=True):
        sizes = np.mean([np.abs(each.inputs["x"].values) for each in found], axis=0)
        assert {*np.argsort(sizes)[-2:]} == {0, 3}
        # Large numbers count for more in any model: of eight, some are the same in both.
        assert np.median([each.randomised for each in found]) < 0.8
        assert all((each.completeness is None) == (method == "occlusion") for each in found)
        assert max(each.completeness or 0.0 for each in found) < 0.02
    importances = np.array(whole.inputs["x"].values)
    assert {*np.argsort(importances)[-2:]} == {0, 3}
    assert importances[[0, 3]].min() > 5 * np.abs(np.delete(importances, [0, 3])).max()


def test_the_telling_token_is_found(lab: Lab, backend: str) -> None:
    kind = Kind(name="text-classifier", options={"layers": 1, "width": 16, "heads": 2})
    (found,) = explained(lab, backend, job_of(lab, texts(lab), kind, 300), {"count": 12})
    right = [np.argmax(each.inputs["x"].values) == np.argmin(each.inputs["x"].given) for each in found]
    assert np.mean(right) >= 0.9
    assert np.median([each.completeness for each in found]) < 0.05


def test_the_telling_part_of_an_image_is_found(lab: Lab, one_backend: str) -> None:
    data = image_data(lab.folder / "images", 900)
    job, methods = (
        job_of(lab, data, Kind(name="convnet", options={"width": 8, "stages": 1}), 120),
        ("gradients", "occlusion"),
    )
    answers = explained(lab, one_backend, job, *({"method": method, "count": 9} for method in methods))
    for method, found in zip(methods, answers, strict=True):
        rows = [np.argmax(np.array(e.inputs["x"].values).reshape(e.inputs["x"].shape).sum(axis=1)) for e in found]
        # An image is bright in row 2 × its class; a convolution sees one row to either side.
        right = [abs(row - 2 * each.label) <= 1 for row, each in zip(rows, found, strict=True)]
        assert np.mean(right) >= 0.7, method


def test_what_cannot_be_explained_is_refused(lab: Lab, one_backend: str) -> None:
    options = {"layers": 1, "width": 8, "heads": 1, "length": 8}
    job = job_of(lab, lab.text(), Kind(name="decoder", options=options), 2)
    assert isinstance(lab.trained(job, one_backend)[-1], Ended)
    model = to_be(job)
    with pytest.raises(UsageError, match="shuffled"):
        told(one_backend, model=model, method="permutation")
    with pytest.raises(UsageError, match="method"):
        told(one_backend, model=model, method="guess")
    with pytest.raises(UsageError, match="classes"):
        told(one_backend, model=model, target=10**6)
    (found,) = told(one_backend, model=model, count=1)
    assert np.abs(found.inputs["tokens"].values).max() > 0


def test_places() -> None:
    assert places_of((8,), image=False).shape == (8,)
    assert places_of((), image=False).count == 1
    squares = places_of((28, 20, 3), image=True)
    assert squares.shape == (7, 5)
    assert sum(squares.at(n).sum() for n in range(squares.count)) == 28 * 20 * 3
    assert places_of((300, 4), image=False).shape == (300,)
    assert places_of((5, 4), image=False).shape == (5, 4)


def test_rank_correlation_is_spearmans() -> None:
    from scipy.stats import spearmanr

    draw = np.random.default_rng(0)
    for _ in range(20):
        a, b = draw.integers(1, 6, 30), draw.normal(size=30)
        assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert rank_correlation(np.ones(6), np.arange(6)) is None
    assert rank_correlation(np.arange(3), np.arange(3)) is None
    padded = [np.pad(draw.normal(size=12), (0, 50)) for _ in range(2)]
    assert rank_correlation(*padded) == pytest.approx(rank_correlation(*(each[:12] for each in padded)))


def test_samples_of_ones_own(lab: Lab, one_backend: str, tmp_path: Path) -> None:
    job = job_of(lab, planted(lab), Kind(name="softmax-regression"), 60)
    x = np.zeros((2, 8), np.float32)
    x[0, 0], x[1, 3] = 3.0, 3.0
    np.savez(tmp_path / "own.npz", x=x)
    ((first, second),) = explained(lab, one_backend, job, {"inputs": str(tmp_path / "own.npz")})
    assert np.argmax(np.abs(first.inputs["x"].values)) == 0
    assert np.argmax(np.abs(second.inputs["x"].values)) == 3
