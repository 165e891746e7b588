"""What requests and answers look like: their JSON schemas, and a first request of the data's own."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from zenplan.adapters.corpus.images import png_of
from zenplan.adapters.corpus.preprocessing import IMAGE, LABELLED, ROWS, TEXT, Preprocessor
from zenplan.adapters.serving.drift import training_inputs
from zenplan.errors import InputFileError

PREDICT, GENERATE = "/predict", "/generate"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
# Tokens of a prompt that is shown.
_PROMPT_TOKENS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a request may ask for.

    Attributes:
        samples: of one request; tokens: that are written; top: classes that are told where none is asked for.
    """

    samples: int
    tokens: int
    top: int = 10


def schema_of(reader: Preprocessor, bounds: Bounds) -> dict[str, Any]:
    """The schemas of the route that asks the model."""
    if reader.what == TEXT:
        return {"route": f"POST {GENERATE}", "request": _generate(bounds), "answer": _written()}
    return {"route": f"POST {PREDICT}", "request": _predict(reader, bounds), "answer": _predictions(reader)}


def _object(properties: dict[str, Any], required: Sequence[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _generate(bounds: Bounds) -> dict[str, Any]:
    fields = {
        "prompt": {"type": "string", "minLength": 1},
        "max_tokens": {"type": "integer", "minimum": 1, "maximum": bounds.tokens, "default": min(64, bounds.tokens)},
        "temperature": {
            "type": "number",
            "minimum": 0,
            "maximum": 10,
            "default": 0.8,
            "description": "0: the likeliest.",
        },
        "seed": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1, "default": 0},
        "stream": {
            "type": "boolean",
            "default": False,
            "description": "Server-sent events, one for each piece of text.",
        },
    }
    return {"$schema": _DIALECT, **_object(fields, ["prompt"])}


def _written() -> dict[str, Any]:
    fields = {
        "text": {"type": "string"},
        "tokens": {"type": "integer"},
        "ended": {"enum": ["length", "end"], "description": "At max_tokens, or at the token that ends a text."},
    }
    return {"$schema": _DIALECT, **_object(fields, list(fields))}


def _predict(reader: Preprocessor, bounds: Bounds) -> dict[str, Any]:
    sample = _sample(reader)
    top = {
        "type": "integer",
        "minimum": 1,
        "default": bounds.top,
        "description": "Classes that are told, likeliest first.",
    }
    samples = {"type": "array", "items": sample, "minItems": 1, "maxItems": bounds.samples}
    more = {"top": top} if reader.classes else {}
    one, many = ({name: what, **more} for name, what in (("sample", sample), ("samples", samples)))
    return {"$schema": _DIALECT, "oneOf": [_object(one, ["sample"]), _object(many, ["samples"])]}


def _sample(reader: Preprocessor) -> dict[str, Any]:
    if reader.what == LABELLED:
        return {"type": "string", "minLength": 1}
    if reader.what == IMAGE:
        return {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/*"}
    if reader.what == ROWS:
        columns: dict[str, Any] = {name: {"type": ["number", "string"]} for name in reader.data.get("features", ())}
        columns |= {name: {"type": ["string", "number"]} for name in reader.names}
        return {"type": "object", "properties": columns, "required": list(columns)}
    arrays = {name: _array(shape) for name, shape in reader.shapes.items()}
    return next(iter(arrays.values())) if len(arrays) == 1 else _object(arrays, list(arrays))


def _array(shape: Sequence[int]) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "number"}
    for size in reversed(shape):
        found = {"type": "array", "items": found, "minItems": size, "maxItems": size}
    return found


def _predictions(reader: Preprocessor) -> dict[str, Any]:
    if reader.classes or reader.data.get("classes"):
        fields: dict[str, Any] = {
            "class": {"type": "string"},
            "probability": {"type": "number"},
            "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
        }
    else:
        fields = {"value": {"type": ["number", "array"]}}
    rows = {"type": "array", "items": _object(fields, list(fields))}
    return {"$schema": _DIALECT, **_object({"predictions": rows}, ["predictions"])}


def example_of(reader: Preprocessor) -> dict[str, Any]:
    """A request with the first sample of the training data.

    Raises:
        InputFileError: it cannot be read.
    """
    if reader.what == TEXT:
        tokens = _first_tokens(reader)
        return {"prompt": (reader.decode(tokens) if reader.decode else "") or "a", "max_tokens": 32}
    first = {name: array[0] for name, array in training_inputs(reader, 1).items()}
    if reader.what == LABELLED:
        shift = int(reader.data.get("shift", 0))
        return {"sample": reader.decode([int(each) - shift for each in first["x"] if each]) if reader.decode else ""}
    if reader.what == IMAGE:
        return {"sample": base64.b64encode(png_of(first["x"])).decode("ascii")}
    if reader.what == ROWS:
        columns: dict[str, Any] = dict(zip(reader.data.get("features", ()), _plain(first.get("x")), strict=False))
        for name, numbers in reader.names.items():
            columns[name] = next(text for text, number in numbers.items() if number == int(first[name]))
        return {"sample": columns}
    plain = {name: array.tolist() for name, array in first.items()}
    return {"sample": plain if len(plain) > 1 else next(iter(plain.values()))}


def _plain(row: Any) -> list[float]:
    """The numbers with no more digits than float32 has."""
    return [] if row is None else [float(f"{each:.7g}") for each in row.ravel().tolist()]


def _first_tokens(reader: Preprocessor) -> list[int]:
    try:
        path = reader.folder / str(reader.data["parts"]["train"]["files"]["tokens"])
        tokens = np.load(path, mmap_mode="r", allow_pickle=False)[: 4 * _PROMPT_TOKENS]
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise InputFileError(f"the prepared data '{reader.folder}' have no tokens", "prepare them anew") from error
    return [int(each) for each in tokens if int(each) != reader.end][:_PROMPT_TOKENS]
