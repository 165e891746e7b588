"""A built model, written in each form. Each writer returns the number of samples that a call must have; None for any."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import keras

from zenplan import units
from zenplan.domain.training.forms import KERAS, LITERT, ONNX, SAVEDMODEL
from zenplan.worker.trained.forms import CONFIG, WEIGHTS, onnx_session, written
from zenplan.worker.training.quantized import NoForm, check_form, without_form


def _check_smaller(mode: str, model: keras.Model, taken_bytes: int, floats_bytes: int) -> None:
    if taken_bytes >= floats_bytes:
        raise NoForm(
            f"in {mode} it takes {units.size(taken_bytes)}, no less than the {units.size(floats_bytes)} of floats",
            without_form(model),
        )


def _keras(model: keras.Model, path: str, quantize: str) -> None:
    if not quantize:
        model.save(path)
        return
    # Keras writes such a model whole, and cannot read it again where it has attention (Keras 3.15): so what is written
    # is the model in floats without its weights, and the weights that it has once it is quantised.
    text = model.to_json()
    _quantize(model, quantize)
    Path(path).mkdir()
    (Path(path) / CONFIG).write_text(text, encoding="utf-8")
    model.save_weights(Path(path) / WEIGHTS)


def _savedmodel(model: keras.Model, path: str, quantize: str) -> None:
    if quantize:
        _quantize(model, quantize)
    model.export(path, format="tf_saved_model", verbose=False, input_signature=_signature(model))


def _quantize(model: keras.Model, mode: str) -> None:
    check_form(model, mode)
    model.quantize(mode)


def _onnx(model: keras.Model, path: str, quantize: str) -> None:
    with _for_converters():
        model.export(path, format="onnx", verbose=False, input_signature=_signature(model))
    if quantize:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        floats = Path(f"{path}.floats")
        Path(path).rename(floats)
        quantize_dynamic(floats, path, weight_type=QuantType.QInt8)
        _check_smaller(quantize, model, Path(path).stat().st_size, floats.stat().st_size)
        floats.unlink()
    # What it has no operation for is written all the same.
    onnx_session(path)


def _litert(model: keras.Model, path: str, quantize: str) -> int | None:
    import tensorflow
    from tensorflow.lite.python.convert_phase import ConverterError

    options: dict[str, Any] = {
        "target_spec": {"supported_ops": [tensorflow.lite.OpsSet.TFLITE_BUILTINS]},
        "input_signature": _signature(model),
    }
    batch = None
    with _for_converters():
        try:
            model.export(path, format="litert", verbose=False, **options)
        except ConverterError:
            # A loop over steps, as that of recurrent layers, is converted for a fixed number of samples alone.
            batch = 1
            options["input_signature"] = _signature(model, batch)
            model.export(path, format="litert", verbose=False, **options)
        if quantize:
            before = Path(path).stat().st_size
            options["optimizations"] = [tensorflow.lite.Optimize.DEFAULT]
            model.export(path, format="litert", verbose=False, **options)
            _check_smaller(quantize, model, Path(path).stat().st_size, before)
    return batch


def _signature(model: keras.Model, batch: int | None = None) -> Any:
    """What the model takes, so many samples of it or any number, by names that TensorFlow takes."""
    from keras.src.export.export_utils import get_input_signature

    return keras.tree.map_structure(
        lambda each: keras.InputSpec(dtype=each.dtype, shape=(batch, *each.shape[1:]), name=written(each.name)),
        get_input_signature(model),
    )


@contextmanager
def _for_converters() -> Iterator[None]:
    """Within it, TensorFlow writes what converters have operations for.

    Its exact GELU goes by erfc, which ONNX does not have; and Keras adds whole numbers by an operation for biases, which
    LiteRT has of floats alone.
    """
    import tensorflow

    gelu, bias_add = tensorflow.nn.gelu, tensorflow.nn.bias_add

    def by_erf(features: Any, approximate: bool = False, name: str | None = None) -> Any:
        if approximate:
            return gelu(features, approximate=True, name=name)
        root = tensorflow.cast(math.sqrt(2.0), features.dtype)
        return 0.5 * features * (1.0 + tensorflow.math.erf(features / root))

    def added(value: Any, bias: Any, data_format: str | None = None, name: str | None = None) -> Any:
        if not value.dtype.is_integer:
            return bias_add(value, bias, data_format=data_format, name=name)
        if data_format == "NCHW":
            bias = tensorflow.reshape(bias, [-1] + [1] * (len(value.shape) - 2))
        return tensorflow.add(value, bias, name=name)

    with patch.object(tensorflow.nn, "gelu", by_erf), patch.object(tensorflow.nn, "bias_add", added):
        yield


WRITERS: dict[str, Callable[[keras.Model, str, str], int | None]] = {
    KERAS: _keras,
    SAVEDMODEL: _savedmodel,
    ONNX: _onnx,
    LITERT: _litert,
}
