"""Prepared data, the order of samples and the learning rate: what a step is made of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zenplan.errors import DataError, InputFileError, UsageError
from zenplan.worker.training import prepared
from zenplan.worker.training.order import Order
from zenplan.worker.training.prepared import Prepared


def test_an_epoch_has_each_sample_once() -> None:
    order = Order(samples=23, batch=5, seed=1)
    assert order.steps == 4
    epochs = [[order.numbers(step) for step in range(4 * e, 4 * e + 4)] for e in range(3)]
    for epoch in epochs:
        seen = np.concatenate(epoch).tolist()
        assert len(set(seen)) == 20
        assert set(seen) <= set(range(23))
    assert not np.array_equal(epochs[0], epochs[1])
    # Of a seed and a step alone, whatever was asked before.
    assert np.array_equal(Order(samples=23, batch=5, seed=1).numbers(9), order.numbers(9))
    assert not np.array_equal(Order(samples=23, batch=5, seed=2).numbers(9), order.numbers(9))


def test_a_batch_is_no_larger_than_the_data() -> None:
    with pytest.raises(UsageError, match="larger than the training data, 3 samples"):
        Order(samples=3, batch=4, seed=0)
    assert Order(samples=3, batch=3, seed=0).steps == 1


def test_a_sample_of_tokens_is_shifted_by_one(lab: Any) -> None:
    tokens = np.arange(21, dtype=np.uint16)
    folder = lab.data("t", {"kind": "tokens", "vocabulary": 30, "end": 0}, {"train-tokens": tokens})
    samples = Prepared.read(folder).samples("train", 5)
    assert samples is not None
    assert samples.count == 4
    x, y = samples.batch(np.array([3, 0], np.uint32))
    assert x.tolist() == [[15, 16, 17, 18, 19], [0, 1, 2, 3, 4]]
    assert y.tolist() == [[16, 17, 18, 19, 20], [1, 2, 3, 4, 5]]
    assert x.dtype == y.dtype == np.int32
    assert Prepared.read(folder).samples("test", 5) is None


def test_tokens_outside_of_the_vocabulary_are_told(lab: Any) -> None:
    tokens = np.arange(21, dtype=np.uint16)
    folder = lab.data("t", {"kind": "tokens", "vocabulary": 20, "end": 0}, {"train-tokens": tokens})
    samples = Prepared.read(folder).samples("train", 5)
    assert samples is not None
    with pytest.raises(DataError, match="token 20"):
        samples.batch(np.array([3]))


def test_several_inputs_come_by_name(lab: Any) -> None:
    card = {"kind": "arrays", "inputs": ["user", "item"], "target": "y", "classes": None}
    each = {"user": np.array([3, 1, 2]), "item": np.array([0, 7, 0]), "y": np.array([1.0, 2.0, 3.0])}
    data = Prepared.read(lab.data("r", card, {f"train-{name}": array for name, array in each.items()}))
    samples = data.samples("train", 0)
    assert samples is not None
    x, y = samples.batch(np.array([2, 0]))
    assert {name: array.tolist() for name, array in x.items()} == {"user": [2, 3], "item": [0, 0]}
    assert y.tolist() == [3.0, 1.0]
    assert data.sizes() == {"user": 4, "item": 8}


def card_of(folder: str) -> tuple[Path, dict[str, Any]]:
    path = Path(folder) / "data.json"
    return path, json.loads(path.read_text())


def test_data_that_is_not_what_it_says_is_refused(lab: Any) -> None:
    def refused(change: Any, match: str) -> None:
        folder = lab.images()
        path, card = card_of(folder)
        change(card, Path(folder))
        path.write_text(json.dumps(card))
        with pytest.raises(InputFileError, match=match) as caught:
            Prepared.read(folder)
        assert caught.value.hint
        assert caught.value.message.isprintable()

    refused(lambda card, _: card.update(kind="pictures"), "of kind 'pictures'")
    refused(lambda card, _: card.update(classes=2), "label 2, outside of 0 to 1")
    refused(lambda card, _: card["parts"].pop("train"), "no part 'train'")
    refused(lambda card, _: card["parts"]["train"]["files"].update(x="../x.npy"), "no file in it for 'x'")
    refused(lambda card, _: card["parts"]["train"]["files"].update(x="data.json"), "no NumPy array")
    refused(lambda card, _: card["parts"]["train"]["files"].update(y="test-y.npy"), "not of one length")
    refused(lambda card, f: np.save(f / "train-y.npy", np.array(["a"], object), allow_pickle=True), "no NumPy array")
    refused(lambda card, f: np.save(f / "train-y.npy", np.zeros(60)), "no whole numbers")
    refused(lambda card, f: (f / "train-x.npy").write_bytes(b""), "no NumPy array")
    with pytest.raises(InputFileError, match="cannot be read"):
        Prepared.read(str(lab.folder / "nothing"))


def test_columns_have_the_moments_of_the_training_data(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read some rows at a time; what lies in other parts does not count."""
    monkeypatch.setattr(prepared, "_ROWS", 7)
    rows = np.random.default_rng(0).normal((1.7e6, 0.01, 5.1), (1e3, 1e-3, 0.0), (50, 3)).astype(np.float32)
    card = {"kind": "arrays", "inputs": ["x"], "target": "y", "classes": None}
    arrays = {"train-x": rows, "train-y": np.zeros(50), "test-x": rows[:3] + 1e9, "test-y": np.zeros(3)}
    mean, variance = Prepared.read(lab.data("c", card, arrays)).moments("x")
    assert mean == pytest.approx(rows.astype(np.float64).mean(axis=0))
    assert variance[:2] == pytest.approx(rows.astype(np.float64).var(axis=0)[:2])
    # One value alone is nothing to divide by.
    assert variance[2] == 1.0


