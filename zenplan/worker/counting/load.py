"""From a target to a built Keras model: a function of the user's, or the configuration of a ``.keras`` file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

import keras
import numpy as np

from zenplan.errors import InputFileError, UsageError
from zenplan.worker.counting.count import required
from zenplan.worker.counting.target import imported, what
from zenplan.worker.protocol import Events, says

# Of more than that jax's own draw, compiled or not, is as fast as numpy's.
_MOST_DRAWN = 1 << 24


@contextmanager
def weightless(wanted: bool) -> Iterator[None]:
    """Within it variables have a shape and no values, so that a model of 100 GB takes no memory.

    Weights are not loaded then either, nor those of ``keras.applications`` downloaded: nothing would keep them.
    """
    if not wanted:
        yield
        return
    with (
        keras.StatelessScope(initialize_variables=False),
        patch.object(keras.Model, "load_weights", lambda *args, **options: None),
        # Only what Keras itself calls: keras.utils.get_file, which a builder may call, stays as it is.
        patch("keras.src.utils.file_utils.get_file", lambda *args, **options: "not downloaded.h5"),
    ):
        yield


@contextmanager
def drawn_by_numpy() -> Iterator[None]:
    """Within it jax's random values, as of weights, are drawn by numpy, from the same distributions.

    jax compiles a program for every shape that it draws: of a model of thirty tables ten seconds, for nothing that a
    step then runs. The other backends compile none.
    """
    if keras.config.backend() != "jax":
        yield
        return
    from keras.src.backend.jax import random

    made = np.random.default_rng(0)

    def uniform(shape: Any, minval: float = 0.0, maxval: float = 1.0) -> Any:
        return made.random(shape, dtype=np.float32) * (maxval - minval) + minval

    def normal(shape: Any, mean: float = 0.0, stddev: float = 1.0) -> Any:
        return made.standard_normal(shape, dtype=np.float32) * stddev + mean

    def truncated_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0) -> Any:
        found = np.array(made.standard_normal(shape, dtype=np.float32))
        while (far := np.abs(found) > 2.0).any():
            found[far] = made.standard_normal(int(far.sum()), dtype=np.float32)
        return found * stddev + mean

    with ExitStack() as stack:
        for draw in (uniform, normal, truncated_normal):
            own = getattr(random, draw.__name__)
            stack.enter_context(patch.object(random, draw.__name__, _instead(own, draw)))
        yield


def _instead(own: Callable[..., Any], draw: Callable[..., Any]) -> Callable[..., Any]:
    """As the backend's own function of ``keras.random``, but with the values of ``draw`` where there are few."""

    def drawn(shape: Any, *args: Any, dtype: str | None = None, seed: Any = None, **options: Any) -> Any:
        if math.prod(shape) > _MOST_DRAWN or not all(isinstance(v, int | float) for v in (*args, *options.values())):
            return own(shape, *args, dtype=dtype, seed=seed, **options)
        return keras.ops.convert_to_tensor(draw(tuple(shape), *args, **options), dtype=dtype or keras.config.floatx())

    return drawn


def imported_model(target: str, events: Events, arguments: Mapping[str, Any] = MappingProxyType({})) -> keras.Model:
    """The model of ``package.module:name``, imported with the current folder first.

    Args:
        arguments: what the function is called with, by name.

    Raises:
        UsageError: there is no such name in the module, it is and returns something else than a model, or it does not
            take these arguments.
    """
    return imported(target, events, arguments, keras.Model, "Keras model", "keras.Model")


def configured_model(config: dict[str, Any], events: Events) -> keras.Model:
    """The model of a configuration that ``keras_file`` let pass; Keras's own safe mode guards it again."""
    events.begin("build")
    model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    if not isinstance(model, keras.Model):
        raise UsageError(f"the file describes {what(model)}, no Keras model", "save a whole model as .keras")
    return model


def trained_model(config: dict[str, Any], path: str, events: Events, hint: str) -> keras.Model:
    """The model of a ``.keras`` file with its weights, as of ``configured_model``.

    Args:
        path: of the file that has the weights.
        hint: what to do where they do not load.

    Raises:
        InputFileError: they do not.
    """
    model = configured_model(config, events)
    try:
        model.load_weights(path)
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise InputFileError(f"the weights of {path} do not load: {says(error)}", hint) from error
    return model


def with_inputs(model: keras.Model, shapes: Sequence[Sequence[int]]) -> None:
    """Build the model by calling it on inputs of these shapes, of one sample each."""
    inputs = [keras.Input(tuple(shape)) for shape in shapes]
    if len(inputs) > 1 and len(required(model)) == len(inputs):
        model(*inputs)
    else:
        model(inputs[0] if len(inputs) == 1 else inputs)
