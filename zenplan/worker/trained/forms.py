"""Artefacts of a trained model, read and called, by their form."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from zenplan.domain.training.forms import KERAS, LITERT, ONNX, SAVEDMODEL
from zenplan.errors import InputFileError, UnknownName
from zenplan.worker.counting.keras_file import checked_config, read_keras_config
from zenplan.worker.counting.load import configured_model, trained_model
from zenplan.worker.protocol import Artefact, Events, Target, Trained, says
from zenplan.worker.trained.calling import Call, call_of
from zenplan.worker.trained.opened import rebuilt
from zenplan.worker.training.prepared import Array

_HINT = "export it anew"
# Of a folder with weights that Keras cannot read with their configuration.
CONFIG, WEIGHTS = "model.json", "model.weights.h5"


def read(artefact: Artefact, model: Trained, events: Events) -> Call:
    """The artefact as what can be called.

    Args:
        model: that it is of: a builder of the user's is asked for classes that are its own.

    Raises:
        InputFileError: it cannot be read; UnknownName: there is no such form.
    """
    if artefact.form not in _READERS:
        raise UnknownName("form", artefact.form, _READERS)
    return _READERS[artefact.form](artefact, model, events)


def _keras(artefact: Artefact, model: Trained, events: Events) -> Call:
    folder = Path(artefact.path)
    weights = str(folder / WEIGHTS) if folder.is_dir() else artefact.path
    if artefact.builder is not None:
        job = msgspec.structs.replace(model.job, model=artefact.builder)
        model = msgspec.structs.replace(model, path=weights, job=job)
    try:
        if artefact.quantize:
            found = configured_model(_config(folder / CONFIG), events)
        else:
            return call_of(trained_model(read_keras_config(weights), weights, events, _HINT))
    except InputFileError:
        if not isinstance(model.job.model, Target):
            raise
        found = rebuilt(model, events)
    if artefact.quantize:
        found.quantize(artefact.quantize)
    try:
        found.load_weights(weights)
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise InputFileError(f"the weights of {weights} do not load: {says(error)}", _HINT) from error
    return call_of(found)


def _config(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputFileError(f"{path} cannot be read: {says(error)}", _HINT) from error
    return checked_config(text, str(path))


def _savedmodel(artefact: Artefact, model: Trained, events: Events) -> Call:
    import tensorflow

    try:
        loaded = tensorflow.saved_model.load(artefact.path)
        serve = loaded.signatures["serving_default"]
    except (OSError, ValueError, KeyError) as error:
        raise InputFileError(f"{artefact.path} is no SavedModel: {says(error)}", _HINT) from error
    kinds = {name: spec.dtype for name, spec in serve.structured_input_signature[1].items()}

    def call(x: Any) -> Array:
        found = serve(**{n: tensorflow.cast(array, kinds[n]) for n, array in by_name(x, kinds).items()})
        # The signature keeps the model that its variables are of.
        return np.asarray(next(iter(found.values())), np.float32) if loaded else np.zeros(0)

    return call


def _onnx(artefact: Artefact, model: Trained, events: Events) -> Call:
    session = onnx_session(artefact.path)
    kinds = {each.name: _NUMBERS.get(each.type, "float32") for each in session.get_inputs()}

    def call(x: Any) -> Array:
        given = {name: np.asarray(array, kinds[name]) for name, array in by_name(x, kinds).items()}
        return np.asarray(session.run(None, given)[0], np.float32)

    return call


_NUMBERS = {f"tensor({name})": name for name in ("int8", "uint8", "int16", "int32", "int64", "bool")} | {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
}


def onnx_session(path: str) -> Any:
    """An ONNX file, ready to be run with the processor cores of this process.

    Raises:
        InputFileError: it is none that this version of the library runs.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _cores()
    # Its errors are raised; what it also writes says nothing more.
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except _onnx_errors() as error:
        raise InputFileError(f"{path} cannot be run: {says(error)}", _HINT) from error


def _onnx_errors() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NoSuchFile,
        state.NotImplemented,
    )


def _litert(artefact: Artefact, model: Trained, events: Events) -> Call:
    import tensorflow

    try:
        interpreter = tensorflow.lite.Interpreter(model_path=artefact.path, num_threads=_cores())
        run = interpreter.get_signature_runner()
    except (OSError, ValueError, RuntimeError) as error:
        raise InputFileError(f"{artefact.path} cannot be run: {says(error)}", _HINT) from error
    details = run.get_input_details()
    fixed = max(int(each["shape_signature"][0]) for each in details.values())

    def call(x: Any) -> Array:
        given = {name: np.asarray(array, details[name]["dtype"]) for name, array in by_name(x, details).items()}
        count = len(next(iter(given.values())))
        size = fixed if fixed > 0 else count
        found = []
        for first in range(0, count, size):
            some = {name: _filled(array[first : first + size], size) for name, array in given.items()}
            found.append(np.asarray(next(iter(run(**some).values())), np.float32)[: count - first])
        return np.concatenate(found)

    return call


def _filled(array: Array, size: int) -> Array:
    """With its last sample again, up to that many."""
    return np.concatenate([array, *[array[-1:]] * (size - len(array))]) if len(array) < size else array


def by_name(x: Any, names: Collection[str]) -> dict[str, Array]:
    """Inputs by the names that an artefact has for them, in which converters allow fewer letters.

    Raises:
        InputFileError: it has others.
    """
    if not isinstance(x, Mapping):
        x = dict.fromkeys(names, x) if len(names) == 1 else {}
    found = {name if name in names else written(name): array for name, array in x.items()}
    if set(found) != set(names):
        raise InputFileError(
            f"the artefact takes {', '.join(names)}, the data have {', '.join(x) or 'one input'}", _HINT
        )
    return found


def written(name: str) -> str:
    """The name of an input as TensorFlow writes it."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return plain if plain[:1].isalpha() else f"arg_{plain}"


def _cores() -> int:
    """Of this process, which its job has been confined to."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_READERS: dict[str, Callable[[Artefact, Trained, Events], Call]] = {
    KERAS: _keras,
    SAVEDMODEL: _savedmodel,
    ONNX: _onnx,
    LITERT: _litert,
}
