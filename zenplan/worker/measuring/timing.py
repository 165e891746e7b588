"""One step of a model, timed by both clocks, the device waited for at both of its ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import keras


def timed(step: Callable[[], Any], model: keras.Model) -> tuple[float, float]:
    """Seconds of one step: of the wall clock, and of the processors for all threads of this process."""
    wait_for(model)
    wall, cpu = time.perf_counter(), time.process_time()
    step()
    wait_for(model)
    return time.perf_counter() - wall, time.process_time() - cpu


def wait_for(model: keras.Model) -> None:
    """Return when the device has done all that it was given.

    The loss that a step returns is on the host, but what only changes weights may still run.
    """
    backend = keras.config.backend()
    if backend == "jax":
        import jax

        jax.block_until_ready([v.value for v in model.trainable_variables])
    elif backend == "torch":
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()
    else:
        import tensorflow

        tensorflow.test.experimental.sync_devices()
