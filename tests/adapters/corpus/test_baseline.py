"""What is reached without a model."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from zenplan.adapters.corpus.baseline import baselines
from zenplan.errors import InputFileError


def saved(folder: Path, **arrays: object) -> dict[str, str]:
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", np.asarray(values))
    return {name: f"{name}.npy" for name in arrays}


def test_even_tokens_cost_the_logarithm_of_their_number(tmp_path: Path) -> None:
    files = saved(tmp_path, train=np.arange(8000, dtype=np.uint16) % 8, validation=np.arange(80, dtype=np.uint16) % 8)
    found = baselines(tmp_path, files, 8, None)
    assert found == {"validation": {"loss": pytest.approx(math.log(8)), "accuracy": pytest.approx(1 / 8)}}


def test_the_likeliest_class_is_always_guessed(tmp_path: Path) -> None:
    files = saved(tmp_path, train=[0] * 98 + [1] * 8, test=[0, 0, 0, 1])
    found = baselines(tmp_path, files, None, 3)["test"]
    assert found["accuracy"] == 0.75
    # One is added to each count.
    assert found["loss"] == pytest.approx(-(3 * math.log(99 / 109) + math.log(9 / 109)) / 4)


def test_numbers_are_guessed_by_their_mean(tmp_path: Path) -> None:
    files = saved(tmp_path, train=[1.0, 3.0], test=[2.0, 4.0])
    assert baselines(tmp_path, files, None, None) == {"test": {"loss": 2.0, "rmse": pytest.approx(math.sqrt(2.0))}}


def test_what_is_no_array_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.npy").write_text("no array", encoding="utf-8")
    with pytest.raises(InputFileError):
        baselines(tmp_path, {"train": "train.npy"}, 4, None)
    assert baselines(tmp_path, {}, 4, None) == {}
