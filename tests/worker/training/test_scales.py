"""Columns of a table are of any scale: a model that is trained by plain descent takes them as they are."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from tests.worker.training.test_together import job_of, trained
from zenplan.testing import losses
from zenplan.worker.protocol import Optimizer
from zenplan.worker.training.prepared import Prepared


def table(lab: Any, features: list[str]) -> str:
    """Whether a house is dear: its year, its price in dollars, and a column that is always the same."""
    random = np.random.default_rng(0)
    year, price = random.integers(1950, 2020, 200), random.normal(3e5, 1e5, 200)
    x = np.stack([year, price, np.full(200, 7)], axis=1).astype(np.float32)
    y = (price > 3e5).astype(np.int32)
    arrays = {"train-x": x[:160], "train-y": y[:160], "validation-x": x[160:], "validation-y": y[160:]}
    card = {"kind": "arrays", "inputs": ["x"], "target": "y", "classes": 2, "features": features}
    return str(lab.data(f"table{len(features)}", card, arrays))


def test_columns_of_a_table_have_mean_0_and_variance_1(lab: Any) -> None:
    data = Prepared.read(table(lab, ["year", "price", "same"]))
    ((name, (scale, offset)),) = data.scales().items()
    x = np.asarray(data.arrays["train"][name], np.float64) * scale + offset
    assert x.mean(axis=0) == pytest.approx([0, 0, 0], abs=1e-9)
    assert x.std(axis=0) == pytest.approx([1, 1, 0], abs=1e-9)
    # Arrays that are no table are taken as they are: a reference may be held against them.
    assert Prepared.read(table(lab, [])).scales() == {}


@pytest.mark.slow
def test_plain_descent_learns_from_columns_of_any_scale(lab: Any, backend: str) -> None:
    job = job_of(lab.folder / "scales", table(lab, ["year", "price", "same"]), "softmax-regression")
    found = losses(trained(msgspec.structs.replace(job, optimizer=Optimizer(name="sgd", learning_rate=0.5)), backend))
    assert found[1] == pytest.approx(np.log(2), rel=1e-3)
    assert found[6] < 0.8 * found[1]
