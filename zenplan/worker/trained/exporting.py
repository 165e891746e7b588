"""A trained model, written in a form that others read. It takes TensorFlow, whichever backend trained."""

from __future__ import annotations

import errno
import re
from importlib import import_module
from typing import Any

import keras

from zenplan.domain.training.forms import KERAS, LITERT, ONNX, SAVEDMODEL
from zenplan.errors import UsageError, ZenplanError
from zenplan.worker.counting.attempt import Attempt
from zenplan.worker.protocol import Events, Export, Exported, Input
from zenplan.worker.trained.forms import written
from zenplan.worker.trained.layers import named, raising
from zenplan.worker.trained.opened import Opened, opened
from zenplan.worker.trained.writers import WRITERS
from zenplan.worker.training.quantized import NoForm

# Layers that stand before what is learned.
_PREPARING = (
    keras.layers.Rescaling,
    keras.layers.Normalization,
    keras.layers.Resizing,
    keras.layers.CenterCrop,
    keras.layers.Discretization,
    keras.layers.CategoryEncoding,
    keras.layers.Hashing,
    keras.layers.StringLookup,
    keras.layers.IntegerLookup,
    keras.layers.TextVectorization,
)
_NO_OPERATION = (re.compile(r"'(?:tf|tfl)\.(\w+)' op"), re.compile(r"No Op registered for (\w+)"))
_LIBRARIES = {KERAS: (), SAVEDMODEL: (), ONNX: ("onnx", "tf2onnx", "onnxruntime"), LITERT: ()}


def export(job: Export, events: Events) -> None:
    """Do the job, and tell what came of it.

    Raises:
        InputFileError: the model or the data cannot be read.
        ZenplanError: the disk is full, or it cannot be written there.
    """
    # With them, Keras would leave the layer out of what is raised.
    keras.config.disable_traceback_filtering()
    model = _opened(job, events)
    if model is None:
        return
    events.begin("export")
    attempt, batch = Attempt(), None
    with attempt:
        # Keras exports what has been called.
        model.model.predict_on_batch(model.one())
        batch = WRITERS[job.artefact.form](model.model, job.artefact.path, job.artefact.quantize)
    if attempt.error is not None:
        check_disk(attempt.error)
        events.send(_refused(attempt, model.model, job.artefact.form))
        return
    inputs, preparing = described(model, model.model)
    events.send(
        Exported(batch=batch, inputs=inputs, preparing=preparing, versions=versions_of(*_LIBRARIES[job.artefact.form]))
    )


def described(opened: Opened, model: keras.Model) -> tuple[tuple[Input, ...], tuple[str, ...]]:
    """What a model takes, and the layers in it that make numbers of the data what the others take.

    Args:
        opened: says which data.
        model: of the same data.
    """
    layers = (each for each in _layers(model) if isinstance(each, _PREPARING))
    return tuple(_inputs(opened, model)), tuple(f"{each.name} ({type(each).__name__})" for each in layers)


def versions_of(*libraries: str) -> dict[str, str]:
    """Of Keras, its backend, and these."""
    # torch has a kind of text of its own for it.
    return {name: str(import_module(name).__version__) for name in ("keras", keras.config.backend(), *libraries)}


def _opened(job: Export, events: Events) -> Opened | None:
    """The model; None where a layer of the user's does not run on TensorFlow, which has been told."""
    attempt, model = Attempt(), None
    with attempt:
        model = opened(job.model, events)
    error = attempt.error
    layer = "" if error is None or isinstance(error, ZenplanError) else raising(error)
    if error is not None and not layer:
        raise error
    if error is not None:
        events.send(Exported(refused=f"it does not run on TensorFlow: {attempt.reason}", layer=layer))
    return model


def check_disk(error: BaseException) -> None:
    """Raise what it is where the place is at fault, and not the model."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(error):
        raise ZenplanError(
            "the export cannot be written: the disk is full", "make room, or name another place: -o PATH"
        )
    if number in (errno.EACCES, errno.EROFS, errno.EPERM):
        raise ZenplanError(f"the export cannot be written: {error}", "name a place that you may write: -o PATH")


def _refused(attempt: Attempt, model: keras.Model, form: str) -> Exported:
    error = attempt.error
    if isinstance(error, NoForm):
        return Exported(refused=error.message, layer=error.layer)
    if isinstance(error, UsageError):
        return Exported(refused=error.message, layer=named(error.message, model))
    text = str(error)
    layer = named(text, model) or ("" if error is None else raising(error))
    for pattern in _NO_OPERATION:
        if found := pattern.search(text):
            return Exported(refused=f"{form} has no operation {found[1]}", layer=layer)
    return Exported(refused=attempt.reason, layer=layer)


def _layers(model: keras.Model) -> list[Any]:
    return list(model._flatten_layers(include_self=False))


def _inputs(opened: Opened, model: keras.Model) -> list[Input]:
    data = opened.data.shapes() or {"tokens": (opened.length,)}
    given = list(getattr(model, "inputs", None) or [])
    names = list(data) if len(given) == 1 else [str(each.name) for each in given]
    return [
        Input(
            name=name,
            written=written(str(each.name)),
            shape=tuple(each.shape[1:]),
            type=str(keras.backend.standardize_dtype(each.dtype)),
        )
        for name, each in zip(names, given, strict=True)
    ]
