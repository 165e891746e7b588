"""Prepared data, the order of samples and the learning rate: what a step is made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zenplan.errors import DataError, InputFileError, UsageError
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
