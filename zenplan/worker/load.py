"""From a target to a built Keras model: a function of the user's, or the configuration of a ``.keras`` file."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import keras

from zenplan.errors import UsageError
from zenplan.worker.protocol import Events

_HINT = "it must be a keras.Model, or a function without arguments that returns one"


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


def imported_model(target: str, events: Events) -> keras.Model:
    """The model of ``package.module:name``, imported with the current folder first.

    Raises:
        UsageError: there is no such name in the module, or it is and returns something else than a model.
    """
    module_name, _, name = target.partition(":")
    events.begin("import")
    sys.path.insert(0, str(Path.cwd()))
    found: Any = import_module(module_name)
    for part in name.split("."):
        if not hasattr(found, part):
            raise UsageError(f"module {module_name} has no '{name}'", _HINT)
        found = getattr(found, part)
    events.begin("build")
    if isinstance(found, keras.Model):
        return found
    if not callable(found):
        raise UsageError(f"{target} is {_what(found)}, no Keras model", _HINT)
    if _asks(found):
        raise UsageError(
            f"{target} takes arguments", "write a function that calls it with them, and name that"
        )
    model = found()
    if not isinstance(model, keras.Model):
        raise UsageError(f"{target} returned {_what(model)}, no Keras model", _HINT)
    return model


def configured_model(config: dict[str, Any], events: Events) -> keras.Model:
    """The model of a configuration that ``adapters.keras_file`` let pass; Keras's own safe mode guards it again."""
    events.begin("build")
    model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    if not isinstance(model, keras.Model):
        raise UsageError(f"the file describes {_what(model)}, no Keras model", "save a whole model as .keras")
    return model


def with_inputs(model: keras.Model, shapes: Sequence[Sequence[int]]) -> None:
    """Build the model by calling it on inputs of these shapes, of one sample each."""
    inputs = [keras.Input(tuple(shape)) for shape in shapes]
    model(inputs[0] if len(inputs) == 1 else inputs)


def _asks(function: Callable[..., Any]) -> bool:
    """Whether it cannot be called without arguments."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        # Made of native code, which does not tell.
        return False
    empty = inspect.Parameter.empty
    return any(p.default is empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
               for p in signature.parameters.values())  # fmt: skip


def _what(value: object) -> str:
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return "None" if value is None else f"a value of type {module}{kind.__qualname__}"
