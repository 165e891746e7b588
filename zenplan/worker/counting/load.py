"""From a target to a built Keras model: a function of the user's, or the configuration of a ``.keras`` file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

import keras

from zenplan.errors import UsageError
from zenplan.worker.counting.target import imported, what
from zenplan.worker.protocol import Events


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


def with_inputs(model: keras.Model, shapes: Sequence[Sequence[int]]) -> None:
    """Build the model by calling it on inputs of these shapes, of one sample each."""
    inputs = [keras.Input(tuple(shape)) for shape in shapes]
    model(inputs[0] if len(inputs) == 1 else inputs)