def test_what_is_no_number_is_left_out_of_the_moments_of_its_column(lab: Any) -> None:
    rows = np.arange(20.0, dtype=np.float32).reshape(10, 2)
    rows[3, 0], rows[4, 0], rows[5, 1] = np.nan, np.inf, -np.inf
    card = {"kind": "arrays", "inputs": ["x"], "target": "y", "classes": None}
    mean, variance = Prepared.read(lab.data("c", card, {"train-x": rows, "train-y": np.zeros(10)})).moments("x")
    for column in range(2):
        numbers = rows[np.isfinite(rows[:, column]), column]
        assert (mean[column], variance[column]) == (pytest.approx(numbers.mean()), pytest.approx(numbers.var()))


COLUMNS = """
import sys
import keras
import numpy as np
from zenplan.worker.counting.keras_file import read_keras_config
from zenplan.worker.training.kinds import model_of
from zenplan.worker.training.kinds.facts import Facts
from zenplan.worker.training.prepared import Prepared

data = Prepared.read(sys.argv[1])
rows = data.arrays["train"]["x"]
for name in ("softmax-regression", "lstm"):
    model = model_of(name, {}, Facts.of(data))
    inner = keras.Model(model.inputs, model.get_layer("standardised").output)
    found = keras.ops.convert_to_numpy(inner(np.array(rows)))
    assert np.allclose(found.mean(axis=0), 0.0, atol=0.01), found.mean(axis=0)
    assert np.allclose(found.std(axis=0)[:2], 1.0, atol=0.01), found.std(axis=0)
    model.save("model.keras")
    read_keras_config("model.keras")
    again = keras.saving.load_model("model.keras", compile=False)
    one, other = (keras.ops.convert_to_numpy(each(np.array(rows))) for each in (model, again))
    assert np.array_equal(one, other)
"""


def test_a_model_of_a_table_takes_columns_as_they_are(lab: Any, one_backend: str) -> None:
    rows = np.random.default_rng(0).normal((1.7e4, 0.01, 5.0), (1e3, 1e-3, 0.0), (60, 3)).astype(np.float32)
    card = {"kind": "arrays", "inputs": ["x"], "target": "y", "classes": 2}
    folder = lab.data("c", card, {"train-x": rows, "train-y": np.arange(60) % 2})
    environ = {**os.environ, "KERAS_BACKEND": one_backend, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", COLUMNS, folder], env=environ, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


NUMBERS = """
import sys
import keras
import numpy as np
from zenplan.worker.training.kinds import model_of
from zenplan.worker.training.kinds.facts import Facts
from zenplan.worker.training.losses import loss_of
from zenplan.worker.training.prepared import Prepared

data = Prepared.read(sys.argv[1])
x, y = (np.array(data.arrays["train"][name]) for name in ("x", "y"))
rates = {"softmax-regression": keras.optimizers.SGD(0.5), "gru": keras.optimizers.AdamW(3e-3)}
for name, optimizer in rates.items():
    model = model_of(name, {} if name == "softmax-regression" else {"width": 8}, Facts.of(data))
    loss = loss_of("", data.card, model)
    found = model(x)
    # The loss is in the label's own units, its gradient in those of its spread.
    assert np.isclose(float(loss.mean(y, found)), np.mean((np.array(found)[:, 0] - y) ** 2), rtol=1e-4)
    assert np.isclose(loss.unit, y.var(), rtol=1e-4)
    model.compile(optimizer, loss.mean)
    model.fit(x, y, batch_size=32, epochs=40, verbose=0)
    error = model.predict(x, verbose=0)[:, 0] - y
    assert np.sqrt(np.mean(error**2)) < 0.2 * y.std(), (name, np.sqrt(np.mean(error**2)))
    model.save("model.keras")
    again = keras.saving.load_model("model.keras", compile=False)
    assert loss_of("", data.card, again).unit == loss.unit
"""


def test_a_number_is_learned_whatever_its_units(lab: Any, one_backend: str) -> None:
    """Columns that go together, which plain gradient descent of a squared error would diverge on, and a price in dollars."""
    random = np.random.default_rng(0)
    size = random.normal(100, 30, 300)
    rows = np.stack([size * scale + random.normal(0, scale, 300) for scale in (1, 2, 1e3, 0.1, 7, 30)], axis=1)
    card = {"kind": "arrays", "inputs": ["x"], "target": "y", "classes": None}
    folder = lab.data("c", card, {"train-x": rows.astype(np.float32), "train-y": (3e5 + 4e3 * size).astype(np.float32)})
    environ = {**os.environ, "KERAS_BACKEND": one_backend, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", NUMBERS, folder],
        cwd=lab.folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
