"""A model configuration in a file: Hugging Face's ``config.json``, Llama's ``params.json``, or the head of a file of
weights."""

from __future__ import annotations

import json
import os
from typing import Any

from zenplan.adapters.files.regular_file import decoded, open_regular, read_text
from zenplan.errors import InputFileError

MOST_BYTES = 16 * 10**6
_MOST_WEIGHTS = 1e13
_HINT = "give the config.json of a Hugging Face model"


def read_model_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The configuration that a file holds, as Hugging Face writes it.

    Raises:
        InputFileError: it is not there, cannot be read, is no regular file or larger than 16 MB, or does
            not hold one JSON object in UTF-8; or it is a file of weights without a header.
        UsageError: its header or its keys are not those of a model that is known here.
    """
    shown = repr(os.fspath(path))
    what = f"the model configuration {shown}"
    weights = _of_weights(path, what)
    if weights is not None:
        return weights
    text = read_text(path, what, MOST_BYTES, _HINT)
    found = decoded(text, json.loads, shown, "JSON", _HINT)
    if not isinstance(found, dict):
        raise InputFileError(f"{shown} holds {_kind(found)}, not a JSON object", _HINT)
    return found


def _of_weights(path: str | os.PathLike[str], what: str) -> dict[str, Any] | None:
    """What the head of a file of weights says; None of any other file."""
    name = os.fspath(path).lower()
    if not name.endswith((".gguf", ".safetensors")):
        return None
    from zenplan.adapters.settings.weights_header import GGUF, gguf_values, safetensors_shapes
    from zenplan.families.configurations.other_forms import from_gguf, from_shapes

    descriptor = open_regular(path, what, _MOST_WEIGHTS, _HINT)
    with os.fdopen(descriptor, "rb") as file:
        try:
            if name.endswith(".safetensors"):
                return from_shapes(safetensors_shapes(file, what, _HINT))
            if file.peek(4)[:4] != GGUF:
                raise InputFileError(f"{what} is no GGUF file", _HINT)
            return from_gguf(*gguf_values(file, what, _HINT))
        except OSError as error:
            raise InputFileError(f"{what} cannot be read: {error.strerror}", _HINT) from error


def _kind(decoded: Any) -> str:
    if isinstance(decoded, list):
        return "a list"
    if isinstance(decoded, str):
        return "a text"
    if decoded is None or isinstance(decoded, bool):
        return {None: "null", True: "true", False: "false"}[decoded]
    return "a number"
