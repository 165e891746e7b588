"""A model configuration in a file: Hugging Face's ``config.json``."""

from __future__ import annotations

import json
import os
from typing import Any

from zenplan.adapters.files.regular_file import decoded, read_text
from zenplan.errors import InputFileError

MOST_BYTES = 16 * 10**6
_HINT = "give the config.json of a Hugging Face model"


def read_model_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The decoded object of a configuration file.

    Raises:
        InputFileError: it is not there, cannot be read, is no regular file or larger than 16 MB, or does
            not hold one JSON object in UTF-8.
    """
    shown = repr(os.fspath(path))
    text = read_text(path, f"the model configuration {shown}", MOST_BYTES, _HINT)
    found = decoded(text, json.loads, shown, "JSON", _HINT)
    if not isinstance(found, dict):
        raise InputFileError(f"{shown} holds {_kind(found)}, not a JSON object", _HINT)
    return found


def _kind(decoded: Any) -> str:
    if isinstance(decoded, list):
        return "a list"
    if isinstance(decoded, str):
        return "a text"
    if decoded is None or isinstance(decoded, bool):
        return {None: "null", True: "true", False: "false"}[decoded]
    return "a number"
