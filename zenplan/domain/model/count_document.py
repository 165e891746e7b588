"""A ModelCount as JSON types and back: what goes between the worker process and its parent."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from zenplan.domain.model.count import LayerCount, ModelCount
from zenplan.domain.model.operator_document import operator_document, own, read_operator, text
from zenplan.errors import DataError


def count_document(count: ModelCount) -> dict[str, Any]:
    """The count as a dictionary of JSON types; an operator has its class as ``type``."""
    document = asdict(count)
    for layer, written in zip(count.layers, document["layers"], strict=True):
        written["operators"] = [operator_document(o) for o in layer.operators]
    return document


def read_count(document: Any) -> ModelCount:
    """The count that ``count_document`` wrote.

    Raises:
        DataError: it is something else. The process that wrote it ran code that is not ours.
    """
    try:
        layers = tuple(_layer(each) for each in document["layers"])
        return ModelCount(**{**own(ModelCount, document), "layers": layers, "notes": _texts(document["notes"])})
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"the worker's count is not one: {type(error).__name__}: {error}") from error


def _layer(document: dict[str, Any]) -> LayerCount:
    lists = {"path": _texts(document["path"]), "output_shape": tuple(map(_size, document["output_shape"]))}
    operators = tuple(read_operator(each) for each in document["operators"])
    return LayerCount(**{**own(LayerCount, document), **lists, "operators": operators})


def _size(value: Any) -> int | None:
    if value is not None and not isinstance(value, int):
        raise TypeError(f"{value!r:.40} is no size")
    return value


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(text(value) for value in values)
