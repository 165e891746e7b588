"""Gradients of what a model returns with respect to its inputs, on any backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from zenplan.worker.training.prepared import Array

# From tensors by name to one number for each row.
Scores = Callable[[Mapping[str, Any]], Any]


def gradients(scores: Scores, points: Mapping[str, Array]) -> dict[str, Array]:
    """Of the sum of the scores with respect to each of the points, which are float arrays with rows as first axis."""
    return _BY_BACKEND[keras.config.backend()](scores, points)


def integrated(scores: Scores, base: Mapping[str, Array], end: Mapping[str, Array], steps: int) -> dict[str, Array]:
    """Integrated gradients along the line from a baseline (Sundararajan et al. 2017, https://arxiv.org/abs/1703.01365).

    Args:
        base, end: by name, without an axis of rows.
        steps: points on the line, at the middles of as many pieces.

    Returns:
        Of each number of ``end`` what it adds to the score.
    """
    at_once = 16
    sums = {name: np.zeros_like(array, np.float64) for name, array in end.items()}
    for first in range(0, steps, at_once):
        shares = (np.arange(first, min(first + at_once, steps)) + 0.5) / steps
        points = {
            name: np.stack([base[name] + share * (array - base[name]) for share in shares]).astype(np.float32)
            for name, array in end.items()
        }
        for name, found in gradients(scores, points).items():
            sums[name] += found.sum(axis=0)
    return {name: sums[name] / steps * (array - base[name]) for name, array in end.items()}


def _jax(scores: Scores, points: Mapping[str, Array]) -> dict[str, Array]:
    import jax

    found = jax.grad(lambda given: keras.ops.sum(scores(given)))(
        {name: jax.numpy.asarray(array) for name, array in points.items()}
    )
    return {name: np.asarray(array) for name, array in found.items()}


def _torch(scores: Scores, points: Mapping[str, Array]) -> dict[str, Array]:
    import torch

    given = {name: torch.tensor(array, requires_grad=True) for name, array in points.items()}
    with torch.enable_grad():
        found = torch.autograd.grad(keras.ops.sum(scores(given)), list(given.values()), allow_unused=True)
    return {
        name: np.zeros_like(points[name]) if each is None else each.numpy()
        for name, each in zip(given, found, strict=True)
    }


def _tensorflow(scores: Scores, points: Mapping[str, Array]) -> dict[str, Array]:
    import tensorflow

    given = {name: tensorflow.convert_to_tensor(array) for name, array in points.items()}
    with tensorflow.GradientTape() as tape:
        tape.watch(given)
        total = keras.ops.sum(scores(given))
    found = tape.gradient(total, given, unconnected_gradients="zero")
    return {name: np.asarray(tensorflow.convert_to_tensor(array)) for name, array in found.items()}


_BY_BACKEND = {"jax": _jax, "torch": _torch, "tensorflow": _tensorflow}
