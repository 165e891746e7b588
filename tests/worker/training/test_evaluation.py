"""Evaluations: of a whole part, or of samples that stand for all of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zenplan.worker.training.evaluation import evaluated
from zenplan.worker.training.prepared import Samples


class Means:
    """Tells the mean of the targets as their loss."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def evaluate(self, x: Any, y: Any, weights: Any) -> Any:
        self.seen += [int(value) for value, weight in zip(x, weights, strict=True) if weight]
        return [float((y * weights).sum()), float(weights.sum())]

    def numbers(self, found: list[Any]) -> Any:
        return np.asarray(found)


def means(count: int, micro_batch: int, most: int) -> tuple[float, list[int]]:
    """Of targets that grow, as those of sorted data do: the loss, and the samples it is of."""
    stepper, numbers = Means(), np.arange(count)
    samples = Samples(x={"x": numbers}, y=numbers.astype(float), length=0, vocabulary=0)
    found = evaluated(stepper, (), samples, micro_batch, most, lambda: "")  # type: ignore[arg-type]  # what is asked of it
    assert found is not None
    return found["loss"], stepper.seen


@pytest.mark.parametrize(("count", "micro_batch"), [(7, 3), (64, 8), (5, 16), (1, 1), (100, 7)])
def test_every_sample_counts_once(count: int, micro_batch: int) -> None:
    for most in (0, count, count + 1):
        loss, seen = means(count, micro_batch, most)
        assert sorted(seen) == list(range(count))
        assert loss == pytest.approx((count - 1) / 2)


@pytest.mark.parametrize(("count", "most"), [(1000, 40), (1000, 999), (997, 100), (50, 3)])
def test_a_share_of_them_is_spread_over_the_part(count: int, most: int) -> None:
    loss, seen = means(count, 8, most)
    assert len(set(seen)) == len(seen) == most
    assert max(np.diff(sorted(seen))) <= -(-count // most)
    assert loss == pytest.approx(count / 2, rel=2 / most)


def test_the_samples_are_the_same_whatever_goes_through_at_once() -> None:
    assert means(1000, 8, 40)[1] == means(1000, 4, 40)[1]
