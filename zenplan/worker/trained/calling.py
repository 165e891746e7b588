"""Calls of a trained model: inputs as prepared data has them, and what it returns as one array."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from zenplan.worker.training.prepared import Array

# Inputs are one array, or several by name; the first axis of each is that of samples.
Call = Callable[[Any], Array]


def call_of(model: keras.Model) -> Call:
    """As Keras predicts: compiled where the backend compiles, in evaluation mode."""

    def call(x: Any) -> Array:
        return np.asarray(model.predict_on_batch(x), np.float32)

    return call


def first_of(x: Any, count: int) -> Any:
    """The first samples of inputs."""
    return {name: array[:count] for name, array in x.items()} if isinstance(x, Mapping) else x[:count]


def timed(call: Call, x: Any) -> float:
    """Seconds of one call."""
    begin = time.perf_counter()
    call(x)
    return time.perf_counter() - begin
