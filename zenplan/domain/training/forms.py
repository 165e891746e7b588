"""What a trained model is written to, for others to use."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

KERAS, SAVEDMODEL, ONNX, LITERT = FORMS = ("keras", "savedmodel", "onnx", "litert")
INT8, INT4 = QUANTIZED = ("int8", "int4")
# How the name of an artefact ends; a SavedModel is a folder, and so is what Keras alone cannot read from one file.
SUFFIXES: Final[Mapping[str, str]] = MappingProxyType(
    {KERAS: ".keras", SAVEDMODEL: "", ONNX: ".onnx", LITERT: ".tflite"}
)
# Weights that each form holds, beside floats.
HOLDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {KERAS: QUANTIZED, SAVEDMODEL: QUANTIZED, ONNX: (INT8,), LITERT: (INT8,)}
)
# What keeps a form from int4.
NO_INT4: Final[Mapping[str, str]] = MappingProxyType(
    {
        ONNX: "its converter makes floats of weights in int4: the file would be as large as without",
        LITERT: "its converter makes floats of weights in int4: the file would be as large as without",
    }
)


def file_name(form: str, quantize: str = "") -> str:
    """Of an artefact, or of its folder: ``model.onnx``, ``model-int8.onnx``, ``savedmodel``, ``keras-int8``."""
    end = f"-{quantize}" if quantize else ""
    if form == SAVEDMODEL or (form == KERAS and quantize):
        return f"{form}{end}"
    return f"model{end}{SUFFIXES[form]}"
